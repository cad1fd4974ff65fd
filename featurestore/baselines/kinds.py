"""What each baseline is: axes that are read along and written along, and where they cross.

read      (x - centre) @ readers.T + bias
written   activations @ directions + centre

neurons, identity   unit vectors, about 0
pca                 eigenvectors of the covariance by falling eigenvalue, about the mean
ica                 FastICA of the standardised vectors, about the mean
random              normal vectors of length 1, about the mean
"""

import logging
import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64
from sklearn.decomposition import FastICA
from sklearn.exceptions import ConvergenceWarning

from featurestore.baselines.moments import Moments
from featurestore.baselines.sample import Sample

logger = logging.getLogger(__name__)

ICA_STEPS = 200
"""Iterations of FastICA, at most."""

RANK_TOLERANCE = 1e-10
"""An eigenvalue so small beside the largest is what rounding to float32 leaves of 0."""

READINGS_AT_ONCE = 2**24

SALT = 0xBA5E
"""Keeps random directions apart from other draws with the run's seed."""


@dataclass(frozen=True)
class Axes:
    """What a baseline reads and writes, before signs are split."""

    readers: Float64[np.ndarray, "n d"]
    directions: Float64[np.ndarray, "n d"]
    centre: Float64[np.ndarray, " d"]
    bias: Float64[np.ndarray, " n"]

    def split(self) -> "Axes":
        """Every axis, then every one the other way round."""
        return Axes(
            np.concatenate([self.readers, -self.readers]),
            np.concatenate([self.directions, -self.directions]),
            self.centre,
            np.concatenate([self.bias, self.bias]),
        )


def unit_axes(d: int) -> Axes:
    """The entries of the vectors themselves."""
    return Axes(np.eye(d), np.eye(d), np.zeros(d), np.zeros(d))


def pca(moments: Moments, n: int) -> Axes:
    """The first principal components."""
    _, vectors = np.linalg.eigh(moments.covariance)
    components = vectors.T[::-1][:n]
    components = components * _signs(components)
    return Axes(components, components, moments.mean, np.zeros(n))


def rank(moments: Moments) -> int:
    """How many independent directions the standardised vectors vary along."""
    sigma = _sigma(moments)
    eigenvalues = np.linalg.eigvalsh(moments.covariance / np.outer(sigma, sigma))
    return int((eigenvalues > max(eigenvalues[-1], 0) * RANK_TOLERANCE).sum())


def ica(sample: Sample, n: int, seed: int, name: str) -> Axes:
    """Independent components of the vectors that are kept, those that write most first.

    `components_` unmixes, so it reads; what a source adds to a vector stands in `mixing_`. They
    are not the same directions unless the sources' own are orthogonal.
    """
    mean, sigma = sample.moments.mean, _sigma(sample.moments)
    model = FastICA(n, whiten="unit-variance", random_state=seed % 2**32, max_iter=ICA_STEPS)
    # It divides by every singular value, those of 0 too that it then leaves out; and what a
    # ConvergenceWarning says is told below.
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit((sample.vectors.astype(np.float64) - mean) / sigma)
    if model.n_iter_ >= ICA_STEPS:
        logger.warning(
            "%s: ICA was stopped after %d iterations; its components may not have settled",
            name,
            model.n_iter_,
        )
    readers, directions = model.components_ / sigma, (model.mixing_ * sigma[:, None]).T
    order = np.argsort(-np.linalg.norm(directions, axis=1), kind="stable")
    readers, directions = readers[order], directions[order]
    signs = _signs(directions)
    return Axes(readers * signs, directions * signs, mean, np.zeros(n))


def random_axes(mean: Float64[np.ndarray, " d"], n: int, seed: int) -> Axes:
    """Directions drawn from a normal distribution."""
    drawn = np.random.default_rng([SALT, seed]).standard_normal((n, len(mean)))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return Axes(drawn, drawn, mean, np.zeros(n))


def bias_for_densities(
    axes: Axes, vectors: Float32[np.ndarray, "n_vectors d"], densities: Float64[np.ndarray, " n"]
) -> Float64[np.ndarray, " n"]:
    """Biases with which each reading is above 0 on that share of the vectors.

    Where vectors are equal, on the largest share below that one.
    """
    n_active = np.rint(densities * len(vectors)).astype(np.int64).tolist()
    bias = np.empty(len(n_active))
    centred = vectors - axes.centre.astype(np.float32)
    step = max(1, READINGS_AT_ONCE // len(vectors))
    for first in range(0, len(bias), step):
        part = slice(first, first + step)
        readings = centred @ axes.readers[part].T.astype(np.float32)
        bias[part] = [
            -_threshold(each, n) for each, n in zip(readings.T, n_active[part], strict=True)
        ]
    return bias


def _threshold(readings: Float32[np.ndarray, " n_vectors"], n_active: int) -> float:
    """A number that so many readings are above, halfway to the nearest on either side."""
    ordered = np.sort(readings.astype(np.float64))
    margin = ordered.std() or 1.0  # beyond the ends: all are above it, or none
    ordered = np.concatenate([[ordered[0] - margin], ordered, [ordered[-1] + margin]])
    silent = ordered[len(readings) - n_active]
    return float(silent + ordered[np.searchsorted(ordered, silent, side="right")]) / 2


def _sigma(moments: Moments) -> Float64[np.ndarray, " d"]:
    """Standard deviations, 1 where nothing varies but by rounding."""
    return np.where(moments.spread > 1e-10 * np.abs(moments.mean), moments.spread, 1.0)


def _signs(directions: Float64[np.ndarray, "n d"]) -> Float64[np.ndarray, "n 1"]:
    """1 or -1 for each, with which its entry farthest from zero is positive."""
    place = np.abs(directions).argmax(axis=1)[:, None]
    return np.where(np.take_along_axis(directions, place, axis=1) < 0, -1.0, 1.0)
