"""Features followed from checkpoint to checkpoint: tracks, births, deaths, what was lost. Pure.

What was not compared is left open, never guessed. What each number is: docs/tracks.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from featurestore.track_records import (
    MATCH,
    OWN,
    BothWays,
    Change,
    Checkpoints,
    LikenessMeasure,
    Numbers,
    Spread,
    TrackMode,
    Tracks,
    Values,
)


@dataclass(frozen=True)
class _Gap:
    """What is between a step and the next."""

    other: Numbers
    """Where each feature goes on; -1 for one that does not."""
    value: Values
    """Its likeness to that feature; NaN likewise."""
    onward: Values
    is_compared: bool
    is_known: Bool[np.ndarray, " n_features"]
    """Whether the feature has the measure at all: others are neither dead nor alive."""
    was_known: Bool[np.ndarray, " n_next"]
    """The same of the next step's features, looking back."""


def follow(
    checkpoints: Checkpoints, mode: TrackMode, measure: LikenessMeasure, tau: float
) -> Tracks:
    """Chains, as long as possible, of features each found again with a likeness of tau or more."""
    gaps = [_gap(checkpoints, step, mode, measure, tau) for step in range(checkpoints.n_steps - 1)]
    track, n_tracks = _chained([gap.other for gap in gaps], checkpoints.n_features)
    shape = n_tracks, checkpoints.n_steps
    feature = np.full(shape, -1)
    link, onward, final = (np.full((n_tracks, len(gaps)), np.nan) for _ in range(3))
    is_known = np.zeros(shape, dtype=bool)
    was_known = np.zeros(shape, dtype=bool)
    for step, numbers in enumerate(track):
        feature[numbers, step] = np.arange(len(numbers))
        if step < len(gaps):
            gap = gaps[step]
            link[numbers, step], onward[numbers, step] = gap.value, gap.onward
            is_known[numbers, step] = gap.is_known
            final[numbers, step] = _to_final(checkpoints, step, mode, measure)
        if step:
            was_known[numbers, step] = gaps[step - 1].was_known
    columns = feature, link, onward, final, *_ends(feature, is_known, was_known)
    has_value = (is_known | was_known).any(axis=1) | ~np.isnan(final).all(axis=1)
    changes = tuple(_change(gap) if gap.is_compared else None for gap in gaps)
    return Tracks(*(column[has_value] for column in columns), changes)


def spread_to_final(
    checkpoints: Checkpoints, mode: TrackMode, measure: LikenessMeasure
) -> tuple[Spread, ...]:
    """Of all features of each step but the last, what of them there is at the last."""
    found = []
    for step in range(checkpoints.n_steps - 1):
        values = _to_final(checkpoints, step, mode, measure)
        values = values[~np.isnan(values)]
        quantiles = np.quantile(values, [0.1, 0.5, 0.9]) if len(values) else [np.nan] * 3
        found.append(Spread(len(values), *(float(value) for value in quantiles)))
    return tuple(found)


def lost_at(
    checkpoints: Checkpoints,
    tracks: Tracks,
    mode: TrackMode,
    measure: LikenessMeasure,
    bounds: tuple[float, float],
) -> Int64[np.ndarray, " n_tracks"]:
    """The step after which each was lost though it had been learned; -1 for the others.

    A feature is followed by number, or along its matches however poor, so beyond what one track
    holds. Learned: a likeness to the next step of the first bound or more. Lost: one below the
    second at a later step. It counts once, at the track that it is on when it is lost last.
    """
    n_gaps = checkpoints.n_steps - 1
    line, n_lines = _chained(
        [_heirs(checkpoints, step, mode) for step in range(n_gaps)], checkpoints.n_features
    )
    onward = np.full((n_lines, n_gaps), np.nan)
    for step in range(n_gaps):
        onward[line[step], step] = _kept(
            checkpoints.onward[step], checkpoints.n_features[step], mode, measure
        )
    lost = _last_true(_is_lost(onward, *bounds))
    found = np.full(len(tracks), -1)
    for step in range(n_gaps):
        at = np.flatnonzero(tracks.feature[:, step] >= 0)
        is_it = lost[line[step][tracks.feature[at, step]]] == step
        found[at[is_it]] = step
    return found


def has_drifted(tracks: Tracks, low: float) -> Bool[np.ndarray, " n_tracks"]:
    """Tracks that reach the last step, which has nothing left of what they began as."""
    if not len(tracks) or not tracks.final.shape[1]:
        return np.zeros(len(tracks), dtype=bool)
    n_gaps = tracks.final.shape[1]
    first = np.minimum(tracks.first, n_gaps - 1)
    began = tracks.final[np.arange(len(tracks)), first]
    return (tracks.last == n_gaps) & (tracks.first < n_gaps) & (began < low)


