"""One track, open beside the list: its feature at every step."""

from dataclasses import dataclass

import streamlit as st

from app import figures, links, markup, panels, session
from app.numerals import NONE, exact, short
from app.selection import Selection
from app.token_text import alone, quoted
from app.tracks import charts, table, words
from app.tracks import session as tracking
from app.tracks.rows import Followed
from app.tracks.selection import written
from featurestore.annotations.records import Event
from featurestore.checkpoints import stages
from featurestore.errors import AnnotationsError, MatchError, StoreError
from featurestore.records import DictionaryInfo, FeatureQuery, FeatureSummary
from featurestore.track_records import Beside, Stage

_COLUMNS = (
    ("step", "link", "step", "Opens its feature there"),
    ("feature", "text", "feature", "Its number there"),
    ("cosine", "text", "cosine", "With the chosen feature"),
    ("correlation", "text", "corr.", "Of the activations with the chosen feature's, over tokens"),
    ("onward", "text", "to next", "How much of it the next step holds"),
    ("density", "text", "density", "Share of tokens on which it is active"),
    ("max", "text", "max", "Its largest activation"),
    ("tokens", "tokens", "peaks on", "Tokens at the peaks of its top contexts"),
    ("label", "label", "label", "What people say of it there"),
)


@dataclass(frozen=True)
class _At:
    """The chosen feature at a step."""

    info: DictionaryInfo
    name: str
    stage: Stage
    summary: FeatureSummary | None
    said: Event | None
    onward: float | None


def opened(found: Followed) -> None:
    """The track that the URL names, or a word on how to open one."""
    chosen = found.selection.feature
    if chosen is None:
        st.html(markup.part("Track", "a click on a row opens it here"))
        return
    dictionary_id, number = chosen
    place = found.checkpoints.ids.index(dictionary_id)
    if number >= found.infos[place].n_features:
        n_features = found.infos[place].n_features
        panels.note(
            f"No feature {number} in '{dictionary_id}': its features are 0 to {n_features - 1}.",
            "error",
        )
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="track_head"):
        st.html(markup.heading(f"Feature {number}", f"of {dictionary_id}"), width="stretch")
        st.button("Close", type="tertiary", on_click=tracking.on_close)
    at = found.find(dictionary_id, number)
    if at is None:
        panels.note("It is on no track: it has no such likeness to any feature of its neighbours.")
    else:
        st.html(words.track(found, at))
    members = found.tracks.feature[at].tolist() if at is not None else ()
    besides = [_beside(found.infos[place], info) for info in found.infos]
    steps = _steps(found, stages(place, number, besides, found.mode, members))
    _figure(found, steps, place)
    went = table.draw(_rows(steps, place), "track", _nothing, _nothing)
    if went is not None:
        name, _, feature = went.rpartition(":")
        target = Selection(FeatureQuery(name))
        st.switch_page(links.FEATURE, query_params=links.feature(target, int(feature)))
    _suggest(steps, place)


def _nothing() -> None:
    """Callback of what the return value tells."""


def _beside(one: DictionaryInfo, other: DictionaryInfo) -> Beside | None:
    if one is other:
        return None
    try:
        return tracking.beside(one, other)[0]
    except (StoreError, MatchError):
        return None  # the page tells which pairs are missing


def _steps(found: Followed, each: tuple[Stage, ...]) -> tuple[_At, ...]:
    """With what the store and people say of each."""
    steps = []
    for step, (info, name, stage) in enumerate(zip(found.infos, found.steps[1], each, strict=True)):
        summary = said = onward = None
        if stage.feature is not None:
            found_there = session.store().summaries(info.dictionary_id, [stage.feature])
            summary = found_there.get(stage.feature)
            said = _said(info, stage.feature)
            onward = found.value(step, stage.feature, "onward")
        steps.append(_At(info, name, stage, summary, said, onward))
    return tuple(steps)


def _said(info: DictionaryInfo, feature: int) -> Event | None:
    try:
        return session.annotations().log.current(info.content, [feature]).get(feature)
    except AnnotationsError:
        return None  # the pages that annotate tell why


def _figure(found: Followed, steps: tuple[_At, ...], place: int) -> None:
    def numbers(name: str) -> list[float | None]:
        return [getattr(one.summary, name, None) for one in steps]

    cosines = [1.0 if one.stage.how == "itself" else one.stage.cosine for one in steps]
    charted = (
        ("cosine with the chosen", cosines),
        ("density", numbers("density")),
        ("max", numbers("max_activation")),
    )
    figure = charts.track(charted, found.steps[1], place)
    st.plotly_chart(figure, key="track_chart", config=figures.CONFIG, theme=None)


def _rows(steps: tuple[_At, ...], place: int) -> table.Rows:
    columns = [
        {"name": name, "kind": kind, "label": label, "title": title, "sort": False}
        for name, kind, label, title in _COLUMNS
    ]
    return table.Rows(columns, [_row(one, step == place) for step, one in enumerate(steps)])


def _row(one: _At, is_chosen: bool) -> dict:
    stage, summary, info = one.stage, one.summary, one.info
    row = {"id": "", "is_chosen": is_chosen}
    if stage.feature is not None:
        selection = Selection(FeatureQuery(info.dictionary_id))
        row["id"] = written(info.dictionary_id, stage.feature)
        row["href"] = links.feature_url(selection, stage.feature)
    label = one.said.content.label if one.said else ""
    tokens = summary.peak_tokens[: table.TOKENS] if summary else ()
    return row | {
        "cells": [
            [one.name, info.dictionary_id],
            [NONE if stage.feature is None else str(stage.feature), words.HOW[stage.how]],
            words.stage_value(stage, stage.cosine),
            words.stage_value(stage, stage.correlation),
            _number(one.onward),
            _density(summary),
            _number(summary.max_activation if summary else None),
            [[alone(token), f"{quoted(token)} ×{count}"] for token, count in tokens],
            [label, f"{label} ({one.said.author})" if label else "No label"],
        ]
    }


def _density(summary: FeatureSummary | None) -> list[str]:
    if summary is not None and summary.is_dead:
        return ["dead", "Never active on this corpus"]
    return _number(summary.density if summary else None)


def _number(value: float | None) -> list[str]:
    return [short(value), exact(value)]


def _suggest(steps: tuple[_At, ...], place: int) -> None:
    """Labels of other steps, for one that has none: told, and saved by nobody but a reader."""
    said = steps[place].said
    if said is not None and said.content.label:
        return
    for one in steps:
        if one.said is not None and one.said.content.label:
            panels.note(
                f"Suggested: “{one.said.content.label}”, as {one.said.author} labelled it in "
                f"'{one.info.dictionary_id}'. It is no label here until you save it on the "
                "feature's page."
            )
