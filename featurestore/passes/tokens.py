"""How much of a feature lies on a single token of the vocabulary.

A token's share is the sum of |activation| over its active places, divided by the same over all
active tokens of the feature; sums are in float64. The entropy is -sum(share log share), in nats: 0
if all lies on one token, log n if it is spread evenly over n of them.
"""

import numpy as np
import pyarrow as pa

from featurestore.activations import Activations, stable_order
from featurestore.passes.base import Pass, Run, Tables, in_tiles, is_new


class Tokens(Pass):
    """Columns `token_share`, `share_token` and `token_entropy` of `features`; null if dead."""

    name = "tokens"

    def __init__(self, run: Run) -> None:
        self._tokens = run.corpus.tokens.reshape(-1)

    def rows(self, activations: Activations) -> Tables:
        """One row a feature; of equal shares the token with the smallest id."""
        return in_tiles(activations, self._tile)

    def _tile(self, activations: Activations) -> Tables:
        owner, token, sums = self._sums(activations)
        bounds = np.searchsorted(owner, np.arange(activations.n_features + 1))
        is_alive = activations.n_active > 0
        starts, n_tokens = bounds[:-1][is_alive], np.diff(bounds)[is_alive]
        total, largest = np.add.reduceat(sums, starts), np.maximum.reduceat(sums, starts)
        ratio = np.repeat(total, n_tokens) / sums
        best = np.flatnonzero(sums == np.repeat(largest, n_tokens))
        best = best[is_new(owner[best])]
        columns = {
            "token_share": largest / total,
            "share_token": token[best],
            "token_entropy": np.add.reduceat(np.log(ratio) / ratio, starts),
        }
        row = np.cumsum(is_alive) - 1  # where an alive feature's value stands
        filled = pa.array(row, mask=~is_alive)
        return {"features": pa.table({k: pa.array(v).take(filled) for k, v in columns.items()})}

    def _sums(self, activations: Activations) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Features of the range and tokens they are active on, in this order: sums |activation|."""
        owner, token = activations.owner, self._tokens[activations.tokens]
        order = stable_order(owner, token)
        owner, token = owner[order], token[order]
        first = np.flatnonzero(is_new(owner, token))
        sizes = np.abs(activations.values[order].astype(np.float64))
        return owner[first], token[first], np.add.reduceat(sizes, first)
