from pathlib import Path

import pytest

from featurestore.build import build
from featurestore.plan import Order
from featurestore.recipes import read_recipe
from tests.tiny_model import D_MODEL, save_dictionary, save_model, save_texts

DICTIONARIES = {
    "early": {"seed": 1, "family": "run", "step": 1},
    "late": {"seed": 2, "family": "run", "step": 2, "n_features": 30},
    "other": {"seed": 3, "family": "run", "hook_name": "blocks.1.hook_resid_pre"},
    "axes": {"seed": 4, "kind": "pca", "nonlinearity": "identity", "n_features": 10},
    "wide": {"seed": 5, "hook_name": "blocks.0.mlp.hook_post", "d_in": 4 * D_MODEL},
}


def build_some(folder: Path, context_length: int, *ids: str) -> None:
    """Build some of them on contexts of a length."""
    path = folder / f"recipe-{context_length}.toml"
    path.write_text(
        'contexts_per_block = 4\n[model]\nname = "model"\n[passes]\nn_ablated_top = 0\n'
        "n_ablated_bands = 0\nn_dependences = 0\nn_neighbours = 0\nmap = false\n"
        f'[corpus]\nfiles = ["texts/*.txt"]\ncontext_length = {context_length}\n'
        + "".join(f'[[dictionaries]]\nid = "{name}"\npath = "{name}"\n' for name in ids),
        encoding="utf-8",
    )
    build(Order(read_recipe(path), folder / "store"))


@pytest.fixture(scope="session")
def matching_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of a family and three others, `wide` on other contexts; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("matching")
    save_model(folder / "model")
    save_texts(folder / "texts")
    for name, settings in DICTIONARIES.items():
        save_dictionary(folder / name, **settings)
    build_some(folder, 16, "early", "late", "other", "axes")
    build_some(folder, 12, "wide")
    return folder
