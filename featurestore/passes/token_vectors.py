"""Vectors of tokens, and which of them are nearest to a direction.

Cosines are with the vectors less their mean, if so asked: what all tokens share would alone make
every cosine large. Candidates are found by products in float32, tile by tile, and ranked by cosines
in float64; so the answer is exact, and memory is that of the vectors and a tile.
"""

import functools
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64

from featurestore.passes.logit_lens import largest
from featurestore.threads import in_threads

DIRECTIONS_AT_ONCE, TOKENS_AT_ONCE = 2**9, 2**12
"""A product of so many directions and vectors: 8 MB in each thread."""
SPARE = 4
"""Candidates beyond those asked for: float32 cannot tell apart cosines that differ by 1e-7."""
ROUNDING = 1e-6
"""Of a vector's length: if that is all that is left without the mean, it is rounding."""


@dataclass(frozen=True)
class Nearest:
    """The tokens nearest to some directions, the nearest first; NaN where there is no cosine."""

    tokens: Int64[np.ndarray, "n_directions n"]
    cosines: Float64[np.ndarray, "n_directions n"]
    raw: Float64[np.ndarray, " n_directions"]
    """Cosine with the first token's vector, the mean not taken off."""

    @staticmethod
    def joined(parts: list["Nearest"]) -> "Nearest":
        """One under the other."""
        columns = zip(*((p.tokens, p.cosines, p.raw) for p in parts), strict=True)
        return Nearest(*(np.concatenate(column) for column in columns))


@dataclass(frozen=True)
class _Candidates:
    """Rows of vectors that may be nearest to some directions, and their cosines in float32."""

    cosines: Float32[np.ndarray, "n_directions n_candidates"]
    rows: Int64[np.ndarray, "n_directions n_candidates"]

    @staticmethod
    def none(n_directions: int) -> "_Candidates":
        """No row for any."""
        return _Candidates(*(np.zeros((n_directions, 0), kind) for kind in (np.float32, np.int64)))


class TokenVectors:
    """A vector for each of some tokens, less their mean if centred."""

    def __init__(
        self,
        vectors: Float32[torch.Tensor, "n_tokens d"],
        tokens: Int64[np.ndarray, " n_tokens"],
        is_centred: bool = True,
    ) -> None:
        self._vectors = vectors
        self._tokens = tokens
        parts = vectors.split(TOKENS_AT_ONCE)
        total = sum(part.double().sum(dim=0) for part in parts)
        self._mean = total / len(vectors) * is_centred
        has_length = [
            (part.double() - self._mean).norm(dim=1) > ROUNDING * part.double().norm(dim=1)
            for part in parts
        ]
        self._rows = torch.cat(has_length).nonzero().view(-1)

    def nearest(self, directions: Float32[torch.Tensor, "n_directions d"], n: int) -> Nearest:
        """The `n` tokens, or all if fewer, of largest cosine; equal ones by their id."""
        if len(self._rows) == 0:
            nothing = np.full((len(directions), 1), np.nan)
            return Nearest(np.zeros((len(directions), 1), np.int64), nothing, nothing[:, 0])
        parts = directions.double().split(DIRECTIONS_AT_ONCE)
        units = [_unit(part).float() for part in parts]
        best = [_Candidates.none(len(part)) for part in parts]
        for rows in self._rows.split(TOKENS_AT_ONCE):
            vectors = _unit(self._vectors[rows].double() - self._mean).float()
            better = functools.partial(_better, vectors=vectors, rows=rows.numpy(), n=n + SPARE)
            best = in_threads(better, zip(units, best, strict=True))
        rank = functools.partial(self._ranked, n=n)
        return Nearest.joined(in_threads(rank, zip(parts, best, strict=True)))

    def _ranked(
        self, found: tuple[Float64[torch.Tensor, "n_directions d"], _Candidates], n: int
    ) -> Nearest:
        """The first `n` candidates of each direction."""
        directions, rows = found[0], found[1].rows
        cosines = np.empty(rows.shape)
        for column in range(rows.shape[1]):  # all together would take a lot of memory
            vectors = self._vectors[rows[:, column]].double() - self._mean
            cosines[:, column] = _cosines(directions, vectors)
        order = np.lexsort((rows, -cosines), axis=1)[:, :n]
        rows, cosines = (np.take_along_axis(each, order, axis=1) for each in (rows, cosines))
        raw = _cosines(directions, self._vectors[rows[:, 0]].double())
        return Nearest(self._tokens[rows], cosines, raw)


def _better(
    before: tuple[Float32[torch.Tensor, "batch d"], _Candidates],
    vectors: Float32[torch.Tensor, "n_vectors d"],
    rows: Int64[np.ndarray, " n_vectors"],
    n: int,
) -> _Candidates:
    """The best `n` of those found before and of more vectors; directions and vectors are units."""
    directions, candidates = before
    product = (directions @ vectors.T).numpy()
    best = largest(product, min(n, len(rows)))
    cosines = np.take_along_axis(product, best, axis=1)
    cosines = np.concatenate([candidates.cosines, cosines], axis=1)
    found = np.concatenate([candidates.rows, rows[best]], axis=1)
    best = largest(cosines, min(n, cosines.shape[1]))
    return _Candidates(*(np.take_along_axis(each, best, axis=1) for each in (cosines, found)))


def _unit(vectors: Float64[torch.Tensor, "batch d"]) -> Float64[torch.Tensor, "batch d"]:
    """The same with length 1; what has no length stays as it is."""
    length = vectors.norm(dim=1, keepdim=True)
    return vectors / length.where(length > 0, 1.0)


def _cosines(
    a: Float64[torch.Tensor, "batch d"], b: Float64[torch.Tensor, "batch d"]
) -> Float64[np.ndarray, " batch"]:
    """Cosines of pairs of vectors; NaN where one has no length."""
    return ((a * b).sum(dim=1) / (a.norm(dim=1) * b.norm(dim=1))).numpy()
