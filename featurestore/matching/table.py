"""The table `matches`: a row for each feature and each that is near it or matched with it."""

import numpy as np
import pyarrow as pa
from jaxtyping import Float64, Int64

from featurestore.matching.activity import Relations
from featurestore.matching.assignment import Matching
from featurestore.matching.similarity import Nearest, SideName

IntArray = Int64[np.ndarray, " n_rows"]


def side_rows(side: SideName, nearest: Nearest, matching: Matching) -> pa.Table:
    """Of one side, by feature and rank.

    Every feature has a row of rank 0, if only to say that it has no length; a match that is none of
    the nearest has a row without rank.
    """
    n_features, n_nearest = nearest.other.shape
    own, others = (matching.a, matching.b) if side == "a" else (matching.b, matching.a)
    match = np.full(n_features, -1)
    match[own] = others
    match_cosine = np.full(n_features, np.nan)
    match_cosine[own] = matching.cosine
    is_far = (match >= 0) & (nearest.other != match[:, None]).all(axis=1)
    # One more column, for the match; then what there is, row by row.
    other = np.column_stack([nearest.other, np.where(is_far, match, -1)])
    cosine = np.column_stack([nearest.cosine, match_cosine])
    exists = other >= 0
    exists[:, 0] = True
    feature, rank = np.nonzero(exists)
    other, cosine = other[exists], cosine[exists]
    return pa.table(
        {
            "side": pa.array([side] * len(feature)),
            "feature": feature,
            "rank": pa.array(rank, mask=rank == n_nearest),
            "other": pa.array(other, mask=other < 0),
            "cosine": pa.array(cosine, mask=other < 0),
            "is_matched": (other >= 0) & (other == match[feature]),
        }
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

    def column(values: IntArray | Float64[np.ndarray, " n_pairs"]) -> pa.Array:
        found = np.full(len(has_both), np.nan)
        found[has_both] = values
        return pa.array(found, mask=np.isnan(found))

    return (
        matches.append_column("n_both", column(relations.n_both))
        .append_column("jaccard", column(relations.jaccard))
        .append_column("correlation", column(relations.correlation))
    )
