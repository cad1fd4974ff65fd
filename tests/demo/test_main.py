"""The shipped weights, the demo's recipes, and its command."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from featurestore import build as building
from featurestore.demo import __main__ as command
from featurestore.demo.train import WEIGHTS
from featurestore.dictionaries.load import load_dictionary
from featurestore.matching import command as matching
from featurestore.places import place_of, read_place, write_place
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


def served(*more: tuple[str, str]) -> tuple[SimpleNamespace, ...]:
    """The demo's dictionaries, each at a hook point of its own, and others."""
    own = [(config.id, config.id) for recipe in RECIPES for config in recipe.dictionaries]
    return tuple(
        SimpleNamespace(dictionary_id=name, run_id=f"run-{name}", hook_name_out=hook)
        for name, hook in (*own, *more)
    )


def test_a_store_that_has_the_demo_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_served", lambda store: served())
    monkeypatch.setattr(command, "_is_lost", lambda store, info: False)
    monkeypatch.setattr(command, "TEXTS", None)  # writing a text would fail
    monkeypatch.setattr(matching, "matched", None)
    assert command.main(["build", "--store", str(tmp_path)]) == 0
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out == f"'{tmp_path}' holds the demo already\n"


def test_a_demo_that_was_moved_is_told_again_where_its_weights_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_served", lambda store: served())
    monkeypatch.setattr(command, "_write_texts", lambda: None)
    monkeypatch.setattr(matching, "matched", None)
    recipe, config = RECIPES[0], RECIPES[0].dictionaries[0]
    known = f"run-{config.id}"
    moved = replace(config, path=str(tmp_path / "no longer"))
    write_place(tmp_path, known, place_of(recipe, moved))  # the others have no note at all
    assert command.main(["build", "--store", str(tmp_path)]) == 0
    for one in RECIPES:
        for each in one.dictionaries:
            place = read_place(tmp_path, f"run-{each.id}", each.id)
            assert Path(place.dictionary.path) == Path(each.path).resolve()
            assert Path(place.model) == Path(one.model.name).resolve()
    n = sum(len(one.dictionaries) for one in RECIPES)
    assert f"where the weights of {n} dictionaries are is noted" in capsys.readouterr().out


def test_a_build_tells_its_stages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    built = []
    monkeypatch.setattr(command, "_served", lambda store: served(("c", "x"), ("d", "x"))[-2:])
    monkeypatch.setattr(command, "_write_texts", lambda: None)
    monkeypatch.setattr(building, "build", lambda order, stop: built.append(order.recipe))
    monkeypatch.setattr(matching, "matched", lambda store, pairs, activations: [])
    assert command.main(["build", "--store", str(tmp_path)]) == 0
    assert built == RECIPES
    first, *stages = capsys.readouterr().out.splitlines()
    assert "about ten minutes" in first
    assert [line.partition(":")[0] for line in stages] == [f"{i} of 5" for i in range(1, 6)]
    assert stages[0].startswith("1 of 5: recipes/demo.toml, ")
    assert stages[-1] == "5 of 5: every two of one hook point compared, 1"


def test_what_writes_to_one_hook_point_is_compared_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = []
    monkeypatch.setattr(
        command, "_served", lambda store: served(("a", "x"), ("b", "y"), ("c", "x"), ("d", "x"))
    )
    monkeypatch.setattr(
        matching, "matched", lambda store, pairs, activations: [asked.append(pairs)]
    )
    monkeypatch.setattr(command, "_is_lost", lambda store, info: False)
    (tmp_path / "pairs").mkdir()
    (tmp_path / "pairs" / "run-a--run-c.duckdb").touch()
    assert command.main(["build", "--store", str(tmp_path)]) == 0
    assert [[one.dictionary_id for one in pair] for pair in asked[0]] == [["a", "d"], ["c", "d"]]
