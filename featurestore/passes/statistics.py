"""How often and how strongly each feature is active.

Moments are over active tokens alone, in float64, about the mean and divided by n; skewness is
m3 / m2^1.5 and kurtosis m4 / m2^2 (3 for a normal distribution). The histogram has equal bins from
the smallest to the largest non-zero activation; silent tokens are n_tokens - n_active. A feature
that is never active has no value, which is not the same as zero.
"""

import numpy as np
import pyarrow as pa

from featurestore.activations import Activations
from featurestore.passes.base import Pass, Run, in_tiles, list_column


class Statistics(Pass):
    """Columns of `features`: counts, density, moments, histogram, length of the direction."""

    name = "statistics"

    def __init__(self, run: Run) -> None:
        self._n_tokens = run.corpus.n_tokens
        self._context_length = run.corpus.tokens.shape[1]
        self._n_bins = run.settings.n_bins
        self._directions = run.dictionary.directions

    def rows(self, activations: Activations) -> dict[str, pa.Table]:
        """One row a feature."""
        return in_tiles(activations, self._tile)

    def _tile(self, activations: Activations) -> dict[str, pa.Table]:
        low, high = extremes(activations)
        is_alive = activations.n_active > 0
        last = activations.first + activations.n_features
        decoder_norm = self._directions[activations.first : last].double().norm(dim=1).numpy()
        columns = {
            "feature": pa.array(activations.features.astype(np.int32)),
            "n_active": pa.array(activations.n_active),
            "n_nonfinite": pa.array(activations.n_nonfinite),
            "density": pa.array(activations.n_active / self._n_tokens),
            "max_activation": pa.array(high, mask=~is_alive),
            "min_activation": pa.array(low, mask=~is_alive),
            **{name: pa.array(v, mask=np.isnan(v)) for name, v in moments(activations).items()},
            "histogram": self._histogram(activations, low, high),
            "n_contexts_active": pa.array(self._n_contexts(activations)),
            "decoder_norm": pa.array(decoder_norm),
        }
        return {"features": pa.table(columns)}

    def _histogram(self, activations: Activations, low: np.ndarray, high: np.ndarray) -> pa.Array:
        """Counts in equal bins; a feature with a single value has a single bin."""
        n_bins = np.where(high > low, self._n_bins, 1)
        n_bins[activations.n_active == 0] = 0
        bounds = np.concatenate([[0], np.cumsum(n_bins)])
        width = np.where(high > low, high.astype(np.float64) - low, 1.0)
        first, low, width, n_bins = (
            np.repeat(each, activations.n_active)
            for each in (bounds[:-1], low.astype(np.float64), width, n_bins)
        )
        share = (activations.values - low) / width
        bins = np.minimum((share * n_bins).astype(np.int64), n_bins - 1)
        counts = np.bincount(first + bins, minlength=bounds[-1])
        return list_column(counts, bounds, pa.int64())

    def _n_contexts(self, activations: Activations) -> np.ndarray:
        starts = activations.starts(self._context_length)
        return np.diff(np.searchsorted(starts, activations.bounds))


def extremes(activations: Activations) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest non-zero activation of each feature; 0 for a dead one."""
    low = np.zeros(activations.n_features, dtype=np.float32)
    high = np.zeros(activations.n_features, dtype=np.float32)
    is_alive = activations.n_active > 0
    if is_alive.any():
        starts = activations.bounds[:-1][is_alive]
        low[is_alive] = np.minimum.reduceat(activations.values, starts)
        high[is_alive] = np.maximum.reduceat(activations.values, starts)
    return low, high


def moments(activations: Activations) -> dict[str, np.ndarray]:
    """Mean, standard deviation, skewness and kurtosis over active tokens; NaN where undefined."""
    n = activations.n_active
    is_alive = n > 0
    starts = activations.bounds[:-1][is_alive]
    values = activations.values.astype(np.float64)

    def mean_of(terms: np.ndarray) -> np.ndarray:
        means = np.full(len(n), np.nan)
        if len(starts):
            means[is_alive] = np.add.reduceat(terms, starts) / n[is_alive]
        return means

    mean = mean_of(values)
    centred = values - np.repeat(mean, n)
    squared = centred**2
    variance = mean_of(squared)
    # Rounding alone leaves a variance of about eps^2 mean^2 where all values are equal.
    varies = variance > (1e-12 * np.abs(mean)) ** 2
    spread = np.where(varies, variance, np.nan)
    return {
        "mean_activation": mean,
        "std_activation": np.sqrt(np.where(varies | np.isnan(variance), variance, 0.0)),
        "skewness": mean_of(squared * centred) / spread**1.5,
        "kurtosis": mean_of(squared * squared) / spread**2,
    }
