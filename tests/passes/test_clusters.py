import math
from collections import Counter

import numpy as np
import pytest
import torch
from sklearn.metrics import silhouette_score

from featurestore.passes.clusters import (
    MIN_FEATURES,
    ClusterNames,
    Neighbours,
    chance_cosine,
    find_clusters,
    name_clusters,
    silhouette,
)


def test_the_chance_cosine_is_that_of_geometry() -> None:
    # 11 directions: a random one exceeds it with each of 10 others once in 20 times.
    assert chance_cosine(11, 2) == pytest.approx(math.cos(math.pi / 20))  # an arc of a circle
    assert chance_cosine(11, 3) == pytest.approx(0.9)  # a cap of a sphere: (1 - c) / 2
    assert chance_cosine(11, 1) == 1


def test_random_directions_exceed_the_chance_cosine_half_a_time_each() -> None:
    unit = np.random.default_rng(0).standard_normal((1500, 30))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    n_close = (unit @ unit.T > chance_cosine(1500, 30)).sum(axis=1) - 1
    assert n_close.mean() == pytest.approx(0.5, abs=0.05)


def blobs(sizes: tuple[int, ...], cosine: float) -> tuple[np.ndarray, Neighbours]:
    """Rows of blobs far apart, one after the other; within a blob every cosine is the same."""
    rng = np.random.default_rng(1)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    places = rng.standard_normal((len(owner), 3)) + 100 * np.eye(len(sizes), 3)[owner]
    indices = []
    for row in range(len(owner)):
        mates = [other for other in np.flatnonzero(owner == owner[row]).tolist() if other != row]
        indices.append([row, *mates[:4]])
    cosines = np.full((len(owner), 5), cosine)
    cosines[:, 0] = 1
    neighbours = Neighbours(np.array(indices, dtype=np.int32), cosines.astype(np.float32))
    return places.astype(np.float32), neighbours


def test_clusters_are_numbered_by_size_then_by_first_row() -> None:
    found = find_clusters(*blobs((6, 8, 6), cosine=0.9), d=20)
    assert found.tolist() == [1] * 6 + [0] * 8 + [2] * 6


def test_a_group_whose_directions_are_no_closer_than_chance_is_none() -> None:
    chance = chance_cosine(20, 20)
    assert set(find_clusters(*blobs((6, 8, 6), cosine=chance - 0.01), d=20)) == {-1}
    assert set(find_clusters(*blobs((6, 8, 6), cosine=1.0), d=1)) == {-1}


def test_one_close_neighbour_is_too_few_and_so_is_one_elsewhere() -> None:
    places, neighbours = blobs((6, 8, 7), cosine=0.9)
    neighbours.cosines[0, 2:] = 0
    neighbours.indices[6, 1:] = [0, 1, 2, 3]
    found = find_clusters(places, neighbours, d=20)
    assert found[0] == found[6] == -1
    assert Counter(found.tolist()) == {0: 7, 1: 7, 2: 5, -1: 2}
    neighbours.cosines[1, 2:] = 0
    assert MIN_FEATURES == 5
    assert set(find_clusters(places, neighbours, d=20)[:6]) == {-1}


@pytest.mark.parametrize("n_groups", [2, 3])
def test_silhouette_is_scikit_learns(n_groups: int) -> None:
    rng = np.random.default_rng(2)
    cluster = rng.integers(-1, n_groups, 80)
    directions = rng.standard_normal((80, 6)) + 2 * np.eye(6)[cluster]
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    is_in = cluster >= 0
    wanted = silhouette_score(directions[is_in], cluster[is_in], metric="cosine")
    assert silhouette(torch.from_numpy(directions), cluster) == pytest.approx(wanted, abs=1e-12)


def test_silhouette_needs_two_clusters() -> None:
    directions = torch.eye(6)
    assert silhouette(directions, np.array([0, 0, 0, 0, 0, -1])) is None
    assert silhouette(directions, np.full(6, -1)) is None
    assert silhouette(directions[:0], np.zeros(0, dtype=np.int64)) is None


def test_names_are_those_of_plain_loops() -> None:
    rng = np.random.default_rng(3)
    cluster = rng.integers(-1, 4, 60)
    promoted = [rng.choice(25, 4, replace=False).tolist() for _ in cluster]
    rows = np.repeat(np.arange(60), 4)
    tokens = np.array([token for own in promoted for token in own])
    order = rng.permutation(len(rows))
    found = name_clusters(cluster, rows[order], tokens[order])
    overall = Counter(tokens.tolist())
    for number in range(4):
        members = [own for own, c in zip(promoted, cluster, strict=True) if c == number]
        shares = {token: sum(token in own for own in members) / len(members) for token in range(25)}
        scores = {
            token: share * math.log(share / (overall[token] / 60))
            for token, share in shares.items()
            if share > overall[token] / 60
        }
        best = sorted(scores, key=lambda token: (-round(scores[token], 12), token))[:5]
        assert found[number].tokens == best
        assert found[number].shares == [shares[token] for token in best]


def test_a_token_that_all_features_promote_names_no_cluster() -> None:
    cluster = np.array([0, 0, 1, 1])
    rows, tokens = np.array([0, 1, 2, 3, 2]), np.array([7, 7, 7, 7, 9])
    named = name_clusters(cluster, rows, tokens)
    assert named == [ClusterNames([], []), ClusterNames([9], [0.5])]


def test_without_promoted_tokens_names_are_empty() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    assert name_clusters(np.array([0, 0, 1, -1]), nothing, nothing) == [ClusterNames([], [])] * 2
    assert name_clusters(nothing, nothing, nothing) == []
