"""On a feature's page: the ways to it beside the features of other dictionaries."""

import streamlit as st

from app import links, markup, session
from app.numerals import natural
from app.pair.selection import PairSelection, params
from app.pair.words import plain
from app.selection import Selection
from featurestore.records import DictionaryInfo

MOST = 8
"""Dictionaries that are named; more would push away what stands below."""


def others(info: DictionaryInfo, selection: Selection) -> None:
    """A link to every dictionary that this one was compared with; nothing without any."""
    compared = session.store().pairs.compared_with(info)
    if not compared:
        return
    ids = sorted((one.dictionary_id for one in compared), key=natural)
    ways = [(plain(name), name) for name in ids[:MOST]]
    if len(ids) > MOST:
        ways.append((f"and {len(ids) - MOST} more", ids[MOST]))
    st.html(markup.part("In other dictionaries", "its nearest and its match there"))
    with st.container(horizontal=True, gap="small", key="others"):
        for label, name in ways:
            opened = PairSelection(info.dictionary_id, name, feature=selection.feature)
            st.page_link(links.PAIR, label=label, query_params=params(opened))
