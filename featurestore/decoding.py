"""Sparse activations to the vectors that they stand for."""

import numpy as np
import torch
from jaxtyping import Float, Int

from featurestore.dictionaries.base import Dictionary
from featurestore.encoder import Entries


def decode(
    dictionary: Dictionary,
    entries: Entries,
    tokens: Int[torch.Tensor, " batch"],
    hidden: Float[torch.Tensor, "batch d_in"],
) -> Float[torch.Tensor, "batch d_out"]:
    """As `Dictionary.decode`, without the dense activations."""
    places = np.stack([entries.rows.astype(np.int64), entries.features.astype(np.int64)])
    size = len(tokens), dictionary.n_features
    activations = torch.sparse_coo_tensor(
        torch.from_numpy(places), torch.from_numpy(entries.values), size, check_invariants=True
    )
    written = torch.sparse.mm(activations, dictionary.directions) + dictionary.direction_bias
    return dictionary.decode_written(written, tokens, hidden)
