"""What Live shows, as one record, and the same as query parameters.

The list's filters are Browse's, under the same names. A text too long for a URL is remembered in
this process, and the URL holds its key. Dictionaries are checked here; features and positions are
checked only in form.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

from app import selection as browse
from app.live.ranking import ContrastBy, RankBy
from app.live.texts import TextMemory, well_formed
from app.selection import RANGES, Reader, Selection
from featurestore.live.records import Edit
from featurestore.records import FeatureQuery, Flag

LiveTab = Literal["features", "layers", "reconstruction", "contrast", "intervene"]

MAX_DICTIONARIES = 32
MAX_EDITS = 64
MAX_POSITIONS = 4096
"""Positions in a link are below this."""

MAX_NEW_TOKENS = 64
"""Most tokens that a continuation may have."""

_NUMBERS = 2**31
"""Features, contexts and seeds in a link are below this."""

_POSITIONS_LOOK = f"Positions look like 3,7-9 and are below {MAX_POSITIONS:,}."
_FILTERS = (*RANGES, "flags", "verdict", "token", "role", "page")
_PLACES = re.compile(r"([0-9]{1,4})(?:-([0-9]{1,4}))?")
_FEATURE = re.compile(r"([^:]+):([0-9]{1,10})")
_EDIT = re.compile(r"([^@]+):(?:(ablate)|(scale|clamp):([0-9.eE+-]{1,40}))(?:@(.*))?")


@dataclass(frozen=True)
class LiveSelection:
    """A text, the dictionaries that read it, and what is shown of their features."""

    dictionaries: tuple[str, ...]
    text: str = ""
    other: str = ""
    """The second text of a contrast."""
    context: int | None = None
    """A stored context, in place of a text."""
    special: bool = False
    """Read special tokens typed in the text as such."""
    tab: LiveTab = "features"
    by: RankBy = "max"
    tokens: tuple[int, ...] = ()
    """The chosen positions, ascending."""
    of: str = ""
    """Show features of this dictionary only."""
    contrast_by: ContrastBy = "max"
    query: FeatureQuery = FeatureQuery("", include_dead=True)
    """The filters; its dictionary is the first one chosen, and its order means nothing here."""
    page: int = 1
    feature: tuple[str, int] | None = None
    """The open one: dictionary and number."""
    edits: tuple[Edit, ...] = ()
    seed: int = 0
    n_new: int = 24
    """Tokens to continue the text with."""

    def listing(self, **changes: object) -> "LiveSelection":
        """The same with another list of features, from its first page."""
        return replace(self, **changes, page=1)


def choosing(selection: LiveSelection, dictionaries: tuple[str, ...]) -> LiveSelection:
    """The selection with other dictionaries, and nothing left of those that are gone."""
    feature = selection.feature
    return selection.listing(
        dictionaries=dictionaries,
        query=replace(selection.query, dictionary_id=dictionaries[0] if dictionaries else ""),
        of=selection.of if selection.of in dictionaries else "",
        feature=feature if feature is not None and feature[0] in dictionaries else None,
        edits=tuple(edit for edit in selection.edits if edit.dictionary_id in dictionaries),
    )


def with_edit(selection: LiveSelection, edit: Edit) -> LiveSelection:
    """The selection with an edit, in the place of one of the same feature at the same positions."""
    edits = {_edited(one): one for one in selection.edits} | {_edited(edit): edit}
    return replace(selection, edits=tuple(edits.values()))


def without_edit(selection: LiveSelection, edit: Edit) -> LiveSelection:
    """The selection without an edit."""
    return replace(selection, edits=tuple(one for one in selection.edits if one != edit))


def _edited(edit: Edit) -> tuple[str, int, tuple[int, ...]]:
    return edit.dictionary_id, edit.feature, edit.positions


class _LiveReader(Reader):
    """Takes Live's values out of query parameters."""

    def dictionaries(self, known: tuple[str, ...]) -> tuple[str, ...]:
        """The chosen ones; the first one known if the link says nothing of dictionaries."""
        name = "dictionaries" if "dictionaries" in self.given else "dictionary"
        value = self.given.get(name, known[0] if known else "")
        wanted = list(dict.fromkeys(one for one in value.split(",") if one))
        unknown = [one for one in wanted if one not in known]
        if unknown:
            self.bad(name, ",".join(unknown), f"Known: {_listed(known)}. Left out.")
        chosen = tuple(one for one in wanted if one in known)
        return self._first(name, "dictionaries", chosen, MAX_DICTIONARIES)

    def one_of(self, name: str, chosen: tuple[str, ...]) -> str:
        value = self.given.get(name, "")
        if value in ("", *chosen):
            return value
        self.bad(name, value, f"Dictionaries chosen: {_listed(chosen)}. Showing all.")
        return ""

    def listed(self, chosen: tuple[str, ...]) -> Selection:
        """The filters and the page, as Browse reads them; a text may wake the dead."""
        shared = {name: self.given[name] for name in _FILTERS if name in self.given}
        listed, problems = browse.read(shared, chosen[0] if chosen else "")
        self.problems += problems
        flags = listed.query.flags
        if Flag.DEAD in flags:
            cure = "Features dead in the corpus are always shown; by=rarity puts them first."
            self.bad("flags", "dead", f"{cure} Left out.")
        query = replace(listed.query, flags=flags - {Flag.DEAD}, include_dead=True)
        return replace(listed, query=query)

    def written(self, name: str, texts: TextMemory) -> str:
        """A text of the user's, out of the link or remembered under the link's key."""
        key = self.given.get(f"{name}_key")
        if name in self.given or key is None:
            return self.given.get(name, "")
        text = texts.text(key)
        if text is None:
            self.problems.append(
                f"The link's {'text' if name == 'text' else 'second text'} was too long for a link "
                "and was kept in memory only; it is gone. Paste it again."
            )
        return text or ""

    def whole(self, name: str, default: int | None, last: int) -> int | None:
        value = self.given.get(name)
        if value is None:
            return default
        if re.fullmatch("[0-9]{1,10}", value) and int(value) <= last:
            return int(value)
        self.bad(name, value, f"It is a whole number from 0 to {last:,}. Left out.")
        return default

    def positions(self, name: str) -> tuple[int, ...]:
        value = self.given.get(name, "")
        found = _positions(value) if value else ()
        if found is None:
            self.bad(name, value, f"{_POSITIONS_LOOK} Left out.")
        return found or ()

    def feature(self, name: str, chosen: tuple[str, ...]) -> tuple[str, int] | None:
        value = self.given.get(name)
        found = None if value is None else _feature(value, chosen)
        if value is not None and found is None:
            self.bad(name, value, f"{_feature_looks(chosen)} Left out.")
        return found

    def edits(self, chosen: tuple[str, ...]) -> tuple[Edit, ...]:
        parts = [part for part in self.given.get("edits", "").split(";") if part]
        found = [_edit(part, chosen) for part in parts]
        bad = [part for part, edit in zip(parts, found, strict=True) if edit is None]
        if bad:
            self.bad(
                "edits",
                ";".join(bad),
                "An edit looks like dictionary:feature:ablate, …:scale:2.5 or …:clamp:8@3,7-9. "
                f"{_feature_looks(chosen)} {_POSITIONS_LOOK} Left out.",
            )
        edits = tuple(edit for edit in found if edit is not None)
        return self._first("edits", "edits", edits, MAX_EDITS)

    def _first(self, name: str, what: str, found: tuple, limit: int) -> tuple:
        """As many as fit."""
        if len(found) > limit:
            cure = f"It has {len(found):,} {what}; {limit} fit. Taking the first {limit}."
            self.bad(name, self.given[name], cure)
        return found[:limit]


