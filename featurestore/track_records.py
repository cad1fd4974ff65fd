"""What became of features from checkpoint to checkpoint: records of numpy arrays. Loads no more.

Steps are the places of dictionaries in their order, from 0.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64

TrackMode = Literal["number", "match"]
"""How a feature is found again: by its own number, or as its one-to-one match."""

LikenessMeasure = Literal["cosine", "correlation"]

N_NEAREST = 3
MATCH = N_NEAREST
"""Column of the match."""
OWN = N_NEAREST + 1
"""Column of the feature of the same number."""

Numbers = Int64[np.ndarray, " n_features"]
Values = Float64[np.ndarray, " n_features"]


@dataclass(frozen=True)
class Beside:
    """Every feature of a dictionary beside some of another.

    These are the columns: its nearest by cosine, then MATCH, then OWN. The same feature may stand
    in several.
    """

    other: Int64[np.ndarray, "n_features n_others"]
    """Number of a feature; -1 for none."""
    cosine: Float64[np.ndarray, "n_features n_others"]
    """NaN where there is no other."""
    correlation: Float64[np.ndarray, "n_features n_others"] | None
    """NaN likewise, or if one does not vary; None where activations were not compared."""

    def values(self, measure: LikenessMeasure) -> Float64[np.ndarray, "n_features n_others"]:
        """All cosines or correlations; NaN all over if there are none."""
        found = getattr(self, measure)
        return np.full(self.cosine.shape, np.nan) if found is None else found


BothWays = tuple[Beside, Beside]
"""Two dictionaries compared: features of the first, then those of the second."""


@dataclass(frozen=True)
class Activity:
    """How active every feature of a dictionary is."""

    n_active: Numbers
    density: Values
    max_activation: Values
    """NaN for a dead feature."""


@dataclass(frozen=True)
class Checkpoints:
    """Dictionaries in an order, each beside the next one and beside the last."""

    ids: tuple[str, ...]
    n_features: tuple[int, ...]
    onward: tuple[BothWays | None, ...]
    """Of each but the last, with the next; None if they were not compared."""
    final: tuple[BothWays | None, ...]
    """Of each but the last, with the last."""
    missing: tuple[tuple[str, str], ...]
    """Pairs that were not compared."""
    problems: tuple[str, ...]
    """Pairs that cannot be compared or read: why, in a sentence that names the cure."""

    @property
    def n_steps(self) -> int:
        """How many there are."""
        return len(self.ids)


@dataclass(frozen=True)
class Change:
    """From one step to the next. Features without the measure are in no number."""

    n: int
    """Features of the step."""
    n_next: int
    n_continued: int
    drift: float | None
    """1 - mean likeness of those that continued; None if none did."""

    @property
    def n_died(self) -> int:
        """Features of the step that are not found again."""
        return self.n - self.n_continued

    @property
    def n_born(self) -> int:
        """Features of the next step that were not there."""
        return self.n_next - self.n_continued


@dataclass(frozen=True)
class Spread:
    """Quantiles of some values."""

    n: int
    low: float
    """10% are below; NaN for n of 0, as the others."""
    median: float
    high: float
    """10% are above."""


@dataclass(frozen=True)
class Tracks:
    """Features found again from step to step, as long as they stay alike."""

    feature: Int64[np.ndarray, "n_tracks n_steps"]
    """Number of a track's feature; -1 before its birth and after its death."""
    link: Float64[np.ndarray, "n_tracks n_gaps"]
    """Likeness of its feature to the one at the next step; NaN where it does not go on."""
    onward: Float64[np.ndarray, "n_tracks n_gaps"]
    """How much of its feature the next step holds, whether it goes on or not."""
    final: Float64[np.ndarray, "n_tracks n_gaps"]
    """How much of its feature the last step holds."""
    was_born: Bool[np.ndarray, " n_tracks"]
    """It was not there at the step before its first; False where nobody knows."""
    has_died: Bool[np.ndarray, " n_tracks"]
    """It is not found again after its last step; False where nobody knows."""
    changes: tuple[Change | None, ...]
    """Of each step but the last; None if it was not compared with the next."""

    def __len__(self) -> int:
        return len(self.feature)

    @property
    def first(self) -> Int64[np.ndarray, " n_tracks"]:
        """The step at which each begins."""
        return (self.feature >= 0).argmax(axis=1)

    @property
    def last(self) -> Int64[np.ndarray, " n_tracks"]:
        """The step at which each ends."""
        return self.feature.shape[1] - 1 - (self.feature[:, ::-1] >= 0).argmax(axis=1)


@dataclass(frozen=True)
class Stage:
    """A feature of one dictionary, as it stands at a step."""

    feature: int | None
    """Its number there; None if it is not found."""
    how: Literal["itself", "number", "track", "match", "missing"]
    """By what it was found; `missing` if the two were not compared."""
    cosine: float | None
    """With the chosen one; None if unknown."""
    correlation: float | None
