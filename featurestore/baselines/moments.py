"""Mean and covariance of vectors that come in batches."""

import numpy as np
import torch
from jaxtyping import Float, Float64


class Moments:
    """Sums in float64, each batch about its own mean, so that a large mean costs no digits.

    Batches are merged as in Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm
    for computing sample variances" (1979).
    """

    def __init__(self, d: int) -> None:
        self.n = 0
        self.mean: Float64[np.ndarray, " d"] = np.zeros(d)
        self._scatter: Float64[np.ndarray, "d d"] = np.zeros((d, d))

    def add(self, vectors: Float[torch.Tensor, "batch d"]) -> None:
        """Take in a batch, on whatever device it is."""
        if len(vectors) == 0:
            return
        exact = vectors.double()
        mean = exact.mean(dim=0)
        centred = exact - mean
        apart = mean.cpu().numpy() - self.mean
        n = self.n + len(vectors)
        self._scatter += (centred.T @ centred).cpu().numpy()
        self._scatter += np.outer(apart, apart) * (self.n * len(vectors) / n)
        self.mean = self.mean + apart * (len(vectors) / n)
        self.n = n

    @property
    def covariance(self) -> Float64[np.ndarray, "d d"]:
        """Divided by n."""
        return self._scatter / self.n

    @property
    def spread(self) -> Float64[np.ndarray, " d"]:
        """Standard deviation of each entry."""
        return np.sqrt(np.diag(self._scatter) / self.n)
