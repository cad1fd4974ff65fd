"""What the page of two dictionaries shows, as one record, and the same as query parameters."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from app.selection import PAGE_SIZE, Reader, View
from featurestore.pair_records import Match, MatchSort
from featurestore.records import DictionaryInfo

List = Literal["matched", "only", "only_other", "nearest"]
"""Features matched one to one; those of the first, then of the second dictionary that nothing in
the other is like; every feature of the first."""

UNLIKE = ("only", "only_other")
"""Lists of features whose largest cosine is below a bound."""
BELOW = 0.6


@dataclass(frozen=True)
class PairSelection:
    """Two dictionaries, a list of features, and two of them side by side."""

    dictionary: str
    other: str
    shown: List = "matched"
    by: MatchSort = "cosine"
    descending: bool = True
    below: float = BELOW
    """A feature is like none of the other dictionary if its largest cosine is below this."""
    page: int = 1
    feature: int | None = None
    """The one of `dictionary` that is open."""
    beside: int | None = None
    """The one of `other` beside it."""
    view: View = "stacked"
    breaks: bool = False

    @property
    def is_open(self) -> bool:
        """Whether features are shown, not the list."""
        return self.feature is not None or self.beside is not None

    @property
    def sides(self) -> tuple[str, str]:
        """The dictionary whose features are listed, and the one that they stand beside."""
        is_other = self.shown == "only_other"
        return (self.other, self.dictionary) if is_other else (self.dictionary, self.other)

    @property
    def first_row(self) -> int:
        """Rows of the list before its page."""
        return PAGE_SIZE * (self.page - 1)

    def asked(self) -> dict[str, Any]:
        """Which list it is, in the store's words."""
        return {
            "kind": "matched" if self.shown == "matched" else "nearest",
            "below": self.below if self.shown in UNLIKE else None,
        }

    def listing(self, shown: List) -> "PairSelection":
        """Another list from its top: the best matches, or what is least like anything."""
        return replace(self, shown=shown, by="cosine", descending=shown not in UNLIKE, page=1)

    def of(self, dictionary: str, other: str) -> "PairSelection":
        """The same list of two other dictionaries."""
        return replace(self, dictionary=dictionary, other=other, page=1, feature=None, beside=None)

    def swapped(self) -> "PairSelection":
        """The same seen from the other side."""
        turned = {"only": "only_other", "only_other": "only"}
        return replace(
            self.of(self.other, self.dictionary),
            shown=turned.get(self.shown, self.shown),
            feature=self.beside,
            beside=self.feature,
        )

    def opened(self, match: Match, mine: str = "") -> "PairSelection":
        """With both features of a match, whose first is of `mine`, or of the list's first side."""
        pair = (match.feature, match.other)
        feature, beside = pair if (mine or self.sides[0]) == self.dictionary else pair[::-1]
        return replace(self, feature=feature, beside=beside)

    def closed(self) -> "PairSelection":
        """Without a feature: the list."""
        return replace(self, feature=None, beside=None)


def read(
    params: Mapping[str, str],
    infos: Iterable[DictionaryInfo],
    compared: Iterable[tuple[str, str]],
) -> tuple[PairSelection, tuple[str, ...]]:
    """A selection, and what was wrong with the parameters; whether the two exist is not checked."""
    reader = Reader(params)
    named = params.get("dictionary", ""), params.get("other", "")
    selection = PairSelection(
        *chosen(*named, tuple(infos), frozenset(map(frozenset, compared))),
        shown=reader.choice("list", get_args(List)),
        by=reader.choice("by", get_args(MatchSort)),
        descending=reader.choice("order", ("desc", "asc")) == "desc",
        below=_bound(reader),
        page=reader.page(),
        feature=reader.feature("feature"),
        beside=reader.feature("beside"),
        view=reader.choice("view", get_args(View)),
        breaks=reader.switch("breaks"),
    )
    return selection, tuple(reader.problems)


def params(selection: PairSelection) -> dict[str, str]:
    """The query parameters that `read` turns into this; both dictionaries are always among them."""
    values = {
        "list": selection.shown if selection.shown != "matched" else "",
        "by": selection.by if selection.by != "cosine" else "",
        "order": "" if selection.descending else "asc",
        "below": str(selection.below) if selection.below != BELOW else "",
        "page": str(selection.page) if selection.page > 1 else "",
        "feature": _number(selection.feature),
        "beside": _number(selection.beside),
        "view": selection.view if selection.view != "stacked" else "",
        "breaks": "1" if selection.breaks else "",
    }
    named = {"other": selection.other, "dictionary": selection.dictionary}
    return named | {name: value for name, value in values.items() if value}


def chosen(
    dictionary: str,
    other: str,
    infos: tuple[DictionaryInfo, ...],
    compared: frozenset[frozenset[str]],
) -> tuple[str, str]:
    """Two dictionaries: those named, and what is not named chosen; "" if there is none.

    What was compared comes first, then what can be, then the hook point, then the family, then
    whoever stands nearest; beside one that does not exist, the first there is.
    """
    if dictionary and other:
        return dictionary, other
    if other:
        return chosen(other, "", infos, compared)[::-1]

    def preference(pair: tuple[int, int]) -> tuple[bool, bool, bool, bool, int]:
        one, two = (infos[at] for at in pair)
        is_compared = frozenset((one.dictionary_id, two.dictionary_id)) in compared
        is_kin = one.family is not None and one.family == two.family
        is_elsewhere = one.d_out != two.d_out, one.hook_name_out != two.hook_name_out
        return not is_compared, *is_elsewhere, not is_kin, abs(pair[0] - pair[1])

    ids = [info.dictionary_id for info in infos]
    firsts = [at for at, one in enumerate(ids) if dictionary in ("", one)]
    pairs = [(one, two) for one in firsts for two in range(len(ids)) if two != one]
    if not pairs:
        first = "".join(ids[:1])
        return dictionary or first, first if dictionary not in ("", *ids) else ""
    one, two = min(pairs, key=preference)
    return ids[one], ids[two]


def _bound(reader: Reader) -> float:
    value = reader.given.get("below", str(BELOW))
    try:
        bound = float(value)
    except ValueError:
        bound = math.nan
    if -1 <= bound <= 1:
        return bound
    reader.bad("below", value, f"A cosine is from -1 to 1. Taking {BELOW}.")
    return BELOW


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
