"""Dictionaries with the numbers about each: sorted, plotted, as CSV; what they rest on.

Pure. Names of measures are those of the build; `kl_control`, `kl_ratio` and `kl_gap` are made here
of `kl_decoded` and its control, and `family_mmcs` of the pairs within a family.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

from app.markup import model
from app.numerals import natural
from featurestore.detail_records import Measure
from featurestore.pair_records import PairInfo
from featurestore.records import DictionaryInfo
from featurestore.spreadsheet import safe, table_csv

COLUMNS = (
    "dictionary",
    "n_features",
    "l0",
    "explained_variance",
    "cosine",
    "ce_recovered",
    "kl_decoded",
    "kl_control",
    "kl_ratio",
    "share_dead",
    "share_rare",
    "share_dense",
    "capacity",
    "family_mmcs",
    "pairs",
)
PLOTTED = ("explained_variance", "ce_recovered", "kl_ratio")
"""What can stand against L0."""
TOKENS = "tokens"
"""The other plot: what one dictionary loses at which token."""
LEAST_KL = 1e-9
"""In nats: a ratio to less than this is one of rounding."""
LOWER_IS_BETTER = ("kl_ratio",)

_FACTS = (
    *("dictionary_id", "family", "kind", "model_name", "model_step", "step"),
    *("hook_name", "hook_name_out", "n_features", "corpus_name", "n_tokens", "seed", "run_id"),
)

_PARTS = ("value", "n", "control", "n_control")


@dataclass(frozen=True)
class Kin:
    """Another dictionary of a family, and how far it has what one of the family has."""

    dictionary_id: str
    mmcs: float
    floor: float | None


@dataclass(frozen=True)
class Entry:
    """A dictionary and the numbers about it."""

    info: DictionaryInfo
    measures: Mapping[str, Measure]
    kin: tuple[Kin, ...] = ()
    """The others of its family that it was compared with."""
    n_pairs: int = 0
    """Dictionaries that it was compared with."""
    beside: str = ""
    """The one that it is shown with first, compared or not."""
    partner: str = ""
    """One that writes to the same hook point, and so can be compared; "" if there is none."""
    store: str = "store"
    """How commands name the store."""

    @property
    def is_scored(self) -> bool:
        """Whether the model was run with its vectors in place of its own."""
        return "l0" in self.measures

    def value(self, column: str) -> float | None:
        """The number in a column; None if there is none."""
        if column == "n_features":
            return self.info.n_features
        if column == "pairs":
            return self.n_pairs or None
        found = self.measures.get(column)
        return (
            None if found is None or found.value is None or math.isnan(found.value) else found.value
        )


@dataclass(frozen=True)
class Sample:
    """What scores rest on: only those on the same tokens can be compared."""

    corpus: str
    """Digest of its tokens."""
    corpus_name: str
    n_corpus: int
    """Its tokens that count."""
    seed: int
    n_contexts: int | None
    """Contexts that were drawn; None if the build does not say."""
    n_tokens: int
    """Tokens of them that count."""


def entry(
    info: DictionaryInfo,
    measures: Mapping[str, Measure],
    kin: tuple[Kin, ...] = (),
    n_pairs: int = 0,
    beside: str = "",
) -> Entry:
    """A dictionary with its measures, and what follows of them."""
    made = _from_kl(measures.get("kl_decoded")) | _from_kin(kin)
    return Entry(info, {**measures, **made}, kin, n_pairs, beside)


def kin(pairs: Iterable[PairInfo]) -> dict[str, tuple[Kin, ...]]:
    """Of each dictionary of pairs within families: the others and its MMCS to them."""
    found: dict[str, list[Kin]] = defaultdict(list)
    for pair in pairs:
        for mine, other in ((pair.a, pair.b), (pair.b, pair.a)):
            if mine.mmcs is not None:
                found[mine.dictionary_id].append(Kin(other.dictionary_id, mine.mmcs, mine.floor))
    return {
        one: tuple(sorted(others, key=lambda other: natural(other.dictionary_id)))
        for one, others in found.items()
    }


def _from_kin(kin: tuple[Kin, ...]) -> dict[str, Measure]:
    if not kin:
        return {}
    floors = [one.floor for one in kin if one.floor is not None]
    floor = fmean(floors) if floors else None
    return {"family_mmcs": Measure(fmean(one.mmcs for one in kin), len(kin), floor, len(floors))}


def _from_kl(kl: Measure | None) -> dict[str, Measure]:
    if kl is None:
        return {}
    ratio = gap = None
    if kl.value is not None and kl.control is not None:
        gap = kl.value - kl.control
        ratio = kl.value / kl.control if kl.control >= LEAST_KL else None
    return {
        "kl_control": Measure(kl.control, kl.n_control or 0, None, None),
        "kl_ratio": Measure(ratio, kl.n, None, None),
        "kl_gap": Measure(gap, kl.n, None, None),
    }


def ordered(entries: Iterable[Entry], by: str, descending: bool) -> tuple[Entry, ...]:
    """Sorted by a column: equal ones by id, those without the number last either way."""
    named = sorted(entries, key=lambda one: natural(one.info.dictionary_id))
    if by == "dictionary":
        return tuple(reversed(named) if descending else named)
    known = [one for one in named if one.value(by) is not None]
    known.sort(key=lambda one: one.value(by), reverse=descending)
    return (*known, *(one for one in named if one.value(by) is None))


def contexts_scored(info: DictionaryInfo) -> int | None:
    """Contexts that scores were taken on; None if the build does not say."""
    n = info.recipe.get("passes", {}).get("n_scored")
    return None if n is None else min(n, info.n_contexts)


def samples(entries: Iterable[Entry]) -> dict[Sample, tuple[Entry, ...]]:
    """The scored ones by what their scores rest on."""
    found: dict[Sample, tuple[Entry, ...]] = {}
    for one in entries:
        if one.is_scored:
            sample = _sample(one)
            found[sample] = (*found.get(sample, ()), one)
    return found


def _sample(one: Entry) -> Sample:
    info = one.info
    return Sample(
        corpus=info.digests.get("corpus", ""),
        corpus_name=info.corpus_name,
        n_corpus=info.n_tokens,
        seed=info.seed,
        n_contexts=contexts_scored(info),
        n_tokens=one.measures["l0"].n,
    )


def front(entries: Iterable[Entry], column: str) -> tuple[Entry, ...]:
    """Those that no other beats at as many active features or fewer, by L0.

    Empty unless all scores are on the same tokens at the same place of the same model.
    """
    entries = tuple(entries)
    places = {(model(i), i.hook_name, i.hook_name_out) for i in (one.info for one in entries)}
    if len(places) > 1 or len(samples(entries)) > 1:
        return ()
    sign = -1 if column in LOWER_IS_BETTER else 1
    best, found = -math.inf, []
    for one in sorted(entries, key=lambda e: (e.value("l0"), -sign * e.value(column))):
        gain = sign * one.value(column)
        if gain > best:
            best = gain
            found.append(one)
    return tuple(found)


def plotted(entries: Iterable[Entry], column: str) -> tuple[Entry, ...]:
    """Those that have a place: on a logarithmic axis an L0 of 0 has none."""
    return tuple(one for one in entries if one.value("l0") and one.value(column) is not None)


def scores_csv(entries: Iterable[Entry]) -> bytes:
    """A line a dictionary: every measure that any has, its n, and its control if there is one."""
    entries = tuple(entries)
    names = sorted({name for one in entries for name in one.measures} - {"kl_control"})
    cells = [
        (name, part)
        for name in names
        for part in _PARTS
        if part in _PARTS[:2] or any(_part(one, name, part) is not None for one in entries)
    ]
    header = [*_FACTS, "corpus_digest", *(_heading(*cell) for cell in cells)]
    lines = (
        [
            *(getattr(one.info, fact) for fact in _FACTS),
            one.info.digests.get("corpus"),
            *(_part(one, *cell) for cell in cells),
        ]
        for one in entries
    )
    return table_csv(header, lines, names=header)


def _part(one: Entry, name: str, part: str) -> float | None:
    return getattr(one.measures.get(name), part, None)


def _heading(name: str, part: str) -> str:
    """A file may name a measure as it likes: only a plain word goes out as it is."""
    name = name if name.isidentifier() else safe(name)
    return name if part == "value" else f"{name}_{part}"
