"""The shipped weights, the demo's recipes, and its command."""

import json
from pathlib import Path

import pytest

from featurestore.demo import __main__ as command
from featurestore.demo.train import WEIGHTS
from featurestore.dictionaries.load import load_dictionary
from featurestore.recipes import read_recipe

RECIPES = [read_recipe(path) for path in command.RECIPES]
MEGABYTE = 1_000_000


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: Path(recipe.model.name).name)
def test_every_dictionary_of_the_recipes_is_shipped_and_opens(recipe: object) -> None:
    for config in recipe.dictionaries:
        dictionary = load_dictionary(config)
        assert dictionary.n_features >= 512
        assert dictionary.origin.hook_name.startswith(("blocks.", "hook_embed"))


def test_every_shipped_dictionary_is_in_a_recipe_and_scored() -> None:
    shipped = {path.name for path in (WEIGHTS / "dictionaries").iterdir()}
    assert shipped == {config.id for recipe in RECIPES for config in recipe.dictionaries}
    scores = json.loads((WEIGHTS / "scores.json").read_text(encoding="utf-8"))
    assert shipped == scores.keys()
    text = (command.ROOT / "docs" / "demo.md").read_text(encoding="utf-8")
    for name, score in scores.items():
        (row,) = [line for line in text.splitlines() if line.startswith(f"| `{name}` |")]
        assert f"| {score['L0']:.1f} | {score['explained_variance']:.3f} |" in row


def test_what_is_shipped_stays_small() -> None:
    size = sum(path.stat().st_size for path in WEIGHTS.rglob("*") if path.is_file())
    assert size < 30 * MEGABYTE
    assert len(list((WEIGHTS / "model").glob("step-*/model.safetensors"))) >= 4


def test_a_store_that_has_the_demo_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {config.id for recipe in RECIPES for config in recipe.dictionaries}
    monkeypatch.setattr(command, "_served", lambda store: wanted)
    monkeypatch.setattr(command, "TEXTS", None)  # writing a text would fail
    assert command.main(["build", "--store", "anywhere"]) == 0
