"""What the scoreboard shows, as one record, and the same as query parameters."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter

from app import markup
from app.compare.scoreboard import COLUMNS, PLOTTED, TOKENS
from app.numerals import natural
from app.selection import Reader
from featurestore.records import DictionaryInfo

FILTERS: dict[str, Callable[[DictionaryInfo], str | None]] = {
    "family": attrgetter("family"),
    "kind": attrgetter("kind"),
    "hook": attrgetter("hook_name"),
    "model": markup.model,
}
"""Name of a filter in the URL, and what of a dictionary it is compared with."""


@dataclass(frozen=True)
class CompareSelection:
    """Which dictionaries, in which order, and what is plotted. An empty filter keeps all."""

    by: str = "dictionary"
    """One of COLUMNS."""
    descending: bool = False
    plot: str = PLOTTED[0]
    """One of PLOTTED, or TOKENS."""
    of: str = ""
    """The dictionary whose tokens are plotted; "" for the first that is shown."""
    family: str = ""
    kind: str = ""
    hook: str = ""
    model: str = ""

    @property
    def filters(self) -> dict[str, str]:
        """Those that are set, by their names."""
        return {name: getattr(self, name) for name in FILTERS if getattr(self, name)}

    def keeps(self, info: DictionaryInfo) -> bool:
        """Whether a dictionary is shown."""
        return all(FILTERS[name](info) == value for name, value in self.filters.items())


def choices(infos: Iterable[DictionaryInfo]) -> dict[str, tuple[str, ...]]:
    """What each filter can be set to."""
    infos = tuple(infos)
    return {
        name: tuple(sorted({value for i in infos if (value := of(i))}, key=natural))
        for name, of in FILTERS.items()
    }


def read(
    params: Mapping[str, str], known: Mapping[str, tuple[str, ...]]
) -> tuple[CompareSelection, tuple[str, ...]]:
    """A selection, and what was wrong with the parameters; `known` are the filters' choices."""
    reader = Reader(params)
    selection = CompareSelection(
        by=reader.choice("by", COLUMNS),
        descending=reader.choice("order", ("asc", "desc")) == "desc",
        plot=reader.choice("plot", (*PLOTTED, TOKENS)),
        of=reader.text("of"),
        **{name: _filter(reader, name, known[name]) for name in FILTERS},
    )
    return selection, tuple(reader.problems)


def params(selection: CompareSelection) -> dict[str, str]:
    """The query parameters that `read` turns into this selection; `by` is always among them."""
    values = {
        "order": "desc" if selection.descending else "",
        "plot": selection.plot if selection.plot != PLOTTED[0] else "",
        "of": selection.of if selection.plot == TOKENS else "",
        **selection.filters,
    }
    return {"by": selection.by} | {name: value for name, value in values.items() if value}


def _filter(reader: Reader, name: str, known: tuple[str, ...]) -> str:
    value = reader.text(name)
    if value in ("", *known):
        return value
    reader.bad(name, value, f"Known: {', '.join(known) or 'none'}. Showing all.")
    return ""
