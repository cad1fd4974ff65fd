from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from featurestore.inference import LanguageModel
from featurestore.remainder import Remainder
from tests.plain_model import plain_logits
from tests.tiny_model import N_LAYERS

TOKENS = np.array([[0, 5, 9, 17, 30, 2], [0, 8, 8, 1, 40, 41], [0, 3, 60, 61, 62, 63]])
LAST = N_LAYERS - 1
HOOKS = {
    "hook_embed": 0,
    "blocks.0.hook_attn_out": 0,
    "blocks.0.hook_resid_post": 1,
    f"blocks.{LAST}.hook_resid_pre": LAST,
    f"blocks.{LAST}.hook_attn_out": LAST,
    f"blocks.{LAST}.attn.hook_z": LAST,
    f"blocks.{LAST}.mlp.hook_post": LAST,
    f"blocks.{LAST}.hook_mlp_out": LAST,
    f"blocks.{LAST}.hook_resid_post": N_LAYERS,
}
"""With the first block that has to run again."""


@pytest.fixture(scope="module")
def hf_model(model_folder: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(model_folder)


def everywhere(n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    rows, positions = np.indices((n_rows, TOKENS.shape[1]))
    return rows.ravel(), positions.ravel()


def calls(model: LanguageModel) -> list[int]:
    """Which blocks run from now on."""
    found: list[int] = []
    for i, block in enumerate(model._bridge.blocks):
        block.register_forward_hook(lambda *_, i=i: found.append(i))
    return found


@pytest.mark.parametrize("hook_name", HOOKS)
def test_changes_do_what_they_do_to_the_whole_model(
    model: LanguageModel, hf_model: PreTrainedModel, hook_name: str
) -> None:
    remainder = Remainder(model, hook_name)
    assert remainder.first_layer == HOOKS[hook_name]
    clean = remainder.clean(TOKENS)
    assert torch.allclose(clean.logits, plain_logits(hf_model, TOKENS, {}), atol=1e-5)
    rows = np.array([2, 0, 0, 1])
    generator = torch.Generator().manual_seed(0)
    change = torch.randn(4, TOKENS.shape[1], model.width(hook_name), generator=generator)
    change[:, :2] = 0
    found = remainder.logits(clean, rows, change, everywhere(4)).view(4, *TOKENS.shape[1:], -1)
    wanted = plain_logits(
        hf_model, TOKENS[rows], {hook_name: lambda vectors: vectors + change.view_as(vectors)}
    )
    assert (found - clean.logits[rows]).abs().amax() > 0.1
    assert torch.allclose(found, wanted, atol=1e-5)
    assert torch.equal(model.logits(TOKENS), clean.logits)  # the model is whole again


@pytest.mark.parametrize("hook_name", HOOKS)
def test_blocks_below_do_not_run(model: LanguageModel, hook_name: str) -> None:
    remainder = Remainder(model, hook_name)
    clean = remainder.clean(TOKENS)
    change = torch.zeros(1, TOKENS.shape[1], model.width(hook_name))
    ran = calls(model)
    try:
        remainder.logits(clean, np.array([1]), change, everywhere(1))
    finally:
        for block in model._bridge.blocks:
            block._forward_hooks.popitem()
    assert ran == list(range(HOOKS[hook_name], N_LAYERS))


def test_an_error_on_the_way_leaves_the_model_whole(model: LanguageModel) -> None:
    remainder = Remainder(model, f"blocks.{LAST}.hook_resid_pre")
    clean = remainder.clean(TOKENS)
    with pytest.raises(RuntimeError, match="size"):
        remainder.logits(clean, np.array([1]), torch.zeros(1, 6, 3), everywhere(1))
    assert torch.equal(model.logits(TOKENS), clean.logits)


def test_what_is_not_changed_stays_to_the_bit(model: LanguageModel) -> None:
    for hook_name in HOOKS:
        remainder = Remainder(model, hook_name)
        clean = remainder.clean(TOKENS)
        change = torch.zeros(3, 6, model.width(hook_name))
        found = remainder.logits(clean, np.arange(3), change, everywhere(3))
        assert torch.equal(found.view_as(clean.logits), clean.logits)


def test_logits_are_given_where_they_are_asked_for(model: LanguageModel) -> None:
    remainder = Remainder(model, f"blocks.{LAST}.hook_resid_pre")
    clean = remainder.clean(TOKENS)
    at = np.array([1, 0, 1]), np.array([5, 0, 2])
    found = remainder.logits(clean, np.array([2, 1]), torch.zeros(2, 6, model.d_model), at)
    assert torch.allclose(found, clean.logits[[1, 2, 1], [5, 0, 2]], atol=1e-6)
    nowhere = np.zeros(0, dtype=np.int64)
    change = torch.zeros(1, 6, model.d_model)
    found = remainder.logits(clean, np.array([0]), change, (nowhere, nowhere))
    assert found.shape == (0, model.d_vocab)
