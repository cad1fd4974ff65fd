"""Links between layers as tables: what feeds a feature, what it feeds. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from html import escape
from typing import Any

from app import links
from app.neighbour_table import SHORT, chips, headings
from app.numerals import exact, short
from app.selection import Selection
from featurestore.link_records import SAME_ABOVE, Link, Links, LinkTable
from featurestore.records import FeatureQuery, FeatureSummary

_SAME = "same"
BY_WEIGHTS = (
    (
        "weight",
        "weight",
        "What a unit of the activation upstream adds to what the feature downstream reads, before "
        "its bias and nonlinearity; below 0 it holds it down",
    ),
    ("cosine", "cos", "Cosine of the direction upstream with the reader downstream"),
    (
        "direction_cosine",
        "directions",
        f"Cosine of the two directions; '{_SAME}' above {SAME_ABOVE}: one feature, carried on by "
        "the residual stream",
    ),
)
BY_ACTIVATIONS = (
    (
        "mean_weighted",
        "on the texts",
        "Mean of activation upstream times weight, over the tokens on which both are active",
    ),
    ("n_both", "both", "Tokens on which both are active"),
    ("correlation", "corr.", "Pearson's correlation of the activations over all counted tokens"),
)
"""Number of a link, heading, explanation; the last go where it is narrow."""

_CAUTION = (
    "A weight is a direction times a later reader and no measured effect: it knows nothing of "
    "attention, of the scale of layer norms, or of what other features do, and between "
    "neighbouring layers the strongest is mostly the same feature, carried on."
)


def caution(found: Links) -> str:
    """What the numbers are not, as HTML, and why some are missing."""
    missing = {}
    for table in (*found.fed_by, *found.feeds):
        if table.info.why_not is not None:
            missing.setdefault(table.info.why_not, []).append(table.other.dictionary_id)
    told = [f"Activations with {', '.join(ids)}: {reason}" for reason, ids in missing.items()]
    return f'<p class="fb-scope">{escape(" ".join([_CAUTION, *told]))}</p>'


def listed(selection: Selection, dictionary_id: str) -> Selection:
    """The whole list of another dictionary, shown as this one is."""
    return replace(selection, query=FeatureQuery(dictionary_id), page=1)


def payload(
    found: Links, summaries: Mapping[str, Mapping[int, FeatureSummary]], selection: Selection
) -> dict[str, Any]:
    """What the script of the tables draws; `summaries` are of linked features, by dictionary."""
    tables = [("Fed by", table) for table in found.fed_by]
    tables += [("Feeds", table) for table in found.feeds]
    return {
        "short": SHORT,
        "tables": [
            _table(title, table, summaries[table.other.dictionary_id], selection)
            for title, table in tables
        ],
    }


def _table(
    title: str,
    table: LinkTable,
    summaries: Mapping[int, FeatureSummary],
    selection: Selection,
) -> dict[str, Any]:
    info = table.info
    columns = BY_WEIGHTS if info.n_tokens is None else (*BY_WEIGHTS, *BY_ACTIVATIONS)
    details = [table.other.hook_name]
    if info.reading != "stream":
        details.append(f"read through a {info.reading}")
    if table.own.floor is not None:
        details.append(f"largest cos by chance ±{short(table.own.floor)}")
    name = table.other.dictionary_id
    listing = listed(selection, name)
    return {
        "title": f"{title} {name}",
        "detail": " · ".join(details),
        "tokens": "peaks on",
        "columns": headings(columns),
        "rows": [
            {
                "feature": link.other,
                "open": [name, link.other],
                "href": links.feature_url(listing, link.other),
                "is_dead": summaries[link.other].is_dead,
                "tokens": chips(token for token, _ in summaries[link.other].peak_tokens),
                "cells": [_cell(column, link) for column, *_ in columns],
            }
            for link in table.links
        ],
    }


def _cell(column: str, link: Link) -> list[str]:
    value = getattr(link, column)
    if column == "direction_cosine" and link.is_same:
        return [f"{_SAME} {short(value)}", exact(value)]
    return [short(value), exact(value)]
