import numpy as np
import pytest

from featurestore.chance import largest_by_chance


@pytest.mark.parametrize("is_absolute", [False, True])
@pytest.mark.parametrize(("d_out", "n_others"), [(2, 1), (3, 2), (16, 40), (64, 200)])
def test_it_is_what_draws_give(d_out: int, n_others: int, is_absolute: bool) -> None:
    """By brute force: a fixed direction, so the cosine is the first entry of a unit vector."""
    rng = np.random.default_rng(0)
    n_draws = 200_000 // n_others
    vectors = rng.standard_normal((n_draws * n_others, d_out))
    cosines = vectors[:, 0] / np.linalg.norm(vectors, axis=1)
    cosines = np.abs(cosines) if is_absolute else cosines
    largest = cosines.reshape(n_draws, n_others).max(axis=1)
    error = largest.std() / np.sqrt(n_draws)
    assert abs(largest_by_chance(d_out, n_others, is_absolute) - largest.mean()) < 4 * error


def test_exact_values() -> None:
    assert largest_by_chance(3, 1, False) == pytest.approx(0, abs=1e-9)
    assert largest_by_chance(3, 1, True) == pytest.approx(1 / 2)  # Archimedes: even from 0 to 1
    assert largest_by_chance(3, 9, True) == pytest.approx(9 / 10)
    assert largest_by_chance(2, 1, True) == pytest.approx(2 / np.pi, abs=1e-6)


def test_sizes_that_dictionaries_have() -> None:
    """Measured with random directions: 0.158, 0.181 and 0.088."""
    assert largest_by_chance(512, 4096, False) == pytest.approx(0.158, abs=0.002)
    assert largest_by_chance(512, 32768, False) == pytest.approx(0.181, abs=0.002)
    assert largest_by_chance(2048, 16384, False) == pytest.approx(0.088, abs=0.001)


def test_there_may_be_none() -> None:
    assert np.isnan(largest_by_chance(8, 0, False))
    assert np.isnan(largest_by_chance(1, 5, True))
