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
    served = {info.dictionary_id: info for info in _served(options.store)}
    if wanted <= served.keys():
        _note_places(recipes, served, options.store)
    else:
        _build_all(recipes, options.store)
    _match(options.store)


def _build_all(recipes: "list[Recipe]", store: Path) -> None:
    from featurestore.stop import stop_on_signals

    print(f"Building the demo into '{store}', about ten minutes in all on two cores", flush=True)
    with stop_on_signals() as stop:  # before what takes seconds to import
        from featurestore.build import build
        from featurestore.plan import Order

        _write_texts()
        for stage, recipe in enumerate(recipes, start=1):
            stop.check()
            ids = ", ".join(dictionary.id for dictionary in recipe.dictionaries)
            _tell(stage, f"recipes/{NAMES[stage - 1]}.toml, {ids}")
            build(Order(recipe, store), stop)


def _write_texts() -> None:
    from featurestore.demo.texts import held_out_documents

    for document in held_out_documents():
        path = TEXTS / f"{document.name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document.text, encoding="utf-8")


def _tell(stage: int, what: str) -> None:
    print(f"{stage} of {len(RECIPES) + 1}: {what}", flush=True)


def _note_places(recipes: "list[Recipe]", served: "dict[str, DictionaryInfo]", store: Path) -> None:
    """Say again where the weights stand: this folder may have been moved since the build."""
    from featurestore.places import place_of, write_place

    built = [(recipe, config) for recipe in recipes for config in recipe.dictionaries]
    lost = [(recipe, config) for recipe, config in built if _is_lost(store, served[config.id])]
    if not lost:
        print(f"'{store}' holds the demo already")
        return
    _write_texts()
    for recipe, config in lost:
        write_place(store, served[config.id].run_id, place_of(recipe, config))
    print(f"'{store}' holds the demo; where the weights of {len(lost)} dictionaries are is noted")


def _is_lost(store: Path, info: "DictionaryInfo") -> bool:
    """Whether weights or texts are not where they were at the build."""
    from featurestore.errors import WeightsError
    from featurestore.places import read_place

    try:
        return not read_place(store, info.run_id, info.dictionary_id).texts
    except WeightsError:
        return True


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
    _tell(
        len(RECIPES) + 1,
        f"every two of one hook point compared, {len(pairs):,}",
    )
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
