"""The features nearest to each feature: by direction, and by the tokens on which they are active.

Ranked by cosine are all directions that have a length, those of dead features too; ranked by
co-activation, that is Jaccard's index, are the features that share a token. Ties go to the smaller
number. A row of either ranking holds every number about its pair:

    jaccard     = n_both / (n_a + n_b - n_both)
    pmi         = log(n_tokens n_both / (n_a n_b)), in nats
    conditional = n_both / n_a
    correlation = Pearson's over all valid tokens; NaN and infinity count as silence

Counts and rankings are exact, and no number depends on how the work was cut: float32 products only
find candidates, with room for their rounding, and float64 decides among these.

The time grows with the square of the features, so above MOST_FEATURES nothing is computed. It also
grows with the square of the ranges that are read against each other, so above MOST_ENTRIES there
are no rows, only `nearest_cos`, which needs no activations.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float32, Float64

from featurestore.activations import ActivationFiles, Activations
from featurestore.passes.base import Pass, Run, Tables, is_new
from featurestore.passes.coactivation import Spread, coactive, in_common
from featurestore.passes.pairs import Pairs, best, ranks
from featurestore.threads import in_threads

MOST_FEATURES = 2**16
"""Features of a dictionary that has neighbours. 24,576 with 60 million activations took 150 seconds
of a processor; by the squares 65,536 would take a third of an hour, and a million days."""
MOST_ENTRIES = 2**30
"""Activations of a dictionary that has rows: 32 ranges, so a thousand readings of one."""
SCORES_AT_ONCE = 2**22
"""Cosines in one product of matrices: 16 MB in each thread."""
COMPONENTS_AT_ONCE = 2**18
"""Components of directions that are multiplied in float64 at a time: 2 MB."""

SCHEMA = pa.schema(
    {
        "feature": pa.int32(),
        "measure": pa.string(),
        "rank": pa.int16(),
        "neighbour": pa.int32(),
        "cosine": pa.float64(),
        "n_both": pa.int64(),
        "jaccard": pa.float64(),
        "pmi": pa.float64(),
        "conditional": pa.float64(),
        "correlation": pa.float64(),
    }
)
MEASURES = np.array(["coactivation", "cosine"])
"""In the order of the table's key."""


class Neighbours(Pass):
    """Table `neighbours`, and the column `nearest_cos` of `features`."""

    name = "neighbours"

    def __init__(self, run: Run) -> None:
        self._directions = Directions(run.dictionary.directions.numpy())
        self._n = run.settings.n_neighbours
        self._n_tokens = run.corpus.n_tokens
        self._n_places = run.corpus.tokens.size
        self._nearest_cos = np.full(run.dictionary.n_features, np.nan)
        self._rows = SCHEMA.empty_table()

    def prepare(self, files: ActivationFiles) -> None:
        """Rank all features for each."""
        if self._n == 0 or len(self._nearest_cos) > MOST_FEATURES:
            return
        by_cosine = self._directions.nearest(self._n)
        first = is_new(by_cosine.feature)
        nearest = Pairs(by_cosine.feature[first], by_cosine.neighbour[first])
        self._nearest_cos[nearest.feature] = self._directions.cosines(nearest)
        if files.n_entries.sum() > MOST_ENTRIES:
            return
        spread = Spread.of(files, self._n_tokens)
        by_tokens = coactive(files, spread.n_active, self._n_places, self._n)
        both = Pairs(*map(np.concatenate, zip(by_tokens, by_cosine, strict=True)))
        measure = np.repeat([0, 1], [len(by_tokens.feature), len(by_cosine.feature)])
        rank = np.concatenate([ranks(each) for each in (by_tokens, by_cosine)])
        order = np.lexsort((rank, measure, both.feature))
        pairs = Pairs(both.feature[order], both.neighbour[order])
        self._rows = pa.table(
            {
                "feature": pairs.feature.astype(np.int32),
                "measure": MEASURES[measure[order]],
                "rank": rank[order].astype(np.int16),
                "neighbour": pairs.neighbour.astype(np.int32),
                "cosine": _nullable(self._directions.cosines(pairs)),
                **self._relations(files, pairs, spread),
            },
            schema=SCHEMA,
        )

    def rows(self, activations: Activations) -> Tables:
        """The rows of the range."""
        first, last = activations.first, activations.first + activations.n_features
        start, end = np.searchsorted(self._rows["feature"].to_numpy(), (first, last))
        return {
            "features": pa.table({"nearest_cos": _nullable(self._nearest_cos[first:last])}),
            "neighbours": self._rows.slice(start, end - start),
        }

    def _relations(
        self, files: ActivationFiles, pairs: Pairs, spread: Spread
    ) -> dict[str, pa.Array]:
        """The columns that activations decide; a pair is computed once, whichever comes first."""
        n_features = len(self._nearest_cos)
        keys = np.minimum(*pairs) * n_features + np.maximum(*pairs)
        found, place = np.unique(keys, return_inverse=True)
        unordered = Pairs(*np.divmod(found, n_features))
        n_both, products = in_common(files, unordered, spread, self._n_places)
        n_both, products = n_both[place], products[place]
        n_a, n_b = (spread.n_active[each].astype(np.float64) for each in pairs)
        length_a, length_b = (spread.length[each] for each in pairs)
        share = np.where(n_both > 0, n_both, np.nan)
        return {
            "n_both": pa.array(n_both),
            "jaccard": _nullable(_ratio(n_both, n_a + n_b - n_both)),
            "pmi": _nullable(np.log(_ratio(self._n_tokens * share, n_a * n_b))),
            "conditional": _nullable(_ratio(n_both, n_a)),
            "correlation": _nullable(np.clip(products / (length_a * length_b), -1, 1)),
        }


