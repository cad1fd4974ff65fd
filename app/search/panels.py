"""The pieces of Search: one box over all dictionaries, and what each has of the text."""

from collections.abc import Iterator

import streamlit as st

from app import chance, filters, links, markup, panels, session
from app.feature_table import feature_table
from app.search import session as search
from app.search.selection import PLACES, SearchSelection
from app.search.session import Hits
from app.selection import Selection
from app.selection import filters as controls
from app.token_text import typed
from featurestore.errors import StoreError
from featurestore.records import DictionaryInfo, FeatureQuery

WORDS = {
    "annotations": "labels, notes, tags",
    "explanations": "explanations",
    "promotes": "promoted tokens",
    "peaks on": "tokens at the peak",
    "suppresses": "suppressed tokens",
    "contexts": "top contexts",
}
"""Where a text is looked for, in words."""


def open_search() -> tuple[SearchSelection, tuple[DictionaryInfo, ...]]:
    """The box and its filters; what they say is in the URL."""
    known = session.catalogue()
    selection, problems = search.read(known)
    infos = known.dictionaries
    session.seed(
        controls(Selection(selection.query))
        | {
            "find": typed(selection.find),
            "where": [place for place in PLACES if place in selection.places],
            "find_regex": selection.is_regex,
            "of": selection.of or None,
        }
    )
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="search"):
        _box()
        st.selectbox(
            "in",
            [info.dictionary_id for info in infos],
            index=None,
            key="of",
            placeholder="all dictionaries",
            filter_mode="contains",
            on_change=search.on_control,
            args=("of",),
            width=190,
        )
        with st.popover("Filters", width="content"):
            filters.properties(selection.query, search.on_filter, search.on_clear)
        panels.keyboard()
    st.pills(
        "Look in",
        PLACES,
        selection_mode="multi",
        key="where",
        format_func=WORDS.__getitem__,
        on_change=search.on_control,
        args=("where",),
        label_visibility="collapsed",
    )
    for problem in (*problems, *(problem.reason for problem in known.problems)):
        panels.note(problem, "error")
    return selection, tuple(one for one in infos if selection.of in ("", one.dictionary_id))


def _box() -> None:
    st.text_input(
        "Find",
        key="find",
        placeholder="a token, a word of a label, a piece of a context",
        on_change=search.on_control,
        args=("find",),
        help="Tokens are compared whole; of other texts a part is enough. Case and outer "
        'spaces do not count, unless in quotes: `" river"`. As a regular expression: what RE2 '
        "reads",
        width=320,
    )
    st.checkbox("regex", key="find_regex", on_change=search.on_control, args=("find_regex",))


def every_hit(selection: SearchSelection, infos: tuple[DictionaryInfo, ...]) -> Iterator[Hits]:
    """What each dictionary has of the text, as it is found; a pattern that fails, fails once."""
    try:
        for info in infos:
            hits = search.searched(info, selection)
            if hits.counts:
                yield hits
    except StoreError as error:
        panels.note(str(error), "error")
        st.stop()


def nothing_found(infos: tuple[DictionaryInfo, ...], selection: SearchSelection) -> None:
    """Say that no dictionary has the text, or that there is none to search."""
    if selection.is_regex:
        advice = " In a regex capitals count; with (?i) before it they do not."
    else:
        advice = " Fewer letters may find more." if len(selection.find) > 1 else ""
    if len(infos) > 1:
        panels.note(f"None of {len(infos):,} dictionaries has it.{advice}")
    elif infos:
        panels.note(f"{infos[0].dictionary_id} does not have it.{advice}")
    elif not session.catalogue().problems:
        panels.say_empty()


def hits(found: Hits) -> None:
    """A dictionary's hits; a click opens the feature in the list of its first reason."""
    name = found.info.dictionary_id
    with st.container(
        horizontal=True, vertical_alignment="center", gap="small", key=f"hits-of {name}"
    ):
        st.html(markup.part(name, markup.dictionary_facts(found.info)), width="stretch")
        for place, count in found.counts.items():
            st.page_link(
                links.BROWSE,
                label=f"{WORDS[place]} {count:,}",
                query_params=links.browse(found.lists[place]),
            )
        kept = found.in_contexts
        if beside := chance.of_a_search(kept, FeatureQuery(name)) if kept else []:
            words, tip = beside[-1]  # as the numbers are of features
            st.html(markup.line([(f"by chance {words}", tip)]), width="content")
    opened = feature_table(found.listed, Selection(FeatureQuery(name)), key=f"hits {name}")
    if opened is not None:
        selection = found.listed.lists[opened]
        st.switch_page(links.FEATURE, query_params=links.feature(selection, opened))