def read(
    params: Mapping[str, str], known: tuple[str, ...], texts: TextMemory
) -> tuple[LiveSelection, tuple[str, ...]]:
    """A selection out of the dictionaries that exist, and what was wrong with the parameters."""
    reader = _LiveReader(params)
    chosen = reader.dictionaries(known)
    listed = reader.listed(chosen)
    selection = LiveSelection(
        chosen,
        text=reader.written("text", texts),
        other=reader.written("other", texts),
        context=reader.whole("context", None, _NUMBERS - 1),
        special=reader.switch("special"),
        tab=reader.choice("tab", get_args(LiveTab)),
        by=reader.choice("by", get_args(RankBy)),
        tokens=reader.positions("at"),
        of=reader.one_of("of", chosen),
        contrast_by=reader.choice("contrast", get_args(ContrastBy)),
        query=listed.query,
        page=listed.page,
        feature=reader.feature("open", chosen),
        edits=reader.edits(chosen),
        seed=reader.whole("seed", 0, _NUMBERS - 1),
        n_new=reader.whole("new", 24, MAX_NEW_TOKENS),
    )
    return selection, tuple(reader.problems)


def params(selection: LiveSelection, texts: TextMemory) -> dict[str, str]:
    """The query parameters that `read` turns into this selection: the shortest that do."""
    listed = browse.params(Selection(selection.query, page=selection.page))
    feature = selection.feature
    values = {
        **_text_params("text", selection.text, texts),
        **_text_params("other", selection.other, texts),
        "context": "" if selection.context is None else str(selection.context),
        "special": "1" if selection.special else "",
        "tab": selection.tab if selection.tab != "features" else "",
        "by": selection.by if selection.by != "max" else "",
        "at": _ranges(selection.tokens),
        "of": selection.of,
        "contrast": selection.contrast_by if selection.contrast_by != "max" else "",
        **{name: listed[name] for name in _FILTERS if name in listed},
        "open": "" if feature is None else f"{feature[0]}:{feature[1]}",
        "edits": ";".join(_edit_text(edit) for edit in selection.edits),
        "seed": str(selection.seed) if selection.seed else "",
        "new": str(selection.n_new) if selection.n_new != 24 else "",
    }
    said = {name: well_formed(value) for name, value in values.items() if value}
    return {"dictionaries": ",".join(selection.dictionaries), **said}


