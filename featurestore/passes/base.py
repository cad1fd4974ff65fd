"""What every pass is: activations of a range of features in, rows of the pass's tables out.

A pass owns its tables, and its columns of `features`; it opens no file and knows no database.
To add one: docs/architecture.md, "How to add".
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Bool, Float, Int64

from featurestore.activations import ActivationFiles, Activations
from featurestore.config import PassesConfig
from featurestore.corpus import Corpus
from featurestore.dictionaries.base import Dictionary
from featurestore.inference import LanguageModel, Unembedding
from featurestore.stop import Stop
from featurestore.threads import in_threads

Tables = dict[str, pa.Table]
"""Rows by the name of their table."""

Keep = Callable[[str, range, Callable[[], Tables]], Tables]
"""Gives a pass's rows of some features, by its name: what is called for them, or what it gave."""


def keep_nothing(_name: str, _features: range, make: Callable[[], Tables]) -> Tables:
    """Rows are made whenever they are asked for."""
    return make()


@dataclass(frozen=True)
class Run:
    """What a pass may know of the run."""

    dictionary: Dictionary
    corpus: Corpus
    model: LanguageModel
    """In float32, whatever the sweep's precision."""
    unembedding: Unembedding
    to_residual: Float[torch.Tensor, "d_out d_model"] | None
    """Map from the dictionary's output space to the residual stream; None if there is none."""
    settings: PassesConfig
    seed: int
    stop: Stop = field(default_factory=Stop)
    """Asked now and then by a pass that takes long."""
    keep: Keep = keep_nothing
    """Asked by a pass that takes long for what it has made before a build was stopped."""


class Pass:
    """One artifact. A build asks all passes these four questions, in this order."""

    name: str

    def prepare(self, files: ActivationFiles) -> None:
        """Compute what takes all features at once; `rows` then gives it range by range."""

    def rows(self, activations: Activations) -> Tables:
        """Rows for each of the pass's tables; for `features`, one row a feature, in order."""
        return {}

    def follow_up(self, activations: Activations, found: Tables) -> Tables:
        """The same of what is made from the rows that all passes gave for the range."""
        return {}

    def conclude(self) -> Tables:
        """Rows of tables that have none for each feature, once all ranges have gone by."""
        return {}


def in_tiles(activations: Activations, rows: Callable[[Activations], Tables]) -> Tables:
    """What `rows` makes of a few features at a time, put together."""
    return joined(in_threads(rows, activations.tiles()))


def joined(parts: list[Tables]) -> Tables:
    """Rows of consecutive features, one under the other."""
    return {table: pa.concat_tables([part[table] for part in parts]) for table in parts[0]}


def ragged(
    starts: Int64[np.ndarray, " n_slices"], lengths: Int64[np.ndarray, " n_slices"]
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n_slices_and_1"]]:
    """Indices of many slices laid end to end, and the bounds of each slice among them."""
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    indices = np.repeat(starts - bounds[:-1], lengths)
    indices += np.arange(bounds[-1])
    return indices, bounds


def place_in_slice(lengths: Int64[np.ndarray, " n_slices"]) -> Int64[np.ndarray, " n"]:
    """For many slices laid end to end, the place of each entry in its slice, from 0."""
    return ragged(np.zeros(len(lengths), dtype=np.int64), lengths)[0]


def list_column(values: np.ndarray, bounds: np.ndarray, kind: pa.DataType) -> pa.ListArray:
    """A column of lists: row i holds `values[bounds[i]:bounds[i + 1]]`."""
    offsets = pa.array(bounds.astype(np.int32))
    return pa.ListArray.from_arrays(offsets, pa.array(values).cast(kind))


def matrix_column(values: np.ndarray, kind: pa.DataType) -> pa.ListArray:
    """A column of lists of equal length: row i holds `values[i]`."""
    n_rows, width = values.shape
    return list_column(values.reshape(-1), np.arange(n_rows + 1) * width, kind)


def is_new(*keys: np.ndarray) -> Bool[np.ndarray, " n"]:
    """Whether each entry differs, in any of the keys, from the entry before."""
    found = np.ones(len(keys[0]), dtype=bool)
    found[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return found
