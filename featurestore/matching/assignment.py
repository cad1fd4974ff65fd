"""Features of two dictionaries matched one to one, by cosine.

Up to MOST_FEATURES the sum of the matched cosines is the largest that there is, and every feature
of the smaller side has a match. Beyond, two features are matched if each is the other's nearest.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64
from scipy.optimize import linear_sum_assignment

from featurestore.matching.similarity import Nearest, Similarity

MOST_FEATURES = 2**14
"""Of the larger side. 16,384 random directions on both took 52 s and a matrix of 2 GB; 8,192 took
11 s."""


@dataclass(frozen=True)
class Matching:
    """Matched features, by feature of A."""

    method: Literal["assignment", "mutual"]
    a: Int64[np.ndarray, " n_matched"]
    b: Int64[np.ndarray, " n_matched"]
    cosine: Float64[np.ndarray, " n_matched"]


def match(similarity: Similarity, nearest_of_a: Nearest, nearest_of_b: Nearest) -> Matching:
    """Match the features that have a length."""
    a, b = (np.flatnonzero(similarity.has_length(side)) for side in ("a", "b"))
    if max(len(nearest_of_a.other), len(nearest_of_b.other)) <= MOST_FEATURES:
        method = "assignment"
        found_a, found_b = _assigned(similarity, a, b)
    else:
        method = "mutual"
        found_a, found_b = _mutual(nearest_of_a.other[:, 0], nearest_of_b.other[:, 0])
    return Matching(method, found_a, found_b, similarity.cosines(found_a, found_b))


def _assigned(
    similarity: Similarity, a: Int64[np.ndarray, " n_a"], b: Int64[np.ndarray, " n_b"]
) -> tuple[Int64[np.ndarray, " n_matched"], Int64[np.ndarray, " n_matched"]]:
    # Costs, with fewer rows than columns: scipy copies every other matrix.
    if len(a) <= len(b):
        row, column = linear_sum_assignment(similarity.negative_cosines("a", a, b))
        return a[row], b[column]
    row, column = linear_sum_assignment(similarity.negative_cosines("b", b, a))
    order = np.argsort(column)
    return a[column[order]], b[row[order]]


def _mutual(
    of_a: Int64[np.ndarray, " n_a"], of_b: Int64[np.ndarray, " n_b"]
) -> tuple[Int64[np.ndarray, " n_matched"], Int64[np.ndarray, " n_matched"]]:
    a = np.flatnonzero(of_a >= 0)
    a = a[of_b[of_a[a]] == a]
    return a, of_a[a]
