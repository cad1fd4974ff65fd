"""What Search looks for, as one record, and the same as query parameters.

Filters are Browse's, under the same names. Every hit leads to a list in Browse that keeps it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

from app import selection as browse
from app.selection import RANGES, Reader, Selection
from featurestore.records import FeatureQuery

Place = Literal["annotations", "explanations", "promotes", "peaks on", "suppresses", "contexts"]
"""Where a text may stand; in this order hits are shown."""

PLACES: tuple[Place, ...] = get_args(Place)
TOKEN_PLACES = ("promotes", "peaks on", "suppresses")
"""Places that hold single tokens of the vocabulary."""

_FILTERS = (*RANGES, "flags", "verdict", "dead")
_FIRST = {"sort": "match", "descending": True}


@dataclass(frozen=True)
class SearchSelection:
    """A text, where it may stand, and which features count."""

    find: str = ""
    places: frozenset[Place] = frozenset(PLACES)
    is_regex: bool = False
    of: str = ""
    """Look in this dictionary only; in all if empty."""
    query: FeatureQuery = FeatureQuery("")
    """The filters; its dictionary, token and text are set by `asked`."""

    def asked(self, dictionary_id: str) -> dict[Place, Selection]:
        """The list that each place amounts to. A pattern is not put to single tokens."""
        plain = replace(self.query, dictionary_id=dictionary_id, **_FIRST)
        lists = {}
        for place in PLACES:
            if place not in self.places or (self.is_regex and place in TOKEN_PLACES):
                continue
            if place in TOKEN_PLACES:
                query = replace(plain, token=self.find, role=place)
            else:
                query = replace(plain, text=self.find, within=place, is_regex=self.is_regex)
            lists[place] = Selection(query)
        return lists


def read(
    params: Mapping[str, str], known: tuple[str, ...]
) -> tuple[SearchSelection, tuple[str, ...]]:
    """A selection, and what was wrong with the parameters."""
    reader = Reader(params)
    shared = {name: params[name] for name in _FILTERS if name in params}
    listed, problems = browse.read(shared, "")
    of = params.get("of", "")
    if of not in ("", *known):
        reader.bad("of", of, f"Known: {', '.join(known)}. Looking in all.")
        of = ""
    selection = SearchSelection(
        find=reader.text("find"),
        places=reader.several("where", PLACES) or frozenset(PLACES),
        is_regex=reader.switch("regex"),
        of=of,
        query=listed.query,
    )
    return selection, (*reader.problems, *problems)


def params(selection: SearchSelection) -> dict[str, str]:
    """The query parameters that `read` turns into this selection; `find` is always among them."""
    listed = browse.params(Selection(selection.query))
    is_all = selection.places in (frozenset(PLACES), frozenset())
    values = {
        "where": "" if is_all else ",".join(p for p in PLACES if p in selection.places),
        "regex": "1" if selection.is_regex else "",
        "of": selection.of,
        **{name: listed[name] for name in _FILTERS if name in listed},
    }
    return {"find": selection.find} | {name: value for name, value in values.items() if value}
