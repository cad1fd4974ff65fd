"""The editor: a verdict, a label, a note and tags of one feature, saved by Enter.

A component of our own, because a text that could not be saved must stay where it was typed, and
because Streamlit's boxes save whenever they lose the focus. The script keeps what is typed in the
browser until `Editing.done` names it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from app import parts
from app.annotations.words import MARKS
from featurestore.annotations.exchange import tags_text
from featurestore.annotations.records import Content

HERE = Path(__file__).parent
_SCRIPTS = ("drafts", "stop", "waiting", "leading", "typing", "editor")
_component = st.components.v2.component(
    "feature_browser_editor",
    css=parts.style(HERE / "editor.css"),
    js=parts.script(parts.KEYS_JS, *(HERE / f"{name}.js" for name in _SCRIPTS)),
)

KEY = "annotation"
"""Where the component's triggers stand in the session."""


@dataclass(frozen=True)
class Clash:
    """A save that came too late, in words."""

    revision: int
    said: str
    current: str
    other: str


@dataclass(frozen=True)
class Editing:
    """What the editor shows of a feature."""

    key: str
    """Of the feature among all that this browser may hold drafts of."""
    feature: int
    shown: str
    """What the heading above calls the feature: `heading_name`."""
    seen: int = 0
    content: Content = Content()
    saved: str = ""
    """Who saved it and when, in words."""
    by: str = ""
    """Whose words are in force, and an undo would take back, as nobody else may; "" for none."""
    clashes: tuple[Clash, ...] = ()
    problem: str = ""
    """Why the last save failed."""
    author: str = ""
    """Who is signed in; "" where people type their names."""
    answered: str = ""
    """Uid of what the browser sent last, once that has been dealt with."""
    stays: int = 0
    """How many moves of this session led to no other feature."""
    done: tuple[tuple[str, int], ...] = ()
    """What this session has saved lately: uid, and the revision it became; 0 for a conflict."""


def editor(shown: Editing, **on_trigger: Callable[[], None]) -> None:
    """Draw it; the callbacks are those of `save`, `next`, `open`, `undo`, `settle`.

    Streamlit calls none in a session that has not drawn the editor before: what a browser sends
    to an app that was started again. It is dealt with here then, and the page drawn anew.
    """
    callbacks = {f"on_{k}_change": f for k, f in on_trigger.items()}
    sent = _component(data=payload(shown), key=KEY, **callbacks)
    for name, deal_with in on_trigger.items():
        value = sent[name]
        if value is not None and value.get("uid") != shown.answered:
            deal_with()
            st.rerun()


def heading_name(dictionary_id: str, feature: int) -> str:
    """By which the editor knows that the heading is of its feature."""
    return f"{dictionary_id} {feature}"


def payload(shown: Editing) -> dict[str, Any]:
    """What the script draws."""
    content = shown.content
    return {
        "key": shown.key,
        "feature": shown.feature,
        "shown": shown.shown,
        "seen": shown.seen,
        "content": {
            "verdict": content.verdict,
            "label": content.label,
            "note": content.note,
            "tags": tags_text(content.tags),
        },
        "verdicts": [[verdict.value, mark] for verdict, mark in MARKS.items()],
        "saved": shown.saved,
        "by": shown.by,
        "conflicts": [vars(clash) for clash in shown.clashes],
        "problem": shown.problem,
        "author": shown.author,
        "answered": shown.answered,
        "stays": shown.stays,
        "done": [list(one) for one in shown.done],
    }
