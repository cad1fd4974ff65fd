"""Between Streamlit and the selection: the open store, the URL, and the callbacks of controls.

Data flows one way. A page reads its Selection from the URL and puts the values into the controls;
a control's callback writes the changed selection back to the URL, and the page runs again.
"""

import argparse
import atexit
import functools
import os
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import streamlit as st

from app import numerals
from app import selection as selections
from app.selection import Selection
from featurestore.annotations.database import Database, default_url
from featurestore.annotations.explanations import ExplanationTable
from featurestore.annotations.log import AnnotationLog
from featurestore.annotations.records import URL_VARIABLE
from featurestore.annotations.remarks import Remarks
from featurestore.errors import FeatureStoreError, UnknownFeature
from featurestore.live.records import MAX_BYTES, MAX_TOKENS
from featurestore.records import Catalogue, FeatureQuery, Flag
from featurestore.store import Store

LAST = "last parameters of each page"
PAGE = "page that is shown"
WANTED = "a feature that was asked for by number"

_SHARED = {"Annotations": ("Browse", "Annotations")}
"""Pages that open on what another was left with, if that was later."""
_OWN = {
    "Live": "dictionaries",
    "Search": "find",
    "Pair": "other",
    "Tracks": "tracked",
    "Compare": "by",
}
"""Pages whose parameters are not those of a list, by the one that is always there; the first in
this order, since Pair may say `by` too."""

LIVE_REQUESTS = 120
"""That a visitor may make of the models in a minute. A text takes two; the loss of thirty
dictionaries on it, thirty."""

_THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}

EXPORTED_AT_ONCE = 20_000
"""Rows of a list that are fetched by one question, which has a time limit."""


def arguments(given: list[str]) -> argparse.Namespace:
    """The command line of the app, after Streamlit's own part."""
    parser = argparse.ArgumentParser(prog="python -m app", description="Open the app on a store.")
    parser.add_argument("store", type=Path, nargs="?", default=Path("store"), help="folder (store)")
    parser.add_argument("--port", type=int, default=8501, help="on this machine (%(default)s)")
    parser.add_argument("--open", action="store_true", help="open a browser window on it")
    parser.add_argument("--read-only", action="store_true", help="let nobody change anything")
    parser.add_argument(
        "--sign-in",
        nargs="?",
        const="*",
        metavar="WHO",
        help="show nothing to whoever has not signed in with one of these e-mail addresses, like "
        "'*@lab.org,ann@uni.edu' (with any, if none is said)",
    )
    parser.add_argument(
        "--annotations",
        metavar="URL",
        default=os.environ.get(URL_VARIABLE),
        help=f"of a Postgres database, or set {URL_VARIABLE} (a SQLite file in the store)",
    )
    parser.add_argument(
        "--live",
        choices=("on", "off"),
        help="run pasted texts through the models: on, or off with --read-only, if not said",
    )
    parser.add_argument(
        "--live-tokens",
        type=int,
        default=MAX_TOKENS,
        metavar="N",
        help="longest text (%(default)s)",
    )
    parser.add_argument(
        "--live-bytes", type=int, default=MAX_BYTES, metavar="N", help="likewise (%(default)s)"
    )
    parser.add_argument(
        "--live-requests",
        type=_count,
        default=LIVE_REQUESTS,
        metavar="N",
        help="a minute and visitor, four times as many for all of them (%(default)s)",
    )
    return parser.parse_args(given)


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(f"{value} is below 1")
    return value


def options() -> argparse.Namespace:
    """The command line that the app was started with."""
    return _options(tuple(sys.argv[1:]))


@functools.cache
def _options(given: tuple[str, ...]) -> argparse.Namespace:
    return arguments(list(given))


def is_live() -> bool:
    """Whether texts may be run through the models."""
    given = options()
    return given.live == "on" or (given.live is None and not given.read_only)


@dataclass(frozen=True)
class Annotations:
    """What was said of features: by people, and by programs."""

    log: AnnotationLog
    explanations: ExplanationTable


def store() -> Store:
    """The store that the app was started with; shared by all sessions."""
    return _opened(options())[0]


