"""Which features of a text come first, and which differ most between two texts.

Every number is computed for all features at once; records are made only for the rows of a page.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64, Shaped

from featurestore.live.records import TextActivations
from featurestore.records import FeatureMark

RankBy = Literal["max", "sum", "at", "rarity", "share"]
"""Largest activation; sum over the text; sum at the chosen tokens; lowest density in the corpus;
largest activation as a share of the largest in the corpus."""

ContrastBy = Literal["max", "mean"]

Marks = Mapping[str, tuple[FeatureMark, ...]]
"""By dictionary, the features that the filters keep."""

Rows = Shaped[np.ndarray, " n_kept"]
Totals = Shaped[np.ndarray, " n_active"]

ROW = np.dtype(
    [
        ("dictionary", np.int64),  # its place in the activations
        ("feature", np.int64),
        ("density", np.float64),
        ("stored_max", np.float64),  # NaN if the store has none
        ("start", np.int64),  # of the feature's entries
        ("n", np.int64),
        ("max", np.float64),
        ("sum", np.float64),
        ("mean", np.float64),
        ("at", np.float64),
        ("share", np.float64),  # NaN without a stored maximum, or with one of zero
    ]
)
"""A feature on a text: the columns of Rows and Totals."""


@dataclass(frozen=True)
class Ranked:
    """A feature on a text."""

    dictionary_id: str
    feature: int
    max: float
    """The activation of largest size, with its sign."""
    sum: float
    at: float
    """Sum over the chosen tokens."""
    n: int
    """Tokens on which it is active."""
    density: float
    share: float | None
    """Size of `max` as a share of the stored one's; None where that is missing or zero."""
    stored_max: float | None
    pos: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Ranking:
    """The features that a text activates and the filters keep, in order."""

    activations: tuple[TextActivations, ...]
    n_active: int
    """Features active before the filters."""
    rows: Rows
    """Columns as in ROW."""

    @property
    def n_kept(self) -> int:
        """Features that the filters keep."""
        return len(self.rows)

    @property
    def n_nonfinite(self) -> int:
        """Kept features with an activation that is no finite number; they come last."""
        return int(np.count_nonzero(~_is_finite(self.rows)))

    def place(self, dictionary_id: str, feature: int) -> int | None:
        """A feature's row, if it is among them."""
        return _place(self.activations, self.rows, dictionary_id, feature)

    def records(self, rows: Iterable[int]) -> tuple[Ranked, ...]:
        """Records of some rows."""
        return tuple(self._ranked(self.rows[row]) for row in rows)

    def _ranked(self, row: np.void) -> Ranked:
        found = self.activations[row["dictionary"]]
        pos, values = _entries(found, row)
        return Ranked(
            found.dictionary_id,
            feature=int(row["feature"]),
            max=float(row["max"]),
            sum=float(row["sum"]),
            at=float(row["at"]),
            n=int(row["n"]),
            density=float(row["density"]),
            share=_known(row["share"]),
            stored_max=_known(row["stored_max"]),
            pos=pos,
            values=values,
        )


@dataclass(frozen=True)
class Side:
    """A feature on one of two texts."""

    max: float
    """The activation of largest size, with its sign; 0 if it is silent."""
    mean: float
    """Over all tokens of the text, silent ones too."""
    n: int
    """Tokens on which it is active."""
    n_tokens: int
    pos: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Contrasted:
    """A feature on two texts."""

    dictionary_id: str
    feature: int
    density: float
    stored_max: float | None
    difference: float
    """First minus second, of what the contrast is by."""
    first: Side
    second: Side


@dataclass(frozen=True, eq=False)
class Contrast:
    """The features that either of two texts activates and the filters keep, in order."""

    activations: tuple[tuple[TextActivations, ...], tuple[TextActivations, ...]]
    n_active: int
    """Features active in either text before the filters."""
    first: Rows
    """Columns as in ROW, of the first text."""
    second: Rows
    """The same features on the second text."""
    difference: Float64[np.ndarray, " n_kept"]

    @property
    def n_kept(self) -> int:
        """Features that the filters keep."""
        return len(self.first)

    @property
    def n_nonfinite(self) -> int:
        """Kept features with an activation that is no finite number; they come last."""
        return int(np.count_nonzero(~(_is_finite(self.first) & _is_finite(self.second))))

    def place(self, dictionary_id: str, feature: int) -> int | None:
        """A feature's row, if it is among them."""
        return _place(self.activations[0], self.first, dictionary_id, feature)

    def records(self, rows: Iterable[int]) -> tuple[Contrasted, ...]:
        """Records of some rows."""
        return tuple(self._contrasted(row) for row in rows)

    def _contrasted(self, i: int) -> Contrasted:
        row = self.first[i]
        sides = zip(self.activations, (row, self.second[i]), strict=True)
        first, second = (_side(texts[row["dictionary"]], here) for texts, here in sides)
        return Contrasted(
            self.activations[0][row["dictionary"]].dictionary_id,
            feature=int(row["feature"]),
            density=float(row["density"]),
            stored_max=_known(row["stored_max"]),
            difference=float(self.difference[i]),
            first=first,
            second=second,
        )


def rank(
    activations: tuple[TextActivations, ...],
    marks: Marks,
    by: RankBy,
    tokens: tuple[int, ...] = (),
) -> Ranking:
    """Features in order, largest first or rarest first; `tokens` are the chosen ones.

    Ties go to the larger `max`, then to the dictionary given first, then to the lower number.
    """
    parts, n_active = [], 0
    for i, found in enumerate(activations):
        totals = _totals(found, tokens)
        n_active += len(totals)
        kept = _kept(i, marks.get(found.dictionary_id, ()), totals["feature"])
        parts.append(_filled(kept, totals))
    rows = _joined(parts)
    order = _order(rows, _key(rows, by), np.abs(rows["max"]), _is_finite(rows))
    return Ranking(activations, n_active, rows[order])


