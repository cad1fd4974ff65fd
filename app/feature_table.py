"""The table of features: rows of a page of the list, sorted by a click on a heading.

An HTML table rather than st.dataframe: its text can be found with Ctrl+F, its rows are links that
open in a new tab, and a click on a heading sorts the whole list in the store.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import streamlit as st

from app import feature_flags, links, parts, session
from app.annotations import words
from app.markup import COLUMN_HELP
from app.numerals import exact, percent, share_of, short
from app.selection import Selection
from app.token_text import alone, label_text, quoted, visible
from featurestore.annotations.records import Content, Explanation
from featurestore.chance import largest_by_chance
from featurestore.detail_records import Cluster
from featurestore.records import ONE_TOKEN_FROM, DictionaryInfo, FeatureSummary, Found

HERE = Path(__file__).parent
_component = st.components.v2.component(
    "feature_browser_feature_table",
    css=parts.style(parts.HEADINGS, parts.CHIPS, HERE / "feature_table.css"),
    js=parts.script(HERE / "feature_table.js", parts.HEADINGS_JS),
)

COLUMNS = (
    ("feature", "feature", "link", "The direction's number"),
    ("said", "label", "said", "What people say of it; else, in italics, what a program says"),
    ("match", "why", "found", "Why the search keeps it. Sorts by how well it matches"),
    ("density", "density", "number", COLUMN_HELP["density"]),
    ("max_activation", "max", "number", COLUMN_HELP["max_activation"]),
    ("mean_activation", "mean", "number", COLUMN_HELP["mean_activation"]),
    ("n_active", "active", "number", COLUMN_HELP["n_active"]),
    (
        "ablation_kl",
        "KL off · random · above",
        "effect",
        f"{COLUMN_HELP['ablation_kl']} Beside it the same for random directions of that length, "
        "and how many of these move them less, each on its own context: with few draws many "
        "features are above all of them. Sorts by KL",
    ),
    ("token_share", "token share", "number", COLUMN_HELP["token_share"]),
    ("nearest_cos", "nearest", "number", COLUMN_HELP["nearest_cos"]),
    ("logit_kurtosis", "logit kurt.", "number", COLUMN_HELP["logit_kurtosis"]),
    (
        "histogram",
        "activations",
        "bars",
        "Histogram of its activations from min to max, log counts",
    ),
    ("promoted", "promotes", "tokens", "Tokens whose logit it raises most"),
    ("peak_tokens", "peaks on", "tokens", "Tokens at the peaks of its top contexts, with counts"),
    (
        "cluster",
        "cluster",
        "cluster",
        f"{COLUMN_HELP['cluster']} Named by what its features promote",
    ),
    ("flags", "", "words", "What is odd about it"),
)
"""Column, label, kind of cell, explanation."""

SORTABLE = ("link", "number", "effect", "cluster", "found")
"""Kinds of cells whose heading sorts."""

MISSING = {
    "ablation_kl": "Not measured: no context on which it was switched off has a next token, or "
    "the build switched none off (passes.n_ablated_top and n_ablated_bands)",
    "nearest_cos": "Not computed: its direction has no length, or the dictionary is too large",
    "cluster": "In no cluster: too few directions lie closer to it than chance. Or the "
    "dictionary has no map (passes.map = false)",
}
"""Why a feature that is not dead has no such number."""

FIGURE_SPACE = "\u2007"
"""As wide as a digit."""

SHOWN = {"promoted": 6, "peak_tokens": 4}
_NOT_BESIDE_REASONS = frozenset(
    {"mean_activation", "n_active", "histogram", "token_share", "nearest_cos"}
)


@dataclass(frozen=True)
class Listed:
    """Rows of a list, with what was said of each and why it is there."""

    rows: tuple[FeatureSummary, ...]
    said: Mapping[int, Content] = field(default_factory=dict)
    explanations: Mapping[int, tuple[Explanation, ...]] = field(default_factory=dict)
    found: Mapping[int, tuple[Found, ...]] = field(default_factory=dict)
    lists: Mapping[int, Selection] = field(default_factory=dict)
    """The list that a feature is opened in, where it is not the page's own."""
    clusters: Mapping[int, Cluster] = field(default_factory=dict)
    """Those that the rows are in; `feature_table` asks for them."""

    @property
    def columns(self) -> tuple[tuple[str, str, str, str], ...]:
        """Those of COLUMNS that hold anything; reasons take the place of some numbers."""
        left_out = _NOT_BESIDE_REASONS if self.found else {"match"}
        if not (self.said or self.explanations):
            left_out = left_out | {"said"}
        return tuple(column for column in COLUMNS if column[0] not in left_out)


def feature_table(
    listed: Listed,
    selection: Selection,
    on_sort: Callable[[], None] | None = None,
    key: str = "features",
) -> int | None:
    """Draw the rows and return the feature that was just clicked; `on_sort` runs on a heading."""
    numbers = {row.cluster for row in listed.rows if row.cluster is not None}
    if numbers:
        clusters = session.store().clusters(selection.query.dictionary_id, numbers)
        listed = replace(listed, clusters=clusters)
    sortable = SORTABLE if on_sort else ()
    chance = _nearest_by_chance(session.store().dictionary(selection.query.dictionary_id))
    data = {
        "columns": [
            {
                "name": name,
                "label": label,
                "kind": kind,
                "title": f"{title} {chance}" if name == "nearest_cos" else title,
                "sort": kind in sortable,
            }
            for name, label, kind, title in listed.columns
        ],
        "rows": [table_row(row, listed, selection) for row in listed.rows],
        "sort": selection.query.sort,
        "descending": selection.query.descending,
    }
    return draw(data, key, on_sort)


