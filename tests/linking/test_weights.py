import numpy as np
import pytest

from featurestore.linking import weights as module
from featurestore.linking.weights import VirtualWeights
from featurestore.passes.pairs import Pairs, ranks


def vectors(n: int, d: int, seed: int) -> np.ndarray:
    found = np.random.default_rng(seed).standard_normal((n, d))
    found[-1], found[1] = 0, found[0]
    return found


def as_lists(pairs: Pairs, n_features: int) -> list[list[int]]:
    return [pairs.neighbour[pairs.feature == feature].tolist() for feature in range(n_features)]


@pytest.mark.parametrize(("n_up", "n_down"), [(40, 7), (6, 50)])
def test_strongest_are_those_of_all_products(n_up: int, n_down: int) -> None:
    up, down = vectors(n_up, 9, 0).astype(np.float32), vectors(n_down, 9, 1)
    found = VirtualWeights(up, down)
    matrix = up.astype(np.float64) @ down.T
    every = Pairs(*np.indices(matrix.shape).reshape(2, -1))
    np.testing.assert_allclose(found.of(every), matrix.ravel(), atol=1e-12)
    for is_downstream, table in ((False, matrix), (True, matrix.T)):
        strongest = found.strongest(5, is_downstream)
        for feature, row in enumerate(table):
            others = strongest.neighbour[strongest.feature == feature]
            expected = -np.sort(-np.abs(row[row != 0]))[:5]
            np.testing.assert_allclose(np.abs(row[others]), expected, atol=1e-12)
        assert (ranks(strongest) < 5).all()
        assert not {n_up - 1, n_down - 1} & set(strongest.feature if n_up == n_down else [])


def test_cosines_are_weights_over_both_lengths() -> None:
    found = VirtualWeights(np.array([[3, 4]], dtype=np.float32), np.array([[2.0, 0], [0, -0.5]]))
    pairs = Pairs(np.array([0, 0]), np.array([0, 1]))
    assert found.of(pairs).tolist() == [6, -2]
    np.testing.assert_allclose(found.cosines(pairs), [0.6, -0.8])


def test_strongest_is_by_size_and_ties_go_to_the_smaller_number() -> None:
    found = VirtualWeights(
        np.array([[1, 0]], dtype=np.float32), np.array([[1.0, 0], [-2, 1], [0, 9], [-1, 0]])
    )
    assert as_lists(found.strongest(3, False), 1) == [[1, 0, 3]]
    assert as_lists(found.strongest(3, True), 4) == [[0], [0], [], [0]]


def test_what_has_no_length_has_no_link() -> None:
    up = np.array([[0, 0, 0], [1, 1, 1]], dtype=np.float32)
    found = VirtualWeights(up, np.array([[0.0, 0, 0], [1, 0, 0], [0.1, 0.2, -0.3]]))
    assert as_lists(found.strongest(9, False), 2) == [[], [1]]  # the last is 0 but for rounding
    assert as_lists(found.strongest(9, True), 3) == [[], [1], []]
    nothing = VirtualWeights(up[:1], np.zeros((3, 3)))
    assert as_lists(nothing.strongest(9, True), 3) == [[], [], []]


def test_the_cut_into_tiles_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    up, down = vectors(60, 33, 0).astype(np.float32), vectors(45, 33, 1)
    down[:20] = down[20:40] * (1 + 2**-50)  # closer than sums in another order
    found = VirtualWeights(up, down)
    whole = [found.strongest(10, side) for side in (False, True)]
    for at_once in (1, 100, 700):
        monkeypatch.setattr(module, "WEIGHTS_AT_ONCE", at_once)
        monkeypatch.setattr(module, "COMPONENTS_AT_ONCE", at_once)
        for side, expected in zip((False, True), whole, strict=True):
            again = found.strongest(10, side)
            assert np.array_equal(again, expected)
            pairs = Pairs(*reversed(again)) if side else again
            assert np.array_equal(found.of(pairs), VirtualWeights(up, down).of(pairs))
