"""A block's file: the non-zero activations of one dictionary on one block of contexts.

Entries are grouped by feature and rise by token within. The header says whose they are and holds
their SHA-256, so a torn file, a flipped bit or a file of another run is told from the real one. A
file is written whole or not at all: under another name, forced to disk, then renamed.
"""

import hashlib
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64, UInt32, UInt64
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from featurestore.errors import BuildFailed


@dataclass(frozen=True)
class BlockName:
    """Which block of which run a file holds."""

    run_id: str
    number: int

    def path(self, folder: Path) -> Path:
        """Where the file stands in the run's folder."""
        return folder / f"block-{self.number:06d}.safetensors"


def write_block(
    folder: Path,
    name: BlockName,
    features: UInt32[np.ndarray, " n_entries"],
    tokens: UInt32[np.ndarray, " n_entries"] | UInt64[np.ndarray, " n_entries"],
    values: Float32[np.ndarray, " n_entries"],
) -> None:
    """Write the entries of a block, given in the order of tokens."""
    order = grouped(features)
    present, counts = np.unique(features, return_counts=True)
    arrays = {
        "features": present.astype(np.uint32),
        "counts": counts.astype(np.uint32),
        "tokens": tokens[order],
        "values": values[order],
    }
    stamp = {"run_id": name.run_id, "block": str(name.number), "sha256": _digest(arrays.values())}
    path = name.path(folder)
    unfinished = path.with_suffix(f".{secrets.token_hex(8)}.tmp")
    try:
        with unfinished.open("wb") as file:
            file.write(save(arrays, metadata=stamp))
            file.flush()
            os.fsync(file.fileno())  # else a power cut could leave the name of an empty file
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def grouped(features: UInt32[np.ndarray, " n_entries"]) -> Int64[np.ndarray, " n_entries"]:
    """The order that groups entries by feature and is stable, by radix sorts of 16 bits each."""
    order = np.argsort(features.astype(np.uint16), kind="stable")
    if len(features) and features.max() >= 2**16:
        order = order[np.argsort((features[order] >> 16).astype(np.uint16), kind="stable")]
    return order


def _digest(arrays: Iterable[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


class Block:
    """One block's file; its entries stay on disk."""

    def __init__(self, folder: Path, name: BlockName) -> None:
        """Open a file and compare it with its header.

        Raises:
            BuildFailed: it is missing or damaged, or belongs to another run.
        """
        self._path = name.path(folder)
        try:
            with safe_open(self._path, framework="numpy") as file:
                stamp = file.metadata() or {}
                arrays = {key: file.get_tensor(key) for key in file.keys()}
                found = [arrays[key] for key in ("features", "counts", "tokens", "values")]
        except (OSError, SafetensorError, KeyError) as error:
            raise self._unusable(f"it cannot be read: {error}") from error
        for key, expected in (("run_id", name.run_id), ("block", str(name.number))):
            if stamp.get(key) != expected:
                raise self._unusable(f"its {key} is {stamp.get(key)}, expected {expected}")
        if stamp.get("sha256") != _digest(found):
            raise self._unusable("its content does not have the SHA-256 that its header gives")
        self.features = arrays["features"].astype(np.int64)
        self.counts = arrays["counts"].astype(np.int64)
        self._ends = np.concatenate([[0], np.cumsum(self.counts)])

    def read(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """For the features from `first` up to `last`: those present, their counts, their entries.

        Entries are tokens and values, feature by feature.
        """
        a, b = np.searchsorted(self.features, (first, last))
        start, end = int(self._ends[a]), int(self._ends[b])
        if start == end:  # safetensors cannot slice an empty tensor
            nothing = np.zeros(0, dtype=np.uint32), np.zeros(0, dtype=np.float32)
            return self.features[a:b], self.counts[a:b], *nothing
        with safe_open(self._path, framework="numpy") as file:
            tokens = file.get_slice("tokens")[start:end]
            values = file.get_slice("values")[start:end]
        return self.features[a:b], self.counts[a:b], tokens, values

    def _unusable(self, reason: str) -> BuildFailed:
        return BuildFailed(
            f"'{self._path}' cannot be used: {reason}. Delete it and run the same build again, "
            "which makes this block anew."
        )