def _nearest_by_chance(info: DictionaryInfo) -> str:
    chance = short(largest_by_chance(info.d_out, info.n_features - 1, False))
    return f"By chance {chance}: what is to be expected of as many random directions."


def draw(data: dict[str, Any], key: str, on_sort: Callable[[], None] | None = None) -> int | None:
    """Draw what the script takes, and return the feature whose row was just clicked."""
    result = _component(
        data=data,
        key=key,
        on_sort_change=on_sort or (lambda: None),
        on_open_change=lambda: None,
    )
    return result.open


def peaks(row: FeatureSummary) -> list[list[Any]]:
    """Tokens at its peaks, as chips."""
    tokens = row.peak_tokens[: SHOWN["peak_tokens"]]
    return [[alone(token), quoted(token), count] for token, count in tokens]


def table_row(row: FeatureSummary, listed: Listed, selection: Selection) -> dict[str, Any]:
    """A row as the script draws it: cells in the order of the columns."""
    cells = [_cell(row, name, kind, listed) for name, _, kind, _ in listed.columns]
    href = links.feature_url(listed.lists.get(row.feature, selection), row.feature)
    return {"feature": row.feature, "href": href, "cells": cells}


def _cell(row: FeatureSummary, name: str, kind: str, listed: Listed) -> object:
    if name == "flags":
        return [[flag.value, why] for flag, why in feature_flags.of_row(row).items()]
    if name == "said":
        return _said(listed.said.get(row.feature), listed.explanations.get(row.feature, ()))
    if kind == "found":
        return _reasons(row, listed.found.get(row.feature, ()))
    value = getattr(row, name)
    if value is None:
        return [short(None), _why_none(row, name)]
    if kind == "effect":
        return _effect(row)
    if kind == "cluster":
        return _cluster(row.cluster, listed.clusters.get(row.cluster))
    if name == "token_share":
        return _token_share(row, value)
    if kind == "number":
        return [short(value), exact(value)]
    if name == "promoted":
        return [[alone(token), quoted(token)] for token in value[: SHOWN[name]]]
    if name == "peak_tokens":
        return peaks(row)
    return value


def _why_none(row: FeatureSummary, name: str) -> str:
    if row.is_dead and name != "nearest_cos":
        return "Never active on this corpus, so there is nothing to measure"
    return MISSING.get(name, exact(None))


def _token_share(row: FeatureSummary, share: float) -> list[str]:
    if row.n_active >= ONE_TOKEN_FROM:
        return [percent(share), exact(share)]
    tip = f"{exact(share)}, but its active tokens are too few to tell: {row.n_active}"
    return [short(None), f"{tip}, below {ONE_TOKEN_FROM}"]


def _effect(row: FeatureSummary) -> list[str]:
    """KL, a tip, the control's KL, and how many of how many controls are below."""
    control, above = row.control_kl, row.kl_percentile
    random = "random direction" if row.n_controls == 1 else "random directions"
    tip = (
        f"KL {exact(row.ablation_kl)} nats when it is switched off (mean over {row.n_effects:,} "
        f"active tokens); {exact(control)} for {row.n_controls:,} {random} as long"
    )
    if above is None:
        return [short(row.ablation_kl), tip, short(control), short(None)]
    share = share_of(above, row.n_controls)
    return [short(row.ablation_kl), f"{tip}, above {share}", short(control), share]


def _cluster(number: int, cluster: Cluster | None) -> list[str]:
    """Number, tip, and the first token of its name."""
    if cluster is None or not cluster.tokens:
        return [str(number), f"Cluster {number}", ""]
    named = ", ".join(f"{quoted(one.token)} {percent(one.value)}" for one in cluster.tokens)
    tip = f"Cluster {number}: {cluster.n_features:,} features. Share that promotes: {named}"
    return [str(number), tip, alone(cluster.tokens[0].token)]


def _said(content: Content | None, explanations: Iterable[Explanation]) -> list[str]:
    """Verdict, its sign, label, tip, and who says so."""
    if content is not None and not content.is_empty:
        verdict = content.verdict.value if content.verdict else ""
        mark = words.MARKS[content.verdict] if content.verdict else ""
        tip = words.content(content)
        return [verdict, mark, label_text(content.label) if content.label else "", tip, "person"]
    for one in explanations:
        return ["", "", label_text(one.label), f"{one.method} · {one.explainer}", "program"]
    return ["", "", "", "", ""]


def _reasons(row: FeatureSummary, reasons: Iterable[Found]) -> list[list[str]]:
    """Why it is listed; the first text of a context says in how many of them one is, for all."""
    made = [(found, _reason(found)) for found in reasons]
    texts = [reason for found, reason in made if found.context is not None]
    if texts and row.n_matching is not None:
        counted = _share(row.n_matching, row.n_searched, texts[0][0])
        for reason in texts:
            reason[0], counted = counted, ""
    return [reason for _, reason in made]


def _share(n: int, of: int | None, noun: str) -> str:
    """So many of so many contexts or documents; as wide for one digit as for those of the whole."""
    whole = "?" if of is None else f"{of:,}"
    padded = f"{n:,}".rjust(len(whole), FIGURE_SPACE)
    return f"{padded} of {whole} {noun if of == 1 else f'{noun}s'}"


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
