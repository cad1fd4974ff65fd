"""What `match` and `link` share: two by two, dictionaries of a store as a command names them."""

import argparse
import difflib
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from featurestore.errors import DamagedStore, LinkError, UnknownDictionary, WeightsError
from featurestore.records import DictionaryInfo

if TYPE_CHECKING:
    from featurestore.dictionaries.base import Dictionary
    from featurestore.matching.activity import Sweeps
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


def add_options(
    parser: argparse.ArgumentParser, words: dict[str, str], run: Callable[..., Iterator[str]]
) -> None:
    """Add how dictionaries are asked for; the command prints each line that `run` finds.

    Args:
        parser: the command's own.
        words: the help of `ids`, `family`, `all` and `activations`.
        run: takes the options.
    """
    parser.add_argument("ids", nargs="*", metavar="ID", help=words["ids"])
    parser.add_argument("--family", metavar="NAME", help=words["family"])
    parser.add_argument("--all", action="store_true", help=words["all"])
    parser.add_argument("--activations", action="store_true", help=words["activations"])
    parser.add_argument("--store", type=Path, default=Path("store"), help="folder (store)")

    def printed(options: argparse.Namespace) -> None:
        for line in run(options):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()

    parser.set_defaults(run=printed)


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


@contextmanager
def workplace(
    store: Path, command: str, activations: bool
) -> "Iterator[tuple[Path, Sweeps | None]]":
    """A folder that is gone afterwards, and what sweeps the corpus, if activations are compared."""
    from featurestore.matching.activity import Sweeps

    work = store / "work"
    work.mkdir(exist_ok=True)
    with TemporaryDirectory(prefix=f"{command}-", dir=work) as folder:
        yield Path(folder), Sweeps(store, Path(folder)) if activations else None


def compared(sweeps: "Sweeps | None", two: Two, command: str) -> "Sweeps | str":
    """What sweeps the corpus for two, or why their activations are not compared."""
    if sweeps is None:
        return f"They were not asked for: {command} with --activations."
    one, other = two
    of_one = one.digests["corpus"], one.token_mask
    if of_one == (other.digests["corpus"], other.token_mask):
        return sweeps
    reason = "The two were built on other texts or tokens."
    logger.warning(
        "%s and %s: activations are not compared. %s",
        one.dictionary_id,
        other.dictionary_id,
        reason,
    )
    return reason


def made_of_each(twos: list[Two], command: str, make: "Callable[[Two], Info]") -> "Iterator[Info]":
    """What `make` gives of each, as soon as it is there, with a bar on a terminal.

    Of many, those that cannot be made for reasons of their own are left out, with a warning.

    Raises:
        LinkError, WeightsError: none of them could be made; of the last one.
    """
    from tqdm import tqdm

    n_failed = 0
    for two in tqdm(twos, command, unit="pair", leave=False, disable=len(twos) == 1 or None):
        try:
            found = make(two)
        except (LinkError, WeightsError) as error:
            n_failed += 1
            if n_failed == len(twos):
                raise
            names = " and ".join(info.dictionary_id for info in two)
            logger.warning("%s: left out. %s", names, error)
            continue
        yield found


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
