"""One feature on a text beside its best stored contexts."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import streamlit as st

from app import address, links, markup, panels, session, token_text
from app.annotations import session as annotations
from app.annotations import words
from app.live import panels as live_panels
from app.live import session as live
from app.live.selection import LiveSelection
from app.numerals import exact, short
from app.token_view import token_view
from featurestore.errors import AnnotationsError, UnknownFeature
from featurestore.live.records import Edit, TextActivations
from featurestore.records import DictionaryInfo, Feature

SHOWN = "how contexts are shown beside a text"


OnTexts = Mapping[str, Iterable[TextActivations]]
"""Activations on each text that is shown, by the words that say which: here, in A."""


def detail(selection: LiveSelection, activations: OnTexts) -> None:
    """The open feature: numbers here and in the corpus, ways on, contexts."""
    name, number = selection.feature
    store = session.store()
    try:
        feature = store.feature(name, number)
    except UnknownFeature as error:
        panels.note(str(error), "error")
        _close(selection)
        return
    _head(selection, name, number)
    _said(store.dictionary(name), number)
    _numbers(
        feature,
        {
            where: next((one for one in found if one.dictionary_id == name), None)
            for where, found in activations.items()
        },
    )
    if feature.promoted:
        shown = [(token.token, None) for token in feature.promoted[:8]]
        st.html(markup.part("Promotes", "logit lens") + token_text.chips(shown))
    bands = store.bands(name, number, "top")
    if not any(band.examples for band in bands):
        st.html(markup.note("Dead in the corpus: the store holds no context of it.", "plain"))
        return
    st.html(markup.part("Best stored contexts", f"of {feature.n_contexts_active:,}"))
    shown = st.session_state.setdefault(SHOWN, {"view": "snippet", "breaks": False})
    n_tokens = store.dictionary(name).n_tokens
    token_view(bands, feature, n_tokens, shown["view"], shown["breaks"], _on_shown)


def _on_shown() -> None:
    st.session_state[SHOWN] = st.session_state["tokens"].shown
    address.keep()


def _head(selection: LiveSelection, name: str, number: int) -> None:
    st.html(markup.heading(f"Feature {number}", name))
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="header"):
        st.button(
            "Switch it off",
            key="switch off",
            on_click=live.with_edit,
            args=(selection, Edit(name, number, "ablate")),
            help="See what the model says without it",
        )
        listed = live_panels.on_feature_page(selection, name)
        st.page_link(links.FEATURE, label="Its page", query_params=links.feature(listed, number))
        _close(selection)


def _said(info: DictionaryInfo, number: int) -> None:
    """What is in force of it."""
    try:
        log = annotations.log()
        head = log.current(info.content, [number]).get(number)
        undone = log.undone(info.content, number)
    except AnnotationsError as error:
        panels.note(str(error), "error")
        return
    if head is not None and not head.content.is_empty:
        st.html(words.in_force(head, undone.author if undone else ""))


def _close(selection: LiveSelection) -> None:
    st.button(
        "Close",
        key="close",
        type="tertiary",
        on_click=live.go,
        args=(replace(selection, feature=None),),
    )


def _numbers(feature: Feature, on_texts: Mapping[str, TextActivations | None]) -> None:
    corpus = (
        ("max in corpus", short(feature.max_activation), exact(feature.max_activation)),
        ("density", short(feature.density), f"{feature.n_active:,} active tokens in the corpus"),
    )
    st.html(markup.stats([*_on_texts(feature.feature, on_texts), *corpus]))


def _on_texts(
    feature: int, on_texts: Mapping[str, TextActivations | None]
) -> Iterator[tuple[str, str, str]]:
    for where, found in on_texts.items():
        if found is None:
            continue
        values = found.value[found.feature == feature]
        largest = float(values[np.abs(values).argmax()]) if len(values) else 0.0
        yield f"max {where}", short(largest), exact(largest)
        n = f"{len(values):,} of {found.n_tokens:,}"
        yield f"tokens {where}", n, "Tokens of the text on which it is active"