@dataclass(frozen=True)
class Directions:
    """The directions of a dictionary."""

    vectors: Float32[np.ndarray, "n_features d_out"]

    @cached_property
    def _squares(self) -> Float64[np.ndarray, " n_features"]:
        """Squared lengths."""
        every = np.arange(len(self.vectors))
        return self._dots(Pairs(every, every))

    def cosines(self, pairs: Pairs) -> Float64[np.ndarray, " n_pairs"]:
        """In float64, and 1 for duplicates; NaN where one has no length."""
        scale = np.sqrt(self._squares[pairs.feature] * self._squares[pairs.neighbour])
        return np.clip(_ratio(self._dots(pairs), scale), -1, 1)

    def nearest(self, n: int) -> Pairs:
        """For each feature with a length the `n` others with the largest cosine."""
        has_length = torch.from_numpy(self._squares > 0)
        lengths = np.where(has_length, np.sqrt(self._squares), 1)[:, None]
        unit = np.empty_like(self.vectors)
        np.divide(self.vectors, lengths, out=unit, dtype=np.float64, casting="same_kind")
        unit = torch.from_numpy(unit)
        n_features, d_out = unit.shape
        # Two float32 cosines of unit vectors are each wrong by less than half of this.
        slack = (d_out + 4) * 2.0**-23

        def tile(rows: slice) -> list[np.ndarray]:
            scores = unit[rows] @ unit.T
            scores[:, ~has_length] = -torch.inf
            scores[~has_length[rows]] = -torch.inf
            scores.diagonal(rows.start).fill_(-torch.inf)
            bound = scores.topk(min(n, n_features)).values[:, -1:] - slack
            row, other = ((scores >= bound) & scores.isfinite()).nonzero().T.numpy()
            pairs = Pairs(row + rows.start, other)
            kept = best(n, pairs, self.cosines(pairs))
            return [each[kept] for each in pairs]

        at_once = max(1, SCORES_AT_ONCE // n_features)
        tiles = [slice(first, first + at_once) for first in range(0, n_features, at_once)]
        return Pairs(*map(np.concatenate, zip(*in_threads(tile, tiles), strict=True)))

    def _dots(self, pairs: Pairs) -> Float64[np.ndarray, " n_pairs"]:
        """Sums of products, each in the same order whatever the other pairs."""
        found = np.empty(len(pairs.feature))
        at_once = max(1, COMPONENTS_AT_ONCE // self.vectors.shape[1])
        for first in range(0, len(found), at_once):
            part = slice(first, first + at_once)
            a, b = (self.vectors[each[part]].astype(np.float64) for each in pairs)
            found[part] = (a * b).sum(axis=1)
        return found


def _ratio(a: np.ndarray, b: np.ndarray) -> Float64[np.ndarray, " n"]:
    """a / b in float64; NaN where b is 0."""
    return np.divide(a, b, out=np.full(len(b), np.nan), where=b > 0)


def _nullable(values: Float64[np.ndarray, " n"]) -> pa.Array:
    """NaN becomes null."""
    return pa.array(values, mask=np.isnan(values))
