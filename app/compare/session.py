"""Between Streamlit and Compare: the URL, the callbacks, and the numbers of the store."""

from collections import Counter
from dataclasses import replace

import streamlit as st

from app import address, command_line, session
from app.compare import scoreboard
from app.compare import selection as selections
from app.compare.scoreboard import Entry, Kin
from app.compare.selection import CompareSelection
from app.compare.table import KEY
from app.pair.selection import chosen
from featurestore.detail_records import Measure
from featurestore.errors import StoreError
from featurestore.records import Catalogue

PLOT = "tradeoff"
POINTED = "a dictionary whose point was clicked"
MOST_KEPT = 1000
"""Dictionaries whose numbers are kept, a few dozen each."""

MOST_READ = 300
"""Pairs of families that are read for one column: each takes some 30 ms, once."""


def read(known: Catalogue) -> tuple[CompareSelection, tuple[str, ...]]:
    """The selection that the URL says, and what was wrong with it."""
    return selections.read(address.given(), selections.choices(known.dictionaries))


def entries(known: Catalogue) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """Every dictionary with its numbers, and why those of some cannot be read."""
    compared = session.store().pairs.compared()
    kin, problems = _kin(known, compared)
    n_pairs = Counter(one for pair in compared for one in pair)
    pairs = frozenset(map(frozenset, compared))
    hooks = {info.dictionary_id: info.hook_name_out for info in known.dictionaries}
    folder = "store" if command_line.is_for_strangers() else str(command_line.store_folder())
    found = []
    for info in known.dictionaries:
        try:
            measures = _measures(info.path, f"{info.run_id} {info.built_at}", info.dictionary_id)
        except StoreError as error:
            problems.append(str(error))
            continue
        name = info.dictionary_id
        beside = chosen(name, "", known.dictionaries, pairs)[1]
        one = scoreboard.entry(info, measures, kin.get(name, ()), n_pairs[name], beside)
        partner = beside if hooks.get(beside) == info.hook_name_out else ""
        found.append(replace(one, partner=partner, store=folder))
    return tuple(found), tuple(problems)


def _kin(
    known: Catalogue, compared: tuple[tuple[str, str], ...]
) -> tuple[dict[str, tuple[Kin, ...]], list[str]]:
    """How far families have what each of their members has, and what kept it from being known."""
    family = {info.dictionary_id: info.family for info in known.dictionaries}
    n = sum(family[one] is not None and family[one] == family[other] for one, other in compared)
    if n > MOST_READ:
        return {}, [
            f"MMCS to family is left out: reading {n:,} pairs takes long. Over training shows "
            f"families; up to {MOST_READ} pairs are read here."
        ]
    families = session.store().pairs.all(of_families=True)
    return scoreboard.kin(families.pairs), [*families.problems]


@st.cache_resource(show_spinner=False, max_entries=MOST_KEPT)
def _measures(path: str, build: str, dictionary_id: str) -> dict[str, Measure]:
    """The measures of a file, which never changes: a store of many is asked once."""
    return session.store().measures(dictionary_id)


def go(selection: CompareSelection) -> None:
    """Callback: show this."""
    address.show(selections.params(selection))


def on_control(name: str) -> None:
    """Callback of a filter, where nothing chosen means all, and of what is plotted."""
    default = getattr(CompareSelection(), name)
    go(replace(_now(), **{name: st.session_state[name] or default}))


def on_clear() -> None:
    """Callback: every dictionary is shown again."""
    go(replace(_now(), **dict.fromkeys(selections.FILTERS, "")))


def on_sort() -> None:
    """Callback of a heading: highest first, in turn if it is sorted by already; ids rising."""
    now, column = _now(), st.session_state[KEY].sort
    descending = not now.descending if column == now.by else column != "dictionary"
    go(replace(now, by=column, descending=descending))


def on_point() -> None:
    """Callback of the plot; `pointed` hands the dictionary of the point to the page."""
    points = st.session_state[PLOT].selection.points
    if points:
        st.session_state[POINTED] = points[0]["customdata"][0]


def pointed() -> str | None:
    """The dictionary whose point was clicked since the last run, once."""
    return st.session_state.pop(POINTED, None)


def _now() -> CompareSelection:
    selection, _ = read(session.catalogue())
    return selection
