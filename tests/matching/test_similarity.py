import numpy as np
import pytest
from jaxtyping import Float32

from featurestore.matching import similarity
from featurestore.matching.similarity import Nearest, Similarity

Vectors = Float32[np.ndarray, "n d"]


def random(n: int, d: int = 6, seed: int = 0) -> Vectors:
    """Random directions; two alike, two opposite, one twice as long, one without length."""
    found = np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)
    found[1], found[3], found[4], found[-1] = found[0], -found[2], 2 * found[2], 0
    return found


def cosine_matrix(a: Vectors, b: Vectors, is_absolute: bool) -> np.ndarray:
    """One by one in float64; NaN where one has no length."""
    found = np.full((len(a), len(b)), np.nan)
    for i, j in np.ndindex(found.shape):
        x, y = a[i].astype(np.float64), b[j].astype(np.float64)
        if x.any() and y.any():
            found[i, j] = x @ y / np.linalg.norm(x) / np.linalg.norm(y)
    return np.abs(found) if is_absolute else found


def assert_nearest(found: Nearest, matrix: np.ndarray, n: int) -> None:
    """They are as large as the largest, and their cosines are theirs."""
    expected = -np.sort(-matrix, axis=1)[:, :n]  # NaN last
    np.testing.assert_allclose(found.cosine[:, : expected.shape[1]], expected, atol=1e-12)
    assert np.array_equal(found.other < 0, np.isnan(found.cosine))
    for row, (others, cosines) in enumerate(zip(found.other, found.cosine, strict=True)):
        there = others[others >= 0]
        assert len(set(there)) == len(there)
        np.testing.assert_allclose(matrix[row, there], cosines[: len(there)], atol=1e-12)


@pytest.mark.parametrize("is_absolute", [False, True])
@pytest.mark.parametrize(("n_a", "n_b"), [(40, 25), (7, 30)])
def test_nearest_are_those_of_all_cosines(is_absolute: bool, n_a: int, n_b: int) -> None:
    a, b = random(n_a), random(n_b, seed=1)
    b[5] = a[0]
    found, matrix = Similarity(a, b, is_absolute), cosine_matrix(a, b, is_absolute)
    assert_nearest(found.nearest("a"), matrix, 3)
    assert_nearest(found.nearest("b"), matrix.T, 3)
    assert found.nearest("a").other[0, 0] == 5 and found.nearest("a").cosine[0, 0] == 1
    every = np.indices(matrix.shape).reshape(2, -1)
    np.testing.assert_allclose(found.cosines(*every), matrix.ravel(), atol=1e-12)
    chosen = np.array([2, 0, 5]), np.array([3, 1])
    costs = found.negative_cosines("a", *chosen)
    np.testing.assert_allclose(costs, -matrix[np.ix_(*chosen)], atol=1e-12)
    np.testing.assert_allclose(found.negative_cosines("b", *chosen[::-1]), costs.T, atol=1e-12)


def test_a_permutation_is_found() -> None:
    order = np.random.default_rng(0).permutation(20)
    eye = np.eye(20, dtype=np.float32)
    found = Similarity(eye, eye[order] * 7, is_absolute=False)
    assert np.array_equal(order[found.nearest("a", 1).other[:, 0]], np.arange(20))
    assert np.array_equal(found.nearest("b", 1).other[:, 0], order)
    assert (found.nearest("a", 1).cosine == 1).all()


def test_opposites_are_alike_only_without_signs() -> None:
    eye = np.eye(5, dtype=np.float32)
    signed, absolute = (Similarity(eye, -eye, each).nearest("a") for each in (False, True))
    assert np.array_equal(absolute.other[:, 0], np.arange(5))
    assert (absolute.cosine[:, 0] == 1).all()
    assert (signed.other[:, 0] != np.arange(5)).all()
    assert (signed.cosine[:, 0] == 0).all()


def test_it_is_no_symmetric_measure() -> None:
    eye = np.eye(2, dtype=np.float32)
    found = Similarity(eye, eye[:1], is_absolute=False)
    assert found.nearest("a").cosine[:, 0].tolist() == [1, 0]
    assert found.nearest("b").cosine[:, 0].tolist() == [1]
    assert found.nearest("a").other.tolist() == [[0, -1, -1], [0, -1, -1]]


def test_a_direction_without_length_is_near_nothing() -> None:
    a = np.array([[1, 0], [0, 0]], dtype=np.float32)
    b = np.array([[0, 0], [-1, 0]], dtype=np.float32)
    found = Similarity(a, b, is_absolute=False)
    assert found.nearest("a").other.tolist() == [[1, -1, -1], [-1, -1, -1]]
    assert found.nearest("b").other.tolist() == [[-1, -1, -1], [0, -1, -1]]
    assert found.nearest("a").cosine[0, 0] == -1  # chosen, though below that of nothing
    assert [found.has_length(side).tolist() for side in ("a", "b")] == [
        [True, False],
        [False, True],
    ]
    nothing = Similarity(a[1:], a[1:], is_absolute=True).nearest("a")
    assert (nothing.other == -1).all() and np.isnan(nothing.cosine).all()


def test_of_duplicates_the_first_is_nearest() -> None:
    direction = np.full((1, 30), 0.3, dtype=np.float32)
    found = Similarity(direction, np.repeat(direction, 9, axis=0), is_absolute=False)
    assert found.nearest("a").other.tolist() == [[0, 1, 2]]
    assert found.nearest("a").cosine.tolist() == [[1, 1, 1]]


def test_the_cut_into_tiles_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = random(90, 33), random(70, 33, seed=1)
    b[:20] = a[:20] + 1e-7 * b[:20]  # nearer to each other than float32 can tell
    found = Similarity(a, b, is_absolute=False)
    whole = [found.nearest("a"), found.nearest("b")]
    for at_once in (1, 200, 1000):
        monkeypatch.setattr(similarity, "SCORES_AT_ONCE", at_once)
        for expected, side in zip(whole, ("a", "b"), strict=True):
            nearest = found.nearest(side)
            assert np.array_equal(nearest.other, expected.other)
            assert np.array_equal(nearest.cosine, expected.cosine, equal_nan=True)
        costs = found.negative_cosines("a", np.arange(89), np.arange(69))
        np.testing.assert_allclose(-costs, cosine_matrix(a, b, False)[:-1, :-1], atol=1e-12)
