"""Features beside those of another dictionary: as tables, and as CSV. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from app import feature_table
from app.numerals import exact, short
from app.pair import words
from app.pair.selection import PairSelection, params
from featurestore.pair_records import Match
from featurestore.records import FeatureSummary
from featurestore.spreadsheet import as_json, table_csv

SORTED = ("feature", "cosine", "correlation", "jaccard", "n_both")
_MATCH = ("cosine", "correlation", "jaccard", "n_both", "is_matched", "rank")


@dataclass(frozen=True)
class Row:
    """A match, and what is known of its two features."""

    match: Match
    mine: FeatureSummary | None
    theirs: FeatureSummary | None
    """None if the feature's direction has no length, so that none is nearest."""


def payload(rows: Iterable[Row], selection: PairSelection, is_compared: bool) -> dict[str, Any]:
    """What the table of features draws; `is_compared` says whether activations were."""
    columns = words.columns(*selection.sides)
    left_out = () if is_compared else words.ON_TOKENS
    left_out += ("flags",) if selection.shown == "matched" else ()
    columns = {name: column for name, column in columns.items() if name not in left_out}
    return {
        "columns": [
            {"name": name, "label": label, "kind": kind, "title": title, "sort": name in SORTED}
            for name, (label, kind, title) in columns.items()
        ],
        "rows": [
            {"feature": row.match.feature, "href": url(selection.opened(row.match))}
            | {"cells": [_cell(row, name) for name in columns]}
            for row in rows
        ],
        "sort": selection.by,
        "descending": selection.descending,
    }


def nearest_payload(
    rows: Iterable[Row], selection: PairSelection, mine: str, is_compared: bool
) -> dict[str, Any]:
    """The same for what is nearest to a feature of `mine`: a row is known by the other feature."""
    columns = words.nearest_columns()
    if not is_compared:
        del columns["correlation"]
    return {
        "columns": [
            {"name": name, "label": label, "kind": kind, "title": title, "sort": False}
            for name, (label, kind, title) in columns.items()
        ],
        "rows": [
            {"feature": row.match.other, "href": url(selection.opened(row.match, mine))}
            | {"cells": [row.match.other, *(_cell(row, name) for name in list(columns)[1:])]}
            for row in rows
        ],
        "sort": "",
        "descending": True,
    }


def url(selection: PairSelection) -> str:
    """The address of what is selected, relative to a page."""
    return f"pair?{urlencode(params(selection))}"


def _cell(row: Row, name: str) -> object:
    match = row.match
    if name == "feature":
        return match.feature
    if name in ("mine", "theirs"):
        of = getattr(row, name)
        return feature_table.peaks(of) if of else []
    if name in ("mine_density", "theirs_density"):
        of = getattr(row, name.removesuffix("_density"))
        return [short(of.density), exact(of.density)] if of else [short(None), words.NO_LENGTH]
    if name == "flags":
        return [["matched", words.MATCHED]] if match.is_matched else []
    value = getattr(match, name)
    if name == "other" and value is not None:
        return [str(value), f"Feature {value}"]
    return [short(value), exact(value) if value is not None else words.why_none(match, name)]


def matches_csv(rows: Iterable[Row], selection: PairSelection) -> bytes:
    """The list, a line a row; tokens as JSON arrays, so that any token survives."""
    of_feature = ("dictionary", "feature", "density", "peak_tokens")
    header = [*of_feature, *(f"other_{name}" for name in of_feature), *_MATCH]
    mine, theirs = selection.sides
    lines = (
        [
            *_facts(mine, row.match.feature, row.mine),
            *_facts(theirs, row.match.other, row.theirs),
            *(getattr(row.match, name) for name in _MATCH),
        ]
        for row in rows
    )
    return table_csv(header, lines, names=("dictionary", "other_dictionary"))


def _facts(dictionary: str, feature: int | None, of: FeatureSummary | None) -> list[object]:
    if of is None:
        return [dictionary, feature, None, None]
    return [dictionary, feature, of.density, as_json(of.peak_tokens)]
