"""What every pass is: activations of a range of features in, rows of the pass's tables out.

A pass owns its tables, and its columns of `features`; it opens no file and knows no database.
To add an artifact: a file here with one class, a line in `build.PASSES`, a table or columns in
`schema.sql`, and a test against plain numpy.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float

from featurestore.activations import Activations
from featurestore.config import PassesConfig
from featurestore.corpus import Corpus
from featurestore.dictionaries.base import Dictionary
from featurestore.inference import Unembedding


@dataclass(frozen=True)
class Run:
    """What a pass may know of the run."""

    dictionary: Dictionary
    corpus: Corpus
    unembedding: Unembedding
    to_residual: Float[torch.Tensor, "d_out d_model"] | None
    """Map from the dictionary's output space to the residual stream; None if there is none."""
    settings: PassesConfig
    seed: int


class Pass(ABC):
    """One artifact."""

    name: str

    @abstractmethod
    def rows(self, activations: Activations) -> dict[str, pa.Table]:
        """Rows for each of the pass's tables; for `features`, one row a feature, in order."""


def ragged(starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of many slices laid end to end, and the bounds of each slice among them."""
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    shift = np.repeat(starts - bounds[:-1], lengths)
    return np.arange(bounds[-1]) + shift, bounds


def list_column(values: np.ndarray, bounds: np.ndarray, kind: pa.DataType) -> pa.ListArray:
    """A column of lists: row i holds `values[bounds[i]:bounds[i + 1]]`."""
    offsets = pa.array(bounds.astype(np.int32))
    return pa.ListArray.from_arrays(offsets, pa.array(values).cast(kind))


def matrix_column(values: np.ndarray, kind: pa.DataType) -> pa.ListArray:
    """A column of lists of equal length: row i holds `values[i]`."""
    n_rows, width = values.shape
    return list_column(values.reshape(-1), np.arange(n_rows + 1) * width, kind)


def is_new(*keys: np.ndarray) -> np.ndarray:
    """Whether each entry differs, in any of the keys, from the entry before."""
    found = np.ones(len(keys[0]), dtype=bool)
    found[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return found


def place_in_group(*keys: np.ndarray) -> np.ndarray:
    """Place of each entry among those that stand together with equal keys, from 0."""
    places = np.arange(len(keys[0]))
    return places - np.maximum.accumulate(np.where(is_new(*keys), places, 0))


def first_of_each(groups: np.ndarray, n: int) -> np.ndarray:
    """Indices of the first `n` entries of each group, for groups that stand together."""
    return np.flatnonzero(place_in_group(groups) < n)
