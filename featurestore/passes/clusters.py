"""Groups of directions that lie closer together than chance, and what names them.

HDBSCAN finds groups in whatever UMAP lays out: of random directions too it puts more than half
into groups. So a feature stays in its group only if it has close neighbours there: neighbours whose
cosine is above the one that random directions of that number and dimension reach by chance.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int32, Int64
from scipy.special import betaincinv
from sklearn.cluster import HDBSCAN

MIN_FEATURES = 5
"""Features of a cluster, at least."""
DENSITY_FEATURES = 3
"""HDBSCAN's min_samples: a place is as dense as its third neighbour, itself included, is near."""
MIN_CLOSE = 2
"""Close neighbours in its cluster that a feature has, at least."""
BY_CHANCE = 0.5
"""Close neighbours that a random direction has on average, among all the others."""
N_NAMES = 5
"""Tokens that name a cluster, at most."""
COSINES_AT_ONCE = 2**22


@dataclass(frozen=True)
class Neighbours:
    """The nearest directions of each direction; the first is itself, with cosine 1."""

    indices: Int32[np.ndarray, "n_rows n_neighbours"]
    cosines: Float32[np.ndarray, "n_rows n_neighbours"]
    """Falling."""


@dataclass(frozen=True)
class ClusterNames:
    """Tokens of a cluster, the most distinctive first."""

    tokens: list[int]
    shares: list[float]
    """Of the cluster's features, those that promote each."""


def chance_cosine(n_directions: int, d: int) -> float:
    """The cosine that a random direction exceeds with BY_CHANCE of the other directions.

    The squared sine of two random directions in d dimensions has the distribution
    Beta((d - 1) / 2, 1 / 2), and half of the cosines are positive: see Cai, Fan and Jiang,
    "Distributions of angles in random packing on spheres" (2013). Along a single line nothing is
    closer than chance, so the answer is 1 there.
    """
    if d == 1:
        return 1.0
    share = min(1.0, 2 * BY_CHANCE / (n_directions - 1))
    return float(np.sqrt(1 - betaincinv((d - 1) / 2, 0.5, share)))


def find_clusters(
    places: Float32[np.ndarray, "n_rows n_dims"], neighbours: Neighbours, d: int
) -> Int64[np.ndarray, " n_rows"]:
    """The cluster of each direction, the largest first, or -1.

    `places` are those of a UMAP, `d` the dimension of the directions.
    """
    # A group of more than half of all is not a part of the map, but the map.
    most = max(MIN_FEATURES, len(places) // 2)
    model = HDBSCAN(
        min_cluster_size=MIN_FEATURES,
        min_samples=DENSITY_FEATURES,
        max_cluster_size=most,
        copy=True,
    )
    group = model.fit_predict(places).astype(np.int64)
    is_close = neighbours.cosines > chance_cosine(len(places), d)
    is_close[:, 0] = False
    is_close &= group[neighbours.indices] == group[:, None]
    group[is_close.sum(axis=1) < MIN_CLOSE] = -1
    return _by_size(group)


def _by_size(group: Int64[np.ndarray, " n_rows"]) -> Int64[np.ndarray, " n_rows"]:
    """Groups that are large enough, numbered by falling size, then by their first row."""
    groups, first, sizes = np.unique(group, return_index=True, return_counts=True)
    is_kept = (groups >= 0) & (sizes >= MIN_FEATURES)
    order = np.flatnonzero(is_kept)[np.lexsort((first[is_kept], -sizes[is_kept]))]
    number = np.full(len(groups), -1)
    number[order] = np.arange(len(order))
    return number[np.searchsorted(groups, group)]


def count_clusters(cluster: Int64[np.ndarray, " n_rows"]) -> int:
    """Number of clusters."""
    return int(cluster.max(initial=-1)) + 1


def silhouette(
    directions: Float[torch.Tensor, "n_rows d"], cluster: Int64[np.ndarray, " n_rows"]
) -> float | None:
    """Mean silhouette of what is in a cluster, by cosine distance; None for fewer than 2 clusters.

    Exact: the mean cosine distance from a unit vector to a cluster is 1 less its product with the
    cluster's mean. See Rousseeuw, "Silhouettes" (1987).
    """
    n_clusters = count_clusters(cluster)
    if n_clusters < 2:
        return None
    rows = np.flatnonzero(cluster >= 0)
    own = torch.from_numpy(cluster[rows])
    sizes = torch.bincount(own).double()
    members = torch.nn.functional.normalize(directions[torch.from_numpy(rows)].double(), dim=1)
    sums = torch.zeros(n_clusters, members.shape[1], dtype=torch.float64)
    sums.index_add_(0, own, members)
    total = 0.0
    at_once = max(1, COSINES_AT_ONCE // n_clusters)
    for part, of in zip(members.split(at_once), own.split(at_once), strict=True):
        products = part @ sums.T
        in_own = (torch.arange(len(part)), of)
        within = 1 - (products[in_own] - 1) / (sizes[of] - 1)
        distances = 1 - products / sizes
        distances[in_own] = torch.inf
        nearest = distances.amin(dim=1)
        widest = torch.maximum(within, nearest).clamp(min=1e-12)  # directions that are all the same
        total += ((nearest - within) / widest).sum().item()
    return total / len(rows)


def name_clusters(
    cluster: Int64[np.ndarray, " n_rows"],
    rows: Int64[np.ndarray, " n_pairs"],
    tokens: Int64[np.ndarray, " n_pairs"],
) -> list[ClusterNames]:
    """What tells each cluster from all features of the map: pairs say who promotes which token.

    Score of a token: share * log(share / share among all), where a share is that of the features
    that promote it; only tokens with more than the share among all count.
    """
    n_clusters = count_clusters(cluster)
    known, token = np.unique(tokens, return_inverse=True)
    overall = np.bincount(token, minlength=len(known)) / len(cluster)
    of = cluster[rows]
    pairs, counts = np.unique(of[of >= 0] * len(known) + token[of >= 0], return_counts=True)
    owner, token = np.divmod(pairs, max(1, len(known)))
    share = counts / np.bincount(cluster[cluster >= 0], minlength=n_clusters)[owner]
    score = share * np.log(share / overall[token])
    order = np.lexsort((known[token], -score, owner))
    order = order[score[order] > 0]
    bounds = np.searchsorted(owner[order], np.arange(n_clusters + 1))
    best = [order[a : min(a + N_NAMES, b)] for a, b in zip(bounds[:-1], bounds[1:], strict=True)]
    return [ClusterNames(known[token[own]].tolist(), share[own].tolist()) for own in best]
