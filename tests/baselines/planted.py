"""Vectors with known directions in them, and what a baseline makes of vectors."""

import numpy as np
import torch

from featurestore.baselines.kinds import Axes
from featurestore.baselines.sample import Sample

OFFSET = 7.0
"""Far from the mean that axes must be centred at."""


def sample_of(vectors: np.ndarray) -> Sample:
    sample = Sample(vectors.shape[1], len(vectors))
    for part in torch.from_numpy(vectors.astype(np.float32)).split(100):
        sample.add(part)
    return sample


def gaussian(n: int = 4000, d: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Normal vectors, and their axes by falling variance."""
    rng = np.random.default_rng(2)
    axes = np.linalg.qr(rng.normal(size=(d, d)))[0]
    scores = rng.normal(size=(n, d)) * 3.0 ** -np.arange(d)
    return scores @ axes + OFFSET, axes


def mixed_sources(n: int = 8000, d: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Sums of sparse sources, each with a direction of its own; entries of very unlike size."""
    rng = np.random.default_rng(3)
    sources = rng.exponential(size=(n, d)) * (rng.random((n, d)) < 0.1)
    directions = rng.normal(size=(d, d)) * 10.0 ** np.linspace(-1, 1, d)
    return sources @ directions + OFFSET, directions


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def best_cosines(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """For each wanted direction, the nearest that was found, whatever its sign."""
    return np.abs(unit(wanted) @ unit(found).T).max(axis=1)


def rebuilt(axes: Axes, vectors: np.ndarray, is_split: bool) -> np.ndarray:
    """What plain formulas decode."""
    activations = (vectors - axes.centre) @ axes.readers.T + axes.bias
    if is_split:
        activations = np.maximum(activations, 0)
    return activations @ axes.directions + axes.centre


def explained(vectors: np.ndarray, decoded: np.ndarray) -> float:
    """R2 about the mean, of all entries together."""
    return 1 - ((vectors - decoded) ** 2).sum() / ((vectors - vectors.mean(axis=0)) ** 2).sum()
