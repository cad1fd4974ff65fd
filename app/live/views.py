"""What Live shows of a text, a function for each tab."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import address, filters, links, markup, numerals, panels, session
from app.live import exports, labels, rows
from app.live import panels as live_panels
from app.live import session as live
from app.live.detail import detail
from app.live.ranking import Contrast, Contrasted, Ranked, Ranking, contrast, rank
from app.live.selection import LiveSelection
from app.live.strips import strips
from app.selection import PAGE_SIZE
from featurestore.live.records import TextActivations, Tokens
from featurestore.records import DictionaryInfo, FeatureMark

Infos = tuple[DictionaryInfo, ...]


def features(selection: LiveSelection, infos: Infos, tokens: Tokens) -> None:
    """Which features are active, and where; one of them in detail."""
    activations = live.activations(infos, tokens)
    shown = [found for found in activations if selection.of in ("", found.dictionary_id)]
    ranking = _ranking(selection, infos, tuple(shown), tokens)
    ranked = ranking.records(_rows(selection, ranking))
    left, right = _body([2, 1])
    with left:
        _kept_line(ranking, selection, infos, tokens)
        _feature_strips(selection, infos, tokens, ranked)
        _why_empty(ranking.n_kept, ranking.n_active)
        filters.page_numbers(ranking.n_kept, selection.page, live.on_page)
    if selection.feature is not None:
        with right:
            detail(selection, {"here": activations})


def _body(widths: list[int]) -> list[DeltaGenerator]:
    """The list, and beside it the open feature; the style sheet leaves out the second while empty.

    Always two columns: a list that moved into another place would be drawn anew, and scroll away.
    """
    with st.container(key="live_body"):
        return st.columns(widths, gap="medium")


def layers(selection: LiveSelection, infos: Infos, tokens: Tokens) -> None:
    """How many features are active at each token, dictionary by dictionary, in layer order."""
    ordered = tuple(sorted(infos, key=_layer))
    activations = live.activations(ordered, tokens)
    _explained(
        [
            "Active features at each token, a dictionary a row, from the embedding up",
            "all rows on one scale",
            "click a row to see its features",
        ],
        "active-features.csv",
        lambda: exports.layers_csv(activations, tokens.texts),
    )
    key = "strips layers"
    shown = rows.layer_rows(ordered, activations)
    live_panels.unsorted(
        selection, tokens, rows.LAYER_COLUMNS, shown, key, lambda: live.on_layer(key)
    )


def _explained(facts: list[str | tuple[str, str]], file: str, make: Callable[[], bytes]) -> None:
    """What a tab shows, in a line, and its numbers as a file."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="explained"):
        st.html(markup.line(facts), width="stretch")
        panels.export(file, make, "Every number of this table")


def reconstruction(selection: LiveSelection, infos: Infos, tokens: Tokens) -> None:
    """What is lost when each dictionary stands in for the model's vectors, beside its control."""
    found = []
    for number, info in enumerate(infos, start=1):
        name = info.dictionary_id
        with st.spinner(f"Substituting {name} ({number} of {len(infos)})"):
            found.append(
                live.ask(
                    ("substitution", info.run_id, tokens, selection.seed),
                    lambda runner, name=name: runner.substitution(name, tokens, selection.seed),
                )
            )
    largest = rows.largest_kl(found)
    _explained(
        [
            "What is decoded stands in for the vectors of all tokens at once, BOS left alone",
            (
                "error: length of what is lost / length of the vector",
                "‖x − x̂‖ / ‖x‖ at the hook point that the dictionary writes to",
            ),
            (
                f"KL in nats, of the next token; full colour {numerals.short(largest)} for all",
                "KL(clean ‖ substituted). The largest KL of a token, any dictionary's or random",
            ),
            (
                f"random: as long as the error, in a random direction, seed {selection.seed}",
                "The control: an error of the same length without its direction",
            ),
        ],
        "reconstruction.csv",
        lambda: exports.losses_csv(found, tokens.texts),
    )
    key = "strips measures"
    shown = rows.measure_rows(found)
    live_panels.unsorted(selection, tokens, rows.MEASURE_COLUMNS, shown, key)


