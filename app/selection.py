"""What the screen shows, as one record, and the same as query parameters.

The URL is the state: pages read a Selection from it and every control writes one back. A value
that means nothing becomes a sentence that says what was asked and what exists.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from app.map.chosen import ListError, written
from app.map.chosen import read as read_chosen
from app.token_text import meant, typed
from featurestore.annotations.records import NO_VERDICT, Verdict
from featurestore.errors import UnknownFeature
from featurestore.records import (
    NUMERIC_COLUMNS,
    SORTS,
    FeatureQuery,
    Flag,
    TextPlace,
    TokenRole,
)

PAGE_SIZE = 50
"""Rows on one page of the list."""

RANGES = tuple(column for column in NUMERIC_COLUMNS if column != "feature")
"""Columns with a range filter; `feature` in a URL is the feature that is open."""

Tab = Literal["top", "bands", "random", "zero"]
BandKind = Literal["interval", "quantile"]
View = Literal["stacked", "snippet", "full"]
Order = Literal["desc", "asc"]
Colour = Literal["cluster", "density", "verdict", "effect", "share"]

VERDICTS = (*(verdict.value for verdict in Verdict), NO_VERDICT)
"""What the filter by verdict can keep."""

_WHOLE = re.compile(r"-?[0-9]{1,15}")
_LONGEST_TEXT = 1000


@dataclass(frozen=True)
class Selection:
    """The list of features, the place in it, and how contexts are shown."""

    query: FeatureQuery
    page: int = 1
    feature: int | None = None
    tab: Tab = "top"
    bands: BandKind = "interval"
    view: View = "stacked"
    breaks: bool = False
    """Break lines where the text does."""
    colour: Colour = "cluster"
    """What the map is coloured by."""

    def listing(self, **changes: object) -> "Selection":
        """The same with another list, from its first page."""
        return replace(self, query=replace(self.query, **changes), page=1)


class Reader:
    """Takes typed values out of query parameters, gathering a sentence for each bad one."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self.given = given
        self.problems: list[str] = []

    def choice(self, name: str, options: tuple[str, ...]) -> str:
        """One of some words; the first if none is said."""
        value = self.given.get(name) or options[0]
        if value in options:
            return value
        cure = f"A link may say: {', '.join(options)}. Showing {options[0]}."
        self.bad(name, value, cure)
        return options[0]

    def switch(self, name: str) -> bool:
        """0 or 1."""
        return self.choice(name, ("0", "1")) == "1"

    def text(self, name: str) -> str:
        """Any text that is not too long."""
        value = self.given.get(name, "")
        if len(value) > _LONGEST_TEXT:
            self.bad(name, value, f"It has {len(value):,} characters; {_LONGEST_TEXT:,} fit.")
            return ""
        return value

    def page(self) -> int:
        """The number of a page."""
        value = self.given.get("page", "1")
        if _WHOLE.fullmatch(value) and int(value) > 0:
            return int(value)
        self.bad("page", value, "Pages are 1, 2, 3, and so on. Showing page 1.")
        return 1

    def feature(self, name: str) -> int | None:
        """The number of a feature, if one is said; whether it exists is not checked."""
        value = self.given.get(name, "")
        if _WHOLE.fullmatch(value):
            return int(value)
        if value:
            self.bad(name, value, "A feature is a whole number. Left out.")
        return None

    def at_least(self) -> int:
        """How many contexts have to match."""
        value = self.given.get("least", "1")
        if _WHOLE.fullmatch(value) and 0 < int(value) < 2**31:
            return int(value)
        self.bad("least", value, "It is 1, 2, 3, and so on. Taking 1.")
        return 1

    def seed(self) -> int:
        """The seed of a random order."""
        value = self.given.get("seed", "0")
        if _WHOLE.fullmatch(value) and 0 <= int(value) < 2**32:
            return int(value)
        self.bad("seed", value, "Seeds are 0, 1, 2, and so on. Taking 0.")
        return 0

    def span(self, name: str) -> tuple[float | None, float | None]:
        """Two bounds written `0.001..0.1`, either of which may be missing."""
        value = self.given.get(name, "..")
        low, dots, high = value.partition("..")
        try:
            bounds = [float(text) if text else None for text in (low, high)]
        except ValueError:
            bounds = [math.nan]
        if not dots or any(bound is not None and not math.isfinite(bound) for bound in bounds):
            self.bad(name, value, "A range looks like 0.001..0.1, 0.001.. or ..0.1. Left out.")
            return None, None
        return bounds[0], bounds[1]

    def several(self, name: str, options: tuple[str, ...]) -> frozenset[str]:
        """Some of some words, with commas between them."""
        values = [value for value in self.given.get(name, "").split(",") if value]
        for value in values:
            if value not in options:
                self.bad(name, value, f"A link may say: {', '.join(options)}. Left out.")
        return frozenset(values).intersection(options)

    def chosen(self, name: str) -> tuple[int, ...]:
        """Some features, as `chosen.written` writes them."""
        value = self.given.get(name, "")
        try:
            return read_chosen(value)
        except ListError as error:
            self.bad(name, value, f"{error} Left out.")
            return ()

    def bad(self, name: str, value: str, cure: str) -> None:
        """Note what was wrong with a value, and what is done instead."""
        self.problems.append(f"The link says {name}={_shortened(value)}. {cure}")


