"""A small project with dictionaries of several kinds, and a runner that has loaded them."""

from pathlib import Path

from featurestore.build import build
from featurestore.live.runner import Runner
from featurestore.plan import Order
from featurestore.recipes import read_recipe
from featurestore.store import Store
from tests.tiny_model import (
    D_MODEL,
    LONG_PASSES_OFF,
    passes_table,
    save_dictionary,
    save_model,
    save_texts,
)

DICTIONARIES = {
    "sae": {"hook_name": "blocks.0.hook_resid_post"},
    "topk": {
        "hook_name": "blocks.1.hook_resid_pre",
        "kind": "topk",
        "nonlinearity": "topk",
        "k": 5,
        "standardisation": "layer_norm",
    },
    "signed": {
        "hook_name": "blocks.1.hook_mlp_out",
        "kind": "topk",
        "nonlinearity": "signed_topk",
        "k": 5,
    },
    "heads": {"hook_name": "blocks.1.attn.hook_z"},
    "transcoder": {
        "hook_name": "blocks.0.hook_resid_pre",
        "hook_name_out": "blocks.0.hook_mlp_out",
        "kind": "transcoder",
    },
}
IDS = tuple(DICTIONARIES)


def save_project(folder: Path, architecture: str = "gpt2") -> Path:
    """Model, dictionaries, texts and a recipe; the recipe's path."""
    save_model(folder / "model", architecture)
    save_texts(folder / "texts")
    lines = [
        "contexts_per_block = 4",
        '[model]\nname = "model"\ntitle = "tiny"',
        '[corpus]\nfiles = ["texts/*.txt"]\ncontext_length = 16',
    ]
    for seed, (name, settings) in enumerate(DICTIONARIES.items()):
        save_dictionary(folder / name, seed=seed, d_in=D_MODEL, **settings)
        lines.append(f'[[dictionaries]]\nid = "{name}"\npath = "{name}"')
    lines.append(passes_table(LONG_PASSES_OFF))
    path = folder / "recipe.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def build_project(folder: Path, architecture: str = "gpt2") -> None:
    """Write a project and build it, into `store` in its folder."""
    build(Order(read_recipe(save_project(folder, architecture)), folder / "store"))


def loaded(store: Path, ids: tuple[str, ...] = IDS) -> Runner:
    """A runner with some dictionaries of a store."""
    opened = Store(store)
    runner = Runner(opened)
    for name in ids:
        runner.load(opened.dictionary(name))
    return runner
