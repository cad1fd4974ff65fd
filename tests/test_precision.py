"""The change that a lower precision makes, against a loop over a plain computation."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from featurestore.inference import LanguageModel
from featurestore.plan import Job, Order, Plan, make_plan
from featurestore.precision import dtype_change
from featurestore.recipes import read_recipe
from tests.tiny_model import LONG_PASSES_OFF, save_dictionary, save_recipe
from tests.tiny_plan import opened, sweep_blocks

HOOK = "blocks.0.hook_resid_post"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("precision")
    path = save_recipe(folder, **LONG_PASSES_OFF)
    save_dictionary(folder / "topk", nonlinearity="topk", k=3, seed=1)
    path.write_text(path.read_text() + '[[dictionaries]]\nid = "topk"\npath = "topk"\n')
    return path


@pytest.fixture(scope="module")
def rough(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Swept in bfloat16."""
    order = Order(replace(read_recipe(recipe), dtype="bfloat16"), tmp_path_factory.mktemp("rough"))
    plan = opened(make_plan(order))
    sweep_blocks(plan, plan.blocks)
    return plan


@pytest.fixture(scope="module")
def reference(rough: Plan) -> LanguageModel:
    return rough.order.load_model(torch.float32)


def first_block(model: LanguageModel, job: Job, plan: Plan, dtype: torch.dtype) -> np.ndarray:
    """Activations on the first block's valid tokens, computed densely."""
    rows = slice(0, plan.order.recipe.contexts_per_block)
    hidden = model.hidden(plan.corpus.tokens[rows], {HOOK})[HOOK]
    hidden = hidden[torch.from_numpy(plan.corpus.is_valid(rows))]
    bias, readers = job.dictionary.fused_bias.to(dtype), job.dictionary.readers.to(dtype)
    pre = torch.addmm(bias, hidden.to(dtype), readers)
    return job.dictionary.nonlinearity(pre).float().numpy()


def test_the_change_is_that_of_a_plain_count(rough: Plan, reference: LanguageModel) -> None:
    n_flipped = 0
    for job in rough.jobs:
        exact = first_block(reference, job, rough, torch.float32).ravel().tolist()
        found = first_block(rough.model, job, rough, torch.bfloat16).ravel().tolist()
        changes, relative, n_lost, n_gained = [], [], 0, 0
        for wanted, now in zip(exact, found, strict=True):
            if wanted and now:
                changes.append(abs(now - wanted))
                relative.append(abs(now - wanted) / abs(wanted))
            n_lost += bool(wanted and not now)
            n_gained += bool(now and not wanted)
        change = dtype_change(job, rough, reference)
        assert change == pytest.approx(
            {
                "n_contexts": 4,
                "n": len(changes) + n_lost,
                "n_lost": n_lost,
                "n_gained": n_gained,
                "mean_change": sum(changes) / len(changes),
                "max_change": max(changes),
                "mean_relative_change": sum(relative) / len(relative),
            },
            rel=1e-3,
        )
        assert 0 < change["mean_relative_change"] < 0.1
        assert change["max_change"] > change["mean_change"] > 0
        n_flipped += n_lost + n_gained
    assert n_flipped > 0


def test_float32_is_what_others_are_compared_with(recipe: Path, tmp_path: Path) -> None:
    plan = make_plan(Order(read_recipe(recipe), tmp_path))
    assert dtype_change(plan.jobs[0], plan, plan.model) is None


def test_a_dictionary_that_is_silent_has_no_change(
    rough: Plan, reference: LanguageModel, tmp_path: Path
) -> None:
    job = rough.jobs[0]
    dead = replace(job.dictionary, reader_bias=torch.full((24,), -1e6))
    silent = replace(job, dictionary=dead, workspace=replace(job.workspace, store=tmp_path))
    plan = opened(replace(rough, jobs=(silent,)))
    sweep_blocks(plan, [0])
    change = dtype_change(silent, plan, reference)
    assert change.pop("n_contexts") == 4
    assert set(change.values()) == {0}


def test_what_overflows_leaves_the_means_finite(
    rough: Plan, reference: LanguageModel, tmp_path: Path
) -> None:
    job = rough.jobs[0]
    readers = job.dictionary.readers.clone()
    readers[:, 3] = 3e38
    spoilt = replace(job.dictionary, readers=readers)
    spoilt = replace(job, dictionary=spoilt, workspace=replace(job.workspace, store=tmp_path))
    plan = opened(replace(rough, jobs=(spoilt,)))
    sweep_blocks(plan, [0])
    change = dtype_change(spoilt, plan, reference)
    assert json.loads(json.dumps(change, allow_nan=False)) == change
    assert 0 < change["mean_relative_change"] < 0.1
