"""Features related to a feature, in tables that are first short, then whole; those nearest to it.

A component, because a click on a link then changes the page in place, and because whether all are
shown is kept in the browser.
"""

from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import streamlit as st

from app import links, parts
from app.numerals import exact, percent, short
from app.selection import Selection
from app.token_text import alone, quoted
from featurestore.detail_records import Neighbour, Neighbours

HERE = Path(__file__).parent
_component = st.components.v2.component(
    "feature_browser_neighbours",
    css=parts.style(HERE / "neighbour_table.css"),
    js=parts.script(HERE / "neighbour_table.js"),
)

SHORT = 5
"""Rows of each table until all are asked for."""
_TOKENS = 3

BY_COSINE = (("cosine", "cos", "Cosine of the two directions"),)
BY_COACTIVATION = (
    ("jaccard", "Jaccard", "Tokens on which both are active, of those on which either is"),
    ("n_both", "both", "Tokens on which both are active"),
    ("conditional", "P(it)", "Share of this feature's active tokens on which it is active too"),
    ("pmi", "PMI", "log of how much oftener they meet than by chance, in nats"),
    ("correlation", "corr.", "Pearson's correlation of the activations over all counted tokens"),
)
"""Number of a neighbour, heading, explanation; the last go where it is narrow."""


def neighbour_table(
    found: Neighbours, chance: float, selection: Selection, on_open: Callable[[], None]
) -> None:
    """Draw both tables; `on_open` reads the feature from `st.session_state["neighbours"].open`.

    `chance`: the largest cosine to be expected of as many random directions.
    """
    draw(payload(found, chance, selection), "neighbours", on_open)


def draw(data: dict[str, Any], key: str, on_open: Callable[[], None]) -> None:
    """Draw tables; `on_open` reads what a row says of itself from `st.session_state[key].open`."""
    _component(data=data, key=key, on_open_change=on_open)


def payload(found: Neighbours, chance: float, selection: Selection) -> dict[str, Any]:
    """What the script draws; links keep the list that `selection` is of."""
    tables = (
        (
            "By direction",
            f"the nearest, dead ones too · largest by chance {short(chance)}",
            "none: it has no length",
            *(BY_COSINE, found.by_cosine),
        ),
        (
            *("Active together", "on the same tokens", "no other is active where it is"),
            *(BY_COACTIVATION, found.by_coactivation),
        ),
    )
    return {
        "short": SHORT,
        "tables": [
            {
                "title": title,
                "detail": detail if rows else nobody,
                "tokens": "promotes",
                "columns": headings(columns),
                "rows": [_row(one, [name for name, *_ in columns], selection) for one in rows],
            }
            for title, detail, nobody, columns, rows in tables
        ],
    }


def headings(columns: Iterable[tuple[str, str, str]]) -> list[dict[str, str]]:
    """Of columns that are a name, a heading and an explanation."""
    return [{"label": label, "title": tip} for _, label, tip in columns]


def chips(tokens: Iterable[str]) -> list[list[str]]:
    """The first few of some tokens, as shown and in quotes."""
    return [[alone(token), quoted(token)] for token in islice(tokens, _TOKENS)]


def _row(one: Neighbour, names: list[str], selection: Selection) -> dict[str, Any]:
    return {
        "feature": one.feature,
        "open": one.feature,
        "href": links.feature_url(selection, one.feature),
        "is_dead": one.is_dead,
        "tokens": chips(one.promoted),
        "cells": [_cell(name, getattr(one, name)) for name in names],
    }


def _cell(name: str, value: float | int | None) -> list[str]:
    if name == "conditional" and value is not None:
        return [percent(value), exact(value)]
    return [short(value), exact(value)]
