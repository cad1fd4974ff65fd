"""The list of features: the controls that filter and sort it, and what they keep."""

from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import streamlit as st

from app import chance, clusters, markup, panels, session, token_text
from app.markup import COLUMN_HELP, COLUMN_WORDS, TEXT_PLACES
from app.numerals import percent
from app.selection import PAGE_SIZE, VERDICTS, Selection, filters, usual_sort
from featurestore.annotations.records import NO_VERDICT
from featurestore.records import (
    CONTEXT_PLACES,
    DENSE_ABOVE,
    SORTS,
    DictionaryInfo,
    FeaturePage,
    FeatureQuery,
    Flag,
    TextPlace,
    TokenRole,
)

OnFilter = Callable[[str], None]
"""Callback of a filter, with the control's key."""

_MATCHED_SHOWN = 8
_SHOWN = ("density",)
_FOLDED = {
    "Activation": (
        "max_activation",
        "mean_activation",
        "n_active",
        "std_activation",
        "skewness",
        "kurtosis",
    ),
    "Tokens": (
        "token_share",
        "token_entropy",
        "n_unigrams",
        "unigram_cos",
        "logit_std",
        "logit_kurtosis",
    ),
    "Direction": ("nearest_cos", "dim_share", "decoder_norm", "reader_cos", "reader_bias"),
    "Effect": ("ablation_kl", "kl_percentile", "loss_effect"),
}
"""Columns with a range filter behind More, in groups; a cluster has a control of its own."""


_ENOUGH_DRAWS = 20
"""With fewer, one in twenty features or more is above all random directions by chance."""


def filter_row(selection: Selection) -> None:
    """One row of controls; what they say is in the URL."""
    session.seed(filters(selection))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="filters"):
        token(session.on_filter)
        text(selection.query)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="ranges"):
        verdicts(session.on_filter)
        for column in _SHOWN:
            bounds(column, session.on_filter)
        st.pills(
            "Flags",
            [flag.value for flag in Flag],
            selection_mode="multi",
            key="flags",
            on_change=session.on_filter,
            args=("flags",),
        )
        st.checkbox("with dead", key="dead", on_change=session.on_filter, args=("dead",))
        folded = sum(column not in _SHOWN for column, _, _ in selection.query.ranges)
        with st.popover(f"More ({folded})" if folded else "More", width="content", key="more"):
            more(selection.query)
        if is_filtered(selection.query):
            plain = unfiltered(selection.query)
            st.button(
                "Clear",
                type="tertiary",
                on_click=session.go,
                args=(replace(selection, query=plain, page=1, feature=None),),
            )


