"""The upper part of Live: which dictionaries, which text, and the wait for the models."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import address, command_line, markup, panels, session
from app.live import selection as selections
from app.live import session as live
from app.live.selection import MAX_DICTIONARIES, LiveSelection
from app.live.strips import Column, Row, Text, strips
from app.selection import Selection
from featurestore.errors import Busy, FeatureStoreError, StoreError
from featurestore.live.records import Tokens
from featurestore.records import DictionaryInfo

TABS = {
    "Features": "features",
    "Layers": "layers",
    "Reconstruction": "reconstruction",
    "Two texts": "contrast",
    "Intervene": "intervene",
}
"""Label of each tab and its name in the URL."""

KEYS = (
    ("Ctrl+Enter", "run the text"),
    ("/", "into the box of the text"),
    ("Tab", "into the tokens and the table; arrows then walk over tokens, and over rows"),
    ("Space", "choose a token; with Shift, all tokens up to it"),
    ("Enter", "open the feature of a row, or follow its link"),
    ("Esc", "out of the tokens"),
    ("?", "this list"),
)
_SELECTORS = {"/": ".st-key-live_text textarea", "?": ".fb-tell"}

POLL_S = 0.3
"""How often the progress of loading is drawn anew."""


def end_if_off() -> None:
    """Say so where no texts may be run through the models, and end the page."""
    if not command_line.is_live():
        panels.note(
            "Live is switched off on this server, so no text is run here. Whoever runs the server "
            "switches it on: python -m app STORE --live on; more in docs/serving.md."
        )
        st.stop()


def open_live() -> tuple[LiveSelection, tuple[DictionaryInfo, ...]]:
    """The picker, and what the URL says; without a dictionary to run the page ends."""
    known = session.catalogue()
    selection, problems = live.read(known)
    st.set_page_config(page_title="Live")
    labels = {info.dictionary_id: markup.dictionary_label(info) for info in known.dictionaries}
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="picker"):
        session.seed({"live_dictionaries": list(selection.dictionaries)})
        st.multiselect(
            "Dictionaries",
            list(labels),
            key="live_dictionaries",
            format_func=lambda one: one if one in selection.dictionaries else labels[one],
            placeholder="Choose dictionaries",
            filter_mode="contains",
            select_all=False,  # or Enter takes all that match what is typed
            max_selections=MAX_DICTIONARIES,
            on_change=live.on_dictionaries,
            label_visibility="collapsed",
            width="stretch",
        )
        chosen = live.infos(known, selection.dictionaries)
        _all_of_them(selection, chosen, known.dictionaries)
        panels.keyboard(markup.LIVE_WORDS, KEYS, _SELECTORS)
    for problem in problems:
        panels.note(problem, "error")
    if not chosen:
        panels.note("Choose at least one dictionary: its features are looked for in the text.")
        st.stop()
    return selection, chosen


def _all_of_them(
    selection: LiveSelection, chosen: tuple[DictionaryInfo, ...], known: tuple[DictionaryInfo, ...]
) -> None:
    """A button that chooses every dictionary of the same model and checkpoint."""
    same = tuple(
        info.dictionary_id
        for info in known
        if chosen and info.digests.get("model") == chosen[0].digests.get("model")
    )[:MAX_DICTIONARIES]
    st.button(
        "All of its model",
        type="tertiary",
        disabled=not chosen or set(same) <= set(selection.dictionaries),
        on_click=live.go,
        args=(selections.choosing(selection, same),),
        help="Every dictionary of the first one's model and checkpoint",
    )


def text_boxes(selection: LiveSelection) -> None:
    """What is run: a text of the user's, two of them, or a stored context."""
    first = {} if selection.context is not None else {"live_text": "text"}
    second = {"live_other": "other"} if selection.tab == "contrast" else {}
    boxes = first | second
    if selection.context is not None:
        _context_line(selection)
        if second:
            _text_box("live_other", selection.other, "Text B", "A text to compare it with", boxes)
    elif second:
        left, right = st.columns(2, gap="small")
        with left:
            one = "One text, such as a true statement"
            _text_box("live_text", selection.text, "Text A", one, boxes)
        with right:
            other = "Another, such as a false one"
            _text_box("live_other", selection.other, "Text B", other, boxes)
    else:
        _text_box("live_text", selection.text, "Text", "Paste or type a text", boxes)


def _text_box(key: str, text: str, label: str, placeholder: str, boxes: dict[str, str]) -> None:
    refused = live.refused(key)
    session.seed({key: text if refused is None else refused})
    limits = live.limits()
    st.text_area(
        label,
        key=key,
        placeholder=f"{placeholder}: up to {limits.n_tokens:,} tokens or what the model reads, "
        f"{limits.n_bytes:,} bytes. Ctrl+Enter runs it.",
        height=92,
        on_change=live.on_text,
        args=(boxes,),
        label_visibility="collapsed",
    )
    if refused is not None:
        n_bytes = len(refused.encode(errors="replace"))
        panels.note(
            f"The text has {n_bytes:,} bytes; {limits.n_bytes:,} are taken. Nothing was cut: "
            "shorten it.",
            "error",
        )


def _context_line(selection: LiveSelection) -> None:
    dictionary_id = selection.dictionaries[0]
    stored = session.store().context(dictionary_id, selection.context)
    facts = [
        f"Stored context {stored.context:,} of {dictionary_id}",
        f"{stored.document}, from token {stored.start:,}",
    ]
    st.html(markup.line(facts))