def _text_params(name: str, text: str, texts: TextMemory) -> dict[str, str]:
    return {name: text} if texts.in_url(text) else {f"{name}_key": texts.key(text)}


def _positions(text: str) -> tuple[int, ...] | None:
    """The positions of `3,7-9`, ascending; None if it is no such thing."""
    found: set[int] = set()
    for part in text.split(","):
        match = _PLACES.fullmatch(part)
        if match is None:
            return None
        low, high = int(match[1]), int(match[2] or match[1])
        if not low <= high < MAX_POSITIONS:
            return None
        found.update(range(low, high + 1))
    return tuple(sorted(found))


def _ranges(positions: Iterable[int]) -> str:
    """Positions as `3,7-9`."""
    runs: list[tuple[int, int]] = []
    for position in sorted(positions):
        if runs and position == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], position)
        else:
            runs.append((position, position))
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


def _feature(text: str, chosen: tuple[str, ...]) -> tuple[str, int] | None:
    match = _FEATURE.fullmatch(text)
    if match is None or match[1] not in chosen or int(match[2]) >= _NUMBERS:
        return None
    return match[1], int(match[2])


def _feature_looks(chosen: tuple[str, ...]) -> str:
    example = f"{chosen[0] if chosen else 'dictionary'}:416"
    return f"A feature looks like {example}; dictionaries chosen: {_listed(chosen)}."


def _edit(text: str, chosen: tuple[str, ...]) -> Edit | None:
    match = _EDIT.fullmatch(text)
    if match is None:
        return None
    feature = _feature(match[1], chosen)
    value = _number(match[4] or "0")
    positions = () if match[5] is None else _positions(match[5])
    if feature is None or value is None or positions is None:
        return None
    return Edit(*feature, match[2] or match[3], value, positions)


def _edit_text(edit: Edit) -> str:
    value = "" if edit.mode == "ablate" else f":{float(edit.value)!r}".removesuffix(".0")
    places = f"@{_ranges(edit.positions)}" if edit.positions else ""
    return f"{edit.dictionary_id}:{edit.feature}:{edit.mode}{value}{places}"


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"
