"""The command `link`: which features feed which of a later dictionary; one link, or many."""

import argparse
from collections.abc import Iterable, Iterator
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

from featurestore.errors import LinkError
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
    from featurestore.link_records import End, LinkInfo
    from featurestore.linking.link import OpenModel


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `link` to the command line."""
    parser = commands.add_parser("link", help="which features feed which of a later dictionary")
    words = {
        "ids": "upstream, then downstream",
        "family": "all links from and to a family",
        "all": "all links of the store",
        "activations": "weigh by activations: sweeps the corpus",
    }
    add_options(parser, words, _link)


def _link(options: argparse.Namespace) -> Iterator[str]:
    from featurestore.store import Store

    twos = _chosen(Store(options.store).catalogue().dictionaries, options)
    return map(_line, _linked(options.store, twos, options.activations))


def _chosen(served: Iterable[DictionaryInfo], options: argparse.Namespace) -> list[Two]:
    """What was asked for: upstream and downstream; of many, those that can be linked.

    Raises:
        LinkError: they were asked for in no way, or in several; or none can be linked.
        UnknownDictionary: the store has no such dictionary or family.
    """
    from featurestore.linking.stream import place, refusal

    if found := not_one_way(options):
        raise LinkError(
            "Give two ids, upstream and downstream, or --family NAME, or --all, and one of these "
            f"alone. Found: {found}."
        )
    by_id = {info.dictionary_id: info for info in served}
    if options.ids:
        upstream, downstream = (by_id[known("dictionary", name, by_id)] for name in options.ids)
        reason = refusal(upstream, downstream)
        if reason:
            raise LinkError(reason)
        return [(upstream, downstream)]
    twos = [two for two in permutations(by_id.values(), 2) if refusal(*two) is None]
    if options.family is not None:
        known("family", options.family, {i.family for i in by_id.values() if i.family is not None})
        twos = [two for two in twos if options.family in (two[0].family, two[1].family)]
    if not twos:
        raise LinkError(
            f"Nothing to link: of {len(by_id)} dictionaries, none writes into the residual stream "
            "where another of the same model reads it further on."
        )

    def along_the_stream(two: Two) -> tuple[int, str, int, str]:
        written, read = place(two[0].hook_name_out), place(two[1].hook_name)
        return written.step, two[0].dictionary_id, read.step, two[1].dictionary_id

    return sorted(twos, key=along_the_stream)


def _linked(store: Path, twos: list[Two], activations: bool) -> Iterator["LinkInfo"]:
    """All of them, as soon as they are there; what is there already is not computed again."""
    from featurestore.linking.link import link_two
    from featurestore.links import LinkFile, link_path

    opened = opener(store, twos), _model_opener(store)
    with workplace(store, "link", activations) as (folder, sweeps):

        def make(two: Two) -> "LinkInfo":
            mine = compared(sweeps, two, "link")
            found = published(LinkFile, link_path(store, *two), not isinstance(mine, str))
            return found or link_two(store, folder, two, *opened, mine)

        yield from made_of_each(twos, "link", make)


def _model_opener(store: Path) -> "OpenModel":
    """Opens models; keeps the last, which most dictionaries of a store share."""
    from featurestore.built_from import built_model
    from featurestore.inference import LanguageModel
    from featurestore.places import read_place

    last: dict[str, LanguageModel] = {}

    def opened(info: DictionaryInfo) -> LanguageModel:
        if info.digests["model"] not in last:
            last.clear()  # gone before the next one comes
            place = read_place(store, info.run_id, info.dictionary_id)
            last[info.digests["model"]] = built_model(info, place)
        return last[info.digests["model"]]

    return opened


def _line(found: "LinkInfo") -> str:
    """Two dictionaries in words: upstream, then downstream."""

    def both(name: str) -> str:
        values = (getattr(end, name) for end in (found.upstream, found.downstream))
        return " and ".join("none" if each is None else format(each, ".3f") for each in values)

    def named(end: "End") -> str:
        return f"{end.dictionary_id} ({end.n_features:,})"

    activity = "" if found.n_tokens is None else f", activations on {found.n_tokens:,} tokens"
    return (
        f"{named(found.upstream)} → {named(found.downstream)}: median largest cosine "
        f"{both('median')}, by chance {both('floor')}, {found.n_same:,} downstream the same feature"
        f"{activity}"
    )