def two_texts(selection: LiveSelection, infos: Infos, first: Tokens, second: Tokens) -> None:
    """The features that differ most between two texts."""
    both = live.activations(infos, first), live.activations(infos, second)
    marks = _marks(selection, infos, (*both[0], *both[1]))
    found = live.kept(
        ("contrast", first, second, selection.contrast_by, tuple(marks.items())),
        lambda: contrast(*both, marks, selection.contrast_by),
    )
    left, right = _body([3, 1])
    with left:
        _contrast_strips(selection, infos, found, first, second)
        _why_empty(found.n_kept, found.n_active)
        filters.page_numbers(found.n_kept, selection.page, live.on_page)
    if selection.feature is not None:
        with right:
            detail(selection, {"in A": both[0], "in B": both[1]})


def _contrast_strips(
    selection: LiveSelection, infos: Infos, found: Contrast, first: Tokens, second: Tokens
) -> None:
    every = range(found.n_kept)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="count"):
        _count_line(
            found.n_kept,
            found.n_active,
            f"by difference of the {selection.contrast_by}, largest first",
            f"n = {len(first.ids):,} and {len(second.ids):,} tokens",
        )
        _filters(selection, infos)
        panels.export(
            "features-of-two-texts.csv",
            lambda: _contrasted_csv(found.records(every), infos, first, second),
            "All features that the filters keep, on both texts",
        )
    page = found.records(_rows(selection, found))
    is_one, said = len(infos) == 1, labels.of_rows(infos, page)
    key = "strips contrast"
    followed = strips(
        [live_panels.text_panel(first, "Text A"), live_panels.text_panel(second, "Text B")],
        rows.contrast_columns(is_one, bool(said)),
        rows.contrast_rows(
            page,
            (first.texts, second.texts),
            _summaries(page),
            _hrefs(selection, page),
            said,
            is_one,
        ),
        sort=selection.contrast_by,
        descending=True,
        selected=[None, None],
        row=_open_row(selection),
        key=key,
        on_sort=lambda: live.on_contrast(key),
        on_tokens=address.keep,
        on_open=lambda: live.on_feature(key),
    )
    _follow(selection, followed)


def _feature_strips(
    selection: LiveSelection, infos: Infos, tokens: Tokens, ranked: tuple[Ranked, ...]
) -> None:
    is_one, has_chosen = len(infos) == 1, bool(selection.tokens)
    said = labels.of_rows(infos, ranked)
    key = "strips features"
    followed = strips(
        [live_panels.text_panel(tokens, "Text")],
        rows.feature_columns(is_one, has_chosen, bool(said)),
        rows.feature_rows(
            ranked,
            tokens.texts,
            _summaries(ranked),
            _hrefs(selection, ranked),
            said,
            is_one,
            has_chosen,
        ),
        sort=selection.by,
        descending=selection.by != "rarity",
        selected=[selection.tokens],
        row=_open_row(selection),
        key=key,
        on_sort=lambda: live.on_sort(key),
        on_tokens=lambda: live.on_tokens(key),
        on_open=lambda: live.on_feature(key),
    )
    _follow(selection, followed)


def _ranking(
    selection: LiveSelection,
    infos: Infos,
    activations: tuple[TextActivations, ...],
    tokens: Tokens,
) -> Ranking:
    marks = _marks(selection, infos, activations)
    return live.kept(
        ("ranking", tokens, selection.by, selection.tokens, tuple(marks.items())),
        lambda: rank(activations, marks, selection.by, selection.tokens),
    )


def _marks(
    selection: LiveSelection, infos: Infos, activations: Iterable[TextActivations]
) -> dict[str, tuple[FeatureMark, ...]]:
    """Of every dictionary, the active features that the filters keep."""
    active: dict[str, set[int]] = {}
    for found in activations:
        active.setdefault(found.dictionary_id, set()).update(found.feature.tolist())
    runs = {info.dictionary_id: info.run_id for info in infos}
    marks = {}
    for name, numbers in active.items():
        query = replace(selection.query, dictionary_id=name)
        ordered = tuple(sorted(numbers))
        marks[name] = live.kept(
            ("marks", runs[name], query, ordered),
            lambda query=query, ordered=ordered: session.store().marks(query, ordered),
        )
    return marks


def _summaries(shown: Iterable[Ranked | Contrasted]) -> rows.Summaries:
    """The store's rows of the features on the screen."""
    by_dictionary: dict[str, list[int]] = {}
    for one in shown:
        by_dictionary.setdefault(one.dictionary_id, []).append(one.feature)
    return {
        (name, feature): summary
        for name, numbers in by_dictionary.items()
        for feature, summary in session.store().summaries(name, numbers).items()
    }