def more(query: FeatureQuery) -> None:
    """The order, the cluster, and bounds of every other number, a group at a time."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", width=640):
        order()
        clusters.choice(query)
    bounded = {column for column, _, _ in query.ranges}
    n_bounded = {name: len(bounded.intersection(columns)) for name, columns in _FOLDED.items()}
    group = st.segmented_control(
        "Numbers",
        list(_FOLDED),
        default=next((name for name, n in n_bounded.items() if n), "Activation"),
        format_func=lambda name: f"{name} ({n_bounded[name]})" if n_bounded[name] else name,
        key="group",
        required=True,
        label_visibility="collapsed",
    )
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", width=640):
        for column in _FOLDED[group]:
            bounds(column, session.on_filter)
    if group == "Effect" and (
        warning := few_draws(session.store().dictionary(query.dictionary_id))
    ):
        st.html(markup.note(warning, "plain"))
    meanings = {COLUMN_WORDS[column]: COLUMN_HELP[column] for column in _FOLDED[group]}
    st.html(markup.words(meanings.items()))


def some(query: FeatureQuery, on_filter: OnFilter, on_clear: Callable[[], None]) -> None:
    """The controls that make sense among the features of a text."""
    session.seed(filters(Selection(query)))
    st.html(markup.line(["Numbers of the corpus, not of this text"]))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        token(on_filter)
    properties(query, on_filter, on_clear)


def properties(query: FeatureQuery, on_filter: OnFilter, on_clear: Callable[[], None]) -> None:
    """The controls of what a feature is, whatever is searched; whoever draws them seeds them."""
    verdicts(on_filter)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        for column in ("density", "max_activation", "n_active", "logit_kurtosis"):
            bounds(column, on_filter)
    if is_filtered(replace(query, include_dead=False)):
        st.button("Clear", type="tertiary", on_click=on_clear)


def token(on_filter: OnFilter) -> None:
    """Boxes for a token, and for what it is to the feature."""
    st.text_input(
        "Token",
        key="token",
        placeholder='river or " river"',
        on_change=on_filter,
        args=("token",),
        help='Case and outer spaces do not count, unless in quotes: `" river"`. A token can '
        "be typed as it is shown: ␣river, ↵",
        width=170,
    )
    st.selectbox(
        "is what the feature",
        get_args(TokenRole),
        key="role",
        on_change=on_filter,
        args=("role",),
        width=128,
    )


def verdicts(on_filter: OnFilter) -> None:
    """What people said; none chosen keeps all."""
    st.pills(
        "Verdict",
        VERDICTS,
        selection_mode="multi",
        key="verdict",
        format_func=lambda one: "no verdict" if one == NO_VERDICT else one,
        on_change=on_filter,
        args=("verdict",),
    )


def text(query: FeatureQuery) -> None:
    """Boxes for a text, for where it stands, and in how many contexts."""
    st.text_input(
        "Text",
        key="text",
        placeholder="river bank",
        on_change=session.on_filter,
        args=("text",),
        help="A part of it is enough; case and outer spaces do not count, unless in quotes: "
        '`" River"`. As a regular expression: what RE2 reads; case counts unless it begins with '
        "`(?i)`",
        width=200,
    )
    st.selectbox(
        "is in its",
        get_args(TextPlace),
        key="within",
        format_func=TEXT_PLACES.__getitem__,
        on_change=session.on_filter,
        args=("within",),
        width=168,
    )
    st.checkbox("regex", key="regex", on_change=session.on_filter, args=("regex",))
    if query.text and query.within in CONTEXT_PLACES:
        st.number_input(
            "in at least",
            min_value=1,
            key="least",
            on_change=session.on_filter,
            args=("least",),
            help="Of a feature's contexts that are searched. Top contexts say where it is highest; "
            "sampled ones are drawn from all its active tokens, so their share is its share",
            width=96,
        )


def bounds(column: str, on_filter: OnFilter) -> None:
    """Two boxes for the least and the most of a column."""
    words = COLUMN_WORDS[column]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall", width="content"):
        for end, label, example in (("low", f"{words} ≥", "least"), ("high", "≤", "most")):
            st.number_input(
                label,
                value=None,
                key=f"{column}_{end}",
                format="%g",
                placeholder=example,
                on_change=on_filter,
                args=(f"{column}_{end}",),
                width=112 if end == "low" else 80,
            )


def order() -> None:
    """Sort by any column, the ones without a heading in the table too."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", width="content"):
        st.selectbox(
            "Sort by",
            SORTS,
            key="sort",
            format_func=COLUMN_WORDS.__getitem__,
            on_change=session.on_filter,
            args=("sort",),
            width=180,
        )
        st.selectbox(
            "Order",
            ["desc", "asc"],
            key="order",
            format_func={"desc": "highest first", "asc": "lowest first"}.__getitem__,
            on_change=session.on_filter,
            args=("order",),
            width=130,
        )


def unfiltered(query: FeatureQuery) -> FeatureQuery:
    """All features, in the order that was chosen."""
    plain = FeatureQuery(query.dictionary_id, descending=query.descending)
    return plain if query.sort in (usual_sort(query), "match") else replace(plain, sort=query.sort)


def is_filtered(query: FeatureQuery) -> bool:
    """Whether anything is left out that is not dead, or anything dead is kept."""
    return query != FeatureQuery(
        query.dictionary_id,
        sort=query.sort,
        descending=query.descending,
        seed=query.seed,
        role=query.role,
        within=query.within,
        is_regex=query.is_regex,
        at_least=query.at_least,
    )