def _gap(
    checkpoints: Checkpoints, step: int, mode: TrackMode, measure: LikenessMeasure, tau: float
) -> _Gap:
    n, n_next = checkpoints.n_features[step : step + 2]
    pair = checkpoints.onward[step]
    if pair is None:
        unknown = np.full(n, np.nan)
        nobody = np.zeros(n, dtype=bool), np.zeros(n_next, dtype=bool)
        return _Gap(np.full(n, -1), unknown, unknown, False, *nobody)
    there, back = (one.values(measure) for one in pair)
    column = OWN if mode == "number" else MATCH
    value = there[:, column]
    goes_on = value >= tau  # False for NaN
    return _Gap(
        np.where(goes_on, pair[0].other[:, column], -1),
        np.where(goes_on, value, np.nan),
        _kept(pair, n, mode, measure),
        True,
        *(~np.isnan(one).all(axis=1) for one in (there, back)),
    )


def _to_final(
    checkpoints: Checkpoints, step: int, mode: TrackMode, measure: LikenessMeasure
) -> Values:
    return _kept(checkpoints.final[step], checkpoints.n_features[step], mode, measure)


def _kept(
    pair: BothWays | None, n_features: int, mode: TrackMode, measure: LikenessMeasure
) -> Values:
    """How much of each feature the second dictionary holds; NaN for what nobody knows.

    The likeness to its own number, or to its match; to the most alike of its nearest where it has
    no match, or that has no such number.
    """
    if pair is None:
        return np.full(n_features, np.nan)
    values = pair[0].values(measure)
    if mode == "number":
        return values[:, OWN]
    return np.where(np.isnan(values[:, MATCH]), np.fmax.reduce(values, axis=1), values[:, MATCH])


def _heirs(checkpoints: Checkpoints, step: int, mode: TrackMode) -> Numbers:
    """The next step's feature that each is followed to, however unlike; -1 for none."""
    pair = checkpoints.onward[step]
    if mode == "number":
        return np.arange(checkpoints.n_features[step])
    return np.full(checkpoints.n_features[step], -1) if pair is None else pair[0].other[:, MATCH]


def _chained(goes_to: Sequence[Numbers], n_features: Sequence[int]) -> tuple[list[Numbers], int]:
    """The track of every feature of every step, and how many there are."""
    n_tracks, found = 0, []
    for step, n in enumerate(n_features):
        track = np.full(n, -1)
        if step:
            goes_on = goes_to[step - 1] >= 0
            track[goes_to[step - 1][goes_on]] = found[-1][goes_on]
        is_new = track < 0
        track[is_new] = n_tracks + np.arange(is_new.sum())
        n_tracks += int(is_new.sum())
        found.append(track)
    return found, n_tracks


def _ends(
    feature: Int64[np.ndarray, "n_tracks n_steps"],
    is_known: Bool[np.ndarray, "n_tracks n_steps"],
    was_known: Bool[np.ndarray, "n_tracks n_steps"],
) -> tuple[Bool[np.ndarray, " n_tracks"], Bool[np.ndarray, " n_tracks"]]:
    """Which tracks were born and which died: known to be compared there, and not found."""
    is_in = feature >= 0
    at = np.arange(len(feature))
    first = is_in.argmax(axis=1)
    last = feature.shape[1] - 1 - is_in[:, ::-1].argmax(axis=1)
    return was_known[at, first], is_known[at, last]


def _change(gap: _Gap) -> Change:
    continued = gap.value[gap.other >= 0]
    drift = 1 - float(continued.mean()) if len(continued) else None
    return Change(int(gap.is_known.sum()), int(gap.was_known.sum()), len(continued), drift)


def _is_lost(
    onward: Float64[np.ndarray, "n n_gaps"], high: float, low: float
) -> Bool[np.ndarray, "n n_gaps"]:
    """Below `low` after a step at `high` or more."""
    learned = np.logical_or.accumulate(onward >= high, axis=1)
    before = np.zeros_like(learned)
    before[:, 1:] = learned[:, :-1]
    return before & (onward < low)


def _last_true(values: Bool[np.ndarray, "n n_gaps"]) -> Int64[np.ndarray, " n"]:
    """Place of the last True of each row; -1 for none."""
    if not values.shape[1]:
        return np.full(len(values), -1)
    last = values.shape[1] - 1 - values[:, ::-1].argmax(axis=1)
    return np.where(values.any(axis=1), last, -1)
