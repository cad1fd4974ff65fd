"""The table of features: rows of a page of the list, sorted by a click on a heading.

An HTML table rather than st.dataframe: its text can be found with Ctrl+F, its rows are links that
open in a new tab, and a click on a heading sorts the whole list in the store.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import streamlit as st

from app import links
from app.annotations import words
from app.numerals import exact, short
from app.selection import Selection
from app.token_text import alone, quoted, visible
from featurestore.annotations.records import Content, Explanation
from featurestore.records import DENSE_ABOVE, FeatureSummary, Found

HERE = Path(__file__).parent
_component = st.components.v2.component(
    "feature_browser_feature_table",
    css=(HERE / "feature_table.css").read_text(encoding="utf-8"),
    js=(HERE / "feature_table.js").read_text(encoding="utf-8"),
)

COLUMNS = (
    ("feature", "feature", "link", "The direction's number"),
    ("said", "label", "said", "What people say of it; else, in italics, what a program says"),
    ("found", "why", "found", "Why the search keeps it"),
    ("density", "density", "number", "Share of tokens on which it is active"),
    ("max_activation", "max", "number", "Largest activation"),
    ("mean_activation", "mean", "number", "Mean over active tokens"),
    ("n_active", "active", "number", "Tokens on which it is active"),
    ("logit_kurtosis", "logit kurt.", "number", "Kurtosis of its logits: high when few stand out"),
    (
        "histogram",
        "activations",
        "bars",
        "Histogram of its activations from min to max, log counts",
    ),
    ("promoted", "promotes", "tokens", "Tokens whose logit it raises most"),
    ("peak_tokens", "peaks on", "tokens", "Tokens at the peaks of its top contexts, with counts"),
    ("flags", "", "words", "dead: never active. dense: active on over 10% of tokens"),
)
"""Column, label, kind of cell, explanation; links and numbers can be sorted by."""

SHOWN = {"promoted": 6, "peak_tokens": 4}


@dataclass(frozen=True)
class Listed:
    """Rows of a list, with what was said of each and why it is there."""

    rows: tuple[FeatureSummary, ...]
    said: Mapping[int, Content] = field(default_factory=dict)
    explanations: Mapping[int, tuple[Explanation, ...]] = field(default_factory=dict)
    found: Mapping[int, tuple[Found, ...]] = field(default_factory=dict)
    lists: Mapping[int, Selection] = field(default_factory=dict)
    """The list that a feature is opened in, where it is not the page's own."""

    @property
    def columns(self) -> tuple[tuple[str, str, str, str], ...]:
        """Those of COLUMNS that hold anything; reasons take the place of some numbers."""
        left_out = {"mean_activation", "n_active", "histogram"} if self.found else {"found"}
        if not (self.said or self.explanations):
            left_out.add("said")
        return tuple(column for column in COLUMNS if column[0] not in left_out)


def feature_table(
    listed: Listed,
    selection: Selection,
    on_sort: Callable[[], None] | None = None,
    key: str = "features",
) -> int | None:
    """Draw the rows and return the feature that was just clicked; `on_sort` runs on a heading."""
    sortable = ("link", "number") if on_sort else ()
    data = {
        "columns": [
            {"name": name, "label": label, "kind": kind, "title": title, "sort": kind in sortable}
            for name, label, kind, title in listed.columns
        ],
        "rows": [table_row(row, listed, selection) for row in listed.rows],
        "sort": selection.query.sort,
        "descending": selection.query.descending,
    }
    result = _component(
        data=data,
        key=key,
        on_sort_change=on_sort or (lambda: None),
        on_open_change=lambda: None,
    )
    return result.open


def table_row(row: FeatureSummary, listed: Listed, selection: Selection) -> dict[str, Any]:
    """A row as the script draws it: cells in the order of the columns."""
    cells = [_cell(row, name, kind, listed) for name, _, kind, _ in listed.columns]
    href = links.feature_url(listed.lists.get(row.feature, selection), row.feature)
    return {"feature": row.feature, "href": href, "cells": cells}


def flag_words(row: FeatureSummary) -> list[str]:
    """What is odd about a feature, in words."""
    holds = {
        "dead": row.is_dead,
        "dense": row.density > DENSE_ABOVE,
        "nonfinite": row.n_nonfinite > 0,
    }
    return [word for word, is_so in holds.items() if is_so]


def _cell(row: FeatureSummary, name: str, kind: str, listed: Listed) -> object:
    if name == "flags":
        return flag_words(row)
    if name == "said":
        return _said(listed.said.get(row.feature), listed.explanations.get(row.feature, ()))
    if name == "found":
        return [_reason(found) for found in listed.found.get(row.feature, ())]
    value = getattr(row, name)
    if kind == "number":
        return [short(value), exact(value)]
    if name == "promoted":
        return [[alone(token), quoted(token)] for token in value[: SHOWN[name]]]
    if name == "peak_tokens":
        return [[alone(token), quoted(token), count] for token, count in value[: SHOWN[name]]]
    return value


def _said(content: Content | None, explanations: Iterable[Explanation]) -> list[str]:
    """Verdict, its sign, label, tip, and who says so."""
    if content is not None and not content.is_empty:
        verdict = content.verdict.value if content.verdict else ""
        mark = words.MARKS[content.verdict] if content.verdict else ""
        tip = words.content(content)
        return [verdict, mark, visible(content.label) if content.label else "", tip, "person"]
    for one in explanations:
        return ["", "", visible(one.label), f"{one.method} · {one.explainer}", "program"]
    return ["", "", "", "", ""]


def _reason(found: Found) -> list[str]:
    """Place, what stands before the match, the match, what stands after it, and a tip."""
    is_token = found.place in ("promotes", "suppresses", "peaks on")
    value = "" if found.value is None else short(found.value)
    if is_token:
        match = alone(found.match)
        after = f" ×{value}" if found.place == "peaks on" else f" {value}"
        return [found.place, "", match, after, quoted(found.match)]
    text = found.before + found.match + found.after
    return [found.place, *map(_inner, (found.before, found.match, found.after)), quoted(text)]


def _inner(text: str) -> str:
    return visible(text) if text else ""
