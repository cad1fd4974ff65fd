"""Between Streamlit and tracks: the URL, the callbacks, and pairs of the store as arrays."""

from collections.abc import Mapping
from dataclasses import replace

import streamlit as st

from app import address, session
from app.map.chosen import MOST, ListError
from app.tracks import rows
from app.tracks import selection as selections
from app.tracks.rows import Followed
from app.tracks.selection import TrackSelection
from app.tracks.table import KEY
from featurestore.records import DictionaryInfo, FeatureQuery
from featurestore.track_records import Activity, BothWays, Checkpoints

MOST_KEPT = 8
"""Sets of tracks; one of 10 steps of 16,384 features takes up to 30 MB."""


def known() -> dict[str, DictionaryInfo]:
    """Every dictionary by its id."""
    return {info.dictionary_id: info for info in session.catalogue().dictionaries}


def read(known: Mapping[str, DictionaryInfo]) -> tuple[TrackSelection, tuple[str, ...]]:
    """The selection that the URL says, and what was wrong with it."""
    return selections.read(address.given(), known)


def beside(one: DictionaryInfo, other: DictionaryInfo) -> BothWays:
    """Two dictionaries of the store; raises as `StoredPairs.beside`."""
    return session.store().pairs.beside(one, other)


def followed(
    infos: tuple[DictionaryInfo, ...], checkpoints: Checkpoints, selection: TrackSelection
) -> Followed:
    """What became of the features, kept while only the list or the open track changes."""
    pairs = (*checkpoints.onward, *checkpoints.final)
    how = (selection.mode, selection.measure, selection.tau, selection.high, selection.low)
    # What is kept holds its pairs, so while it is there no other object has their ids.
    key = (*(info.run_id for info in infos), *map(id, pairs), *how)
    found = _followed(key, infos, checkpoints, selection)
    return replace(found, infos=infos, checkpoints=checkpoints, selection=selection)


@st.cache_resource(show_spinner=False, max_entries=MOST_KEPT)
def _followed(
    key: tuple,
    _infos: tuple[DictionaryInfo, ...],
    _checkpoints: Checkpoints,
    _selection: TrackSelection,
) -> Followed:
    return rows.followed(_infos, _checkpoints, _selection)


def activity(info: DictionaryInfo) -> Activity:
    """How active every feature of a dictionary is."""
    return session.store().activity(info.dictionary_id)


def link(info: DictionaryInfo, feature: int) -> dict[str, str]:
    """Query parameters of a feature's track through its family; none where that is alone."""
    tracked = selections.few(selections.members(known(), info.family or ""))
    if len(tracked) < 2:
        return {}
    opened = TrackSelection(tracked, info.family, feature=(info.dictionary_id, feature))
    return selections.params(opened)


def list_link(info: DictionaryInfo, query: FeatureQuery) -> dict[str, str]:
    """Query parameters of the tracks of a list through its dictionary's family.

    Raises:
        ListError: it holds too many for a link, or none.
    """
    tracked = selections.few(selections.members(known(), info.family or ""))
    numbers = session.store().numbers(query)
    if not 0 < len(numbers) <= MOST:
        raise ListError(f"A link holds 1 to {MOST:,} features; this list has {len(numbers):,}.")
    among = info.dictionary_id, numbers
    return selections.params(TrackSelection(tracked, info.family or "", among=among))


def on_all() -> None:
    """Callback: the tracks of all features."""
    go(replace(_now(), among=None, page=1))


def go(selection: TrackSelection) -> None:
    """Callback: show this."""
    address.show(selections.params(selection))


def on_family() -> None:
    """Callback of the families: all members of the one that was chosen."""
    name = st.session_state["track_family"]
    if name:
        tracked = selections.few(selections.members(known(), name))
        go(replace(_choosing(tracked), family=name, mode="auto"))


def on_tracked() -> None:
    """Callback of the dictionaries."""
    go(_choosing(selections.in_order(known(), map(session.picked, st.session_state["tracked"]))))


def on_control(name: str) -> None:
    """Callback of every other control."""
    go(replace(_now(), page=1, **{name: st.session_state[f"track_{name}"]}))


def on_sort() -> None:
    """Callback of a heading: highest first; in turn if it is sorted by already."""
    now, by = _now(), st.session_state[KEY].sort
    descending = not now.descending if by == now.by else by not in ("feature", "born")
    go(replace(now, by=by, descending=descending, page=1))


def on_open() -> None:
    """Callback of a row: its track."""
    dictionary_id, _, number = st.session_state[KEY].open.rpartition(":")
    go(replace(_now(), feature=(dictionary_id, int(number))))


def on_close() -> None:
    """Callback: no track is open."""
    go(replace(_now(), feature=None))


def on_page(key: str) -> None:
    """Callback of the page numbers."""
    go(replace(_now(), page=st.session_state[key]))


def _choosing(tracked: tuple[str, ...]) -> TrackSelection:
    """The selection with other dictionaries, and nothing left of those that are gone."""
    now = _now()
    feature = now.feature if now.feature and now.feature[0] in tracked else None
    among = now.among if now.among and now.among[0] in tracked else None
    return replace(now, tracked=tracked, family="", feature=feature, among=among, page=1)


def _now() -> TrackSelection:
    selection, _ = read(known())
    return selection