def annotations() -> Annotations:
    """The annotations that go with the store; shared by all sessions."""
    return _opened(options())[1]


def remarks() -> Remarks:
    """What was said, as lists are filtered by; shared by all sessions."""
    return _opened(options())[2]


def is_read_only() -> bool:
    """Whether nobody may change anything."""
    return options().read_only


def signs_in() -> bool:
    """Whether people have to say who they are."""
    return options().sign_in is not None


def is_for_strangers() -> bool:
    """Whether others may look on than those who may see this machine's files.

    On one's own machine nobody signs in, labels are saved, and the app answers to no other name.
    """
    hosts = st.get_option("server.allowedHosts")
    is_elsewhere = not hosts or not _THIS_MACHINE.issuperset(hosts)
    return is_read_only() or signs_in() or is_elsewhere


def store_folder() -> Path:
    """Where the store stands."""
    return options().store.resolve()


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


def remember(page: str) -> None:
    """Note what a page, by its name in the menu, is asked to show.

    One that is entered without parameters shows what it was left with; one that was not open yet
    the dictionary that was looked at last; Annotations the list of Browse, if that was looked at
    later.
    """
    last = st.session_state.setdefault(LAST, {})
    st.session_state[PAGE] = page
    if is_step_back():
        return
    shown = st.query_params.to_dict()
    if not shown:
        left = [params for name, params in last.items() if name in _SHARED.get(page, (page,))]
        shown = left[-1] if left else _entry(page)
    last.pop(page, None)  # the page looked at last stands last
    last[page] = shown


def _entry(page: str) -> dict[str, str]:
    """What a page shows that was not open yet."""
    before = next(reversed(st.session_state[LAST].values()), {})
    named = before.get("dictionary") or before.get("dictionaries", "").partition(",")[0]
    ids = [named] if named else [info.dictionary_id for info in catalogue().dictionaries[:1]]
    if page == "Live":
        return {"dictionaries": ids[0]} if ids else {}
    if page in _OWN:
        return {_OWN[page]: ""} | ({"dictionary": named} if named else {})
    return {"dictionary": ids[0]} if ids else {}


def is_step_back() -> bool:
    """Whether Back led to or from a page with parameters of its own, and its first step left the
    other page's parameters.
    """
    owner = next((page for page, name in _OWN.items() if name in st.query_params), None)
    page = st.session_state.get(PAGE)
    return bool(st.query_params) and owner != (page if page in _OWN else None)


def is_untold() -> bool:
    """Whether the address bar does not say what is shown."""
    return is_step_back() or not st.query_params


def given() -> dict[str, str]:
    """The parameters of the page that is shown: the URL's, or those that it was left with."""
    last = st.session_state.get(LAST, {}).get(st.session_state.get(PAGE), {})
    return last if is_untold() and last else st.query_params.to_dict()


def dictionary_id(known: Catalogue) -> str:
    """The dictionary that the URL names, else the first; whether it exists is not checked."""
    first = known.dictionaries[0].dictionary_id if known.dictionaries else ""
    return given().get("dictionary", first)


def read() -> tuple[Selection, tuple[str, ...]]:
    """The selection that the URL says, and what was wrong with it; the feature left out."""
    return selections.read(given(), dictionary_id(catalogue()))


def read_feature(selection: Selection) -> Selection:
    """The selection with the URL's feature; without one if it names none.

    Raises:
        UnknownFeature: it is no whole number.
    """
    text = given().get("feature")
    return selection if text is None else selections.read_feature(text, selection)


def seed(values: dict[str, Any]) -> None:
    """Make controls show what the URL says."""
    for key, value in values.items():
        st.session_state[key] = value


def go(selection: Selection) -> None:
    """Callback: show this."""
    st.query_params.from_dict(selections.params(selection))


def on_dictionary() -> None:
    """Callback of the picker: the same list and feature in another dictionary.

    Features that were chosen one by one are none of another dictionary's.
    """
    go(_now().listing(dictionary_id=st.session_state["dictionary"], among=()))


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
        return  # the page, which is drawn next, meets the same error and tells it
    if found is not None:
        go(replace(selection, feature=found))


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
