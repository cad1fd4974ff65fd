"""On which tokens features are active together: exact counts, and what a correlation takes.

Two ways of counting give the same: the features that are active on each token of a feature are gone
through one by one where activations are sparse, and matrices of ones and zeros are multiplied where
they are dense. NaN and infinity count as silence, as everywhere.

Pearson's correlation is taken over all valid tokens, silent ones included, from activations less
their mean: on token t outside the activity of b, (a_t - mean_a) (0 - mean_b), so these tokens need
only the sum of a_t - mean_a. Sums of a_t and a_t b_t alone would lose a spread of 0.01 about 100.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int32, Int64, UInt8

from featurestore.activations import ActivationFiles, Activations, stable_order
from featurestore.passes.base import is_new, ragged
from featurestore.passes.pairs import Pairs, best
from featurestore.passes.statistics import extremes
from featurestore.threads import in_threads

ENTRIES_AT_ONCE = 2**25
"""Activations of a range, of which two are held: with what is made of them, 1.5 GB."""
FEATURES_AT_ONCE = 2**12
"""Features of a range: a tile of counts has as many columns, and 1,024 rows at most."""
COUNTED_AT_ONCE = 2**18
"""Entries of other features that are counted at a time: 2 MB."""
ONES_AT_ONCE = 2**22
"""Ones and zeros, and counts, of one product of matrices: 16 MB and 32 MB in each thread."""
PAIRS_AT_ONCE = 2**12
"""Pairs whose common tokens one thread looks at."""
DENSE = 1 / 16
"""Mean density from which matrices are faster: a multiplication in a product of matrices, which
takes in silent tokens, needs a 256th of the time of counting one entry."""


@dataclass(frozen=True)
class Spread:
    """What a correlation takes of each feature, over all valid tokens."""

    n_active: Int64[np.ndarray, " n_features"]
    mean: Float64[np.ndarray, " n_features"]
    residue: Float64[np.ndarray, " n_features"]
    """What rounding leaves of the sum of the centred activations."""
    length: Float64[np.ndarray, " n_features"]
    """Euclidean length of the centred activations; NaN if they do not vary."""

    @classmethod
    def of(cls, files: ActivationFiles, n_tokens: int) -> "Spread":
        """Read all activations once."""

        def tile(activations: Activations) -> list[np.ndarray]:
            n_active, owner = activations.n_active, activations.owner
            n_silent = n_tokens - n_active

            def sums(terms: np.ndarray) -> np.ndarray:
                return np.bincount(owner, terms, minlength=len(n_active))

            mean = sums(activations.values) / n_tokens
            centred = activations.values - mean[owner]
            residue = sums(centred) - n_silent * mean
            squares = sums(centred**2) + n_silent * mean**2
            low, high = extremes(activations)
            varies = (n_active > 0) & ((n_silent > 0) | (low < high))
            return [n_active, mean, residue, np.sqrt(np.where(varies, squares, np.nan))]

        parts = []
        for each in _ranges(files):
            parts += in_threads(tile, files.read(*each).tiles())
        return cls(*map(np.concatenate, zip(*parts, strict=True)))


def coactive(
    files: ActivationFiles, n_active: Int64[np.ndarray, " n_features"], n_places: int, n: int
) -> Pairs:
    """For each feature the `n` others with the largest Jaccard index above 0, then `n_both`."""
    density = files.n_entries.sum() / (len(n_active) * n_places)

    def best_of(counts: Counts) -> list[np.ndarray]:
        return _best_of(counts, n_active, n)

    found = (_by_matrices if density > DENSE else _by_lists)(files, n_places, best_of)
    feature, other, jaccard, n_both = map(np.concatenate, zip(*found, strict=True))
    kept = best(n, Pairs(feature, other), jaccard, n_both)
    return Pairs(feature[kept], other[kept])


class Counts(NamedTuple):
    """Common tokens of some features with some others."""

    first: int
    """Feature of the first row."""
    first_other: int
    """Feature of the first column."""
    n_both: Int64[np.ndarray, "n_rows n_columns"]


BestOf = Callable[[Counts], list[np.ndarray]]
"""Of a tile of counts what may be among the best: features, others, Jaccard indices, counts."""


def _best_of(
    counts: Counts, n_active: Int64[np.ndarray, " n_features"], n: int
) -> list[np.ndarray]:
    n_both = counts.n_both
    features, others = (
        first + np.arange(width) for first, width in zip(counts[:2], n_both.shape, strict=True)
    )
    n_both[features[:, None] == others] = 0
    either = n_active[features][:, None] + n_active[others] - n_both
    jaccard = n_both / np.maximum(either, 1)
    bound = torch.from_numpy(jaccard).topk(min(n, len(others))).values[:, -1:].numpy()
    row, column = np.nonzero((n_both > 0) & (jaccard >= bound))
    scores = jaccard[row, column], n_both[row, column]
    pairs = Pairs(features[row], others[column])
    kept = best(n, pairs, *scores)
    return [each[kept] for each in (*pairs, *scores)]


def _by_lists(files: ActivationFiles, n_places: int, best_of: BestOf) -> list[list[np.ndarray]]:
    """Count what is sparse: go through the features that are active on each token of a feature."""
    found = []
    for each in _ranges(files):
        others = ByToken.of(files.read(*each), n_places)
        for own in _ranges(files):
            counts = partial(_counted, others, best_of)
            found += in_threads(counts, files.read(*own).tiles())
    return found


def _counted(others: "ByToken", best_of: BestOf, tile: Activations) -> list[np.ndarray]:
    return best_of(Counts(tile.first, others.first, others.n_both(tile)))


@dataclass(frozen=True)
class ByToken:
    """The features of a range that are active on each token."""

    first: int
    n_features: int
    bounds: Int64[np.ndarray, " n_places_and_1"]
    """Token `t` owns the entries `bounds[t]:bounds[t + 1]`."""
    features: Int32[np.ndarray, " n_entries"]
    """Features of the range, from 0."""

    @classmethod
    def of(cls, activations: Activations, n_places: int) -> "ByToken":
        """Sort a range by token."""
        n_active = np.bincount(activations.tokens, minlength=n_places)
        features = activations.owner.astype(np.int32)[stable_order(activations.tokens)]
        bounds = np.concatenate([[0], np.cumsum(n_active)])
        return cls(activations.first, activations.n_features, bounds, features)

    def n_both(self, activations: Activations) -> Int64[np.ndarray, "n_rows n_features"]:
        """Common tokens of other features with each of these."""
        starts = self.bounds[activations.tokens]
        lengths = self.bounds[activations.tokens + 1] - starts
        counts = np.zeros((activations.n_features, self.n_features), dtype=np.int64)
        for row, (first, last) in enumerate(pairwise(activations.bounds)):
            ends = np.cumsum(lengths[first:last])
            cuts = np.searchsorted(
                ends, np.arange(COUNTED_AT_ONCE, ends[-1:].sum(), COUNTED_AT_ONCE)
            )
            for a, b in pairwise([first, *(first + cuts), last]):
                indices, _ = ragged(starts[a:b], lengths[a:b])
                counts[row] += np.bincount(self.features[indices], minlength=self.n_features)
        return counts


def _by_matrices(files: ActivationFiles, n_places: int, best_of: BestOf) -> list[list[np.ndarray]]:
    """Count what is dense: multiply matrices of ones and zeros, kept as bits."""
    bits = np.zeros((len(files.n_entries), -(-n_places // 8)), dtype=np.uint8)
    for each in _ranges(files):
        activations = files.read(*each)
        for feature, (first, last) in zip(
            activations.features, pairwise(activations.bounds), strict=True
        ):
            is_active = np.zeros(n_places, dtype=bool)
            is_active[activations.tokens[first:last]] = True
            bits[feature] = np.packbits(is_active)

    def tile(rows: slice) -> list[np.ndarray]:
        return best_of(Counts(rows.start, 0, _common_bits(bits, rows)))

    at_once = max(1, ONES_AT_ONCE // len(bits))
    return in_threads(tile, [slice(f, f + at_once) for f in range(0, len(bits), at_once)])


def _common_bits(
    bits: UInt8[np.ndarray, "n_features n_bytes"], rows: slice
) -> Int64[np.ndarray, "n_rows n_features"]:
    """Common bits of some rows with all."""
    counts = np.zeros((len(bits[rows]), len(bits)), dtype=np.int64)
    at_once = max(1, ONES_AT_ONCE // (8 * len(bits)))
    for first in range(0, bits.shape[1], at_once):
        ones = np.unpackbits(bits[:, first : first + at_once], axis=1)
        ones = torch.from_numpy(ones).float()
        # Sums of fewer than 2^24 ones are exact in float32.
        counts += (ones[rows] @ ones.T).long().numpy()
    return counts


def in_common(
    files: ActivationFiles, pairs: Pairs, spread: Spread, n_places: int
) -> tuple[Int64[np.ndarray, " n_pairs"], Float64[np.ndarray, " n_pairs"]]:
    """Tokens on which both are active, and the sum of the products of centred activations.

    Pairs rise, and so do the two features of each.
    """
    n_both = np.zeros(len(pairs.feature), dtype=np.int64)
    products = np.zeros(len(pairs.feature))
    ranges = _ranges(files)
    for i, own in enumerate(ranges):
        low = files.read(*own)
        for each in ranges[i:]:
            chosen = np.flatnonzero(_is_in(own, pairs.feature) & _is_in(each, pairs.neighbour))
            if len(chosen) == 0:
                continue
            high = low if each == own else files.read(*each)
            parts = [chosen[p : p + PAIRS_AT_ONCE] for p in range(0, len(chosen), PAIRS_AT_ONCE)]
            sums = partial(_sums, low, high, spread, n_places)
            found = in_threads(sums, [Pairs(*(each[p] for each in pairs)) for p in parts])
            n_both[chosen], products[chosen] = map(np.concatenate, zip(*found, strict=True))
    return n_both, products


def _sums(
    low: Activations, high: Activations, spread: Spread, n_places: int, pairs: Pairs
) -> tuple[Int64[np.ndarray, " n_pairs"], Float64[np.ndarray, " n_pairs"]]:
    """`in_common` for features of one range and others of another."""
    n_both = np.zeros(len(pairs.feature), dtype=np.int64)
    products = np.zeros(len(pairs.feature))
    values = np.zeros(n_places, dtype=np.float32)
    features, others = (each.tolist() for each in pairs)
    for first, last in pairwise([*np.flatnonzero(is_new(pairs.feature)), len(n_both)]):
        feature = features[first]
        tokens, own_values = _entries(low, feature)
        values[tokens] = own_values
        for i in range(first, last):
            other = others[i]
            other_tokens, other_values = _entries(high, other)
            there = values[other_tokens]
            n_both[i] = np.count_nonzero(there)
            centred = there - spread.mean[feature]
            elsewhere = spread.residue[feature] - centred.sum()
            centred *= other_values - spread.mean[other]
            products[i] = centred.sum() - spread.mean[other] * elsewhere
        values[tokens] = 0
    return n_both, products


def _entries(activations: Activations, feature: int) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and values of one feature."""
    first, last = activations.bounds[feature - activations.first :][:2]
    return activations.tokens[first:last], activations.values[first:last]


def _ranges(files: ActivationFiles) -> list[tuple[int, int]]:
    return files.ranges(ENTRIES_AT_ONCE, FEATURES_AT_ONCE)


def _is_in(bounds: tuple[int, int], features: Int64[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    return (features >= bounds[0]) & (features < bounds[1])
