"""Virtual weights: what a feature's direction gives to the readers of a later dictionary.

    weight = direction · reader        cosine = weight / (|direction| |reader|)

All in float64, and the products that are kept are summed in one order, so no number depends on how
the work was cut. Strongest are those farthest from 0, either way; ties go to the smaller number. A
weight that rounding alone could make is no link, nor is there one where a direction or a reader has
no length.
"""

import numpy as np
import torch
from jaxtyping import Float32, Float64

from featurestore.passes.pairs import Pairs, best
from featurestore.threads import in_threads

WEIGHTS_AT_ONCE = 2**21
"""Products of one tile: 16 MB in each thread."""
COMPONENTS_AT_ONCE = 2**18
"""Components that are multiplied one by one at a time: 2 MB."""


class VirtualWeights:
    """Directions of one dictionary against the readers of another, both in the residual stream."""

    def __init__(
        self,
        directions: Float32[np.ndarray, "n_up d_model"],
        readers: Float64[np.ndarray, "n_down d_model"],
    ) -> None:
        self._vectors = directions.astype(np.float64), readers
        self.d_model = readers.shape[1]
        self.lengths = tuple(np.linalg.norm(each, axis=1) for each in self._vectors)

    def of(self, pairs: Pairs) -> Float64[np.ndarray, " n_pairs"]:
        """Weights of features upstream with features downstream."""
        found = np.empty(len(pairs.feature))
        at_once = max(1, COMPONENTS_AT_ONCE // self._vectors[0].shape[1])
        for first in range(0, len(found), at_once):
            part = slice(first, first + at_once)
            up, down = (each[some[part]] for each, some in zip(self._vectors, pairs, strict=True))
            found[part] = (up * down).sum(axis=1)
        return found

    def cosines(self, pairs: Pairs) -> Float64[np.ndarray, " n_pairs"]:
        """Of directions with readers that both have a length."""
        up, down = (each[some] for each, some in zip(self.lengths, pairs, strict=True))
        return np.clip(self.of(pairs) / (up * down), -1, 1)

    def strongest(self, n: int, is_downstream: bool) -> Pairs:
        """Of each feature upstream its `n` strongest links, or of each downstream.

        The first of a pair is the feature that they are the strongest of.
        """
        own, others = map(torch.from_numpy, self._vectors[:: -1 if is_downstream else 1])
        own_lengths, other_lengths = self.lengths[:: -1 if is_downstream else 1]
        # Two sums of products in other orders differ by less than this.
        slack = (own.shape[1] + 4) * 2.0**-52 * own_lengths * other_lengths.max(initial=0)

        def tile(rows: slice) -> list[np.ndarray]:
            sizes = (own[rows] @ others.T).abs()
            least = sizes.topk(min(n, len(others))).values[:, -1].numpy()
            bound = np.maximum(least - slack[rows], slack[rows] / 2)
            row, other = np.nonzero(sizes.numpy() > bound[:, None])
            pairs = Pairs(row + rows.start, other)
            weights = np.abs(self.of(Pairs(*reversed(pairs)) if is_downstream else pairs))
            is_link = weights > slack[pairs.feature]
            pairs = Pairs(*(each[is_link] for each in pairs))
            kept = best(n, pairs, weights[is_link])
            return [each[kept] for each in pairs]

        at_once = max(1, WEIGHTS_AT_ONCE // max(1, len(others)))
        tiles = [slice(first, first + at_once) for first in range(0, len(own), at_once)]
        return Pairs(*map(np.concatenate, zip(*in_threads(tile, tiles), strict=True)))
