"""Dictionaries of a store as a command names them, their weights, and what two have already."""

import argparse
import difflib
import logging
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from featurestore.errors import DamagedStore, UnknownDictionary
from featurestore.records import DictionaryInfo

if TYPE_CHECKING:
    from featurestore.dictionaries.base import Dictionary
    from featurestore.matching.pair import Open
    from featurestore.two_runs import Info, TwoRunsFile

logger = logging.getLogger(__name__)

_CURES = {
    "dictionary": "",
    "family": " A family is what checkpoints of one run share: give it to each in the recipe "
    '(family = "NAME") and build again, or name two dictionaries, or take --all.',
}
"""What else to do, by what a name was to name."""

Two = tuple[DictionaryInfo, DictionaryInfo]


def known(what: str, name: str, names: Iterable[str]) -> str:
    """The name, if it is one of the store's.

    Raises:
        UnknownDictionary: it is none; the message says `what` it was to name.
    """
    names = sorted(names)
    if name not in names:
        close = " or ".join(f"'{each}'" for each in difflib.get_close_matches(name, names))
        hint = f" Did you mean {close}?" if close else ""
        holds = f"It has: {', '.join(names)}." if names else "It has none."
        raise UnknownDictionary(f"No {what} '{name}' in this store.{hint} {holds}{_CURES[what]}")
    return name


def not_one_way(options: argparse.Namespace) -> str:
    """What was given, if dictionaries were asked for in no way or in several; "" if in one."""
    family = [f"--family {options.family}"] if options.family is not None else []
    given = [*filter(None, [" ".join(options.ids)]), *family, *["--all"] * options.all]
    is_one_way = len(given) == 1 and len(options.ids) in (0, 2)
    return "" if is_one_way else ", ".join(given) or "nothing"


def has_same_tokens(one: DictionaryInfo, other: DictionaryInfo) -> bool:
    """Whether activations of the two are about the same tokens."""
    return (one.digests["corpus"], one.token_mask) == (other.digests["corpus"], other.token_mask)


def opener(store: Path, twos: Iterable[Two]) -> "Open":
    """Opens dictionaries; keeps the last two, since many pairs in a row share their first."""
    from featurestore.built_from import built_dictionary
    from featurestore.places import read_place

    infos = {info.run_id: info for two in twos for info in two}

    @lru_cache(maxsize=2)
    def opened(run_id: str) -> "Dictionary":
        info = infos[run_id]
        return built_dictionary(info, read_place(store, run_id, info.dictionary_id))

    return lambda info: opened(info.run_id)


def published(
    kind: "type[TwoRunsFile[Info]]", path: Path, needs_activations: bool
) -> "Info | None":
    """What a file is that was written before, unless it cannot be read or lacks what is needed."""
    from featurestore.two_runs import read_info

    if not path.exists():
        return None
    try:
        found = read_info(kind, path)
    except DamagedStore as error:
        logger.warning("made anew: %s", error)
        return None
    return None if needs_activations and found.n_tokens is None else found
