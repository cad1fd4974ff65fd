"""The tracks of a selection: how they are measured, filtered, sorted, and as CSV. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64

from app.tracks.selection import By, Kept, TrackSelection
from featurestore.checkpoints import can_follow_numbers, numbers_persist, step_names
from featurestore.records import DictionaryInfo
from featurestore.spreadsheet import table_csv
from featurestore.track_records import Activity, Checkpoints, Spread, TrackMode, Tracks
from featurestore.tracks import follow, has_drifted, lost_at, spread_to_final

Mask = Bool[np.ndarray, " n_tracks"]
Order = Int64[np.ndarray, " n_kept"]
Activities = Sequence[Activity] | None
"""Of each step; None if they cannot be read."""
Whole = tuple[int, int]
"""How many tracks there are from the first step to the last, and of how many."""


@dataclass(frozen=True)
class Followed:
    """Dictionaries in their order, and the tracks through them."""

    infos: tuple[DictionaryInfo, ...]
    checkpoints: Checkpoints
    selection: TrackSelection
    mode: TrackMode
    tracks: Tracks
    spread: tuple[Spread, ...]
    lost: Int64[np.ndarray, " n_tracks"]
    """The step after which each was lost; -1 if it was not learned and lost."""
    drifted: Mask

    @cached_property
    def steps(self) -> tuple[str, tuple[str, ...]]:
        """What a step is called, and the names of all."""
        return step_names(self.infos)

    @cached_property
    def masks(self) -> dict[Kept, Mask]:
        """Which tracks each list keeps: all of a kind, or of these those of chosen features."""
        among = self._is_among()
        return {
            "all": among,
            "born": self.tracks.was_born & among,
            "died": self.tracks.has_died & among,
            "lost": (self.lost >= 0) & among,
            "drifted": self.drifted & among,
        }

    @property
    def is_measured(self) -> bool:
        """Whether any step was compared with the next by the chosen measure."""
        measure = self.selection.measure
        pairs = [pair for pair in self.checkpoints.onward if pair is not None]
        return any(getattr(pair[0], measure) is not None for pair in pairs)

    def throughout(self, activity: Activity | None) -> tuple[Whole, Whole, float]:
        """Of the chosen features, and of all as active, those followed through every step.

        As active: on as large a share of tokens as the rarest that is chosen, or larger; that share
        comes last. What is hardly active is hardly trained, and goes on as it was.
        """
        is_whole = self.length == self.checkpoints.n_steps
        step = self.checkpoints.ids.index(self.selection.among[0]) if self.selection.among else -1
        number, chosen = self.tracks.feature[:, step], self.masks["all"]
        everyone, least = number >= 0, 0.0
        if activity is not None and chosen.any():
            density = np.where(everyone, activity.density[number], -1.0)
            least = float(density[chosen].min())
            everyone = density >= least
        whole = [(int((is_whole & who).sum()), int(who.sum())) for who in (chosen, everyone)]
        return *whole, least

    def _is_among(self) -> Mask:
        if self.selection.among is None:
            return np.ones(len(self.tracks), dtype=bool)
        dictionary_id, numbers = self.selection.among
        step = self.checkpoints.ids.index(dictionary_id)
        return np.isin(self.tracks.feature[:, step], numbers)

    @cached_property
    def length(self) -> Int64[np.ndarray, " n_tracks"]:
        """Steps that each is there."""
        return self.tracks.last - self.tracks.first + 1

    @cached_property
    def last_feature(self) -> Int64[np.ndarray, " n_tracks"]:
        """The number of each at its last step."""
        return self.tracks.feature[np.arange(len(self.tracks)), self.tracks.last]

    def value(self, step: int, number: int, of: Literal["onward", "final"]) -> float | None:
        """How much of a feature the next step holds, or the last; None if nobody knows."""
        at = self.find(self.checkpoints.ids[step], number)
        if at is None or step == self.checkpoints.n_steps - 1:
            return None
        return known(getattr(self.tracks, of)[at, step])

    def find(self, dictionary_id: str, number: int) -> int | None:
        """The track that a feature is on."""
        step = self.checkpoints.ids.index(dictionary_id)
        found = np.flatnonzero(self.tracks.feature[:, step] == number)
        return int(found[0]) if len(found) else None


def followed(
    infos: tuple[DictionaryInfo, ...], checkpoints: Checkpoints, selection: TrackSelection
) -> Followed:
    """What became of the features of some dictionaries."""
    mode = mode_of(infos, checkpoints, selection)
    how = mode, selection.measure
    tracks = follow(checkpoints, *how, selection.tau)
    return Followed(
        infos,
        checkpoints,
        selection,
        mode,
        tracks,
        spread_to_final(checkpoints, *how),
        lost_at(checkpoints, tracks, *how, (selection.high, selection.low)),
        has_drifted(tracks, selection.low),
    )


def mode_of(
    infos: Sequence[DictionaryInfo], checkpoints: Checkpoints, selection: TrackSelection
) -> TrackMode:
    """As the selection says, where that is possible; else by number where numbers persist."""
    if not can_follow_numbers(infos):
        return "match"
    if selection.mode != "auto":
        return selection.mode
    return "number" if numbers_persist(checkpoints.onward) else "match"


def column(found: Followed, by: By, active: Activities = None) -> Float64[np.ndarray, " n_tracks"]:
    """The number of each track that a list is sorted by; NaN for none."""
    tracks = found.tracks
    if by in ("born", "until", "length", "feature"):
        columns = {"born": tracks.first, "until": tracks.last, "length": found.length}
        return columns.get(by, found.last_feature).astype(float)
    if by == "density":
        return _density(found, active)
    if by == "final":
        return _began(found)
    reduce = np.fmin.reduce if by == "least" else _mean
    return reduce(tracks.link, axis=1) if tracks.link.shape[1] else np.full(len(tracks), np.nan)


def _mean(values: Float64[np.ndarray, "n m"], axis: int) -> Float64[np.ndarray, " n"]:
    """Of those that are numbers; NaN for none."""
    n = (~np.isnan(values)).sum(axis=axis)
    return np.where(n > 0, np.nansum(values, axis=axis) / np.maximum(n, 1), np.nan)


def _began(found: Followed) -> Float64[np.ndarray, " n_tracks"]:
    """How much of what each began as the last step holds; NaN for one that begins there."""
    final = np.column_stack([found.tracks.final, np.full(len(found.tracks), np.nan)])
    return final[np.arange(len(found.tracks)), found.tracks.first]


def _density(found: Followed, active: Activities) -> Float64[np.ndarray, " n_tracks"]:
    """Of each at its last step."""
    values = np.full(len(found.tracks), np.nan)
    for step, activity in enumerate(active or ()):
        ends = found.tracks.last == step
        values[ends] = activity.density[found.last_feature[ends]]
    return values


def ordered(found: Followed, active: Activities = None) -> Order:
    """Places of the tracks that are listed: those without the number last, then by the longest."""
    selection = found.selection
    values = column(found, selection.by, active)
    signed = -values if selection.descending else values
    ties = [found.last_feature, -found.tracks.last, -np.nan_to_num(column(found, "mean"))]
    order = np.lexsort([*ties, -found.length, signed])  # NaN sorts last
    return order[found.masks[selection.kept][order]]


COLUMNS = (
    *("last_dictionary", "last_feature", "born", "until", "steps", "was_born", "has_died"),
    *("lost_after", "has_drifted", "min_link", "mean_link"),
)


def tracks_csv(found: Followed, order: Iterable[int]) -> bytes:
    """A line a track: its ends, then its feature, link and likeness to the last at every step."""
    ids, tracks = found.checkpoints.ids, found.tracks
    measure = found.selection.measure
    header = [
        *COLUMNS,
        *(f"feature at {one}" for one in ids),
        *(f"{measure} from {one} to the next" for one in ids[:-1]),
        *(f"{measure} from {one} to the last" for one in ids[:-1]),
    ]
    least, mean = column(found, "least"), column(found, "mean")
    lines = (
        [
            *(ids[tracks.last[at]], int(found.last_feature[at]), ids[tracks.first[at]]),
            *(ids[tracks.last[at]], int(found.length[at])),
            *(int(tracks.was_born[at]), int(tracks.has_died[at])),
            ids[found.lost[at]] if found.lost[at] >= 0 else None,
            int(found.drifted[at]),
            *map(known, (least[at], mean[at])),
            *(int(one) if one >= 0 else None for one in tracks.feature[at]),
            *map(known, tracks.link[at]),
            *map(known, tracks.final[at]),
        ]
        for at in order
    )
    return table_csv(header, lines, names=header)


STEP_COLUMNS = (
    *("dictionary", "step", "model_step", "n_features", "n_before", "n", "n_went_on", "n_born"),
    *("n_died", "drift", "n_held", "held_p10", "held_median", "held_p90"),
)


def steps_csv(found: Followed) -> bytes:
    """A line a step: what came to it from the one before, and what the last holds of it."""
    changes = (None, *found.tracks.changes)
    spreads = (*found.spread, None)
    lines = []
    for info, change, held in zip(found.infos, changes, spreads, strict=True):
        line = [info.dictionary_id, info.step, info.model_step, info.n_features]
        names = ("n", "n_next", "n_continued", "n_born", "n_died", "drift")
        line += [getattr(change, name, None) for name in names]
        line += [getattr(held, "n", None)]
        names = ("low", "median", "high")
        line += [getattr(held, name) if held is not None and held.n else None for name in names]
        lines.append(line)
    return table_csv(STEP_COLUMNS, lines, names=STEP_COLUMNS)


def known(value: float) -> float | None:
    """A number; None for NaN."""
    return None if np.isnan(value) else float(value)
