"""The pieces of the page Annotations: what to label next, how far it is, and who agrees."""

from collections import Counter
from dataclasses import replace

import streamlit as st

from app import clusters, command_line, filters, links, markup, panels, session
from app.annotations import session as annotations
from app.annotations import words
from app.annotations.words import Progress
from app.selection import Selection
from app.selection import filters as controls
from featurestore.annotations.records import NO_VERDICT
from featurestore.records import Catalogue, DictionaryInfo, FeatureQuery


def queue(info: DictionaryInfo, selection: Selection) -> None:
    """Which features come next, in which order, and a button to the first."""
    query = replace(selection.query, verdicts=frozenset({NO_VERDICT}))
    kept = session.store().features(query, limit=1)
    st.html(markup.part("Label next", "features without a verdict, one after the other"))
    session.seed(controls(selection) | {"seed": query.seed})
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="queue"):
        filters.order()
        clusters.choice(query)
        if query.sort == "random":
            st.number_input(
                "Seed",
                min_value=0,
                max_value=2**32 - 1,
                key="seed",
                on_change=annotations.on_seed,
                help="Another seed is another sample; the same seed is the same for everybody",
                width=110,
            )
        if kept.rows and st.button("Start", type="primary", key="start"):
            first = replace(selection, query=query, page=1)
            st.switch_page(links.FEATURE, query_params=links.feature(first, kept.rows[0].feature))
        facts = [f"{kept.n_kept:,} left of {info.dictionary_id}"]
        facts += clusters.words(query)
        if query.among:
            facts.append(f"of {len(query.among):,} chosen on the map")
        ranges = tuple(one for one in query.ranges if one[0] != "cluster")
        if filters.is_filtered(replace(query, ranges=ranges, among=(), verdicts=frozenset())):
            facts.append("of those that Browse's filters keep")
        st.html(markup.line(facts), width="stretch")
        st.page_link(links.BROWSE, label="Choose others", query_params=links.browse(selection))


def progress(known: Catalogue, selection: Selection) -> None:
    """How many features of each dictionary have which verdict, and of the list to label."""
    rows = []
    for info in known.dictionaries:
        counts = annotations.log().counts(info.content)
        n_alive = session.store().features(FeatureQuery(info.dictionary_id), limit=0).n_kept
        rows.append(Progress(info.dictionary_id, n_alive, counts))
        whole = replace(selection.query, verdicts=frozenset())
        if info.dictionary_id == whole.dictionary_id and filters.is_filtered(whole):
            rows.append(_progress_of_list(info, whole))
    st.html(markup.part("Progress", "share of the features that are ever active"))
    st.html(words.progress(rows))


def _progress_of_list(info: DictionaryInfo, query: FeatureQuery) -> Progress:
    listed = session.store().numbers(query)
    verdicts = annotations.log().verdicts(info.content)
    counts = Counter(verdicts[feature] for feature in listed if feature in verdicts)
    return Progress(info.dictionary_id, len(listed), counts, "this list")


def conflicts(known: Catalogue) -> None:
    """Saves that came too late and nobody has decided about."""
    found = annotations.log().conflicts()
    if not found:
        return
    by_content = {info.content: info.dictionary_id for info in known.dictionaries}
    state = "open" if command_line.is_read_only() else "to decide"
    st.html(markup.part("Conflicts", f"{len(found):,} {state}"))
    for event in found[:20]:
        name = by_content.get(event.digest)
        if name is None:
            st.html(markup.line([f"{event.dictionary_id}, feature {event.feature}: not here"]))
            continue
        selection = Selection(FeatureQuery(name))
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.page_link(
                links.FEATURE,
                label=f"{name} · {event.feature}",
                query_params=links.feature(selection, event.feature),
            )
            current = annotations.log().current(event.digest, [event.feature])
            st.html(words.two_texts(current.get(event.feature), event), width="stretch")


def agreement() -> None:
    """How far authors agree, pair by pair."""
    st.html(markup.part("Agreement", "of two authors on features that both have judged"))
    found = [pair for pair in annotations.log().agreement() if pair.n]
    if found:
        st.html(words.agreement(found))
        panels.note(words.COUNTED)
    else:
        panels.note(
            f"Nobody has judged a feature that somebody else has judged too. {words.COUNTED}"
        )
