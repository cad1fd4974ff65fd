"""Cosines between the directions of two dictionaries, and which are largest.

The two are laid end to end, as one dictionary whose first `n_a` features are those of A. Float32
products only find candidates, with room for their rounding, and float64 decides among these, so no
number depends on how the work was cut. Ties go to the smaller number. A direction without length
has no cosine: it is nearest to nothing, and nothing is nearest to it.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int64

from featurestore.passes.neighbours import Directions
from featurestore.passes.pairs import Pairs, best, ranks
from featurestore.threads import in_threads

SideName = Literal["a", "b"]

N_NEAREST = 3
"""Features of the other side that are kept of each."""

SCORES_AT_ONCE = 2**22
"""Cosines in one product of matrices: 16 MB in each thread, twice that in float64."""


@dataclass(frozen=True)
class Nearest:
    """For each feature of one side those of the other with the largest cosines, falling."""

    other: Int64[np.ndarray, "n_features n"]
    """-1 where there is none."""
    cosine: Float64[np.ndarray, "n_features n"]
    """NaN where there is none."""


class Similarity:
    """Two dictionaries with directions of one length; absolute cosines if `is_absolute`."""

    def __init__(
        self,
        a: Float32[np.ndarray, "n_a d_out"],
        b: Float32[np.ndarray, "n_b d_out"],
        is_absolute: bool,
    ) -> None:
        self.is_absolute = is_absolute
        self._directions = Directions(np.concatenate([a, b]))
        vectors = self._directions.vectors
        self._lengths = np.sqrt(np.einsum("fd,fd->f", vectors, vectors, dtype=np.float64))
        self._slices = {"a": slice(0, len(a)), "b": slice(len(a), len(vectors))}

    def has_length(self, side: SideName) -> Bool[np.ndarray, " n_features"]:
        """Which features of a side can be compared at all."""
        return self._lengths[self._slices[side]] > 0

    def cosines(
        self, a: Int64[np.ndarray, " n_pairs"], b: Int64[np.ndarray, " n_pairs"]
    ) -> Float64[np.ndarray, " n_pairs"]:
        """Of features of A with features of B, in float64."""
        found = self._directions.cosines(Pairs(a, b + self._slices["b"].start))
        return np.abs(found) if self.is_absolute else found

    def nearest(self, side: SideName, n: int = N_NEAREST) -> Nearest:
        """The `n` nearest of the other side, for each feature of a side."""
        own, others = self._unit(side), self._unit(_other(side))
        without, others_without = ~self.has_length(side), ~self.has_length(_other(side))
        n_kept = min(n, len(others))
        # Two float32 cosines of unit vectors are each wrong by less than half of this.
        slack = (own.shape[1] + 4) * 2.0**-23

        def tile(rows: slice) -> list[np.ndarray]:
            scores = own[rows] @ others.T
            if self.is_absolute:
                scores.abs_()
            scores[:, others_without] = -torch.inf
            scores[without[rows]] = -torch.inf
            bound = scores.topk(n_kept).values[:, -1:] - slack
            row, other = ((scores >= bound) & scores.isfinite()).nonzero().T.numpy()
            pairs = Pairs(row + rows.start, other)
            cosines = self.cosines(*(pairs if side == "a" else reversed(pairs)))
            kept = best(n, pairs, cosines)
            return [each[kept] for each in (*pairs, cosines)]

        found = in_threads(tile, _rows(len(own), len(others)))
        feature, other, cosine = map(np.concatenate, zip(*found, strict=True))
        place = feature, ranks(Pairs(feature, other))
        nearest = Nearest(np.full((len(own), n), -1), np.full((len(own), n), np.nan))
        nearest.other[place], nearest.cosine[place] = other, cosine
        return nearest

    def negative_cosines(
        self,
        rows: SideName,
        features: Int64[np.ndarray, " n_rows"],
        others: Int64[np.ndarray, " n_others"],
    ) -> Float64[np.ndarray, "n_rows n_others"]:
        """Of all these features of a side with all those of the other, less than 0 where alike."""
        own, columns = (
            torch.from_numpy(
                self._directions.vectors[self._slices[side]][chosen]
                / self._lengths[self._slices[side]][chosen, None]
            )
            for side, chosen in ((rows, features), (_other(rows), others))
        )
        found = torch.empty((len(own), len(columns)), dtype=torch.float64)

        def tile(part: slice) -> None:
            torch.matmul(own[part], columns.T, out=found[part])
            if self.is_absolute:
                found[part].abs_()
            found[part].neg_()

        in_threads(tile, _rows(len(own), len(columns)))
        return found.numpy()

    def _unit(self, side: SideName) -> Float32[torch.Tensor, "n_features d_out"]:
        vectors = self._directions.vectors[self._slices[side]]
        lengths = np.where(self.has_length(side), self._lengths[self._slices[side]], 1)
        unit = np.empty_like(vectors)
        np.divide(vectors, lengths[:, None], out=unit, dtype=np.float64, casting="same_kind")
        return torch.from_numpy(unit)


def _other(side: SideName) -> SideName:
    return "b" if side == "a" else "a"


def _rows(n_rows: int, n_columns: int) -> list[slice]:
    """Rows of tiles."""
    at_once = max(1, SCORES_AT_ONCE // max(1, n_columns))
    return [slice(first, first + at_once) for first in range(0, n_rows, at_once)]
