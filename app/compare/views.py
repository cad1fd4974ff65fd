"""The three pages of Compare, one of which is shown: a line of links to each."""

import streamlit as st

from app import links

_VIEWS = (
    (links.COMPARE, "Scoreboard"),
    (links.PAIR, "Two dictionaries"),
    (links.TRACKS, "Over training"),
)


def views() -> None:
    """The line, above everything else on each of them."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="views"):
        for page, label in _VIEWS:
            st.page_link(page, label=label)
