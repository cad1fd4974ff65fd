"""Strips: a text whose tokens can be clicked, and a table whose rows colour them.

Every row ends in a strip of thin cells, one per token, coloured by the row's value there; pointing
at a row shades the text itself. Rows are features, dictionaries or measures, of one text or of two
side by side. The script draws what `payload` says.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from app import parts
from app.numerals import exact, short
from app.token_text import alone, entry, label_text, quoted, spell

HERE = Path(__file__).parent
_component = st.components.v2.component(
    "feature_browser_strips",
    css=parts.style(parts.HEADINGS, parts.CHIPS, parts.TIP, HERE / "strips.css"),
    js=parts.script(
        *(
            HERE / f"{part}.js"
            for part in ("strips", "strip_texts", "strip_table", "strip_shades", "strip_pointing")
        ),
        parts.HEADINGS_JS,
    ),
)

Kind = Literal["link", "number", "tokens", "words", "text"]
Tone = Literal["activation", "count", "loss"]


@dataclass(frozen=True)
class Text:
    """A text as its tokens, under a title."""

    title: str
    detail: str
    tokens: tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """A column left of the strips; `title` explains it, `sort` makes its heading a button.

    Cells of kind number are int, float or None; tokens are a tuple of str or of (str, count); words
    a tuple of str; link and text a str.
    """

    name: str
    label: str
    kind: Kind
    title: str
    sort: bool = False


@dataclass(frozen=True)
class Strip:
    """A row's values on one text where they are not zero; `label` says it in words."""

    pos: tuple[int, ...]
    values: tuple[float, ...]
    label: str


@dataclass(frozen=True)
class Row:
    """A row of the table: cells in the order of the columns, a strip per text.

    A value of ±`scale` has the full colour. Below it the shade of an activation is logarithmic, as
    in the token view; that of a count or a loss is linear.
    """

    key: str
    cells: tuple[object, ...]
    strips: tuple[Strip, ...]
    scale: float
    tone: Tone = "activation"
    href: str | None = None
    name: str = ""
    """The row in words, if its first cell does not say it."""


def strips(
    texts: Sequence[Text],
    columns: Sequence[Column],
    rows: Sequence[Row],
    sort: str | None,
    descending: bool,
    selected: Sequence[Iterable[int] | None],
    row: str | None,
    key: str,
    on_sort: Callable[[], None],
    on_tokens: Callable[[], None],
    on_open: Callable[[], None] | None,
) -> str | None:
    """Draw the texts and the table, and return the key of the row whose link was just followed.

    The callbacks read `st.session_state[key]`: `.sort` is the column whose heading was clicked,
    `.open` the key of the row. `.tokens` is {"text", "positions", "selected"}: the text a click was
    in, what is selected in it now, and what is selected in every text, earlier clicks included that
    came while the script ran. Without `on_open` a click on a row keeps the text shaded by it.
    """
    opens = on_open is not None
    result = _component(
        data=payload(texts, columns, rows, sort, descending, selected, row) | {"opens": opens},
        key=key,
        on_sort_change=on_sort,
        on_tokens_change=on_tokens,
        on_open_change=on_open or _nothing,
        on_follow_change=_nothing,
    )
    return result.follow


def _nothing() -> None:
    """Callback of a click that changes nothing."""


def payload(
    texts: Sequence[Text],
    columns: Sequence[Column],
    rows: Sequence[Row],
    sort: str | None,
    descending: bool,
    selected: Sequence[Iterable[int] | None],
    row: str | None,
) -> dict[str, Any]:
    """What the script draws; `row` is the selected row.

    `selected` holds positions per text; None for a text whose tokens cannot be selected.
    """
    kinds = [column.kind for column in columns]
    return {
        "texts": [_text(text) for text in texts],
        "columns": [
            {"name": one.name, "label": one.label, "kind": one.kind}
            | {"title": one.title, "sort": one.sort}
            for one in columns
        ],
        "sort": sort,
        "descending": descending,
        "rows": [_row(one, kinds) for one in rows],
        "selected": [None if places is None else sorted(set(places)) for places in selected],
        "row": row,
    }


def _text(text: Text) -> dict[str, Any]:
    distinct: dict[tuple[str, str], int] = {}
    spelled = zip(text.tokens, spell(text.tokens), strict=True)
    ids = [distinct.setdefault(token, len(distinct)) for token in spelled]
    return {
        "title": _plain(text.title),
        "detail": _plain(text.detail),
        "tokens": [entry(*token) for token in distinct],
        "ids": ids,
    }


def _row(row: Row, kinds: list[Kind]) -> dict[str, Any]:
    return {
        "key": row.key,
        "name": _plain(row.name),
        "href": row.href,
        "cells": [_cell(cell, kind) for cell, kind in zip(row.cells, kinds, strict=True)],
        "strips": [_strip(strip) for strip in row.strips],
        "scale": row.scale if math.isfinite(row.scale) else 0.0,
        "scale_text": short(row.scale),
        "tone": row.tone,
    }


def _strip(strip: Strip) -> dict[str, Any]:
    """JSON has no NaN and no infinity: they go as their names."""
    values = [value if math.isfinite(value) else str(value) for value in strip.values]
    return {"pos": list(strip.pos), "val": values, "label": strip.label}


def _cell(cell: Any, kind: Kind) -> object:  # noqa: ANN401 - what it is depends on the kind
    if kind == "number":
        return [short(cell), exact(cell)]
    if kind == "words":
        return [_plain(word) for word in cell]
    if kind == "tokens":
        counted = [one if isinstance(one, tuple) else (one,) for one in cell]
        return [[alone(token), quoted(token), *count] for token, *count in counted]
    return _plain(str(cell))


def _plain(text: str) -> str:
    return label_text(text) if text else ""