def contrast(
    first: tuple[TextActivations, ...],
    second: tuple[TextActivations, ...],
    marks: Marks,
    by: ContrastBy,
) -> Contrast:
    """Features in order of how far apart two texts are; both list the same dictionaries.

    Ties go to the larger `max` on either text, then as in `rank`.
    """
    parts, n_active = [], 0
    for i, (here, there) in enumerate(zip(first, second, strict=True)):
        totals = _totals(here), _totals(there)
        active = np.union1d(totals[0]["feature"], totals[1]["feature"])
        n_active += len(active)
        kept = _kept(i, marks.get(here.dictionary_id, ()), active)
        parts.append([_filled(kept, one) for one in totals])
    one, other = (_joined([part[side] for part in parts]) for side in (0, 1))
    is_finite = _is_finite(one) & _is_finite(other)
    with np.errstate(invalid="ignore"):  # inf - inf
        difference = one[by] - other[by]
    size = np.maximum(np.abs(one["max"]), np.abs(other["max"]))
    order = _order(one, -np.abs(difference), size, is_finite)
    return Contrast((first, second), n_active, one[order], other[order], difference[order])


def _totals(found: TextActivations, tokens: tuple[int, ...] = ()) -> Totals:
    """What each active feature adds up to, by number; what the store knows is left empty."""
    starts = np.flatnonzero(np.diff(found.feature, prepend=-1))
    rows = np.zeros(len(starts), ROW)
    if not len(rows):
        return rows
    values = found.value.astype(np.float64)
    rows["feature"], rows["start"] = found.feature[starts], starts
    rows["n"] = np.diff(starts, append=len(values))
    highest, lowest = np.maximum.reduceat(values, starts), np.minimum.reduceat(values, starts)
    rows["max"] = np.where(-lowest > highest, lowest, highest)
    with np.errstate(invalid="ignore"):  # inf - inf
        rows["sum"] = np.add.reduceat(values, starts)
        chosen = np.where(np.isin(found.pos, tokens), values, 0.0)
        rows["at"] = np.add.reduceat(chosen, starts)
    rows["mean"] = rows["sum"] / found.n_tokens
    return rows


def _kept(i: int, marks: tuple[FeatureMark, ...], active: Int64[np.ndarray, " n_active"]) -> Rows:
    """Silent rows of dictionary i, by feature: the active ones that have a mark."""
    numbers = np.fromiter((mark.feature for mark in marks), np.int64, len(marks))
    places = np.flatnonzero(np.isin(numbers, active))
    places = places[np.argsort(numbers[places])]
    rows = np.zeros(len(places), ROW)
    rows["dictionary"], rows["feature"] = i, numbers[places]
    rows["density"] = [marks[place].density for place in places]
    rows["stored_max"] = [marks[place].max_activation for place in places]  # None becomes NaN
    return rows


def _filled(kept: Rows, totals: Totals) -> Rows:
    """The kept rows with what a text adds up to."""
    rows = kept.copy()
    totals = totals[np.isin(totals["feature"], kept["feature"])]
    places = np.searchsorted(kept["feature"], totals["feature"])
    for column in ("start", "n", "max", "sum", "mean", "at"):
        rows[column][places] = totals[column]
    stored = np.abs(np.where(kept["stored_max"] == 0, np.nan, kept["stored_max"]))
    rows["share"] = np.abs(rows["max"]) / stored
    return rows


def _joined(parts: Iterable[Shaped[np.ndarray, " _"]]) -> Rows:
    return np.concatenate([np.zeros(0, ROW), *parts])


def _is_finite(rows: Rows) -> Bool[np.ndarray, " n_kept"]:
    """Whether all activations are: a float64 sum of finite float32 cannot overflow."""
    return np.isfinite(rows["sum"])


def _key(rows: Rows, by: RankBy) -> Float64[np.ndarray, " n_kept"]:
    """What comes first has the lowest; a missing share has the highest."""
    if by == "rarity":
        return rows["density"]
    return np.where(np.isnan(rows[by]), np.inf, -np.abs(rows[by]))


def _order(
    rows: Rows,
    key: Float64[np.ndarray, " n_kept"],
    size: Float64[np.ndarray, " n_kept"],
    is_finite: Bool[np.ndarray, " n_kept"],
) -> Int64[np.ndarray, " n_kept"]:
    """Lowest key first, then largest size, dictionary and number; what is not finite last."""
    key, size = np.where(is_finite, key, 0), np.where(is_finite, size, 0)
    return np.lexsort((rows["feature"], rows["dictionary"], -size, key, ~is_finite))


def _place(
    activations: tuple[TextActivations, ...], rows: Rows, dictionary_id: str, feature: int
) -> int | None:
    names = [found.dictionary_id for found in activations]
    if dictionary_id not in names:
        return None
    is_it = (rows["dictionary"] == names.index(dictionary_id)) & (rows["feature"] == feature)
    return int(is_it.argmax()) if is_it.any() else None


def _entries(found: TextActivations, row: np.void) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Positions and activations of a feature."""
    here = slice(row["start"], row["start"] + row["n"])
    return tuple(found.pos[here].tolist()), tuple(found.value[here].tolist())


def _side(found: TextActivations, row: np.void) -> Side:
    pos, values = _entries(found, row)
    mean = float(row["mean"])
    return Side(float(row["max"]), mean, int(row["n"]), found.n_tokens, pos, values)


def _known(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)
