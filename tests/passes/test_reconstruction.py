"""Definitions by hand and against plain numpy in float64."""

import numpy as np
import pytest
import torch

from featurestore.passes import reconstruction as module
from featurestore.passes.reconstruction import Reconstruction

RNG = np.random.default_rng(0)
X = (RNG.standard_normal((50, 6)) * 3 + 2).astype(np.float32)


def of(x: np.ndarray, y: np.ndarray) -> dict[str, tuple[float, int]]:
    n = len(x)
    numbers = np.arange(n), np.arange(n) * 0.5, np.arange(n) * 2.0
    vectors = (torch.from_numpy(each.astype(np.float32)) for each in (x, y))
    return Reconstruction(*vectors, *numbers).measures()


def test_a_copy_explains_everything_and_the_mean_nothing() -> None:
    assert of(X, X)["explained_variance"] == (1, 50)
    assert of(X, X)["mse"][0] == 0
    assert of(X, X)["cosine"][0] == pytest.approx(1)
    mean = np.broadcast_to(X.astype(np.float64).mean(axis=0), X.shape)
    assert of(X, mean)["explained_variance"][0] == pytest.approx(0, abs=1e-6)


def test_a_constant_error_counts() -> None:
    """Where the variance of the error is none, one minus that is no explained variance."""
    offset = np.array([3, 0, 0, 0, 4, 0])
    spread = ((X - X.astype(np.float64).mean(axis=0)) ** 2).sum()
    found = of(X, X + offset)["explained_variance"][0]
    assert found == pytest.approx(1 - 50 * 25 / spread, rel=1e-5)


@pytest.mark.parametrize("at_once", [1, 7, 50, 1000])
def test_every_measure_is_that_of_its_formula(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TOKENS_AT_ONCE", at_once)
    y = (X * 0.7 + RNG.standard_normal(X.shape)).astype(np.float32)
    found = of(X, y)
    x, y = X.astype(np.float64), y.astype(np.float64)
    error = ((x - y) ** 2).sum()
    cosines = (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    wanted = {
        "mse": error / 300,
        "explained_variance": 1 - error / ((x - x.mean(axis=0)) ** 2).sum(),
        "cosine": cosines.mean(),
        "length_ratio": np.sqrt((y**2).sum(axis=1) / (x**2).sum(axis=1)).mean(),
        "l0": 24.5,
        "l1": 12.25,
        "l1_written": 49.0,
    }
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name] == (pytest.approx(value, rel=1e-12), 50)


def test_vectors_without_length() -> None:
    x, y = X[:3].copy(), X[:3].copy()
    x[0], y[1] = 0, 0
    assert of(x, y)["cosine"] == (pytest.approx(0.5), 2)
    assert of(x, y)["length_ratio"] == (pytest.approx(0.5), 2)


def test_what_has_no_value_has_none() -> None:
    same = np.ones((4, 6))
    assert np.isnan(of(same, same)["explained_variance"][0])
    nothing = of(X[:0], X[:0])
    assert all(np.isnan(value) and n == 0 for value, n in nothing.values())


def test_some_tokens_alone() -> None:
    whole = Reconstruction(
        torch.from_numpy(X), torch.from_numpy(X) / 2, np.arange(50), np.zeros(50), np.zeros(50)
    )
    chosen = np.arange(50) % 2 == 1
    assert whole.select(chosen).measures()["l0"] == (25, 25)
