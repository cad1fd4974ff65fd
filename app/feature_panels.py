"""The pieces of a feature's page: header, numbers, logits, contexts."""

from dataclasses import replace
from html import escape

import streamlit as st

from app import (
    address,
    command_line,
    exports,
    feature_flags,
    links,
    markup,
    panels,
    session,
    token_text,
)
from app.annotations import session as annotations
from app.annotations.editor import heading_name
from app.histogram import histogram
from app.numerals import percent, short
from app.selection import PAGE_SIZE, Selection
from app.token_view import token_view
from featurestore.errors import UnknownFeature
from featurestore.records import DictionaryInfo, Feature, Sampler

TABS = {"Top": "top", "Bands": "bands", "Random": "random", "Zero": "zero"}
"""Label of each tab and its name in the URL."""


def open_feature(chosen: Selection) -> tuple[Selection, Feature]:
    """The feature that the URL names; without one, ways to choose one, and the page ends."""
    sentence = "No feature is chosen. Begin with the first, or enter a number."
    try:
        selection = session.read_feature(chosen)
        if selection.feature is not None:
            store = session.store()
            feature = store.feature(selection.query.dictionary_id, selection.feature)
            return selection, feature
    except UnknownFeature as error:
        sentence = str(error)
        panels.note(sentence, "error")
    else:
        panels.note(sentence)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="header"):
        _first(chosen)
        _random(chosen)
        panels.go_to_number(chosen)
        _back(chosen)
    st.stop()