def _hrefs(selection: LiveSelection, shown: Iterable[Ranked | Contrasted]) -> rows.Hrefs:
    pairs = [(one.dictionary_id, one.feature) for one in shown]
    return {
        pair: links.feature_url(live_panels.on_feature_page(selection, pair[0]), pair[1])
        for pair in pairs
    }


def _rows(selection: LiveSelection, found: Ranking | Contrast) -> list[int]:
    """The rows of the page; the open feature comes first where its own is on another page."""
    # A link may name a page behind the last.
    start = (min(selection.page, filters.last_page(found.n_kept)) - 1) * PAGE_SIZE
    here = list(range(found.n_kept)[start : start + PAGE_SIZE])
    place = None if selection.feature is None else found.place(*selection.feature)
    return here if place is None or place in here else [place, *here]


def _why_empty(n_kept: int, n_active: int) -> None:
    if n_active == 0:
        panels.note("No feature of these dictionaries is active on this text.")
    elif n_kept == 0:
        panels.note(
            f"The filter keeps none of {n_active:,} active features. Clear it, or widen it."
        )


def _open_row(selection: LiveSelection) -> str | None:
    return rows.feature_key(*selection.feature) if selection.feature else None


def _follow(selection: LiveSelection, key: str | None) -> None:
    """Go to the page of a feature whose link was clicked."""
    if key is not None:
        name, feature = live.feature_of(key)
        listed = live_panels.on_feature_page(selection, name)
        st.switch_page(links.FEATURE, query_params=links.feature(listed, feature))


def _filters(selection: LiveSelection, infos: Infos) -> None:
    """Which active features are kept; the cut to a page comes after."""
    if len(infos) > 1:
        session.seed({"live_of": selection.of})
        st.selectbox(
            "Dictionary",
            ["", *(info.dictionary_id for info in infos)],
            key="live_of",
            format_func=lambda name: name or "all dictionaries",
            on_change=live.on_value,
            args=("live_of", "of"),
            label_visibility="collapsed",
            width=190,
        )
    n_filters = len(selection.query.ranges) + bool(selection.query.token)
    label = f"Filter ({n_filters})" if n_filters else "Filter"
    with st.popover(label, width="content", key="more"), st.container(width=430):
        filters.some(selection.query, live.on_filter, live.on_clear)


def _kept_line(ranking: Ranking, selection: LiveSelection, infos: Infos, tokens: Tokens) -> None:
    n_chosen = len(selection.tokens)
    orders = {
        "max": "largest activation first",
        "sum": "largest sum first",
        "at": f"largest sum at the {n_chosen} chosen token{'' if n_chosen == 1 else 's'} first",
        "rarity": "rarest in the corpus first",
        "share": "nearest to their corpus maximum first",
    }
    odd = f"{ranking.n_nonfinite:,} with NaN or infinity last" if ranking.n_nonfinite else ""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="count"):
        _count_line(ranking.n_kept, ranking.n_active, orders[selection.by], odd)
        _filters(selection, infos)
        panels.export(
            "features-on-text.csv",
            lambda: _ranked_csv(ranking.records(range(ranking.n_kept)), infos, tokens),
            "All features that the filters keep, with their activations on this text",
        )


def _ranked_csv(every: tuple[Ranked, ...], infos: Infos, tokens: Tokens) -> bytes:
    return exports.ranked_csv(every, tokens.texts, labels.labels(infos, every))


def _contrasted_csv(
    every: tuple[Contrasted, ...], infos: Infos, first: Tokens, second: Tokens
) -> bytes:
    said = labels.labels(infos, every)
    return exports.contrasted_csv(every, first.texts, second.texts, said)


def _count_line(n_kept: int, n_active: int, *facts: str) -> None:
    said = [f"{n_kept:,} of {n_active:,} active features", *(fact for fact in facts if fact)]
    st.html(markup.line(said), width="stretch")


_WITHIN_BLOCK = ("resid_pre", "attn", "resid_mid", "ln2", "mlp.", "mlp", "resid_post")
"""Parts of a block's hook points, in the order that the model computes them."""


def _layer(info: DictionaryInfo) -> tuple:
    """From the embedding up: by block, by place within it, by name."""
    hook = info.hook_name
    name = numerals.natural(info.dictionary_id)
    if not hook.startswith("blocks."):
        return ("embed" not in hook) * 2, 0, 0, name
    _, block, inside = hook.split(".", 2)
    place = next((i for i, part in enumerate(_WITHIN_BLOCK) if part in inside), 1)
    return 1, int(block), place, name
