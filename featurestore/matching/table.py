"""The table `matches`: a row for each feature and each that is compared with it."""

import numpy as np
import pyarrow as pa
from jaxtyping import Float64, Int64

from featurestore.matching.activity import Relations
from featurestore.matching.assignment import Matching
from featurestore.matching.similarity import Nearest, SideName

IntArray = Int64[np.ndarray, " n_rows"]
FloatArray = Float64[np.ndarray, " n_rows"]


def side_rows(
    side: SideName, nearest: Nearest, matching: Matching, same: FloatArray | None = None
) -> pa.Table:
    """Of one side, by feature and rank.

    Every feature has a row of rank 0, if only to say that it has no length. A match that is none of
    the nearest has a row without rank, and so has the feature of the same number on the other
    side, where `same` gives its cosine (NaN if it has none).
    """
    n_features, n_nearest = nearest.other.shape
    own, others = (matching.a, matching.b) if side == "a" else (matching.b, matching.a)
    match = np.full(n_features, -1)
    match[own] = others
    match_cosine = np.full(n_features, np.nan)
    match_cosine[own] = matching.cosine
    number = np.arange(n_features)
    other, cosine = _beside(nearest.other, nearest.cosine, match, match_cosine)
    if same is not None:
        other, cosine = _beside(other, cosine, np.where(np.isnan(same), -1, number), same)
    exists = other >= 0
    exists[:, 0] = True
    feature, rank = np.nonzero(exists)
    other, cosine = other[exists], cosine[exists]
    return pa.table(
        {
            "side": pa.array([side] * len(feature)),
            "feature": feature,
            "rank": pa.array(rank, mask=rank >= n_nearest),
            "other": pa.array(other, mask=other < 0),
            "cosine": pa.array(cosine, mask=other < 0),
            "is_matched": (other >= 0) & (other == match[feature]),
        }
    )


def _beside(
    other: Int64[np.ndarray, "n_features n"],
    cosine: Float64[np.ndarray, "n_features n"],
    another: IntArray,
    another_cosine: FloatArray,
) -> tuple[Int64[np.ndarray, "n_features m"], Float64[np.ndarray, "n_features m"]]:
    """One more column of others: -1 where there is none, or the row has it already."""
    is_new = (other != another[:, None]).all(axis=1)
    return (
        np.column_stack([other, np.where(is_new, another, -1)]),
        np.column_stack([cosine, another_cosine]),
    )


def pairs_of(matches: pa.Table) -> tuple[IntArray, IntArray]:
    """Features of A and of B of every row that has both."""
    chosen = matches.filter(matches["other"].is_valid())
    feature, other = (chosen[name].to_numpy() for name in ("feature", "other"))
    is_a = chosen["side"].to_numpy() == "a"
    return np.where(is_a, feature, other), np.where(is_a, other, feature)


def with_relations(matches: pa.Table, relations: Relations) -> pa.Table:
    """The same rows with how alike their activations are, given for `pairs_of`."""
    has_both = matches["other"].is_valid().to_numpy()

    def column(values: IntArray | FloatArray) -> pa.Array:
        found = np.full(len(has_both), np.nan)
        found[has_both] = values
        return pa.array(found, mask=np.isnan(found))

    return (
        matches.append_column("n_both", column(relations.n_both))
        .append_column("jaccard", column(relations.jaccard))
        .append_column("correlation", column(relations.correlation))
    )
