"""The demo's command line: python -m featurestore.demo build | train."""

import argparse
import sys
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from featurestore.__main__ import run

if TYPE_CHECKING:
    from featurestore.config import Recipe
    from featurestore.records import DictionaryInfo

ROOT = Path(__file__).parents[2]
NAMES = ("demo", "demo-more", "demo-model-1000", "demo-model-2000")
RECIPES = tuple(ROOT / "recipes" / f"{name}.toml" for name in NAMES)
TEXTS = ROOT / "build" / "demo-texts"
"""Where the recipes look for the demo's text."""


def main(arguments: list[str] | None = None) -> int:
    """Build the demo's store, or train its model and dictionaries anew."""
    parser = argparse.ArgumentParser(prog="python -m featurestore.demo", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    build = commands.add_parser("build", help="build the demo's dictionaries into a store")
    build.add_argument("--store", type=Path, default=Path("store"), help="folder (store)")
    build.set_defaults(run=_build)
    train = commands.add_parser("train", help="train model and dictionaries: an hour or two")
    train.set_defaults(run=_train)
    return run(parser.parse_args(arguments))


def _build(options: argparse.Namespace) -> None:
    from featurestore.recipes import read_recipe

    recipes = [read_recipe(path) for path in RECIPES]
    wanted = {dictionary.id for recipe in recipes for dictionary in recipe.dictionaries}
    if not wanted <= {info.dictionary_id for info in _served(options.store)}:
        _build_all(recipes, options.store)
    _match(options.store)


def _build_all(recipes: "list[Recipe]", store: Path) -> None:
    from featurestore.stop import stop_on_signals

    with stop_on_signals() as stop:  # before what takes seconds to import
        from featurestore.build import build
        from featurestore.demo.texts import held_out_documents
        from featurestore.plan import Order

        for document in held_out_documents():
            stop.check()
            path = TEXTS / f"{document.name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(document.text, encoding="utf-8")
        for recipe in recipes:
            build(Order(recipe, store), stop)


def _match(store: Path) -> None:
    """Compare every two that write to one hook point, unless they were compared before."""
    from featurestore.pair_file import pair_path

    pairs = [
        pair
        for pair in combinations(_served(store), 2)
        if len({info.hook_name_out for info in pair}) == 1 and not pair_path(store, *pair).exists()
    ]
    if not pairs:
        return
    from featurestore.matching.command import matched

    list(matched(store, pairs, activations=False))


def _served(store: Path) -> "tuple[DictionaryInfo, ...]":
    """The dictionaries that a store already serves; whatever built them is good enough."""
    from featurestore.errors import StoreNotFound
    from featurestore.store import Store

    try:
        return Store(store).catalogue().dictionaries
    except StoreNotFound:
        return ()


def _train(options: argparse.Namespace) -> None:
    from featurestore.demo.train import train_all

    train_all()


if __name__ == "__main__":
    sys.exit(main())
