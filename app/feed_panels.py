"""What feeds a feature in earlier layers, and what it feeds in later ones, on its page.

Folded away, and asked for only if unfolded: a dictionary may have a file for each of many others.
"""

from dataclasses import replace

import streamlit as st

from app import address, feed_table, panels, session
from app.neighbour_table import draw
from app.selection import Selection
from featurestore.link_records import Links
from featurestore.records import DictionaryInfo, FeatureSummary

_KEY = "feeds"
_LABEL = "Other layers: what feeds it, what it feeds"
"""The same everywhere: an expander whose label changes folds itself."""


def feeds(info: DictionaryInfo, selection: Selection) -> None:
    """The strongest links either way; nothing where the dictionary has none."""
    if not any(session.store().links.paths(info.dictionary_id)):
        return
    fold = st.expander(_LABEL, key="links", on_change=address.keep)
    if fold.open:
        with fold:
            _tables(session.store().links.of(info.dictionary_id, selection.feature), selection)


def _tables(found: Links, selection: Selection) -> None:
    for problem in found.problems:
        panels.note(problem, "error")
    if not (found.fed_by or found.feeds):
        panels.note("It has no links: its direction, or what it reads, has no length.")
        return
    st.html(feed_table.caution(found))
    draw(feed_table.payload(found, _summaries(found), selection), _KEY, lambda: _open(selection))


def _summaries(found: Links) -> dict[str, dict[int, FeatureSummary]]:
    """Rows of the features that are linked, by dictionary."""
    store = session.store()
    return {
        table.other.dictionary_id: store.summaries(
            table.other.dictionary_id, (link.other for link in table.links)
        )
        for table in (*found.fed_by, *found.feeds)
    }


def _open(selection: Selection) -> None:
    """Callback of the tables: the feature that was clicked, in the list of its own dictionary."""
    dictionary_id, feature = st.session_state[_KEY].open
    session.go(replace(feed_table.listed(selection, dictionary_id), feature=int(feature)))
