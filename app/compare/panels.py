"""The pieces of Compare: filters, what scores rest on, the plot, the table."""

from dataclasses import dataclass, replace
from functools import partial

import streamlit as st

from app import figures, markup, panels, session
from app.compare import charts, scoreboard, table, token_panel, words
from app.compare import selection as selections
from app.compare import session as compare
from app.compare.scoreboard import Entry
from app.compare.selection import CompareSelection
from app.numerals import short
from featurestore.records import Catalogue

KEYS = (
    ("Tab", "to headings, which sort, and to dictionaries"),
    ("Enter", "sort, or open"),
    ("/", "to the page Search"),
    ("?", "this list"),
)
_SELECTORS = {**panels.TO_SEARCH, "?": ".fb-tell"}
_LABELS = {"family": "Family", "kind": "Kind", "hook": "Hook point", "model": "Model"}
_ALL = {"family": "families", "kind": "kinds", "hook": "hook points", "model": "models"}
_WIDTHS = {"family": 130, "kind": 115, "hook": 190, "model": 190}


@dataclass(frozen=True)
class Shown:
    """The dictionaries that are shown, in order."""

    selection: CompareSelection
    entries: tuple[Entry, ...]


def open_scoreboard() -> Shown:
    """The filters and what they keep; without a dictionary it says why and ends the page."""
    known = session.catalogue()
    selection, problems = compare.read(known)
    entries, unread = compare.entries(known)
    kept = [one for one in entries if selection.keeps(one.info)]
    shown = Shown(selection, scoreboard.ordered(kept, selection.by, selection.descending))
    _filters(shown, known)
    for problem in (*problems, *(one.reason for one in known.problems), *unread):
        panels.note(problem, "error")
    if not known.dictionaries:
        if not known.problems:
            panels.say_empty()
        st.stop()
    _basis(shown, len(entries))
    if not shown.entries:
        panels.note("No dictionary is all of this. Clear shows every one again.")
        st.stop()
    return shown


def _filters(shown: Shown, known: Catalogue) -> None:
    selection = shown.selection
    session.seed({name: getattr(selection, name) or None for name in selections.FILTERS})
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="compared"):
        for name, options in selections.choices(known.dictionaries).items():
            st.selectbox(
                _LABELS[name],
                options,
                index=None,
                key=name,
                placeholder=f"all {_ALL[name]}",
                on_change=compare.on_control,
                args=(name,),
                width=_WIDTHS[name],
            )
        if selection.filters:
            st.button("Clear", type="tertiary", on_click=compare.on_clear)
        panels.keyboard(words.WORDS, KEYS, _SELECTORS)


def _basis(shown: Shown, n_all: int) -> None:
    """How many are shown, what their scores rest on, and which have none."""
    found = scoreboard.samples(shown.entries)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="count"):
        st.html(words.summary(shown.entries, n_all, found))
        make = partial(scoreboard.scores_csv, shown.entries)
        panels.export("scores.csv", make, "Every measure of these, with n and controls")
    for sentence in (words.incomparable(found), words.unscored(shown.entries)):
        if sentence:
            panels.note(sentence)


def plot(shown: Shown) -> str | None:
    """What L0 buys, or what is lost by token; returns the dictionary that was just clicked."""
    column = shown.selection.plot
    if problem := token_panel.problem(shown.selection, shown.entries):
        panels.note(problem, "error")
    session.seed({"plot": column})
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="plotted"):
        st.segmented_control(
            "Plot",
            words.PLOTS,
            required=True,
            key="plot",
            format_func=words.PLOTS.__getitem__,
            on_change=compare.on_control,
            args=("plot",),
            label_visibility="collapsed",
        )
        if column == scoreboard.TOKENS:
            tokens = token_panel.choose(shown.selection, shown.entries)
        else:
            placed = scoreboard.plotted(shown.entries, column)
            marks = [_mark(one, column) for one in placed]
            st.html(words.plotted(shown.entries, placed, column, charts.unnamed(marks)))
    if column == scoreboard.TOKENS:
        token_panel.losses(tokens)
    elif placed:
        _places(shown)
        _tradeoff(placed, marks, column)
    return compare.pointed()


def _places(shown: Shown) -> None:
    """That several hook points or models do not compare, and the choice of one."""
    said, name, counts = words.places(shown.entries)
    if not said:
        return
    chosen = {one: selections.params(replace(shown.selection, **{name: one})) for one in counts}
    st.html(words.choose_place(said, counts, chosen))


def _tradeoff(placed: tuple[Entry, ...], marks: list[charts.Mark], column: str) -> None:
    front = scoreboard.front(placed, column)
    figure = charts.tradeoff(
        marks,
        [(one.value("l0"), one.value(column)) for one in front],
        ("L0", words.PLOTS[column]),
        level=1 if column == "kl_ratio" else None,  # as far as any error of that length
    )
    st.plotly_chart(
        figure,
        key=compare.PLOT,
        config=figures.CONFIG,
        theme=None,
        on_select=compare.on_point,
        selection_mode="points",
    )


def _mark(one: Entry, column: str) -> charts.Mark:
    l0, value = one.value("l0"), one.value(column)
    facts = f"{one.info.n_features:,} features · {one.info.hook_name} · {markup.model(one.info)}"
    told = f"L0 {short(l0)} · {words.PLOTS[column]} {short(value)} · {facts}"
    return charts.Mark(one.info.dictionary_id, one.info.kind, l0, value, told)


def rows(shown: Shown) -> table.Target | None:
    """The table; returns where a click on it leads."""
    return table.scoreboard(shown.entries, shown.selection, compare.on_sort)
