"""The pieces of the page of two dictionaries: pickers, what they have in common, the lists."""

from dataclasses import dataclass, replace

import streamlit as st

from app import feature_table, figures, filters, markup, panels, session
from app.pair import charts, rows, words
from app.pair import session as pairs
from app.pair.selection import UNLIKE, PairSelection
from app.selection import PAGE_SIZE
from featurestore.errors import MatchError, NotCompared, StoreError, command
from featurestore.pair_records import PairInfo
from featurestore.records import Catalogue, DictionaryInfo

_SELECTORS = {
    "ArrowLeft": ".st-key-previous button",
    "ArrowRight": ".st-key-following button",
    "x": ".st-key-swap button",
    "l": ".st-key-to_list button",
    **panels.TO_SEARCH,
    "?": ".fb-tell",
}


@dataclass(frozen=True)
class Opened:
    """Two dictionaries that were compared, and what the URL selects in them."""

    selection: PairSelection
    info: PairInfo
    dictionaries: tuple[DictionaryInfo, DictionaryInfo]


def open_pair() -> Opened:
    """The pickers; where there is no pair to show it says why, and ends the page."""
    known = session.catalogue()
    selection, problems = pairs.read(known)
    _pickers(selection, known)
    for problem in (*problems, *(one.reason for one in known.problems)):
        panels.note(problem, "error")
    if len(known.dictionaries) < 2:
        if known.dictionaries:
            panels.note("A pair needs two dictionaries: this store has one that can be read.")
        elif not known.problems:
            panels.say_empty()
        st.stop()
    store, reported = session.store(), {one.reason for one in known.problems}
    try:
        both = store.dictionary(selection.dictionary), store.dictionary(selection.other)
        info = store.pairs.info(selection.dictionary, selection.other)
    except (NotCompared, MatchError) as error:
        for one in both:
            st.html(markup.dictionary_line(one))
        panels.note(str(error))
        st.stop()
    except StoreError as error:
        if str(error) not in reported:
            panels.note(str(error), "error")
        st.stop()
    for caution in words.cautions(info, *both):
        panels.note(caution)
    if info.n_tokens is None:
        ids = info.a.dictionary_id, info.b.dictionary_id
        compare = command("match", *ids, "--activations", "--store", store.folder)
        panels.note(
            f"Activations were not compared, so there is no correlation. Compare them: {compare}"
        )
    return Opened(selection, info, both)


def _pickers(selection: PairSelection, known: Catalogue) -> None:
    labels = {info.dictionary_id: info for info in known.dictionaries}
    compared = frozenset(map(frozenset, session.store().pairs.compared()))
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="pair"):
        if labels:
            _picker("dictionary", selection.dictionary, labels, frozenset())
            st.button("⇄", key="swap", on_click=pairs.on_swap, help="The two change places")
            near = frozenset().union(*(one for one in compared if selection.dictionary in one))
            _picker("other", selection.other, labels, labels.keys() - near)
        panels.keyboard(words.WORDS, words.KEYS, _SELECTORS)


def _picker(
    name: str, chosen: str, labels: dict[str, DictionaryInfo], uncompared: frozenset[str]
) -> None:
    """One of the two; those that the first was not compared with say so."""

    def label(one: str) -> str:
        if one == chosen:
            return one
        text = markup.dictionary_label(labels[one])
        return f"{text} · not compared" if one in uncompared else text

    session.seed({name: chosen if chosen in labels else None})
    st.selectbox(
        {"dictionary": "Dictionary", "other": "Other dictionary"}[name],
        list(labels),
        index=0 if chosen in labels else None,
        key=name,
        format_func=label,
        placeholder="Choose a dictionary",
        filter_mode="contains",
        on_change=pairs.on_picker,
        args=(name,),
        label_visibility="collapsed",
        width=290,
    )


def summary(opened: Opened) -> None:
    """How much the two have in common, beside what chance would give."""
    sides = [opened.info.side(one.dictionary_id) for one in opened.dictionaries]
    with st.container(key="alike"):
        left, right = st.columns([5, 6], gap="medium", vertical_alignment="center")
    with left:
        n_same = session.store().pairs.n_same_number(*(one.dictionary_id for one in sides))
        st.html(words.summary(opened.info, opened.dictionaries, n_same))
    with right:
        st.plotly_chart(
            charts.overlap(sides, opened.info.is_absolute),
            key="overlap",
            config=figures.CONFIG,
            theme=None,
        )


def features(opened: Opened) -> PairSelection | None:
    """The lists; returns the selection with the two features whose row was just clicked."""
    selection = opened.selection
    _lists(selection)
    found = pairs.matches(selection, PAGE_SIZE, selection.first_row)
    last_page = filters.last_page(found.n_kept)
    if selection.page > last_page:
        panels.note(f"The link says page={selection.page}; the last page is {last_page}.", "error")
        selection = replace(selection, page=last_page)
        found = pairs.matches(selection, PAGE_SIZE, selection.first_row)
    if not found.rows:
        panels.note(_why_empty(selection, opened.info))
        return None
    data = rows.payload(
        pairs.rows(*selection.sides, found.rows),
        selection,
        opened.info.n_tokens is not None,
    )
    clicked = feature_table.draw(data, pairs.TABLE, pairs.on_sort)
    filters.page_numbers(found.n_kept, selection.page, pairs.on_page)
    match = next((one for one in found.rows if one.feature == clicked), None)
    return None if match is None else selection.opened(match)


def _lists(selection: PairSelection) -> None:
    names = words.names(selection)
    counts = {one: pairs.count(replace(selection, shown=one)) for one in names}
    session.seed({"list": selection.shown, "below": selection.below})
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="lists"):
        st.segmented_control(
            "Features",
            list(names),
            required=True,
            key="list",
            format_func=lambda one: f"{names[one]} · {counts[one]:,}",
            on_change=pairs.on_list,
            label_visibility="collapsed",
        )
        _bound()
        fetch = pairs.all_rows(selection)
        panels.export(
            f"{'-'.join(selection.sides)}-{selection.shown}.csv",
            lambda: rows.matches_csv(fetch(), selection),
            "The whole list, not only the page",
        )


def _bound() -> None:
    tip = words.WORDS["nearest below"]
    with st.container(
        horizontal=True, vertical_alignment="center", gap="small", width="content", key="bound"
    ):
        st.html(f'<span class="fb-muted fb-bound" title="{tip}">nearest below</span>')
        st.number_input(
            "Nearest below: largest cosine",
            min_value=-1.0,
            max_value=1.0,
            step=0.05,
            format="%g",
            key="below",
            on_change=pairs.on_below,
            label_visibility="collapsed",
            width=76,
        )


def _why_empty(selection: PairSelection, info: PairInfo) -> str:
    if selection.shown in UNLIKE:
        mine, theirs = selection.sides
        return (
            f"Every feature of {mine} that has a direction has one in {theirs} with a cosine of "
            f"{selection.below:g} or more. Raise the bound to see those that are least alike."
        )
    return f"No two features of {info.a.dictionary_id} and {info.b.dictionary_id} are matched."
