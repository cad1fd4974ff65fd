"""Between Streamlit and Search: the URL, the callbacks, and what the store finds."""

from dataclasses import dataclass, replace

import streamlit as st

from app import address, session
from app import selection as browse
from app.annotations import session as annotations
from app.feature_table import Listed
from app.search import selection as selections
from app.search.selection import Place, SearchSelection
from app.selection import Selection
from app.token_text import meant
from featurestore.records import Catalogue, DictionaryInfo, FeaturePage, FeatureSummary, Found

ROWS = 5
"""Hits of each place that are shown of a dictionary; Browse has the others."""


@dataclass(frozen=True)
class Hits:
    """What one dictionary has of a text."""

    info: DictionaryInfo
    counts: dict[Place, int]
    lists: dict[Place, Selection]
    listed: Listed
    in_contexts: FeaturePage | None
    """What was found in contexts, beside chance; None if nobody looked there."""


def read(known: Catalogue) -> tuple[SearchSelection, tuple[str, ...]]:
    """The selection that the URL says, and what was wrong with it."""
    ids = tuple(info.dictionary_id for info in known.dictionaries)
    return selections.read(address.given(), ids)


def go(selection: SearchSelection) -> None:
    """Callback: show this."""
    address.show(selections.params(selection))


def on_control(key: str) -> None:
    """Callback of the controls of the search itself."""
    now, _ = read(session.catalogue())
    value = st.session_state[key]
    changes = {
        "find": lambda: {"find": meant(value.strip())},
        "where": lambda: {"places": frozenset(value)},
        "find_regex": lambda: {"is_regex": value},
        "of": lambda: {"of": value or ""},
    }
    go(replace(now, **changes[key]()))


def on_filter(key: str) -> None:
    """Callback of a filter of features."""
    now, _ = read(session.catalogue())
    listed = Selection(now.query)
    values = browse.filters(listed) | {key: st.session_state[key]}
    go(replace(now, query=browse.with_filters(listed, values).query))


def on_clear() -> None:
    """Callback: every feature counts again."""
    now, _ = read(session.catalogue())
    go(replace(now, query=SearchSelection().query))


def searched(info: DictionaryInfo, selection: SearchSelection) -> Hits:
    """What a dictionary has of a text: the first hits of every place, each feature once.

    Raises:
        StoreError: the pattern cannot be read, or takes too long.
    """
    lists = selection.asked(info.dictionary_id)
    pages = {
        place: session.store().features(asked.query, limit=ROWS) for place, asked in lists.items()
    }
    rows: dict[int, FeatureSummary] = {}
    found: dict[int, tuple[Found, ...]] = {}
    first: dict[int, Selection] = {}
    for place, page in pages.items():
        for row in page.rows:
            if row.feature not in rows or row.n_matching is not None:
                rows[row.feature] = row  # one that says in how many contexts it was found
            first.setdefault(row.feature, lists[place])
            found[row.feature] = found.get(row.feature, ()) + tuple(page.found.get(row.feature, ()))
    kept = FeaturePage(tuple(rows.values()), len(rows), info.n_features, (), found)
    counts = {place: page.n_kept for place, page in pages.items() if page.n_kept}
    listed = replace(annotations.listed(info, kept), lists=first)
    return Hits(info, counts, lists, listed, pages.get("contexts"))
