"""The pieces of pages: each draws one thing and holds no numbers of its own.

A token or any other text of the store goes through `st.html` escaped, or through a component's
textContent; never through a Markdown label.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import streamlit as st

from app import address, command_line, links, markup, parts, session
from app.failures import told
from app.markup import WORDS
from app.selection import Selection
from featurestore.errors import UnknownDictionary, command
from featurestore.records import DictionaryInfo

HERE = Path(__file__).parent
ICON = HERE / "icon.svg"
_STYLE = (HERE / "style.css").read_text(encoding="utf-8")
_keyboard = st.components.v2.component(
    "feature_browser_keyboard",
    js=parts.script(
        parts.KEYS_JS,
        *(HERE / f"{name}.js" for name in ("ahead", "tabs", "reconnected", "keyboard")),
    ),
    isolate_styles=False,  # its button and list are dressed, and found, like the page's own
)

LABELLING = (
    ("1 2 3 4", "verdict: monosemantic, unsure, polysemantic, junk"),
    ("a", "write a label; n a note, where Alt+Enter begins a new line; Esc leaves the box"),
    ("Enter", "save and go on to the next; with Shift save only. Both leave the box"),
)
KEYS = (
    ("/", "search: into the box of this page, or to the page Search; Esc leaves a box"),
    ("g", "go to a feature by its number, on Browse and Feature"),
    ("?", "this list"),
)
FEATURE_KEYS = (
    ("←", "previous feature of the list"),
    ("→", "next feature of the list"),
    ("r", "random active feature of the list"),
    *LABELLING,
    ("c", "into the contexts; arrows then walk over tokens"),
)
_SEARCH = ".st-key-find input || a[href$='/search']"
TO_SEARCH = {"/": _SEARCH}
"""What `/` leads to from a page without a box of its own."""

_SELECTORS = {
    "ArrowLeft": ".st-key-previous button",
    "ArrowRight": ".st-key-next button",
    "r": ".st-key-random button",
    "g": ".st-key-number input",
    "/": f".st-key-token input, {_SEARCH}",
    "c": ".st-key-tokens >>> .token[tabindex='0']",
    "?": ".fb-tell",
}


def style() -> None:
    """Put our style sheet into the page."""
    st.html(f"<style>{_STYLE}</style>")


def note(text: str, kind: str = "plain") -> None:
    """Say something in a sentence; `kind` error marks it."""
    st.html(markup.note(told(text), kind))


def keyboard(
    words: Mapping[str, str] = WORDS,
    keys: Iterable[tuple[str, str]] | None = None,
    selectors: Mapping[str, str] = _SELECTORS,
) -> None:
    """Listen to keys; they and the words that a page uses are told behind a button.

    `selectors` say what a key clicks or puts the focus on; keyboard.js reads them.
    """
    lists = [("Keys", keys or KEYS)]
    if keys is None:
        is_here = st.session_state.get(address.PAGE) == "Feature"
        lists.insert(0 if is_here else 1, ("Keys on a feature's page", _feature_keys()))
    told_keys = "".join(f"{markup.part(title)}{markup.keys(rows)}" for title, rows in lists)
    told_words = f"{markup.part('Words')}{markup.words(words.items())}"
    listed = f"<div>{told_keys}</div><div>{told_words}</div>"
    may_label = not command_line.is_read_only()
    data = {"keys": dict(selectors), "told": listed, "mayLabel": may_label}
    _keyboard(data=data, key="keyboard", on_back_change=lambda: None, width="content")


def _feature_keys() -> tuple[tuple[str, str], ...]:
    """Without those that label, where nothing may be saved."""
    read_only = command_line.is_read_only()
    return tuple(one for one in FEATURE_KEYS if not (read_only and one in LABELLING))


def dictionary() -> tuple[DictionaryInfo, Selection]:
    """The picker, always at the top; returns what is chosen and what the URL selects in it.

    Without a dictionary to show it says why and ends the page.
    """
    known = session.catalogue()
    labels = {info.dictionary_id: markup.dictionary_label(info) for info in known.dictionaries}
    ids = list(labels)
    asked = session.dictionary_id()
    chosen = next((info for info in known.dictionaries if info.dictionary_id == asked), None)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="picker"):
        if ids:
            session.seed({"dictionary": asked if chosen else None})
            st.selectbox(
                "Dictionary",
                ids,
                index=0 if chosen else None,
                key="dictionary",
                format_func=lambda one: one if one == asked else labels[one],
                placeholder="Choose a dictionary",
                filter_mode="contains",
                on_change=session.on_dictionary,
                label_visibility="collapsed",
                width=290,
            )
        if chosen:
            st.html(markup.dictionary_line(chosen), width="stretch")
        keyboard()
    for problem in known.problems:
        note(problem.reason, "error")
    if not ids and not known.problems:
        say_empty()
    if not chosen:
        if ids and asked not in {problem.dictionary_id for problem in known.problems}:
            _say_unknown(asked)
        st.stop()
    selection, problems = session.read()
    for problem in problems:
        note(problem, "error")
    return chosen, selection


def say_empty() -> None:
    """Say that the store holds no dictionary, and how it gets one."""
    folder = session.store().folder
    note(
        f"The store '{folder}' holds no dictionary yet. Build one: "
        f"{command('build', 'RECIPE', '--store', folder)}"
    )


def _say_unknown(asked: str) -> None:
    try:
        session.store().dictionary(asked)
    except UnknownDictionary as error:
        note(str(error), "error")


def go_to_number(selection: Selection) -> None:
    """A box for a feature's number; what is typed is opened, or said to be none on its page."""
    st.text_input(
        "Go to feature",
        key="number",
        placeholder="Go to feature",
        on_change=session.on_number,
        label_visibility="collapsed",
        width=122,
    )
    wanted = session.wanted()
    if wanted is not None:
        target = {**links.browse(selection), "feature": wanted}
        st.switch_page(links.FEATURE, query_params=target)


def export(name: str, make: Callable[[], bytes], help_text: str) -> None:
    """A button that makes a file when it is clicked: CSV, or JSON lines by its name."""
    is_json = name.endswith(".jsonl")
    st.download_button(
        "JSON lines" if is_json else "CSV",
        make,
        file_name=name,
        mime="application/jsonl" if is_json else "text/csv",
        help=help_text,
        type="tertiary",
        icon=":material/download:",
        on_click="ignore",
        key=f"export {name}",
    )
