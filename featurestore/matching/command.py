"""The command `match`: compare two dictionaries, a family, or all that a store holds."""

import argparse
import logging
from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from featurestore.errors import MatchError
from featurestore.matching.chosen import (
    Two,
    add_options,
    compared,
    known,
    made_of_each,
    not_one_way,
    opener,
    published,
    workplace,
)
from featurestore.records import DictionaryInfo

if TYPE_CHECKING:
    from featurestore.pair_records import PairInfo, Side

logger = logging.getLogger(__name__)


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `match` to the command line."""
    parser = commands.add_parser("match", help="compare dictionaries, two by two")
    words = {
        "ids": "two dictionaries",
        "family": "every two of a family",
        "all": "every two of the store",
        "activations": "compare activations too: sweeps the corpus",
    }
    add_options(parser, words, _match)


def _match(options: argparse.Namespace) -> Iterator[str]:
    from featurestore.store import Store

    pairs = _chosen(Store(options.store).catalogue().dictionaries, options)
    return map(_line, matched(options.store, pairs, options.activations))


def _chosen(served: Iterable[DictionaryInfo], options: argparse.Namespace) -> list[Two]:
    """The pairs that were asked for; of many, those that can be compared.

    Raises:
        MatchError: they were asked for in no way, or in several; or none can be compared.
        UnknownDictionary: the store has no such dictionary or family.
    """
    from featurestore.pair_file import check_comparable

    if found := not_one_way(options):
        raise MatchError(
            f"Give two ids, or --family NAME, or --all, and one of these alone. Found: {found}."
        )
    by_id = {info.dictionary_id: info for info in sorted(served, key=lambda i: i.dictionary_id)}
    if options.ids:
        one, other = (by_id[known("dictionary", name, by_id)] for name in options.ids)
        check_comparable(one, other)
        return [(one, other)]
    chosen = list(by_id.values())
    if options.family is not None:
        families = {info.family for info in chosen if info.family is not None}
        known("family", options.family, families)
        chosen = [info for info in chosen if info.family == options.family]
    pairs = list(combinations(chosen, 2))
    comparable = [(one, other) for one, other in pairs if one.d_out == other.d_out]
    if not comparable:
        raise MatchError(
            f"Nothing to compare: {len(chosen)} dictionaries were found, but no two whose "
            "directions are of one length."
        )
    if len(comparable) < len(pairs):
        logger.info(
            "%d pairs left out: their directions differ in length", len(pairs) - len(comparable)
        )
    return comparable


def matched(store: Path, pairs: list[Two], activations: bool) -> Iterator["PairInfo"]:
    """Every pair, as soon as it is there; those that are there already are not computed again."""
    from featurestore.matching.pair import match_pair
    from featurestore.pair_file import PairFile, pair_path

    open_dictionary = opener(store, pairs)
    with workplace(store, "match", activations) as (folder, sweeps):

        def make(pair: Two) -> "PairInfo":
            activity = compared(sweeps, pair, "match")
            mine = None if isinstance(activity, str) else activity
            found = published(PairFile, pair_path(store, *pair), mine is not None)
            return found or match_pair(store, folder, pair, open_dictionary, mine)

        yield from made_of_each(pairs, "match", make)


def _line(pair: "PairInfo") -> str:
    """A pair in words: A, then B."""

    def both(name: str, style: str) -> str:
        found = (getattr(side, name) for side in (pair.a, pair.b))
        return " and ".join("none" if each is None else format(each, style) for each in found)

    def named(side: "Side") -> str:
        return f"{side.dictionary_id} ({side.n_features:,})"

    activity = "" if pair.n_tokens is None else f", activations on {pair.n_tokens:,} tokens"
    mean = "" if pair.mean_matched is None else f" with mean {pair.mean_matched:.3f}"
    return (
        f"{named(pair.a)} ~ {named(pair.b)}: MMCS {both('mmcs', '.3f')}, "
        f"by chance {both('floor', '.3f')}, above 0.9 {both('share_above', '.1%')}, "
        f"{pair.n_matched:,} matched ({pair.method}){mean}{activity}"
    )
