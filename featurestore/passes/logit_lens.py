"""The tokens whose logits a direction raises and lowers, were it written straight to the output.

For a direction v in the residual stream: logits = (v - mean(v)) * gain @ W_U, less their mean over
the vocabulary; no mean is taken from v where the final normalisation is an RMSNorm. It is right up
to one positive factor a token (1 / sigma of the final residual), so the order within a feature
means something, the size between features does not. It is no effect: see ablation for that.
"""

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float

from featurestore.activations import Activations
from featurestore.passes.base import Pass, Run, matrix_column

LOGITS_AT_ONCE = 2**25


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
        tile = max(1, LOGITS_AT_ONCE // self._weight.shape[1])
        last = activations.first + activations.n_features
        parts = [
            self._tile(first, min(first + tile, last))
            for first in range(activations.first, last, tile)
        ]
        return {
            table: pa.concat_tables([part[table] for part in parts])
            for table in ("features", "promoted_tokens")
        }

    def _tile(self, first: int, last: int) -> dict[str, pa.Table]:
        logits = self.logits(first, last)
        top, bottom = _largest(logits, self._n_tokens), _largest(-logits, self._n_tokens)
        top_logits = np.take_along_axis(logits, top, axis=1)
        bottom_logits = np.take_along_axis(logits, bottom, axis=1)
        squares = np.square(logits, dtype=np.float64)
        variance = squares.mean(axis=1)
        spread = np.where(variance > 0, variance, np.nan)
        kurtosis = np.square(squares).mean(axis=1) / spread**2
        low, high = logits.min(axis=1), logits.max(axis=1)
        features = pa.table(
            {
                "promoted": matrix_column(top, pa.int32()),
                "promoted_logits": matrix_column(top_logits, pa.float32()),
                "suppressed": matrix_column(bottom, pa.int32()),
                "suppressed_logits": matrix_column(bottom_logits, pa.float32()),
                "logit_std": pa.array(np.sqrt(variance)),
                "logit_kurtosis": pa.array(kurtosis, mask=np.isnan(kurtosis)),
                "logit_low": pa.array(low),
                "logit_high": pa.array(high),
                "logit_histogram": matrix_column(self._histogram(logits), pa.int64()),
            }
        )
        feature = np.arange(first, last)
        inverted = [
            _inverted(feature, top, top_logits, True),
            _inverted(feature, bottom, bottom_logits, False),
        ]
        return {"features": features, "promoted_tokens": pa.concat_tables(inverted)}

    def logits(self, first: int, last: int) -> Float[np.ndarray, "n_features d_vocab"]:
        """Centred lens logits of a range of directions, in float32."""
        directions = self._run.dictionary.directions[first:last] @ self._run.to_residual
        return (directions @ self._weight).numpy()

    def _histogram(self, logits: np.ndarray) -> np.ndarray:
        low, high = logits.min(axis=1, keepdims=True), logits.max(axis=1, keepdims=True)
        width = np.where(high > low, high - low, 1)
        bins = np.minimum(
            ((logits - low) / width * self._n_bins).astype(np.int64), self._n_bins - 1
        )
        bins += np.arange(len(logits))[:, None] * self._n_bins
        counts = np.bincount(bins.reshape(-1), minlength=len(logits) * self._n_bins)
        return counts.reshape(len(logits), self._n_bins)


def _largest(values: np.ndarray, n: int) -> np.ndarray:
    """Indices of each row's `n` largest values, falling, equal ones by index."""
    kept = torch.from_numpy(values).topk(n, dim=1, sorted=False)
    smallest = kept.values.amin(dim=1, keepdim=True).numpy()
    indices = np.sort(kept.indices.numpy(), axis=1)
    # topk leaves open which of the values equal to the smallest it takes: take the first ones.
    for row in np.flatnonzero((values >= smallest).sum(axis=1) > n):
        indices[row] = np.sort(np.argsort(-values[row], kind="stable")[:n])
    order = np.argsort(-np.take_along_axis(values, indices, axis=1), axis=1, kind="stable")
    return np.take_along_axis(indices, order, axis=1)


def _inverted(
    features: np.ndarray, tokens: np.ndarray, logits: np.ndarray, is_promoted: bool
) -> pa.Table:
    """A row for each feature and token of its list."""
    n_features, n = tokens.shape
    return pa.table(
        {
            "token_id": pa.array(tokens.reshape(-1).astype(np.int32)),
            "is_promoted": pa.array([is_promoted] * tokens.size, pa.bool_()),
            "rank": pa.array(np.tile(np.arange(n, dtype=np.int16), n_features)),
            "feature": pa.array(np.repeat(features.astype(np.int32), n)),
            "logit": pa.array(logits.reshape(-1).astype(np.float32)),
        }
    )
