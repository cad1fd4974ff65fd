"""Every recipe that is shipped can be read, and names what the formats and the hub know."""

from pathlib import Path

import pytest

from featurestore.hook_points import is_residual
from featurestore.recipes import read_recipe

ROOT = Path(__file__).parent.parent
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_read(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.dictionaries
    for dictionary in recipe.dictionaries:
        if dictionary.centred:
            assert is_residual(dictionary.hook_name or "hook_embed")
        if dictionary.hook_name:
            assert dictionary.hook_name.startswith(("blocks.", "hook_"))
        if dictionary.path and dictionary.path.endswith(".pt"):
            assert dictionary.k == 30


def test_all_are_told_of() -> None:
    told = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    for path in RECIPES:
        if not path.stem.startswith("demo"):
            assert path.name in told or f"-{path.stem.rpartition('-')[2]}`" in told


def test_all_of_pythia_is_there() -> None:
    recipe = read_recipe(ROOT / "recipes" / "pythia-70m.toml")
    assert len(recipe.dictionaries) == 1 + 3 * 6
    assert not recipe.corpus.prepend_bos
