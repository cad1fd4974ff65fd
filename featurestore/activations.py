"""Sparse activations: what the sweep leaves on disk, as every pass reads it.

A pass reads all activations of a range of features at once, always in the order of tokens, whoever
wrote the blocks and in whatever order. So every statistic is computed exactly, from all of them,
and the result cannot depend on how the work was split: neither into ranges, which fit in memory,
nor within a range into tiles, which fit in the processor's cache.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from jaxtyping import Float32, Int64, Integer, UInt32

from featurestore.blocks import Block

ENTRIES_AT_ONCE = 2**22
"""Activations of a range: with what is made of them, 4 million take some 300 MB."""
FEATURES_AT_ONCE = 2**13
"""Features of a range: with all their examples, 8,192 take some 200 MB."""
ENTRIES_IN_CACHE = 2**16
"""Activations of a tile: an array of 8 bytes each takes half a megabyte."""
FEATURES_IN_CACHE = 2**10
"""Features of a tile."""


@dataclass(frozen=True)
class Activations:
    """All non-zero activations of a range of features."""

    first: int
    """The first feature of the range."""
    bounds: Int64[np.ndarray, " n_features_and_1"]
    """Feature `first + i` owns the entries `bounds[i]:bounds[i + 1]`."""
    tokens: Int64[np.ndarray, " n_entries"]
    """Place in the corpus, context * context_length + pos, rising within a feature."""
    values: Float32[np.ndarray, " n_entries"]
    """Finite and non-zero."""
    nonfinite_owner: Int64[np.ndarray, " n_left_out"]
    """Feature of the range, from 0, of each entry that was NaN or infinite: left out above, and
    rising like the other entries."""
    nonfinite_tokens: Int64[np.ndarray, " n_left_out"]
    """The places of these entries."""

    @property
    def n_features(self) -> int:
        """Number of features in the range."""
        return len(self.bounds) - 1

    @property
    def features(self) -> Int64[np.ndarray, " n_features"]:
        """The features' numbers."""
        return np.arange(self.first, self.first + self.n_features)

    @cached_property
    def n_active(self) -> Int64[np.ndarray, " n_features"]:
        """Number of entries of each feature."""
        return np.diff(self.bounds)

    @cached_property
    def n_nonfinite(self) -> Int64[np.ndarray, " n_features"]:
        """Number of entries of each feature that were NaN or infinite."""
        return np.bincount(self.nonfinite_owner, minlength=self.n_features)

    @cached_property
    def owner(self) -> Int64[np.ndarray, " n_entries"]:
        """Which feature of the range each entry belongs to, from 0."""
        return np.repeat(np.arange(self.n_features), self.n_active)

    @cached_property
    def falling(self) -> Int64[np.ndarray, " n_entries"]:
        """The entries, feature by feature, in the order of falling values, equal ones by token."""
        return stable_order(self.owner, ~rising_bits(self.values))

    def starts(self, context_length: int) -> Int64[np.ndarray, " n_runs"]:
        """The first entry of each feature in each context in which it is active."""
        context = self.tokens // context_length
        is_start = np.empty(len(context), dtype=bool)
        np.not_equal(context[1:], context[:-1], out=is_start[1:])
        is_start[self.bounds[:-1][self.n_active > 0]] = True
        return np.flatnonzero(is_start)

    def tiles(self) -> Iterator[Self]:
        """The same, a few features at a time, so that what is made of them stays in the cache."""
        left_out = np.searchsorted(self.nonfinite_owner, np.arange(self.n_features + 1))
        for first, last in _cut(self.bounds, ENTRIES_IN_CACHE, FEATURES_IN_CACHE):
            entries = slice(self.bounds[first], self.bounds[last])
            nonfinite = slice(left_out[first], left_out[last])
            yield type(self)(
                first=self.first + first,
                bounds=self.bounds[first : last + 1] - self.bounds[first],
                tokens=self.tokens[entries],
                values=self.values[entries],
                nonfinite_owner=self.nonfinite_owner[nonfinite] - first,
                nonfinite_tokens=self.nonfinite_tokens[nonfinite],
            )


class ActivationFiles:
    """The block files of one dictionary, in the order of their numbers."""

    def __init__(self, blocks: list[Block], n_features: int) -> None:
        self._blocks = blocks
        self.n_entries: Int64[np.ndarray, " n_features"] = np.zeros(n_features, dtype=np.int64)
        for block in self._blocks:
            self.n_entries[block.features] += block.counts

    def ranges(
        self, entries_at_once: int = ENTRIES_AT_ONCE, features_at_once: int = FEATURES_AT_ONCE
    ) -> list[tuple[int, int]]:
        """Ranges of features, each with few enough entries and features to hold in memory."""
        return list(_cut(_bounds(self.n_entries), entries_at_once, features_at_once))

    def read(self, first: int, last: int) -> Activations:
        """All activations of the features from `first` up to, but not including, `last`."""
        n_entries = self.n_entries[first:last]
        bounds = _bounds(n_entries)
        tokens = np.empty(bounds[-1], dtype=np.int64)
        values = np.empty(bounds[-1], dtype=np.float32)
        # Where the next entry of each feature goes: block after block, so in the order of tokens.
        place = bounds[:-1].copy()
        for block in self._blocks:
            features, counts, block_tokens, block_values = block.read(first, last)
            shift = place[features - first] - np.cumsum(counts) + counts
            into = np.repeat(shift, counts)
            into += np.arange(len(into))
            tokens[into], values[into] = block_tokens, block_values
            place[features - first] += counts
        is_finite = np.isfinite(values)
        left_out = np.flatnonzero(~is_finite)
        owner = np.searchsorted(bounds, left_out, side="right") - 1
        left_out_tokens = tokens[left_out]
        if len(left_out):
            tokens, values = tokens[is_finite], values[is_finite]
            bounds = _bounds(n_entries - np.bincount(owner, minlength=len(n_entries)))
        return Activations(first, bounds, tokens, values, owner, left_out_tokens)


def stable_order(*keys: Integer[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """The order by the first key, then by the second and so on; what is equal stays as it stands.

    Keys are whole numbers from 0. Sixteen bits at a time, which numpy sorts by their digits: that
    takes a tenth of the time of a lexsort.
    """
    order = np.arange(len(keys[0]))
    if len(order) == 0:
        return order
    for key in reversed(keys):
        for shift in range(0, int(key.max()).bit_length(), 16):
            digits = (key >> shift).astype(np.uint16)
            order = order[np.argsort(digits[order], kind="stable")]
    return order


def rising_bits(values: Float32[np.ndarray, " n"]) -> UInt32[np.ndarray, " n"]:
    """Whole numbers in the same order as the values, equal where these are."""
    bits = (values + np.float32(0)).view(np.uint32)  # -0 becomes 0
    is_negative = (bits >> 31).astype(bool)
    return bits ^ np.where(is_negative, np.uint32(0xFFFFFFFF), np.uint32(0x80000000))


def _bounds(counts: np.ndarray) -> Int64[np.ndarray, " n_and_1"]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _cut(bounds: np.ndarray, n_entries: int, n_features: int) -> Iterator[tuple[int, int]]:
    """Ranges of features as long as these limits allow; a feature alone may have more entries."""
    first, end = 0, len(bounds) - 1
    while first < end:
        last = int(np.searchsorted(bounds, bounds[first] + n_entries, side="right")) - 1
        last = max(first + 1, min(last, first + n_features))
        yield first, last
        first = last
