"""Annotations and explanations as files: out, and back in after a look at what would change."""

from collections.abc import Callable

import streamlit as st

from app import command_line, filters, markup, panels, people, session
from app.annotations import words
from app.annotations.session import log
from app.selection import Selection
from featurestore.annotations import exchange, importing
from featurestore.annotations.evidence import evidence_from
from featurestore.annotations.importing import ImportPlan
from featurestore.annotations.records import Event
from featurestore.errors import FeatureStoreError, TableError
from featurestore.explanations.reading import read_explanations
from featurestore.records import Catalogue, DictionaryInfo

_SCOPES = {"all": "all dictionaries", "one": "this dictionary", "kept": "what Browse keeps"}
_FILES = {"all": "annotations", "one": "{}-annotations", "kept": "{}-annotations-of-list"}
_ON_CONFLICT = {
    "refuse": "import nothing",
    "keep": "keep what is here",
    "take": "take the file's",
}
_FOR_EXCEL = (
    "UTF-8 with a byte order mark. With it or without: a ' stands before a text that a spreadsheet "
    "would take for a formula, a number or a date; the import takes it off"
)
_AUTHOR, _CHOICE = "import_author", "import_conflicts"
_DONE = "what the last import did"


def export(info: DictionaryInfo, selection: Selection, known: Catalogue) -> None:
    """Everything, or a part of it, as a file."""
    st.html(markup.part("Export", "what is in force, not the history"))
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="export"):
        scope = st.segmented_control(
            "Scope",
            list(_SCOPES),
            format_func=_SCOPES.__getitem__,
            default="one",
            required=True,
            label_visibility="collapsed",
        )
        with_evidence = st.checkbox("with evidence", help="Density, tokens and top contexts")
        with_bom = st.checkbox("for Excel", value=True, help=_FOR_EXCEL)
        name = _FILES[scope].format(info.dictionary_id)
        events = _events(scope, info, selection)

        def as_csv() -> bytes:
            evidence = evidence_from(session.store()) if with_evidence else None
            return exchange.export_csv(events(), evidence, with_bom)

        evident = "-with-evidence" if with_evidence else ""
        panels.export(
            f"{name}{evident}.csv", as_csv, "For spreadsheets; reads back to the last letter"
        )
        panels.export(
            f"{name}.jsonl",
            lambda: exchange.export_jsonl(events(), known.dictionaries),
            "One object a line, in the shape of Neuronpedia's explanations",
        )
        if scope == "kept" and not filters.is_filtered(selection.query):
            st.html(markup.line(["Browse filters nothing now: all of this dictionary"]))


def _events(
    scope: str, info: DictionaryInfo, selection: Selection
) -> Callable[[], tuple[Event, ...]]:
    """A function that fetches what is to be exported, for a button that may not be clicked."""
    opened, annotations = session.store(), log()

    def fetch() -> tuple[Event, ...]:
        if scope == "all":
            return exchange.events_of(annotations)
        if scope == "one":
            return exchange.events_of(annotations, info.content)
        said = annotations.current(info.content)
        kept = [mark.feature for mark in opened.marks(selection.query, said)]
        return exchange.events_of(annotations, info.content, kept)

    return fetch


def import_annotations(known: Catalogue) -> None:
    """A file that somebody has edited: what it would change, then all of it or nothing."""
    st.html(markup.part("Import", "an edited export; nothing is written before you have seen it"))
    given = st.file_uploader("CSV or JSON lines", ["csv", "tsv", "txt", "jsonl"], key="import_file")
    if given is not None:
        _plan(given.getvalue(), given.name, known)
    _say_done("annotations")


def _plan(data: bytes, name: str, known: Catalogue) -> None:
    """What a file would change, and the button that does it."""
    try:
        plan = importing.read_import(data, name, log(), known.dictionaries)
    except TableError as error:
        panels.note(str(error), "error")
        return
    st.html(words.plan(plan))
    counts = plan.counts()
    refusal = plan.refusal("keep")  # whatever is decided about conflicts
    is_new = any(counts[outcome] for outcome in ("add", "change", "conflict"))
    if refusal:
        panels.note(refusal, "error")
    elif not is_new and not _is_done("annotations"):
        panels.note("Nothing in it is other than here.")
    if plan.listed():
        st.html(words.plan_rows(plan))
    if refusal or not is_new:
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="apply"):
        if not command_line.signs_in():
            st.text_input("You", key=_AUTHOR, placeholder="your name", width=150)
        if counts["conflict"]:
            st.selectbox(
                "Conflicts",
                list(_ON_CONFLICT),
                key=_CHOICE,
                format_func=_ON_CONFLICT.__getitem__,
                width=170,
            )
        st.button("Import", on_click=_apply, args=(plan,), type="primary")


def _apply(plan: ImportPlan) -> None:
    """Callback. What stands in the boxes now is what counts, not what stood there when drawn."""
    typed, choice = st.session_state.get(_AUTHOR, ""), st.session_state.get(_CHOICE, "refuse")

    def apply() -> str:
        n = importing.apply(plan, log(), people.author(typed), choice)
        return f"Annotations imported: {n:,}."

    _note("annotations", apply)


def import_explanations(known: Catalogue) -> None:
    """Labels and scores that a program made, kept apart from what people say."""
    st.html(markup.part("Explanations by programs", "dictionary, feature, label, score, method, n"))
    given = st.file_uploader("CSV or JSON lines", ["csv", "tsv", "jsonl"], key="explanation_file")
    if given is not None:
        _explanations(given.getvalue(), given.name, known)
    _say_done("explanations")


def _explanations(data: bytes, name: str, known: Catalogue) -> None:
    """What a file lacks, and the button that imports what of it is new."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="explain"):
        method = st.text_input("Method, if the file has none", key="method", width=220)
        explainer = st.text_input("Explainer, if the file has none", key="explainer", width=220)
        try:
            found = read_explanations(data, name, known.dictionaries, method, explainer)
        except TableError as error:
            panels.note(str(error), "error")
            return
        table = session.annotations().explanations
        new = table.unknown(found)
        if new:
            st.button(
                f"Import {len(new):,}",
                on_click=_note,
                args=("explanations", lambda: f"Explanations imported: {table.add_all(new):,}."),
                type="primary",
            )
    if len(found) > len(new) and not _is_done("explanations"):
        panels.note(
            f"{len(found) - len(new):,} of {len(found):,} rows change nothing: what they say is "
            "here already."
        )


def _note(form: str, change: Callable[[], str]) -> None:
    """Change something, and keep for the next run of the page what came of it."""
    try:
        people.check_may_write()
        st.session_state[_DONE] = form, change(), "plain"
    except FeatureStoreError as error:
        st.session_state[_DONE] = form, str(error), "error"


def _is_done(form: str) -> bool:
    """Whether an import has just been made of this form's file."""
    made_by, _, kind = st.session_state.get(_DONE, ("", "", ""))
    return made_by == form and kind == "plain"


def _say_done(form: str) -> None:
    """What came of it, just below the boxes and the button of its form."""
    made_by, text, kind = st.session_state.get(_DONE, ("", "", ""))
    if made_by == form:
        del st.session_state[_DONE]
        panels.note(text, kind)