def read(params: Mapping[str, str], dictionary_id: str) -> tuple[Selection, tuple[str, ...]]:
    """A selection and what was wrong with the parameters; the feature is left to `read_feature`."""
    reader = Reader(params)
    spans = [(column, *reader.span(column)) for column in RANGES]
    query = FeatureQuery(
        dictionary_id,
        ranges=tuple(span for span in spans if span[1:] != (None, None)),
        flags=frozenset(Flag(name) for name in reader.several("flags", tuple(Flag))),
        include_dead=reader.switch("dead"),
        token=reader.text("token"),
        role=reader.choice("role", get_args(TokenRole)),
        text=reader.text("text"),
        within=reader.choice("within", get_args(TextPlace)),
        is_regex=reader.switch("regex"),
        at_least=reader.at_least(),
        verdicts=reader.several("verdict", VERDICTS),
        sort=reader.choice("sort", ("density", *(c for c in SORTS if c != "density"))),
        descending=reader.choice("order", get_args(Order)) == "desc",
        seed=reader.seed(),
        among=reader.chosen("among"),
    )
    selection = Selection(
        query,
        page=reader.page(),
        tab=reader.choice("tab", get_args(Tab)),
        bands=reader.choice("bands", get_args(BandKind)),
        view=reader.choice("view", get_args(View)),
        breaks=reader.switch("breaks"),
        colour=reader.choice("colour", get_args(Colour)),
    )
    return selection, tuple(reader.problems)


def read_feature(text: str, selection: Selection) -> Selection:
    """The selection with the feature that a link or a box names; whether it exists is not checked.

    Raises:
        UnknownFeature: it is no whole number.
    """
    if not _WHOLE.fullmatch(text.strip()):
        raise UnknownFeature(
            f"No feature '{_shortened(text)}' in '{selection.query.dictionary_id}': "
            "a feature is a whole number."
        )
    return replace(selection, feature=int(text))


def params(selection: Selection) -> dict[str, str]:
    """The query parameters that `read` turns into this selection: the shortest that do."""
    query = selection.query
    flags = ",".join(sorted(flag.value for flag in query.flags))
    values = {
        "dictionary": query.dictionary_id,
        "feature": "" if selection.feature is None else str(selection.feature),
        "token": query.token,
        "role": query.role if query.role != "promotes" else "",
        "text": query.text,
        "within": query.within if query.within != "contexts" else "",
        "regex": "1" if query.is_regex else "",
        "least": str(query.at_least) if query.at_least > 1 else "",
        "verdict": ",".join(verdict for verdict in VERDICTS if verdict in query.verdicts),
        **{column: f"{_bound(low)}..{_bound(high)}" for column, low, high in query.ranges},
        "flags": flags,
        "dead": "1" if query.include_dead else "",
        "sort": query.sort if query.sort != "density" else "",
        "order": "" if query.descending else "asc",
        "seed": str(query.seed) if query.seed else "",
        "page": str(selection.page) if selection.page > 1 else "",
        "tab": selection.tab if selection.tab != "top" else "",
        "bands": selection.bands if selection.bands != "interval" else "",
        "view": selection.view if selection.view != "stacked" else "",
        "breaks": "1" if selection.breaks else "",
        "colour": selection.colour if selection.colour != "cluster" else "",
        "among": written(query.among),
    }
    return {name: value for name, value in values.items() if value}


def filters(selection: Selection) -> dict[str, Any]:
    """What the filter controls hold for a selection, by their keys."""
    query = selection.query
    bounds = {column: (low, high) for column, low, high in query.ranges}
    values: dict[str, Any] = {
        "token": typed(query.token),
        "role": query.role,
        "text": query.text,
        "within": query.within,
        "regex": query.is_regex,
        "least": query.at_least,
        "verdict": [verdict for verdict in VERDICTS if verdict in query.verdicts],
        "flags": sorted(flag.value for flag in query.flags),
        "dead": query.include_dead,
        "sort": query.sort,
        "order": "desc" if query.descending else "asc",
    }
    for column in RANGES:
        values[f"{column}_low"], values[f"{column}_high"] = bounds.get(column, (None, None))
    return values


def with_filters(selection: Selection, values: Mapping[str, Any]) -> Selection:
    """The selection after an edit of the filter controls, at the first page of the new list."""
    spans = [(c, values[f"{c}_low"], values[f"{c}_high"]) for c in RANGES]
    return selection.listing(
        token=meant(values["token"].strip()),
        role=values["role"] or "promotes",
        text=values["text"].strip(),
        within=values["within"] or "contexts",
        is_regex=values["regex"],
        at_least=values["least"] or 1,
        verdicts=frozenset(values["verdict"]),
        flags=frozenset(Flag(name) for name in values["flags"]),
        include_dead=values["dead"],
        sort=values["sort"],
        descending=values["order"] != "asc",
        ranges=tuple(span for span in spans if span[1:] != (None, None)),
    )


def _bound(value: float | None) -> str:
    return "" if value is None else repr(float(value)).removesuffix(".0")


def _shortened(value: str) -> str:
    return value if len(value) <= 60 else f"{value[:60]}…"