def population(info: DictionaryInfo) -> None:
    """How many features of the dictionary are alive, dead and dense."""
    store, plain = session.store(), FeatureQuery(info.dictionary_id)
    n_alive = store.features(plain, limit=0).n_kept
    n_dense = store.features(replace(plain, flags=frozenset({Flag.DENSE})), limit=0).n_kept
    n_dead = info.n_features - n_alive
    st.html(
        markup.line(
            [
                (f"{n_alive:,} alive", percent(n_alive / info.n_features)),
                (f"{n_dead:,} dead", f"never active: {percent(n_dead / info.n_features)}"),
                (f"{n_dense:,} dense", f"active on more than {percent(DENSE_ABOVE)} of tokens"),
                (f"corpus {info.corpus_name}", ""),
                (f"{info.n_tokens:,} tokens counted", f"left out: {markup.left_out(info)}"),
            ]
        )
    )


def kept_line(kept: FeaturePage, query: FeatureQuery) -> None:
    """What the filter keeps, in which order, and which tokens a searched text stands for."""
    parts = [
        f"{kept.n_kept:,} of {kept.n_features:,} features",
        *clusters.words(query),
        markup.order_words(query.sort, query.descending),
        *chance.of_a_search(kept, query),
        *chance.of_random_directions(kept, query),
    ]
    if any(column == "kl_percentile" for column, _, _ in query.ranges):
        warning = few_draws(session.store().dictionary(query.dictionary_id))
        parts += [("above random: few draws", warning)] if warning else []
    if not kept.matched_tokens:
        st.html(markup.line(parts), width="stretch")
        return
    shown = token_text.chips((token, None) for token in kept.matched_tokens[:_MATCHED_SHOWN])
    n_more = len(kept.matched_tokens) - _MATCHED_SHOWN
    if n_more > 0:
        shown += f'<span class="fb-muted">or {n_more} more</span>'
    line = markup.line([*parts, query.role])
    st.html(f'<div class="fb-matched">{line}{shown}</div>', width="stretch")


def few_draws(info: DictionaryInfo) -> str:
    """What passes a filter of "above random" by chance, where features have few draws; else ""."""
    passes = info.recipe.get("passes", {})
    n_contexts = passes.get("n_ablated_top", 0) + passes.get("n_ablated_bands", 0)
    n = n_contexts * passes.get("n_control_draws", 0)
    if not 0 < n < _ENOUGH_DRAWS:
        return ""
    return (
        f"At most {n} random draw{'' if n == 1 else 's'} a feature: with {n}, up to 1 in {n + 1} "
        "features that do no more than a random direction are above all of them by chance."
    )


def nothing_kept(kept: FeaturePage, query: FeatureQuery) -> None:
    """Why the list is empty."""
    if query.token and not kept.matched_tokens:
        panels.note(
            f"No single token of the vocabulary is '{token_text.typed(query.token[:80])}'. "
            "Clear the filter, or look for it as Text."
        )
    else:
        panels.note(
            f"The filter keeps none of {kept.n_features:,} features. Clear it, or widen it."
        )
        _elsewhere(query)


def _elsewhere(query: FeatureQuery) -> None:
    """Where else the text is: in what people and programs wrote, which is quick to search."""
    if not query.text:
        return
    for place in ("annotations", "explanations"):
        other = replace(query, within=place)
        n = session.store().features(other, limit=1).n_kept
        if n:
            label = f"{n:,} with it in {TEXT_PLACES[place]}"
            # No link: Streamlit keeps the old address on the page that one is on.
            st.button(label, type="tertiary", on_click=session.go, args=(Selection(other),))


def page_numbers(n_kept: int, page: int, on_page: Callable[[str], None]) -> None:
    """Numbers of the pages of a list, if there is more than one."""
    n_pages = last_page(n_kept)
    if n_pages > 1:
        at = min(page, n_pages)
        key = f"page {at}"  # a key of its own for each: a default holds for a new control only
        st.pagination(n_pages, default=at, key=key, on_change=on_page, args=(key,))


def last_page(n_kept: int) -> int:
    """The number of pages, at least one."""
    return max(1, -(-n_kept // PAGE_SIZE))
