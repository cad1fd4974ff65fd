"""A feature at the other checkpoints of its family, as a strip of links on its page.

It asks for one question's worth of arrays that stay in memory, since people press Next quickly.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from app import links, parts, session
from app.numerals import NONE, exact, short
from app.selection import Selection
from app.tracks import session as tracking
from app.tracks.words import HOW, MODES
from featurestore.checkpoints import (
    can_follow_numbers,
    numbers_persist,
    spread,
    stages,
    step_names,
    training_order,
)
from featurestore.errors import DamagedStore, MatchError, NotCompared
from featurestore.records import DictionaryInfo
from featurestore.track_records import BothWays, Stage, TrackMode

HERE = Path(__file__).parent
KEY = "checkpoints"
MOST_STEPS = 16
"""As many as have a place in a line, and files that stay in memory."""
_component = st.components.v2.component(
    "feature_browser_checkpoints",
    css=parts.style(HERE / "strip.css"),
    js=parts.script(HERE / "strip.js"),
)


def strip(info: DictionaryInfo, selection: Selection) -> None:
    """Draw the steps of the family; nothing where the dictionary was compared with none of them."""
    infos = _family(info)
    place = infos.index(info)
    pairs = [_pair(info, other) for other in infos]
    if all(pair is None for pair in pairs):
        return
    mode = _mode(infos, place, pairs)
    besides = [None if pair is None else pair[0] for pair in pairs]
    found = stages(place, selection.feature, besides, mode)
    word, names = step_names(infos)
    cells = [
        _cell(other, stage, f"{word} {name}", name, selection)
        for other, stage, name in zip(infos, found, names, strict=True)
    ]
    data = {
        "title": f"{info.family} by {word}",
        "detail": f"cosine with this feature, found {MODES[mode]}; density below",
        "cells": cells,
    }
    _component(data=data, key=KEY, on_open_change=partial(_open, selection))


def _open(selection: Selection) -> None:
    """Callback of a step: the feature there, in the same list of that dictionary."""
    dictionary_id, _, number = st.session_state[KEY].open.rpartition(":")
    session.go(_there(selection, dictionary_id, int(number)))


def _there(selection: Selection, dictionary_id: str, number: int) -> Selection:
    listing = selection.listing(dictionary_id=dictionary_id, among=())
    return replace(listing, feature=number)


def _family(info: DictionaryInfo) -> tuple[DictionaryInfo, ...]:
    """Those of its family, with those beside it where not all have a place."""
    if info.family is None:
        return (info,)
    known = session.catalogue().dictionaries
    infos = training_order(one for one in known if one.family == info.family)
    return tuple(infos[place] for place in spread(len(infos), MOST_STEPS, infos.index(info)))


def _pair(info: DictionaryInfo, other: DictionaryInfo) -> BothWays | None:
    if other is info:
        return None
    try:
        return tracking.beside(info, other)
    except (NotCompared, DamagedStore, MatchError):
        return None  # its cell, and the page about training, say so


def _mode(infos: tuple[DictionaryInfo, ...], place: int, pairs: list[BothWays | None]) -> TrackMode:
    """By number where that persists to the steps beside it, or to any if these are missing."""
    if not can_follow_numbers(infos):
        return "match"
    beside = [*pairs[max(place - 1, 0) : place], *pairs[place + 1 : place + 2]]
    known = beside if any(pair is not None for pair in beside) else pairs
    return "number" if numbers_persist(known) else "match"


def _cell(
    other: DictionaryInfo, stage: Stage, step: str, name: str, selection: Selection
) -> dict[str, Any]:
    cell = {"step": name, "is_here": stage.how == "itself", "cosine": stage.cosine}
    said = [f"{step} · {other.dictionary_id}", HOW[stage.how]]
    if stage.feature is None or stage.how == "missing":
        return cell | {"shown": NONE, "density": "", "tip": "\n".join(said)}
    active = tracking.activity(other)
    density = float(active.density[stage.feature])
    is_dead = not active.n_active[stage.feature]
    there = _there(selection, other.dictionary_id, stage.feature)
    said += [f"feature {stage.feature}", f"density {exact(density)}{', dead' if is_dead else ''}"]
    if stage.how != "itself":
        said.append(f"cosine {exact(stage.cosine)}")
    if stage.correlation is not None:
        said.append(f"correlation of activations {exact(stage.correlation)}")
    return cell | {
        "id": f"{other.dictionary_id}:{stage.feature}",
        "href": links.feature_url(there, stage.feature),
        "shown": "here" if cell["is_here"] else short(stage.cosine),
        "density": "dead" if is_dead else short(density),
        "tip": "\n".join(said),
    }
