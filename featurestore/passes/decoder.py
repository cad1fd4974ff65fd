"""What a direction looks like beside the model's own dimensions, and beside its reader.

All in float64. `dim_share` is the largest squared component over the squared length: 1 if the
direction is one dimension, 1 / d_out if all weigh the same. Reader and direction can be compared
only where a dictionary writes to the space that it reads.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float32, Float64

from featurestore.activations import Activations
from featurestore.passes.base import Pass, Run, Tables, in_tiles, matrix_column
from featurestore.passes.logit_lens import largest

N_DIMS = 8
"""Dimensions that are kept of a direction."""


class Decoder(Pass):
    """Columns `top_dims`, `top_dim_weights`, `dim_share`, `reader_bias` and `reader_cos`.

    A direction without length has null in all of them but `reader_bias`.
    """

    name = "decoder"

    def __init__(self, run: Run) -> None:
        self._dictionary = run.dictionary
        origin = run.dictionary.origin
        self._is_one_space = origin.hook_name == origin.hook_name_out

    def rows(self, activations: Activations) -> Tables:
        """One row a feature; of equally large components the first counts as larger."""
        return in_tiles(activations, self._tile)

    def _tile(self, activations: Activations) -> Tables:
        part = slice(activations.first, activations.first + activations.n_features)
        directions = self._dictionary.directions[part].numpy()
        dims = largest(np.abs(directions), min(N_DIMS, directions.shape[1]))
        weights = np.take_along_axis(directions, dims, axis=1)
        squares = np.square(directions, dtype=np.float64)
        squared_length = squares.sum(axis=1)
        has_length = pa.array(squared_length > 0)
        lists = {
            "top_dims": matrix_column(dims, pa.int32()),
            "top_dim_weights": matrix_column(weights, pa.float32()),
        }
        columns = {
            **{name: pc.if_else(has_length, column, None) for name, column in lists.items()},
            "dim_share": _divided(squares.max(axis=1), squared_length),
            "reader_bias": pa.array(self._dictionary.reader_bias[part].numpy()),
            "reader_cos": self._reader_cosines(part, directions, squared_length),
        }
        return {"features": pa.table(columns)}

    def _reader_cosines(
        self,
        part: slice,
        directions: Float32[np.ndarray, "n_features d_out"],
        squared_length: Float64[np.ndarray, " n_features"],
    ) -> pa.Array:
        """Cosines of readers and directions; null where one has no length or spaces differ."""
        if not self._is_one_space:
            return pa.nulls(len(directions), pa.float64())
        readers = self._dictionary.readers[:, part].T.double().numpy()
        products = (readers * directions).sum(axis=1)
        lengths = np.sqrt(np.square(readers).sum(axis=1)) * np.sqrt(squared_length)
        return _divided(products, lengths)


def _divided(
    dividend: Float64[np.ndarray, " n_features"], divisor: Float64[np.ndarray, " n_features"]
) -> pa.Array:
    """Quotients; null where the divisor is 0."""
    is_zero = divisor == 0
    return pa.array(dividend / np.where(is_zero, 1, divisor), mask=is_zero)
