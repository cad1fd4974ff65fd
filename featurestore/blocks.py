"""A block's file: the non-zero activations of one dictionary on one block of contexts.

Entries are grouped by feature and rise by token within.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64, UInt32, UInt64
from safetensors import safe_open

from featurestore.stamped_file import read_stamped, write_stamped


@dataclass(frozen=True)
class BlockName:
    """Which block of which run a file holds."""

    run_id: str
    number: int

    def path(self, folder: Path) -> Path:
        """Where the file stands in the run's folder."""
        return folder / f"block-{self.number:06d}.safetensors"

    @property
    def stamp(self) -> dict[str, str]:
        """What its header says."""
        return {"run_id": self.run_id, "block": str(self.number)}


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
    write_stamped(name.path(folder), arrays, name.stamp)


def grouped(features: UInt32[np.ndarray, " n_entries"]) -> Int64[np.ndarray, " n_entries"]:
    """The order that groups entries by feature and is stable, by radix sorts of 16 bits each."""
    order = np.argsort(features.astype(np.uint16), kind="stable")
    if len(features) and features.max() >= 2**16:
        order = order[np.argsort((features[order] >> 16).astype(np.uint16), kind="stable")]
    return order


class Block:
    """One block's file; its entries stay on disk."""

    def __init__(self, folder: Path, name: BlockName) -> None:
        """Open a file and compare it with its header.

        Raises:
            BuildFailed: it is missing or damaged, or belongs to another run.
        """
        self._path = name.path(folder)
        arrays = read_stamped(self._path, name.stamp)
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
