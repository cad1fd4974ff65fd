"""The command `explanations`: bundle contexts for an explainer, import its labels, score labels."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featurestore.annotations.records import URL_VARIABLE
from featurestore.errors import TableError

if TYPE_CHECKING:
    from featurestore.annotations.database import Database
    from featurestore.explanations.scoring import LabelScore
    from featurestore.records import DictionaryInfo
    from featurestore.store import Store

SCORE_COLUMNS = (
    "dictionary feature source by method label auc se control_auc control_n n_active n_inactive "
    "seed tokens texts is_quoted reason imported_score imported_n"
).split()


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `explanations` and what it can do to the command line."""
    parser = commands.add_parser(
        "explanations", help="labels by programs: what they need, import, scores"
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    bundle = actions.add_parser("bundle", help="write what an explainer needs, as JSON lines")
    bundle.add_argument("file", type=Path, metavar="FILE", help="JSON lines, written anew")
    which = bundle.add_mutually_exclusive_group()
    which.add_argument("--features", type=int, nargs="+", metavar="N", help="only these")
    which.add_argument("--at-most", type=_natural, metavar="N", help="N that the seed draws")
    bundle.add_argument(
        "--test-share", type=float, default=0.5, metavar="P", help="held-out share (0.5)"
    )
    bundle.set_defaults(run=_bundle)
    importing = actions.add_parser("import", help="read labels and scores: all of a file or none")
    importing.add_argument("file", type=Path, metavar="FILE", help="CSV or JSON lines")
    importing.add_argument("--method", default="", metavar="NAME", help="for rows that give none")
    importing.add_argument("--explainer", default="", metavar="NAME", help="likewise")
    importing.set_defaults(run=_import)
    score = actions.add_parser("score", help="score every label of a dictionary; CSV to stdout")
    score.set_defaults(run=_score)
    for command in (bundle, importing, score):
        command.add_argument("--store", type=Path, default=Path("store"), help="folder (store)")
    for command in (bundle, score):
        command.add_argument("--dictionary", required=True, metavar="ID", help="of this one")
        command.add_argument(
            "--seed", type=_natural, metavar="N", help="of every draw (the recipe's)"
        )
    for command in (importing, score):
        command.add_argument(
            "--annotations",
            metavar="URL",
            default=os.environ.get(URL_VARIABLE),
            help=f"database (${URL_VARIABLE}, else a file in the store)",
        )


def _natural(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number}: 0 or more is needed")
    return number


def _bundle(options: argparse.Namespace) -> None:
    from featurestore.explanations.bundle import bundle_lines, living_features
    from featurestore.store import Store

    store, name = Store(options.store), options.dictionary
    seed = _seed(options, store.dictionary(name))
    features = list(dict.fromkeys(options.features or ()))
    if not features:
        features = living_features(store, name, options.at_most, seed)
    unfinished = options.file.with_name(f"{options.file.name}.{os.getpid()}.part")
    try:
        with unfinished.open("w", encoding="utf-8") as file:
            for line in bundle_lines(store, name, features, seed, options.test_share):
                file.write(f"{line}\n")
        os.replace(unfinished, options.file)
    except OSError as error:
        raise TableError(f"'{options.file}' cannot be written: {error.strerror}.") from error
    finally:
        with suppress(OSError):  # it may be in no folder at all
            unfinished.unlink()
    sys.stdout.write(f"{len(features):,} features in {options.file}\n")


def _seed(options: argparse.Namespace, info: "DictionaryInfo") -> int:
    """That of the recipe if not said, as on a feature's page: the same contexts are held out."""
    return info.seed if options.seed is None else options.seed


def _import(options: argparse.Namespace) -> None:
    from featurestore.annotations.explanations import ExplanationTable
    from featurestore.explanations.reading import read_explanations
    from featurestore.spreadsheet import LARGEST_FILE
    from featurestore.store import Store

    try:
        with options.file.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)  # one more is refused
    except OSError as error:
        raise TableError(f"'{options.file}' cannot be read: {error.strerror}.") from error
    known = Store(options.store).catalogue().dictionaries
    found = read_explanations(data, options.file.name, known, options.method, options.explainer)
    table = ExplanationTable(_database(options, read_only=False))
    n_new = table.add_all(table.unknown(found))
    n_dictionaries = len({e.digest for e in found})
    sys.stdout.write(
        f"{len(found):,} explanations of {len({(e.digest, e.feature) for e in found}):,} features "
        f"in {n_dictionaries:,} {'dictionary' if n_dictionaries == 1 else 'dictionaries'}; "
        f"{sum(e.score is not None for e in found):,} with a score; {n_new:,} of them new\n"
    )


def _score(options: argparse.Namespace) -> None:
    from featurestore.spreadsheet import table_csv
    from featurestore.store import Store

    rows = _scored(Store(options.store), _database(options, read_only=True), options)
    sys.stdout.write(table_csv(SCORE_COLUMNS, rows, bom=False, names=SCORE_COLUMNS).decode())


@dataclass(frozen=True)
class _Label:
    """What somebody says of a feature, person or program."""

    feature: int
    source: str
    by: str
    method: str
    label: str
    score: float | None = None
    n: int | None = None


def _labels(database: "Database", digest: str) -> Iterator[_Label]:
    """Every label of a dictionary, people's first."""
    from featurestore.annotations.explanations import ExplanationTable
    from featurestore.annotations.log import AnnotationLog

    for event in AnnotationLog(database).all_current([digest]):
        if event.content.label:
            yield _Label(event.feature, "person", event.author, "", event.content.label)
    for one in ExplanationTable(database).all([digest]):
        yield _Label(one.feature, "program", one.explainer, one.method, one.label, one.score, one.n)


def _scored(
    store: "Store", database: "Database", options: argparse.Namespace
) -> Iterator[list[Any]]:
    """A row of SCORE_COLUMNS for every label, by feature."""
    from featurestore.explanations.bundle import feature_bands, split
    from featurestore.explanations.scoring import score_label

    info = store.dictionary(options.dictionary)
    seed = _seed(options, info)

    @lru_cache(maxsize=1)
    def held_out(feature: int) -> tuple:
        bands = feature_bands(store, info.dictionary_id, feature)
        return split(feature, bands, seed).held_out()

    for one in sorted(_labels(database, info.content), key=lambda label: label.feature):
        result = score_label(one.label, *held_out(one.feature), seed)
        said = [one.feature, one.source, one.by, one.method, one.label]
        yield [info.dictionary_id, *said, *_cells(result), one.score, one.n]


def _cells(result: "LabelScore") -> list[Any]:
    from featurestore.spreadsheet import as_json

    return [
        result.auc,
        result.se,
        result.control_auc,
        result.control_n,
        result.n_active,
        result.n_inactive,
        result.seed,
        as_json(result.examples.tokens),
        as_json(result.examples.texts),
        as_json(result.examples.is_quoted),
        result.reason,
    ]


def _database(options: argparse.Namespace, read_only: bool) -> "Database":
    from featurestore.annotations.database import Database, default_url

    return Database(options.annotations or default_url(options.store), read_only=read_only)
