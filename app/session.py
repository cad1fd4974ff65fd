"""Between Streamlit and the selection: the open store, and the callbacks of controls.

Data flows one way. A page reads its Selection from the URL and puts the values into the controls;
a control's callback writes the changed selection back to the URL, and the page runs again.
"""

import argparse
import atexit
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import streamlit as st

from app import address, command_line, numerals
from app import selection as selections
from app.selection import Selection
from featurestore.annotations.database import Database, default_url
from featurestore.annotations.explanations import ExplanationTable
from featurestore.annotations.log import AnnotationLog
from featurestore.annotations.remarks import Remarks
from featurestore.errors import FeatureStoreError, UnknownFeature
from featurestore.records import Catalogue, FeatureQuery, Flag
from featurestore.store import Store

WANTED = "a feature that was asked for by number"
STAYS = "how many moves led to no other feature"

EXPORTED_AT_ONCE = 20_000
"""Rows of a list that are fetched by one question, which has a time limit."""


@dataclass(frozen=True)
class Annotations:
    """What was said of features: by people, and by programs."""

    log: AnnotationLog
    explanations: ExplanationTable


def store() -> Store:
    """The store that the app was started with; shared by all sessions."""
    return _opened(command_line.options())[0]


def annotations() -> Annotations:
    """The annotations that go with the store; shared by all sessions."""
    return _opened(command_line.options())[1]


def remarks() -> Remarks:
    """What was said, as lists are filtered by; shared by all sessions."""
    return _opened(command_line.options())[2]


def _opened(given: argparse.Namespace) -> tuple[Store, Annotations, Remarks]:
    folder = given.store.resolve()
    return _open(folder, given.annotations or default_url(folder), given.read_only)


@st.cache_resource(show_spinner=False)
def _open(folder: Path, url: str, read_only: bool) -> tuple[Store, Annotations, Remarks]:
    database = Database(url, read_only)
    known = Annotations(AnnotationLog(database), ExplanationTable(database))
    said = Remarks(known.log, known.explanations)
    opened = Store(folder, said)
    atexit.register(opened.close)
    atexit.register(database.close)
    return opened, known, said


def check(folder: Path) -> None:
    """Say now, not in the browser, that a folder holds no store.

    Raises:
        StoreNotFound: it does not.
    """
    Store(folder).catalogue()


def catalogue() -> Catalogue:
    """Every dictionary of the store, by id, where step-250 comes before step-1000.

    Raises:
        StoreNotFound: there is no store.
    """
    known = store().catalogue()
    ordered = sorted(known.dictionaries, key=lambda info: numerals.natural(info.dictionary_id))
    return replace(known, dictionaries=tuple(ordered))


def ids() -> tuple[str, ...]:
    """Every dictionary's id; the first is shown if none is asked for."""
    return tuple(info.dictionary_id for info in catalogue().dictionaries)


def dictionary_id() -> str:
    """The dictionary that the URL names, else the first; whether it exists is not checked."""
    named = address.given().get("dictionary")
    return next(iter(ids()), "") if named is None else named


def read() -> tuple[Selection, tuple[str, ...]]:
    """The selection that the URL says, and what was wrong with it; the feature left out."""
    return selections.read(address.given(), dictionary_id())


def read_feature(selection: Selection) -> Selection:
    """The selection with the URL's feature; without one if it names none.

    Raises:
        UnknownFeature: it is no whole number.
    """
    text = address.given().get("feature")
    return selection if text is None else selections.read_feature(text, selection)


def seed(values: dict[str, Any]) -> None:
    """Make controls show what the URL says."""
    for key, value in values.items():
        st.session_state[key] = value


def go(selection: Selection) -> None:
    """Callback: show this."""
    address.show(selections.params(selection))


def picked(words: str) -> str:
    """The dictionary that a picker's words say: its id alone, or with what it is.

    What is chosen shows as its id, so words change with a choice; one that the browser sends once
    more comes in the words of before, which Streamlit then gives as they are.
    """
    return words.partition(" · ")[0]


def on_dictionary() -> None:
    """Callback of the picker: the same list and feature in another dictionary.

    Features that were chosen one by one are none of another dictionary's.
    """
    go(_now().listing(dictionary_id=picked(st.session_state["dictionary"]), among=()))


def on_filter(key: str) -> None:
    """Callback of every filter control: its value, and no other, goes into the URL."""
    now = _now()
    go(selections.with_filters(now, selections.filters(now) | {key: st.session_state[key]}))


def on_page(key: str) -> None:
    """Callback of the page numbers."""
    go(replace(_now(), page=st.session_state[key]))


def on_sort() -> None:
    """Callback of a heading: sort by it, highest first; in turn if it is sorted by already."""
    query = _now().query
    column = st.session_state["features"].sort
    descending = not query.descending if column == query.sort else column != "feature"
    go(_now().listing(sort=column, descending=descending))


def on_number() -> None:
    """Callback of the box for a feature's number; `wanted` hands it to the page."""
    st.session_state[WANTED] = st.session_state["number"]
    st.session_state["number"] = ""


def wanted() -> str | None:
    """The number typed since the last run, once."""
    return st.session_state.pop(WANTED, None) or None


def on_tab(labels: dict[str, str]) -> None:
    """Callback of the tabs of a feature; `labels` says which tab a label stands for."""
    go(replace(_now(), tab=labels[st.session_state["tab"]]))


def on_bands() -> None:
    """Callback of the switch between kinds of bands."""
    go(replace(_now(), bands=st.session_state["bands"]))


def on_shown() -> None:
    """Callback of the token view's buttons."""
    shown = st.session_state["tokens"].shown
    go(replace(_now(), view=shown["view"], breaks=shown["breaks"]))


def on_random(selection: Selection) -> None:
    """Callback: an active feature of the list, each with the same chance, and another than now."""
    query = alive(selection.query)
    try:
        for _ in range(8):
            found = store().feature_at(query, random.randrange(2**31))
            if found != selection.feature:
                break
    except FeatureStoreError:
        return stay()  # the page, which is drawn next, meets the same error and tells it
    if found in (None, selection.feature):
        return stay()
    go(replace(selection, feature=found))


def stay() -> None:
    """End of a callback that would lead to another feature, where there is none."""
    st.session_state[STAYS] = n_stays() + 1


def n_stays() -> int:
    """How often that was so."""
    return st.session_state.get(STAYS, 0)


def alive(query: FeatureQuery) -> FeatureQuery:
    """A list without its dead features, unless it is a list of dead ones."""
    return query if Flag.DEAD in query.flags else replace(query, include_dead=False)


def all_rows(query: FeatureQuery) -> Callable[[], tuple]:
    """A function that fetches every row of a list, for an export that may never be asked for."""
    opened = store()

    def fetch() -> tuple:
        rows: list = []
        while len(rows) % EXPORTED_AT_ONCE == 0:  # in parts: a question has a time limit
            found = opened.features(query, EXPORTED_AT_ONCE, offset=len(rows)).rows
            rows += found
            if not found:
                break
        return tuple(rows)

    return fetch


def _now() -> Selection:
    """The selection of the URL in full; a feature that is no number counts as none."""
    selection, _ = read()
    try:
        return read_feature(selection)
    except UnknownFeature:
        return selection
