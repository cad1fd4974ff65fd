"""Features of two dictionaries matched one to one, by cosine.

Up to MOST_FEATURES the sum of the matched cosines is the largest that there is, and every feature
of the smaller side has a match. Beyond, two features are matched if each is the other's nearest.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64
from scipy.optimize import linear_sum_assignment

from featurestore.matching.similarity import Nearest, SideName, Similarity

MOST_FEATURES = 2**14
"""Of the larger side. 16,384 random directions on both take a minute and a matrix of 2 GB."""


@dataclass(frozen=True)
class Matching:
    """Matched features, by feature of A."""

    method: Literal["assignment", "mutual"]
    a: Int64[np.ndarray, " n_matched"]
    b: Int64[np.ndarray, " n_matched"]
    cosine: Float64[np.ndarray, " n_matched"]


def match(similarity: Similarity) -> tuple[dict[SideName, Nearest], Matching]:
    """The nearest of every feature of both sides, and the features matched that have a length.

    An assignment keeps one processor busy and its memory waiting: the nearest are found meanwhile.
    """
    a, b = (similarity.has_length(side) for side in ("a", "b"))
    if max(len(a), len(b)) > MOST_FEATURES:
        nearest = _nearest(similarity)
        found = _mutual(nearest["a"].other[:, 0], nearest["b"].other[:, 0])
        return nearest, Matching("mutual", *found, similarity.cosines(*found))
    with ThreadPoolExecutor(1) as beside:
        assigned = beside.submit(_assigned, similarity, np.flatnonzero(a), np.flatnonzero(b))
        nearest = _nearest(similarity)
        found = assigned.result()
    return nearest, Matching("assignment", *found, similarity.cosines(*found))


def _nearest(similarity: Similarity) -> dict[SideName, Nearest]:
    return {"a": similarity.nearest("a"), "b": similarity.nearest("b")}


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
