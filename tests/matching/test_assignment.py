from itertools import permutations

import numpy as np
import pytest

from featurestore.matching import assignment
from featurestore.matching.assignment import Matching, match
from featurestore.matching.similarity import Similarity
from tests.matching.test_similarity import Vectors, cosine_matrix, random


def matched(a: Vectors, b: Vectors, is_absolute: bool = False) -> tuple[Matching, list[float]]:
    """The matching, and both mean largest cosines."""
    similarity = Similarity(a, b, is_absolute)
    nearest, found = match(similarity)
    return found, [float(np.nanmean(nearest[side].cosine[:, 0])) for side in ("a", "b")]


def test_a_permutation_is_the_matching() -> None:
    order = np.random.default_rng(0).permutation(20)
    eye = np.eye(20, dtype=np.float32)
    found, _ = matched(eye, eye[order])
    assert found.method == "assignment"
    assert np.array_equal(found.a, np.arange(20)) and np.array_equal(order[found.b], found.a)
    assert (found.cosine == 1).all()


@pytest.mark.parametrize("is_absolute", [False, True])
@pytest.mark.parametrize(("n_a", "n_b"), [(7, 8), (8, 7), (7, 7)])
def test_no_other_matching_has_a_larger_sum(n_a: int, n_b: int, is_absolute: bool) -> None:
    a, b = random(n_a), random(n_b, seed=1)
    matrix = cosine_matrix(a, b, is_absolute)[:-1, :-1]  # the last ones have no length
    found, _ = matched(a, b, is_absolute)
    small = matrix if n_a <= n_b else matrix.T
    rows = np.arange(len(small))
    best = max(
        small[rows, list(chosen)].sum() for chosen in permutations(range(small.shape[1]), len(rows))
    )
    assert found.cosine.sum() == pytest.approx(best)
    np.testing.assert_allclose(found.cosine, matrix[found.a, found.b], atol=1e-12)
    assert (np.diff(found.a) > 0).all() and len(set(found.b)) == len(found.b) == len(rows)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("n_a", "n_b"), [(60, 60), (40, 90), (90, 40)])
def test_its_mean_is_at_most_that_of_the_nearest_of_the_smaller_side(
    n_a: int, n_b: int, seed: int
) -> None:
    found, (of_a, of_b) = matched(random(n_a, 5, seed), random(n_b, 5, seed + 50))
    assert found.cosine.mean() <= (of_a if n_a <= n_b else of_b)
    if n_a == n_b:
        assert found.cosine.mean() <= min(of_a, of_b)


def test_what_has_no_length_is_not_matched() -> None:
    zero = np.zeros((3, 4), dtype=np.float32)
    one = zero.copy()
    one[1, 2] = 5
    found, _ = matched(one, np.concatenate([zero, one]))
    assert (found.a.tolist(), found.b.tolist(), found.cosine.tolist()) == ([1], [4], [1])
    for pair in ((zero, one), (one, zero)):
        similarity = Similarity(*pair, False)
        _, nothing = match(similarity)
        assert len(nothing.a) == len(nothing.b) == len(nothing.cosine) == 0


def test_large_dictionaries_are_matched_where_both_are_nearest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a, b = random(50), random(30, seed=1)
    monkeypatch.setattr(assignment, "MOST_FEATURES", 49)
    found, _ = matched(a, b)
    matrix = cosine_matrix(a, b, False)
    of_a = [np.nanargmax(row) for row in matrix[:-1]]
    of_b = [np.nanargmax(column) for column in matrix.T[:-1]]
    expected = [(i, j) for i, j in enumerate(of_a) if of_b[j] == i]
    assert found.method == "mutual"
    assert list(zip(found.a, found.b, strict=True)) == expected
    assert 3 < len(expected) < 30
    monkeypatch.setattr(assignment, "MOST_FEATURES", 50)
    assert matched(a, b)[0].method == "assignment"
