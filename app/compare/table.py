"""The scoreboard's table: a row a dictionary. A click on a heading sorts, one on a row opens."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from app import links, markup, parts
from app.compare import words
from app.compare.scoreboard import COLUMNS, Entry
from app.compare.selection import CompareSelection
from app.pair.selection import PairSelection, params
from app.selection import Selection
from featurestore.records import FeatureQuery

HERE = Path(__file__).parent
KEY = "scoreboard"
Target = tuple[Path, dict[str, str]]
"""A page, and its query parameters."""
_component = st.components.v2.component(
    "feature_browser_scoreboard",
    css=parts.style(parts.NUMBERS, parts.HEADINGS, HERE / "table.css"),
    js=parts.script(HERE / "table.js", parts.HEADINGS_JS),
)


def scoreboard(
    entries: Iterable[Entry], selection: CompareSelection, on_sort: Callable[[], None]
) -> Target | None:
    """Draw the rows; returns where a click on one leads. `on_sort` runs on a heading."""
    entries = tuple(entries)
    result = _component(
        data=payload(entries, selection),
        key=KEY,
        on_sort_change=on_sort,
        on_open_change=lambda: None,
        on_pair_change=lambda: None,
    )
    for one in entries:
        if one.info.dictionary_id == result.pair:
            return links.PAIR, in_pair(one)
    return None if result.open is None else (links.BROWSE, in_browse(result.open))


def payload(entries: tuple[Entry, ...], selection: CompareSelection) -> dict[str, Any]:
    """What the script draws."""
    return {
        "columns": [
            {"name": name, "label": label, "title": title, "sort": True}
            for name, (label, title) in words.HEADINGS.items()
        ],
        "rows": [_row(one, entries) for one in entries],
        "sort": selection.by,
        "descending": selection.descending,
    }


def in_browse(dictionary_id: str) -> dict[str, str]:
    """Query parameters of a dictionary's list."""
    return links.browse(Selection(FeatureQuery(dictionary_id)))


def in_pair(one: Entry) -> dict[str, str]:
    """Query parameters of a dictionary beside another."""
    return params(PairSelection(one.info.dictionary_id, one.beside))


def _row(one: Entry, shown: tuple[Entry, ...]) -> dict[str, Any]:
    dictionary_id = one.info.dictionary_id
    return {
        "id": dictionary_id,
        "facts": markup.dictionary_facts(one.info, [other.info for other in shown]),
        "href": f"./?{urlencode(in_browse(dictionary_id))}",  # Browse is the page without a name
        "cells": [words.cell(one, column) for column in COLUMNS[1:]],
        "pair": f"pair?{urlencode(in_pair(one))}" if one.n_pairs else "",
    }
