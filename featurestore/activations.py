"""Sparse activations on disk: what the sweep writes and what every pass reads.

A block's file holds the non-zero activations of one dictionary on one block of contexts, grouped by
feature. Blocks are written whole or not at all, in any order, by any number of workers; a pass then
reads all activations of a range of features, always in the order of tokens. So every statistic is
computed exactly, from all activations, and the result cannot depend on how the work was split.
"""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64, UInt32, UInt64
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from featurestore.errors import BuildFailed

ENTRIES_AT_ONCE = 8_000_000
"""Activations that a pass holds in memory: 8 million take some 300 MB with what is made of them."""


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
    """Feature of the range, from 0, of each entry that was NaN or infinite: left out above."""
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
    def rank(self) -> Int64[np.ndarray, " n_entries"]:
        """Place of each entry among its feature's, from 0: falling values, equal ones by token."""
        rank = np.empty(len(self.values), dtype=np.int64)
        for start, end in zip(self.bounds[:-1].tolist(), self.bounds[1:].tolist(), strict=True):
            order = np.argsort(-self.values[start:end], kind="stable")
            rank[start:end][order] = np.arange(end - start)
        return rank


def write_block(
    path: Path,
    features: Int64[np.ndarray, " n_entries"],
    tokens: UInt32[np.ndarray, " n_entries"] | UInt64[np.ndarray, " n_entries"],
    values: Float32[np.ndarray, " n_entries"],
) -> None:
    """Write one block's entries, grouped by feature and in order of tokens within."""
    order = np.argsort(features, kind="stable")
    present, counts = np.unique(features, return_counts=True)
    arrays = {
        "features": present.astype(np.uint32),
        "counts": counts.astype(np.uint32),
        "tokens": tokens[order],
        "values": values[order],
    }
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with unfinished.open("wb") as file:
            file.write(save(arrays))
            file.flush()
            os.fsync(file.fileno())  # else a power cut could leave the name of an empty file
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


class ActivationFiles:
    """The block files of one dictionary."""

    def __init__(self, paths: list[Path], n_features: int) -> None:
        self._blocks = [_Block(path) for path in paths]
        self.n_entries: Int64[np.ndarray, " n_features"] = np.zeros(n_features, dtype=np.int64)
        for block in self._blocks:
            self.n_entries[block.features] += block.counts

    def ranges(self, entries_at_once: int = ENTRIES_AT_ONCE) -> list[tuple[int, int]]:
        """Ranges of features, each with few enough entries to hold in memory."""
        found, first, held = [], 0, 0
        for feature, n_entries in enumerate(self.n_entries):
            if feature > first and held + n_entries > entries_at_once:
                found.append((first, feature))
                first, held = feature, 0
            held += int(n_entries)
        return [*found, (first, len(self.n_entries))]

    def read(self, first: int, last: int) -> Activations:
        """All activations of the features from `first` up to, but not including, `last`."""
        parts = [block.read(first, last) for block in self._blocks]
        owner = np.concatenate([part[0] for part in parts])
        order = np.argsort(owner, kind="stable")
        tokens = np.concatenate([part[1] for part in parts])[order]
        values = np.concatenate([part[2] for part in parts])[order]
        owner, tokens = owner[order], tokens.astype(np.int64)
        finite = np.isfinite(values)
        n_features = last - first
        bounds = np.zeros(n_features + 1, dtype=np.int64)
        np.cumsum(np.bincount(owner[finite], minlength=n_features), out=bounds[1:])
        return Activations(
            first=first,
            bounds=bounds,
            tokens=tokens[finite],
            values=values[finite],
            nonfinite_owner=owner[~finite],
            nonfinite_tokens=tokens[~finite],
        )


class _Block:
    """One block's file; its entries stay on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with safe_open(path, framework="numpy") as file:
                self.features = file.get_tensor("features").astype(np.int64)
                self.counts = file.get_tensor("counts").astype(np.int64)
        except (OSError, SafetensorError) as error:
            raise BuildFailed(
                f"'{path}' is damaged ({error}). Delete it and run the same build again."
            ) from error
        self._ends = np.concatenate([[0], np.cumsum(self.counts)])

    def read(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Owner (from 0 at `first`), token and value of each entry of a range of features."""
        a, b = np.searchsorted(self.features, (first, last))
        start, end = int(self._ends[a]), int(self._ends[b])
        owner = np.repeat(self.features[a:b] - first, self.counts[a:b])
        if start == end:  # safetensors cannot slice an empty tensor
            return owner, np.zeros(0, dtype=np.uint32), np.zeros(0, dtype=np.float32)
        with safe_open(self._path, framework="numpy") as file:
            tokens = file.get_slice("tokens")[start:end]
            values = file.get_slice("values")[start:end]
        return owner, tokens, values