def header(selection: Selection, feature: Feature) -> None:
    """The feature's number and flags, its place in the list, and the ways to others."""
    query = selection.query
    st.set_page_config(page_title=f"{selection.feature} · {query.dictionary_id}")
    place = session.store().place(query, selection.feature)
    back = selection
    if place.place is not None:
        back = replace(selection, page=place.place // PAGE_SIZE + 1)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="header"):
        came_from = annotations.came_from(selection)
        previous = place.previous if came_from is None else came_from
        st.button(
            "‹ Previous",
            key="previous",
            disabled=previous is None,
            on_click=session.go,
            args=(replace(selection, feature=previous),),
        )
        st.button(
            "Next ›",
            key="next",
            disabled=place.next is None,
            on_click=annotations.go_on,
            args=(selection,),
        )
        _random(selection, has_others=place.n_kept > (place.place is not None))
        order = markup.order_words(query.sort, query.descending)
        detail = f"{markup.place_words(place)}, {order}"
        title = markup.heading(f"Feature {selection.feature}", detail) + feature_flags.chips(
            feature
        )
        name = escape(heading_name(query.dictionary_id, selection.feature))
        st.html(f'<div class="fb-title" data-shown="{name}">{title}</div>', width="stretch")
        panels.go_to_number(selection)
        _back(back)


def _first(selection: Selection) -> None:
    """The list from its top, where no feature is open: what Next is elsewhere, with its key."""
    listed = session.store().features(selection.query, limit=1).rows
    st.button(
        "First of the list",
        key="next",
        disabled=not listed,
        on_click=session.go,
        args=(replace(selection, feature=listed[0].feature if listed else None),),
    )


def _random(selection: Selection, has_others: bool = True) -> None:
    st.button(
        "Random",
        key="random",
        disabled=not has_others,
        on_click=session.on_random,
        args=(selection,),
        help="Active ones",
    )


def _back(selection: Selection) -> None:
    st.page_link(links.BROWSE, label="Back to the list", query_params=links.browse(selection))


def activity(feature: Feature, info: DictionaryInfo) -> None:
    """What the feature is active on, in numbers."""
    if feature.n_nonfinite:
        panels.note(
            f"{feature.n_nonfinite:,} tokens gave NaN or infinity; no number here counts them.",
            "error",
        )
    if feature.is_dead:
        bound = short(3 / info.n_tokens) if info.n_tokens else "1"
        panels.note(
            f"Dead: active on none of {info.n_tokens:,} tokens. Its density is below {bound} "
            "(3/N, 95% confidence, as if tokens were independent)."
        )
        return
    if feature.peak_tokens:
        n_top = sum(count for _, count in feature.peak_tokens)
        st.html(
            markup.part("Peaks on", f"in its {n_top} highest contexts")
            + token_text.chips(feature.peak_tokens, 12)
        )
    n_zero = info.n_tokens - feature.n_active - feature.n_nonfinite
    st.html(
        markup.part("Activations", f"{feature.n_active:,} of {info.n_tokens:,} tokens")
        + markup.feature_stats(feature, info)
    )
    detail = f"zero on {n_zero:,} ({percent(n_zero / info.n_tokens)}), not drawn"
    if feature.histogram:
        st.html(markup.part("Histogram of activations", detail))
        histogram(feature.histogram, "activation", "tokens", "activations")


def logits(feature: Feature) -> None:
    """The tokens that the direction promotes and suppresses."""
    tokens = (*feature.promoted, *feature.suppressed)
    largest = max((abs(token.logit) for token in tokens), default=1.0)
    st.html(
        markup.part("Logit lens", "centred over the vocabulary")
        + token_text.lens_tables(feature.promoted, feature.suppressed, largest)
    )


def logit_histogram(feature: Feature) -> None:
    """All logits of the direction; drawn only if unfolded."""
    if feature.logit_histogram is None:
        return
    fold = st.expander("All logits", key="all_logits", on_change=address.keep)
    if fold.open:
        with fold:
            st.html(markup.part("Histogram of logits", "over the vocabulary"))
            histogram(feature.logit_histogram, "logit", "vocabulary tokens", "logits")


def provenance(info: DictionaryInfo) -> None:
    """Where the numbers come from, folded away."""
    with st.expander("Provenance"):
        known = None if command_line.is_for_strangers() else session.store().weights_path(info)
        st.html(markup.provenance(info, known))


def contexts(feature: Feature, info: DictionaryInfo, selection: Selection) -> None:
    """Texts with the feature's activations; only the open tab asks the store."""
    session.seed({"tab": next(label for label, tab in TABS.items() if tab == selection.tab)})
    tabs = st.tabs(list(TABS), key="tab", on_change=session.on_tab, args=(TABS,))
    for tab, name in zip(tabs, TABS.values(), strict=True):
        if tab.open:
            with tab:
                if name == "bands":
                    _band_switch(selection)
                sampler = selection.bands if name == "bands" else name
                _examples(feature, info, selection, sampler)


def _band_switch(selection: Selection) -> None:
    session.seed({"bands": selection.bands})
    st.segmented_control(
        "Bands of",
        ["interval", "quantile"],
        required=True,
        format_func={"interval": "equal width", "quantile": "equal count"}.__getitem__,
        key="bands",
        on_change=session.on_bands,
        label_visibility="collapsed",
    )


def _examples(
    feature: Feature, info: DictionaryInfo, selection: Selection, sampler: Sampler
) -> None:
    bands = session.store().bands(info.dictionary_id, feature.feature, sampler)
    if not any(band.examples for band in bands):
        panels.note(
            f"The store holds no such contexts of feature {feature.feature}"
            + (": it is never active." if feature.is_dead else ".")
        )
        return
    sent = token_view(
        bands,
        feature,
        info.n_tokens,
        selection.view,
        selection.breaks,
        session.on_shown,
        command_line.is_live(),
        session.store().ablated_contexts(info.dictionary_id, feature.feature),
    )
    if sent is not None:
        st.switch_page(
            links.LIVE, query_params=links.live(info.dictionary_id, feature.feature, sent)
        )
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="on"):
        panels.export(
            f"{info.dictionary_id}-{feature.feature}-{sampler}.csv",
            lambda: exports.examples_csv(feature.feature, bands),
            "These contexts with all their activations",
        )
        if command_line.is_live():
            params = links.live(info.dictionary_id, feature.feature)
            st.page_link(links.LIVE, label="Try a text of your own", query_params=params)
