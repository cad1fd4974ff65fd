import logging

import numpy as np
import pytest

from featurestore.baselines import kinds
from featurestore.baselines.kinds import Axes, bias_for_densities
from tests.baselines.planted import (
    best_cosines,
    explained,
    gaussian,
    mixed_sources,
    rebuilt,
    sample_of,
    unit,
)


def test_pca_finds_planted_axes_in_their_order() -> None:
    vectors, axes = gaussian()
    found = kinds.pca(sample_of(vectors).moments, 4)
    assert found.readers is found.directions
    cosines = np.abs(np.sum(found.directions * axes[:4], axis=1))
    assert cosines.min() > 0.99
    np.testing.assert_allclose(np.linalg.norm(found.directions, axis=1), 1, atol=1e-12)
    places = np.abs(found.directions).argmax(axis=1)
    assert (found.directions[np.arange(4), places] > 0).all()


@pytest.mark.parametrize("is_split", [True, False])
def test_the_first_components_explain_their_eigenvalues_and_all_of_them_everything(
    is_split: bool,
) -> None:
    vectors, _ = gaussian()
    sample = sample_of(vectors)
    exact = sample.vectors.astype(np.float64)
    eigenvalues = np.linalg.svd(exact - exact.mean(axis=0), compute_uv=False) ** 2
    for k in (1, 3, 7, 8):
        axes = kinds.pca(sample.moments, k)
        axes = axes.split() if is_split else axes
        decoded = rebuilt(axes, exact, is_split)
        share = eigenvalues[:k].sum() / eigenvalues.sum()
        assert explained(exact, decoded) == pytest.approx(share, abs=1e-10)
    np.testing.assert_allclose(decoded, exact, atol=1e-9)


def test_ica_writes_along_the_planted_directions_and_components_do_not() -> None:
    vectors, directions = mixed_sources()
    sample = sample_of(vectors)
    found = kinds.ica(sample, 6, seed=0, name="ica")
    assert best_cosines(found.directions, directions).min() > 0.99
    components = found.readers * sample.moments.spread  # of the standardised vectors
    assert best_cosines(components, directions).min() < 0.9
    assert best_cosines(found.readers, directions).min() < 0.9
    np.testing.assert_allclose(found.readers @ found.directions.T, np.eye(6), atol=1e-9)
    for is_split in (True, False):
        axes = found.split() if is_split else found
        np.testing.assert_allclose(rebuilt(axes, vectors, is_split), vectors, atol=1e-6)


def test_ica_puts_what_writes_most_first_and_counts_sources_by_their_spread() -> None:
    vectors, _ = mixed_sources()
    sample = sample_of(vectors)
    found = kinds.ica(sample, 4, seed=0, name="ica")
    lengths = np.linalg.norm(found.directions, axis=1)
    assert (np.diff(lengths) <= 0).all()
    places = np.abs(found.directions).argmax(axis=1)
    assert (found.directions[np.arange(4), places] > 0).all()
    readings = (sample.vectors - found.centre) @ found.readers.T
    np.testing.assert_allclose(readings.std(axis=0), 1, atol=1e-3)


def test_ica_that_does_not_settle_is_told_with_its_iterations(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    vectors, _ = mixed_sources(n=500)
    kinds.ica(sample_of(vectors), 6, seed=0, name="mine")
    assert caplog.records == []
    monkeypatch.setattr(kinds, "ICA_STEPS", 2)
    with caplog.at_level(logging.WARNING):
        kinds.ica(sample_of(vectors), 6, seed=0, name="mine")
    assert "mine: ICA was stopped after 2 iterations" in caplog.text


def test_rank_leaves_out_what_depends_on_others_or_never_varies() -> None:
    vectors, _ = mixed_sources()
    sums = vectors @ np.ones((6, 1))
    constant = np.full_like(sums, 0.1)
    sample = sample_of(np.hstack([vectors, sums, constant]))
    assert kinds.rank(sample_of(vectors).moments) == 6
    assert kinds.rank(sample.moments) == 6
    found = kinds.ica(sample, 6, seed=0, name="ica")
    exact = sample.vectors.astype(np.float64)
    assert explained(exact, rebuilt(found, exact, is_split=False)) > 1 - 1e-9


def test_the_entries_themselves_rebuild_everything() -> None:
    vectors, _ = gaussian()
    axes = kinds.unit_axes(8)
    np.testing.assert_array_equal(rebuilt(axes, vectors, is_split=False), vectors)
    np.testing.assert_array_equal(rebuilt(axes.split(), vectors, is_split=True), vectors)
    assert axes.split().readers.shape == (16, 8)
    assert (unit(axes.split().readers) @ unit(axes.split().readers).T).min() == -1


def test_random_axes_are_the_seeds_and_of_length_1() -> None:
    mean = np.arange(64.0)
    axes = kinds.random_axes(mean, 500, seed=4)
    np.testing.assert_allclose(np.linalg.norm(axes.directions, axis=1), 1, atol=1e-12)
    np.testing.assert_array_equal(axes.readers, kinds.random_axes(mean, 500, seed=4).readers)
    assert not np.isclose(axes.readers, kinds.random_axes(mean, 500, seed=5).readers).any()
    assert np.abs(axes.directions.mean(axis=0)).max() < 5 / np.sqrt(64 * 500)
    np.testing.assert_array_equal(axes.centre, mean)


def active(axes: Axes, vectors: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return (((vectors - axes.centre) @ axes.readers.T + bias) > 0).mean(axis=0)


def test_biases_give_the_densities_that_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = gaussian(n=1000)[0].astype(np.float32)
    axes = kinds.random_axes(vectors.mean(axis=0, dtype=np.float64), 6, seed=0)
    densities = np.array([1.0, 0.5, 0.037, 0.001, 0.0, 0.999])
    bias = bias_for_densities(axes, vectors, densities)
    np.testing.assert_allclose(active(axes, vectors, bias), densities, atol=1e-12)
    monkeypatch.setattr(kinds, "READINGS_AT_ONCE", 2000)
    np.testing.assert_allclose(bias_for_densities(axes, vectors, densities), bias, rtol=1e-5)


def test_equal_vectors_are_active_together_or_not_at_all() -> None:
    axes = Axes(np.ones((4, 1)), np.ones((4, 1)), np.zeros(1), np.zeros(4))
    vectors = np.array([[1], [2], [2], [2], [3]], dtype=np.float32)
    bias = bias_for_densities(axes, vectors, np.array([0.2, 0.4, 0.6, 0.8]))
    np.testing.assert_array_equal(active(axes, vectors, bias), [0.2, 0.2, 0.2, 0.8])
    np.testing.assert_allclose(bias, [-2.5, -2.5, -2.5, -1.5])
    same = np.full((5, 1), 2, dtype=np.float32)
    bias = bias_for_densities(axes, same, np.array([0.0, 1.0, 0.4, 0.0]))
    np.testing.assert_array_equal(active(axes, same, bias), [0, 1, 0, 0])
