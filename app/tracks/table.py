"""Tracks, and the steps of one, as tables: a click on a heading sorts, one on a row opens."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from app import parts
from app.numerals import exact, short
from app.token_text import alone, quoted
from app.tracks import words
from app.tracks.rows import Activities, Followed, column, known
from app.tracks.selection import written
from featurestore.records import FeatureSummary

HERE = Path(__file__).parent
KEY = "tracks"
TOKENS = 3

_component = st.components.v2.component(
    "feature_browser_tracks",
    css=parts.style(parts.NUMBERS, parts.HEADINGS, parts.CHIPS, HERE / "table.css"),
    js=parts.script(HERE / "table.js", parts.HEADINGS_JS),
)


@dataclass(frozen=True)
class Rows:
    """What the script draws: kinds of columns are `link`, `text`, `strip` and `tokens`."""

    columns: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    sort: str = ""
    descending: bool = False
    opened: str = ""
    """Id of the row that is open."""


def draw(
    rows: Rows, key: str, on_sort: Callable[[], None], on_open: Callable[[], None]
) -> str | None:
    """Draw the rows; returns the id of the one that was just clicked."""
    return _component(
        data={"label": key, **vars(rows)}, key=key, on_sort_change=on_sort, on_open_change=on_open
    ).open


def track_rows(
    found: Followed,
    places: Iterable[int],
    summaries: Mapping[tuple[str, int], FeatureSummary],
    active: Activities,
    opened: int | None,
) -> Rows:
    """A row a track."""
    numbers = {by: column(found, by, active) for by in ("least", "mean", "final", "density")}
    places = list(places)
    rows = [_track_row(found, at, numbers, summaries) for at in places]
    columns = [
        {"name": by, "label": label, "title": title, "sort": True}
        | {"kind": "link" if by == "feature" else "text"}
        for by, (label, title) in words.HEADINGS.items()
    ]
    for kind, (label, title) in (("strip", words.STRIP), ("tokens", words.PEAKS)):
        columns.append({"name": kind, "label": label, "title": title, "sort": False, "kind": kind})
    selection = found.selection
    return Rows(
        columns,
        rows,
        selection.by,
        selection.descending,
        row_id(found, opened) if opened is not None else "",
    )


def row_id(found: Followed, at: int) -> str:
    """A track as the feature at its last step."""
    return written(found.checkpoints.ids[found.tracks.last[at]], int(found.last_feature[at]))


def _track_row(
    found: Followed,
    at: int,
    numbers: Mapping[str, Any],
    summaries: Mapping[tuple[str, int], FeatureSummary],
) -> dict[str, Any]:
    tracks, ids, (word, names) = found.tracks, found.checkpoints.ids, found.steps
    first, last, number = tracks.first[at], tracks.last[at], int(found.last_feature[at])
    one = summaries.get((ids[last], number))
    tokens = one.peak_tokens[:TOKENS] if one else ()
    ends = (
        ("from", first, tracks.was_born[at], "born here"),
        ("until", last, tracks.has_died[at], "died after it"),
    )
    return {
        "id": row_id(found, at),
        "cells": [
            [str(number), f"Feature {number} of {ids[last]}"],
            *(
                [names[step], f"{word} {names[step]}{f': {said}' if holds else ''}"]
                for _, step, holds, said in ends
            ),
            [str(found.length[at]), f"{found.length[at]} of {len(ids)} steps"],
            *(_number(known(numbers[by][at])) for by in ("least", "mean", "final", "density")),
            _strip(found, at),
            [[alone(token), f"{quoted(token)} ×{count}"] for token, count in tokens],
        ],
    }


def _number(value: float | None) -> list[str]:
    return [short(value), exact(value) if value is not None else "There is no such number"]


def _strip(found: Followed, at: int) -> list[list[Any]]:
    """A bar a step: height from 0 to 1, whether it is on the track, and its tip.

    By number what the number is at other steps stands there too.
    """
    names, bars = found.steps[1], []
    own = int(found.last_feature[at]) if found.mode == "number" else -1
    for step, number in enumerate(found.tracks.feature[at].tolist()):
        is_on, number = number >= 0, number if number >= 0 else own
        if number < 0:
            bars.append([None, False, f"{names[step]}: not there"])
            continue
        is_last = step == len(names) - 1
        if is_last:
            value = 1.0
        elif is_on:
            value = known(found.tracks.final[at, step])
        else:
            value = found.value(step, number, "final")
        told = "the last step" if is_last else exact(value)
        told = f"{names[step]}: feature {number}, {told}{'' if is_on else ', not on this track'}"
        bars.append([max(value or 0.0, 0.0), is_on, told])
    return bars
