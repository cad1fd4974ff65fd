"""What was said of a feature, on its page: the editor, explanations by programs, the history."""

from dataclasses import replace
from functools import partial

import streamlit as st

from app import command_line, exports, links, markup, panels, session
from app.annotations import session as annotations
from app.annotations import words
from app.annotations.editor import Editing, editor
from app.annotations.unsaved import unsaved
from app.feature_table import Listed
from app.selection import Selection
from featurestore.annotations.records import NO_VERDICT, Event
from featurestore.errors import AnnotationsError
from featurestore.explanations.bundle import feature_bands, split
from featurestore.explanations.scoring import score_label
from featurestore.records import DictionaryInfo, FeaturePage, FeatureQuery

READ_ONLY = "This app is open for reading only: labels are shown, and none can be given or changed."


def listed(info: DictionaryInfo, kept: FeaturePage) -> Listed:
    """A page of a list with what was said of its features; without it where that fails."""
    try:
        return annotations.listed(info, kept)
    except AnnotationsError as error:
        panels.note(str(error), "error")
        return Listed(kept.rows, found=kept.found)


def export_list(info: DictionaryInfo, query: FeatureQuery) -> None:
    """All that the filter keeps, not only the page, as CSV, with what is said of each."""
    rows, said = session.all_rows(query), annotations.said_of_all(info)
    panels.export(
        f"{query.dictionary_id}-features.csv",
        lambda: exports.features_csv(rows(), *said()),
        "All features that the filter keeps",
    )


def label_list(selection: Selection) -> None:
    """A button to the first feature of a list without a verdict; Next then leads through them.

    Through all of the list where it is chosen by verdicts. None where nobody may give one.
    """
    if command_line.is_read_only():
        return
    has_chosen = bool(selection.query.verdicts)
    verdicts = selection.query.verdicts or frozenset({NO_VERDICT})
    query = replace(selection.query, verdicts=verdicts)
    if st.button(
        "Label these",
        key="label_list",
        type="tertiary",
        icon=":material/edit:",
        help="One after the other" + ("" if has_chosen else ", those without a verdict"),
    ):
        rows = session.store().features(query, limit=1).rows
        if rows:
            queue = replace(selection, query=query, page=1)
            st.switch_page(links.FEATURE, query_params=links.feature(queue, rows[0].feature))
        said = "No feature is in this list." if has_chosen else "All of this list have a verdict."
        st.toast(said)


def annotation(info: DictionaryInfo, selection: Selection) -> None:
    """The editor of a feature, and what else was said of it."""
    try:
        shown, history = annotations.editing(info, selection.feature)
        if command_line.is_read_only() or not info.content:
            _in_force(shown, history)
            unsaved(session.catalogue())
        else:
            editor(
                shown,
                save=partial(annotations.on_save, info, selection),
                next=partial(annotations.on_next, selection),
                undo=partial(annotations.on_undo, info),
                open=partial(annotations.on_open, selection),
                settle=partial(annotations.on_settle, info),
            )
            _just_saved(info, selection)
        _labels(info, selection, shown.content.label)
    except AnnotationsError as error:
        panels.note(str(error), "error")
        return
    if history:
        with st.expander(f"History ({len(history):,})"):
            st.html(words.history(history))


def _just_saved(info: DictionaryInfo, selection: Selection) -> None:
    """What was saved of the feature before, and a link back to it."""
    event = annotations.just_saved(info, selection)
    if event is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="just_saved"):
        st.html(words.just_saved(event), width="content")
        back = replace(selection, feature=event.feature)
        # By a key of its own for each: a click that waits leads to this one or nowhere.
        label, key = f"Change {event.feature}", f"change {event.feature}"
        st.button(label, key, type="tertiary", on_click=session.go, args=(back,))


def _in_force(shown: Editing, history: tuple[Event, ...]) -> None:
    if command_line.is_read_only():
        st.html(markup.line([("Open for reading only", READ_ONLY)]))
    accepted = [event for event in history if not event.is_conflict]
    if accepted and not accepted[-1].content.is_empty:
        st.html(words.in_force(accepted[-1], shown.by))
    for one in shown.clashes:
        panels.note(f"{one.said} The other text: {one.other}")


def _labels(info: DictionaryInfo, selection: Selection, label: str) -> None:
    """What programs say of the feature, and how far every label predicts it."""
    number = selection.feature
    explanations = session.annotations().explanations.of(info.content, [number]).get(number, ())
    labels = [*([label] if label else []), *(one.label for one in explanations)]
    if not labels:
        return
    bands = feature_bands(session.store(), info.dictionary_id, number)
    held_out = split(number, bands, info.seed).held_out()
    scores = [score_label(one, *held_out, info.seed) for one in labels]
    if label:
        st.html(words.score(scores.pop(0)))
    if explanations:
        st.html(
            markup.part(
                "Explanations",
                "by programs, not by people; AUC: how well a label's tokens predict the feature, "
                "1 always, 0.5 by chance",
            )
            + words.explanations(zip(explanations, scores, strict=True))
        )
