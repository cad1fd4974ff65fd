"""The table of features: rows of a page of the list, sorted by a click on a heading.

An HTML table rather than st.dataframe: its text can be found with Ctrl+F, its rows are links that
open in a new tab, and a click on a heading sorts the whole list in the store.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from app import links
from app.numerals import exact, short
from app.selection import Selection
from app.token_text import alone, quoted
from featurestore.records import DENSE_ABOVE, FeatureSummary

HERE = Path(__file__).parent
_component = st.components.v2.component(
    "feature_browser_feature_table",
    css=(HERE / "feature_table.css").read_text(encoding="utf-8"),
    js=(HERE / "feature_table.js").read_text(encoding="utf-8"),
)

COLUMNS = (
    ("feature", "feature", "link", "The direction's number"),
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


def feature_table(
    rows: tuple[FeatureSummary, ...],
    selection: Selection,
    on_sort: Callable[[], None],
) -> int | None:
    """Draw the rows and return the feature that was just clicked; `on_sort` runs on a heading."""
    sortable = ("link", "number")
    data = {
        "columns": [
            {"name": name, "label": label, "kind": kind, "title": title, "sort": kind in sortable}
            for name, label, kind, title in COLUMNS
        ],
        "rows": [table_row(row, selection) for row in rows],
        "sort": selection.query.sort,
        "descending": selection.query.descending,
    }
    result = _component(
        data=data, key="features", on_sort_change=on_sort, on_open_change=lambda: None
    )
    return result.open


def table_row(row: FeatureSummary, selection: Selection) -> dict[str, Any]:
    """A row as the script draws it: cells in the order of COLUMNS."""
    cells = [_cell(row, name, kind) for name, _, kind, _ in COLUMNS]
    href = links.feature_url(selection, row.feature)
    return {"feature": row.feature, "href": href, "cells": cells}


def flag_words(row: FeatureSummary) -> list[str]:
    """What is odd about a feature, in words."""
    words = {
        "dead": row.is_dead,
        "dense": row.density > DENSE_ABOVE,
        "nonfinite": row.n_nonfinite > 0,
    }
    return [word for word, holds in words.items() if holds]


def _cell(row: FeatureSummary, name: str, kind: str) -> object:
    if name == "flags":
        return flag_words(row)
    value = getattr(row, name)
    if kind == "number":
        return [short(value), exact(value)]
    if name == "promoted":
        return [[alone(token), quoted(token)] for token in value[: SHOWN[name]]]
    if name == "peak_tokens":
        return [[alone(token), quoted(token), count] for token, count in value[: SHOWN[name]]]
    return value
