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
_component = st.components.v2.component(
    "feature_browser_editor",
    css=parts.style(HERE / "editor.css"),
    js=parts.script(HERE / "editor.js"),
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
    seen: int = 0
    content: Content = Content()
    saved: str = ""
    """Who saved it and when, in words."""
    can_undo: bool = False
    clashes: tuple[Clash, ...] = ()
    problem: str = ""
    """Why the last save failed."""
    author: str = ""
    """Who is signed in; "" where people type their names."""
    done: tuple[tuple[str, int], ...] = ()
    """What this session has saved lately: uid, and the revision it became."""


def editor(shown: Editing, **on_trigger: Callable[[], None]) -> None:
    """Draw it; the callbacks are those of `save`, `undo`, `settle` and `next`."""
    _component(data=payload(shown), key=KEY, **{f"on_{k}_change": f for k, f in on_trigger.items()})


def payload(shown: Editing) -> dict[str, Any]:
    """What the script draws."""
    content = shown.content
    return {
        "key": shown.key,
        "feature": shown.feature,
        "seen": shown.seen,
        "content": {
            "verdict": content.verdict,
            "label": content.label,
            "note": content.note,
            "tags": tags_text(content.tags),
        },
        "verdicts": [[verdict.value, mark] for verdict, mark in MARKS.items()],
        "saved": shown.saved,
        "undo": shown.can_undo,
        "conflicts": [vars(clash) for clash in shown.clashes],
        "problem": shown.problem,
        "author": shown.author,
        "done": [list(one) for one in shown.done],
    }
