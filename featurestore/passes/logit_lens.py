"""The tokens whose logits a direction raises and lowers, were it written straight to the output.

For a direction v in the residual stream: logits = (v - mean(v)) * gain @ W_U, less their mean over
the vocabulary; no mean is taken from v where the final normalisation is an RMSNorm. It is right up
to one positive factor a token (1 / sigma of the final residual), so the order within a feature
means something, the size between features does not. It is no effect: see ablation for that.
"""

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Float32, Int64

from featurestore.activations import Activations, rising_bits, stable_order
from featurestore.passes.base import Pass, Run, matrix_column, place_in_slice
from featurestore.threads import in_threads

LOGITS_AT_ONCE = 2**22
"""Numbers in one product of matrices: 16 MB in each thread."""
LOGITS_IN_CACHE = 2**18
"""Numbers that are worked on at a time: 1 MB, so that they stay near the processor."""
GROUPS_A_TOKEN = 16
"""Groups of columns whose largest values bound those of the list, for each token of it."""


class LogitLens(Pass):
    """Lens columns of `features`, and the inverted table `promoted_tokens`."""

    name = "logit_lens"

    def __init__(self, run: Run) -> None:
        self._run = run
        unembedding, n = run.unembedding, run.settings
        weight = unembedding.gain[:, None] * unembedding.weight
        if unembedding.is_centred:
            weight = weight - weight.mean(dim=0)
        self._weight = weight - weight.mean(dim=1, keepdim=True)
        self._n_tokens = min(n.n_lens_tokens, weight.shape[1])
        self._n_bins = n.n_bins

    def rows(self, activations: Activations) -> dict[str, pa.Table]:
        """Lens of every direction in the range; none where the output is no residual vector."""
        if self._run.to_residual is None:
            return {}
        first, last = activations.first, activations.first + activations.n_features
        at_once = max(1, LOGITS_AT_ONCE // self._weight.shape[1])
        products = [(start, min(start + at_once, last)) for start in range(first, last, at_once)]
        parts = [part for parts in in_threads(self._parts, products) for part in parts]
        lens = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return {
            "features": _columns(lens),
            "promoted_tokens": _inverted(activations.features, lens),
        }

    def logits(self, first: int, last: int) -> Float[np.ndarray, "n_features d_vocab"]:
        """Centred lens logits of a range of directions, in float32."""
        directions = self._run.dictionary.directions[first:last] @ self._run.to_residual
        return (directions @ self._weight).numpy()

    def _parts(self, product: tuple[int, int]) -> list[dict[str, np.ndarray]]:
        """What is kept of a range of directions, tile by tile."""
        logits = self.logits(*product)
        in_cache = max(1, LOGITS_IN_CACHE // logits.shape[1])
        return [self._tile(logits[t : t + in_cache]) for t in range(0, len(logits), in_cache)]

    def _tile(self, logits: Float32[np.ndarray, "n_rows d_vocab"]) -> dict[str, np.ndarray]:
        """What is kept of each row."""
        promoted, suppressed = largest(logits, self._n_tokens), largest(-logits, self._n_tokens)
        squares = np.square(logits, dtype=np.float64)
        variance = squares.mean(axis=1)
        fourth = np.square(squares, out=squares).mean(axis=1)
        return {
            "promoted": promoted,
            "promoted_logits": np.take_along_axis(logits, promoted, axis=1),
            "suppressed": suppressed,
            "suppressed_logits": np.take_along_axis(logits, suppressed, axis=1),
            "logit_std": np.sqrt(variance),
            "logit_kurtosis": fourth / np.where(variance > 0, variance, np.nan) ** 2,
            "logit_low": logits.min(axis=1),
            "logit_high": logits.max(axis=1),
            "logit_histogram": _histogram(logits, self._n_bins),
        }


def _histogram(
    logits: Float32[np.ndarray, "n_rows d_vocab"], n_bins: int
) -> Int64[np.ndarray, "n_rows n_bins"]:
    """Counts of each row in equal bins."""
    low, high = logits.min(axis=1, keepdims=True), logits.max(axis=1, keepdims=True)
    share = logits - low
    share /= np.where(high > low, high - low, 1)
    share *= n_bins
    bins = share.astype(np.int32)
    np.minimum(bins, n_bins - 1, out=bins)
    bins += np.arange(len(logits), dtype=np.int32)[:, None] * n_bins
    counts = np.bincount(bins.reshape(-1), minlength=len(logits) * n_bins)
    return counts.reshape(len(logits), n_bins)


def largest(values: Float32[np.ndarray, "n_rows width"], n: int) -> Int64[np.ndarray, "n_rows n"]:
    """Indices of each row's `n` largest values, falling, equal ones by index.

    Of the largest values of some groups of columns, the `n`-th is a bound that `n` values reach;
    hardly any others do, so only a few are left to sort.
    """
    n_rows, width = values.shape
    n_groups = min(width, GROUPS_A_TOKEN * n)
    depth = width // n_groups
    in_groups = values[:, : depth * n_groups].reshape(n_rows, depth, n_groups)
    bound = np.partition(in_groups.max(axis=1), n_groups - n, axis=1)[:, n_groups - n]
    row, column = np.divmod(np.flatnonzero(values >= bound[:, None]), width)
    order = stable_order(row, ~rising_bits(values[row, column]))
    is_kept = place_in_slice(np.bincount(row, minlength=n_rows)) < n
    return column[order[is_kept]].reshape(n_rows, n)


def _columns(lens: dict[str, np.ndarray]) -> pa.Table:
    """The columns of `features`."""
    lists = {
        "promoted": pa.int32(),
        "promoted_logits": pa.float32(),
        "suppressed": pa.int32(),
        "suppressed_logits": pa.float32(),
        "logit_histogram": pa.int64(),
    }
    return pa.table(
        {
            name: matrix_column(values, lists[name])
            if name in lists
            else pa.array(values, mask=np.isnan(values))
            for name, values in lens.items()
        }
    )


def _inverted(features: Int64[np.ndarray, " n_features"], lens: dict[str, np.ndarray]) -> pa.Table:
    """A row for each feature and token of its two lists."""
    tokens, logits = (
        np.stack([lens[name + kind] for name in ("promoted", "suppressed")])
        for kind in ("", "_logits")
    )
    is_promoted, feature, rank = (each.reshape(-1) for each in np.indices(tokens.shape))
    return pa.table(
        {
            "token_id": pa.array(tokens.reshape(-1).astype(np.int32)),
            "is_promoted": pa.array(is_promoted == 0),
            "rank": pa.array(rank.astype(np.int16)),
            "feature": pa.array(features[feature].astype(np.int32)),
            "logit": pa.array(logits.reshape(-1)),
        }
    )
