"""Pairs of features, and which of them stand first."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from featurestore.passes.base import place_in_slice


class Pairs(NamedTuple):
    """Features and others, by feature and rank."""

    feature: Int64[np.ndarray, " n_pairs"]
    neighbour: Int64[np.ndarray, " n_pairs"]


def best(n: int, pairs: Pairs, *scores: np.ndarray) -> Int64[np.ndarray, " n_kept"]:
    """Each feature's first `n` pairs: by falling scores, the first first, then by number."""
    falling = [-score for score in reversed(scores)]
    order = np.lexsort((pairs.neighbour, *falling, pairs.feature))
    return order[ranks(pairs) < n]


def ranks(pairs: Pairs) -> Int64[np.ndarray, " n_pairs"]:
    """Place of each pair among its feature's, where pairs are in the order of features."""
    return place_in_slice(np.bincount(pairs.feature))
