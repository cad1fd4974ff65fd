import numpy as np
import pytest
import torch

from featurestore.baselines.moments import Moments


def moments_of(vectors: np.ndarray, sizes: list[int]) -> Moments:
    moments = Moments(vectors.shape[1])
    for part in torch.from_numpy(vectors).split(sizes):
        moments.add(part)
    return moments


@pytest.mark.parametrize("sizes", [[1000], [1] * 1000, [0, 1, 900, 0, 99], [64] * 15 + [40]])
def test_batches_of_any_size_give_what_numpy_gives(sizes: list[int]) -> None:
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(1000, 6)) * [1, 5, 0.1, 1, 0, 2] + 3).astype(np.float32)
    found = moments_of(vectors, sizes)
    exact = vectors.astype(np.float64)
    assert found.n == 1000
    np.testing.assert_allclose(found.mean, exact.mean(axis=0), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.covariance, np.cov(exact.T, bias=True), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.spread, exact.std(axis=0), rtol=0, atol=1e-12)


def test_a_mean_far_from_zero_costs_no_digits() -> None:
    """Sums of squares less squared sums would leave nothing of a variance of 1e-10."""
    rng = np.random.default_rng(1)
    vectors = 1e5 + 1e-5 * rng.normal(size=(500, 3))
    found = moments_of(vectors, [7] * 71 + [3])
    np.testing.assert_allclose(found.covariance, np.cov(vectors.T, bias=True), rtol=0, atol=1e-15)
    naive = vectors.T @ vectors / 500 - np.outer(vectors.mean(axis=0), vectors.mean(axis=0))
    assert not np.allclose(naive, found.covariance, rtol=0.5, atol=0)
