"""What the page about training shows, as one record, and the same as query parameters."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from app.map import chosen
from app.numerals import natural
from app.selection import Reader
from featurestore.checkpoints import spread, training_order
from featurestore.records import DictionaryInfo
from featurestore.track_records import LikenessMeasure, TrackMode

MAX_TRACKED = 24

Kept = Literal["all", "born", "died", "lost", "drifted"]
By = Literal["length", "feature", "born", "until", "least", "mean", "final", "density"]

_FEATURE = re.compile(r"(.+):([0-9]{1,10})")


@dataclass(frozen=True)
class TrackSelection:
    """Dictionaries in the order of training, how features are followed, and which are listed."""

    tracked: tuple[str, ...]
    family: str = ""
    """All of whose members are tracked; empty if they were chosen one by one."""
    mode: TrackMode | Literal["auto"] = "auto"
    """By number where numbers persist, else by match, unless said."""
    measure: LikenessMeasure = "cosine"
    tau: float = 0.9
    """A feature goes on at this likeness or more."""
    high: float = 0.9
    """Learned at this likeness to the next step or more."""
    low: float = 0.6
    """Lost below this."""
    kept: Kept = "all"
    by: By = "length"
    descending: bool = True
    page: int = 1
    feature: tuple[str, int] | None = None
    """The open one: dictionary and number."""
    among: tuple[str, tuple[int, ...]] | None = None
    """Only the tracks of these features: dictionary, and numbers that rise."""


class _TrackReader(Reader):
    def tracked(self, known: Mapping[str, DictionaryInfo], family: str) -> tuple[str, ...]:
        """Those of the link that exist; else all of the family."""
        wanted = [one for one in self.given.get("tracked", "").split(",") if one]
        unknown = [one for one in wanted if one not in known]
        if unknown:
            self.bad("tracked", ",".join(unknown), f"Known: {', '.join(known)}. Left out.")
        found = in_order(known, wanted) or members(known, family)
        if len(found) > MAX_TRACKED:
            cure = f"{len(found)} are too many; showing {MAX_TRACKED} of them, evenly."
            self.bad("tracked", ",".join(found), cure)
        return few(found)

    def share(self, name: str, default: float) -> float:
        """A number from 0 to 1."""
        value = self.given.get(name, repr(default))
        try:
            found = float(value)
        except ValueError:
            found = -1.0
        if 0 <= found <= 1:
            return found
        self.bad(name, value, f"It is a number from 0 to 1. Taking {default:g}.")
        return default

    def feature(self, tracked: tuple[str, ...]) -> tuple[str, int] | None:
        """A feature of one of the dictionaries; whether it exists is not checked."""
        value = self.given.get("feature", "")
        found = _FEATURE.fullmatch(value)
        if found and found[1] in tracked:
            return found[1], int(found[2])
        if value:
            cure = "A feature looks like NAME:7, with a dictionary that is shown. None is open."
            self.bad("feature", value, cure)
        return None

    def among(self, tracked: tuple[str, ...]) -> tuple[str, tuple[int, ...]] | None:
        """Features of one of the dictionaries, as Browse writes them."""
        value = self.given.get("among", "")
        name, _, numbers = value.rpartition(":")
        try:
            listed = chosen.read(numbers)
        except chosen.ListError as error:
            self.bad("among", value, f"{error} Showing all.")
            return None
        if name in tracked and listed:
            return name, listed
        if value:
            cure = "It looks like NAME:7.1.16, with a dictionary that is shown. Showing all."
            self.bad("among", value, cure)
        return None


def families(infos: Iterable[DictionaryInfo]) -> tuple[str, ...]:
    """Families of two members or more."""
    names = [info.family for info in infos if info.family]
    return tuple(sorted({name for name in names if names.count(name) > 1}, key=natural))


def members(known: Mapping[str, DictionaryInfo], family: str) -> tuple[str, ...]:
    """Ids of a family, in the order of training."""
    return in_order(known, [name for name, info in known.items() if info.family == family])


def few(ids: tuple[str, ...]) -> tuple[str, ...]:
    """At most MAX_TRACKED of them, evenly, with the first and the last."""
    return tuple(ids[place] for place in spread(len(ids), MAX_TRACKED))


def in_order(known: Mapping[str, DictionaryInfo], ids: Iterable[str]) -> tuple[str, ...]:
    """Those that exist, in the order of training."""
    ordered = training_order(
        {known[one].dictionary_id: known[one] for one in ids if one in known}.values()
    )
    return tuple(info.dictionary_id for info in ordered)


def read(
    params: Mapping[str, str], known: Mapping[str, DictionaryInfo]
) -> tuple[TrackSelection, tuple[str, ...]]:
    """A selection, and what was wrong with the parameters.

    Without any, the family of the dictionary that was looked at last, or the first there is.
    """
    reader = _TrackReader(params)
    names = families(known.values())
    looked_at = known.get(params.get("dictionary", ""))
    near = looked_at.family if looked_at and looked_at.family in names else ""
    family = reader.text("family")
    if family not in ("", *names):
        reader.bad("family", family, f"Families: {', '.join(names) or 'none'}.")
        family = ""
    if not family and not params.get("tracked"):
        family = near or (names[0] if names else "")
    tracked = reader.tracked(known, family)
    selection = TrackSelection(
        tracked,
        family=_whole_family(known, tracked),
        mode=reader.choice("mode", ("auto", *get_args(TrackMode))),
        measure=reader.choice("measure", get_args(LikenessMeasure)),
        tau=reader.share("tau", TrackSelection.tau),
        high=reader.share("high", TrackSelection.high),
        low=reader.share("low", TrackSelection.low),
        kept=reader.choice("kept", get_args(Kept)),
        by=reader.choice("by", get_args(By)),
        descending=reader.choice("order", ("desc", "asc")) == "desc",
        page=reader.page(),
        feature=reader.feature(tracked),
        among=reader.among(tracked),
    )
    return selection, tuple(reader.problems)


def _whole_family(known: Mapping[str, DictionaryInfo], tracked: tuple[str, ...]) -> str:
    """The family of which these are all members; "" if there is none."""
    family = known[tracked[0]].family if len(tracked) > 1 else None
    return family if family and tracked == few(members(known, family)) else ""


def params(selection: TrackSelection) -> dict[str, str]:
    """The query parameters that `read` turns into this selection; `tracked` is always there."""
    plain = TrackSelection(())
    names = ("family", "mode", "measure", "tau", "high", "low", "kept", "by", "page")
    values = {name: getattr(selection, name) for name in names}
    changed = {
        name: f"{value:g}" if isinstance(value, float) else str(value)
        for name, value in values.items()
        if value != getattr(plain, name)
    }
    if not selection.descending:
        changed["order"] = "asc"
    if selection.feature is not None:
        changed["feature"] = written(*selection.feature)
    if selection.among is not None:
        name, numbers = selection.among
        changed["among"] = f"{name}:{chosen.written(numbers)}"
    return {"tracked": ",".join(selection.tracked)} | changed


def written(dictionary_id: str, number: int) -> str:
    """A feature of a dictionary as links name it."""
    return f"{dictionary_id}:{number}"
