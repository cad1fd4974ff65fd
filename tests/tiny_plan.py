"""A plan over a tiny model, its dictionaries and a corpus, made in memory."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from featurestore.blocks import Block
from featurestore.build import build
from featurestore.plan import Order, Plan, make_plan
from featurestore.recipes import read_recipe
from featurestore.stop import Stop
from featurestore.store import Store
from featurestore.sweep import sweep
from tests.tiny_model import LONG_PASSES_OFF, save_recipe, save_texts


def order(folder: Path, store: Path | None = None, *only: str) -> Order:
    """To build a folder's recipe."""
    return Order(read_recipe(folder / "recipe.toml"), store or folder / "store", only)


def build_small(folder: Path) -> None:
    """A small run without long passes, and the store that was built from it."""
    save_recipe(folder, **LONG_PASSES_OFF)
    build(order(folder))


def plan_of(recipe: Path, store: Path) -> Plan:
    """A recipe's plan, with the folders of its runs made."""
    return opened(make_plan(Order(read_recipe(recipe), store)))


def moved(plan: Plan, store: Path) -> Plan:
    """The same work in another store; nothing is loaded again."""
    jobs = (replace(job, workspace=replace(job.workspace, store=store)) for job in plan.jobs)
    return opened(replace(plan, order=replace(plan.order, store=store), jobs=tuple(jobs)))


def opened(plan: Plan) -> Plan:
    for job in plan.jobs:
        job.workspace.open()
    return plan


def sweep_blocks(plan: Plan, numbers: Iterable[int]) -> list[int]:
    """Sweep some blocks; the numbers that were reported."""
    reported: list[int] = []
    sweep(plan, list(numbers), Stop(), reported.append)
    return reported


def block_files(store: Path) -> dict[str, tuple[dict, bytes]]:
    """Header and content of every block's file below a store, by run and name."""
    return {
        f"{path.parent.name}/{path.name}": _parts(path.read_bytes())
        for path in sorted(store.glob("work/*/block-*.safetensors"))
    }


def _parts(file: bytes) -> tuple[dict, bytes]:
    """safetensors writes the keys of its header in any order."""
    end = 8 + int.from_bytes(file[:8], "little")
    return json.loads(file[8:end]), file[end:]


def check_blocks(plan: Plan) -> list[Block]:
    """The blocks that there are; raises if one is torn."""
    return [
        job.workspace.block(number)
        for job in plan.jobs
        for number in plan.blocks
        if job.workspace.has(number)
    ]


def tables(store: Path, dictionary_id: str = "sae") -> dict[str, dict]:
    """Rows and digest of every table of a dictionary."""
    opened = Store(store)
    found = opened.dictionary(dictionary_id).tables
    opened.close()
    return found


def build_of_many_blocks(folder: Path, n_texts: int) -> Path:
    """A folder with a run of many small blocks, and the store that it makes undisturbed."""
    path = save_recipe(folder, **LONG_PASSES_OFF)
    save_texts(folder / "texts", n_files=n_texts)
    path.write_text(path.read_text().replace("contexts_per_block = 4", "contexts_per_block = 1"))
    build(Order(read_recipe(path), folder / "store"))
    return folder