def options(selection: LiveSelection, tokens: Tokens | None) -> None:
    """One line under the text: how it was read, and how it is to be."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="reading"):
        if tokens is not None:
            bos = "a BOS in front, not counted" if tokens.has_bos else "no BOS in front"
            which = "Text A: " if selection.tab == "contrast" else ""
            st.html(markup.line([f"{which}{_n_tokens(tokens)}", bos, *tokens.notes]))
        if selection.context is not None:
            text = "".join(tokens.texts)
            st.button(
                "Edit as text",
                type="tertiary",
                on_click=live.go,
                args=(replace(live.without_tokens(selection), context=None, text=text),),
                help="Put its text into the box. Cut anew, it may give other tokens",
            )
        else:
            session.seed({"live_special": selection.special})
            st.checkbox(
                "special tokens",
                key="live_special",
                on_change=live.on_value,
                args=("live_special", "special"),
                help="Read special tokens that are typed in the text, such as <|endoftext|>, as "
                "such; else they are plain text",
            )


def wait_for(chosen: tuple[DictionaryInfo, ...]) -> tuple[str, ...]:
    """The dictionaries that can be run, once they are loaded; the page ends while they are not."""
    service = live.service()
    service.want(chosen)
    state = service.state(chosen)
    bar = st.empty()
    # A loop in one run: Streamlit collects garbage after each, which takes long while much loads.
    while state.progress < 1:
        bar.progress(max(state.progress, 0.02), f"Loading {state.doing or 'the model'}, once")
        time.sleep(POLL_S)
        state = service.state(chosen)
    bar.empty()
    for problem in state.problems.values():
        panels.note(problem, "error")
    if state.problems:
        st.button("Try again", on_click=service.retry, args=(chosen,), key="retry")
    if not state.ready:
        st.stop()
    return state.ready


def read_text(info: DictionaryInfo, text: str, selection: LiveSelection) -> Tokens | None:
    """A text's tokens; None with the reason on the screen, or if there is none yet."""
    if not text:
        return None
    try:
        return live.ask(
            ("tokens", info.run_id, text, selection.special),
            lambda runner: runner.tokens(info.dictionary_id, text, selection.special),
        )
    except Busy:
        raise  # the frame of the page offers to try again
    except FeatureStoreError as error:
        panels.note(str(error), "error")
        return None


def stored_tokens(info: DictionaryInfo, context: int) -> Tokens:
    """A stored context's tokens."""
    return live.ask(
        ("context", info.run_id, context),
        lambda runner: runner.context(info.dictionary_id, context),
    )


def open_tab(selection: LiveSelection) -> DeltaGenerator:
    """The tabs, and the place below them of the one that is open."""
    session.seed({"live_tab": next(w for w, name in TABS.items() if name == selection.tab)})
    tabs = st.tabs(list(TABS), key="live_tab", on_change=live.on_tab, args=(TABS,))
    return tabs[list(TABS.values()).index(selection.tab)]


def nothing_yet(selection: LiveSelection) -> None:
    """What to do while there is nothing to show; of a text that was refused the reason is told."""
    has_first = bool(selection.text) or selection.context is not None
    if selection.tab != "contrast":
        what = "" if has_first else "a text"
    elif has_first:
        what = "" if selection.other else "text B"
    else:
        what = "text A" if selection.other else "both texts"
    if not what:
        return
    of = ""
    if selection.feature is not None:
        of = " Feature {1} of {0} is then shown beside it.".format(*selection.feature)
    panels.note(f"Paste {what} above and press Ctrl+Enter.{of}")


def inside(selection: LiveSelection, tokens: Tokens) -> LiveSelection:
    """The selection with those of its tokens that the text has; the others are told."""
    n = len(tokens.ids)
    kept = tuple(pos for pos in selection.tokens if pos < n)
    if kept != selection.tokens:
        end = f"behind the end of the text, which has {n:,}"
        panels.note(f"The link chooses tokens {end}. Left out.", "error")
    by = "max" if selection.by == "at" and not kept else selection.by
    return replace(selection, tokens=kept, by=by)


def text_panel(tokens: Tokens, title: str) -> Text:
    """A text as strips show it."""
    return Text(title, _n_tokens(tokens), tokens.texts)


def _n_tokens(tokens: Tokens) -> str:
    n = len(tokens.ids)
    return "1 token" if n == 1 else f"{n:,} tokens"


def unsorted(
    selection: LiveSelection,
    tokens: Tokens,
    columns: Sequence[Column],
    shown: list[Row],
    key: str,
    on_open: Callable[[], None] | None = None,
) -> None:
    """A text above rows in an order of their own."""
    strips(
        [text_panel(tokens, "Text")],
        columns,
        shown,
        sort=None,
        descending=True,
        selected=[selection.tokens],
        row=None,
        key=key,
        on_sort=address.keep,
        on_tokens=lambda: live.on_tokens(key),
        on_open=on_open,
    )


def recomputed(info: DictionaryInfo, context: int) -> None:
    """How far a stored context is from what the store holds of it."""
    try:
        found = live.ask(
            ("recompute", info.run_id, context),
            lambda runner: runner.recompute(info.dictionary_id, context),
        )
    except StoreError as error:
        panels.note(str(error), "error")
        return
    st.html(markup.recomputed(found, info), width="stretch")


def on_feature_page(selection: LiveSelection, dictionary_id: str) -> Selection:
    """The list that a feature's page walks through: what the filters here keep."""
    return Selection(replace(selection.query, dictionary_id=dictionary_id, include_dead=False))
