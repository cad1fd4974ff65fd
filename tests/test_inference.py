from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.activations import NewGELUActivation

from featurestore.errors import ModelError
from featurestore.inference import LanguageModel, Memory, load_model
from tests.plain_model import plain_logits
from tests.tiny_model import D_MODEL, N_LAYERS, module_of, save_model

TOKENS = np.random.default_rng(0).integers(0, 300, (3, 11))
LAST = N_LAYERS - 1
RESIDUAL_HOOKS = (
    "hook_embed",
    "blocks.0.hook_resid_pre",
    "blocks.0.hook_resid_post",
    f"blocks.{LAST}.hook_resid_pre",
    f"blocks.{LAST}.hook_resid_post",
    "blocks.0.hook_mlp_out",
    f"blocks.{LAST}.hook_mlp_out",
    "blocks.0.hook_attn_out",
    f"blocks.{LAST}.hook_attn_out",
)


@pytest.fixture(scope="module")
def hf_model(model_folder: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(model_folder)


@torch.no_grad()
def plain_hidden(hf_model: PreTrainedModel, hook_name: str) -> torch.Tensor:
    """What a plain forward hook sees."""
    module, is_input = module_of(hf_model, hook_name)
    seen = []

    def see(_: torch.nn.Module, args: tuple, kwargs: dict, output: object) -> None:
        found = (args or tuple(kwargs.values())) if is_input else output
        seen.append(found[0] if isinstance(found, tuple) else found)

    handle = module.register_forward_hook(see, with_kwargs=True)
    hf_model(torch.from_numpy(TOKENS))
    handle.remove()
    return seen[0]


@pytest.mark.parametrize(
    "hook_name", [*RESIDUAL_HOOKS, "blocks.0.mlp.hook_post", "blocks.1.attn.hook_z"]
)
def test_hidden_vectors_are_those_of_a_plain_hook(
    model: LanguageModel, hf_model: PreTrainedModel, hook_name: str
) -> None:
    found = model.hidden(TOKENS, {hook_name})[hook_name]
    wanted = plain_hidden(hf_model, hook_name)
    assert found.dtype == torch.float32
    assert found.shape == wanted.shape == (*TOKENS.shape, model.width(hook_name))
    assert torch.allclose(found, wanted, atol=1e-5)


def assert_no_hook_is_left(model: LanguageModel) -> None:
    assert not any(point._forward_hooks for point in model._bridge.hook_dict.values())


def test_logits_are_those_of_the_model(model: LanguageModel, hf_model: PreTrainedModel) -> None:
    found = model.logits(TOKENS)
    assert found.shape == (*TOKENS.shape, model.d_vocab)
    assert found.dtype == torch.float32
    assert torch.allclose(found, plain_logits(hf_model, TOKENS, {}), atol=1e-4)


def test_gelu_of_gpt2_is_one_step(tmp_path: Path) -> None:
    """The same function as the one in eight steps, to rounding, and nowhere that one."""
    folder = save_model(tmp_path / "gpt2", "gpt2")
    as_it_is = AutoModelForCausalLM.from_pretrained(folder)
    assert any(isinstance(part, NewGELUActivation) for part in as_it_is.modules())
    model = load_model(str(folder))
    parts = list(model._bridge.original_model.modules())
    assert not any(isinstance(part, NewGELUActivation) for part in parts)
    fused = [part for part in parts if isinstance(part, torch.nn.GELU)]
    values = torch.linspace(-10, 10, 4001)
    assert len(fused) >= N_LAYERS
    assert torch.allclose(fused[0](values), NewGELUActivation()(values), atol=2e-6)
    assert torch.allclose(model.logits(TOKENS), plain_logits(as_it_is, TOKENS, {}), atol=1e-5)


@pytest.mark.parametrize(
    "hook_name",
    [*RESIDUAL_HOOKS, "blocks.0.mlp.hook_post", "blocks.0.attn.hook_z", "blocks.1.attn.hook_z"],
)
def test_what_a_hook_returns_takes_the_vectors_place(
    model: LanguageModel, hf_model: PreTrainedModel, hook_name: str
) -> None:
    noise = torch.randn(model.width(hook_name), generator=torch.Generator().manual_seed(0))
    shapes = []

    def change(vectors: torch.Tensor) -> torch.Tensor:
        shapes.append(vectors.shape)
        return vectors * 0.5 + noise

    found = model.logits(TOKENS, [(hook_name, change)])
    assert shapes == [(*TOKENS.shape, len(noise))]  # heads are flattened
    wanted = plain_logits(hf_model, TOKENS, {hook_name: change})
    assert torch.allclose(found, wanted, atol=1e-4)
    assert not torch.allclose(found, model.logits(TOKENS), atol=1e-2)
    assert_no_hook_is_left(model)


def test_hooks_that_only_read_change_nothing(model: LanguageModel) -> None:
    names = [*RESIDUAL_HOOKS, "blocks.0.mlp.hook_post", "blocks.1.attn.hook_z"]
    seen: dict[str, torch.Tensor] = {}
    hooks = [(name, lambda value, name=name: seen.update({name: value})) for name in names]
    assert torch.equal(model.logits(TOKENS, hooks), model.logits(TOKENS))
    for name, wanted in model.hidden(TOKENS, set(names)).items():
        assert torch.equal(seen[name], wanted), name


@pytest.mark.parametrize("hook_name", ["blocks.0.hook_resid_post", "blocks.1.attn.hook_z"])
def test_hooks_at_one_point_are_called_in_order(model: LanguageModel, hook_name: str) -> None:
    clean = model.hidden(TOKENS, {hook_name})[hook_name]
    seen: list[torch.Tensor] = []
    hooks = [
        (hook_name, seen.append),
        (hook_name, lambda value: value + 1),
        (hook_name, seen.append),
        (hook_name, lambda value: value * 2),
        (hook_name, seen.append),
    ]
    found = model.logits(TOKENS, iter(hooks))
    for value, wanted in zip(seen, [clean, clean + 1, (clean + 1) * 2], strict=True):
        assert torch.equal(value, wanted)
    once = model.logits(TOKENS, [(hook_name, lambda value: (value + 1) * 2)])
    assert torch.equal(found, once)


@pytest.mark.parametrize("steps", [(11,), (4, 3, 4), (1,) * 11])
@pytest.mark.parametrize("is_changed", [False, True])
def test_tokens_read_in_steps_give_the_logits_of_the_whole(
    model: LanguageModel, hf_model: PreTrainedModel, steps: tuple[int, ...], is_changed: bool
) -> None:
    changes = {"blocks.0.hook_resid_post": torch.neg, "blocks.1.attn.hook_z": torch.relu}
    hooks = list(changes.items()) if is_changed else []
    memory, parts, start = Memory(), [], 0
    for n_tokens in steps:
        parts.append(model.logits(TOKENS[:, start : start + n_tokens], hooks, memory))
        start += n_tokens
    found = torch.cat(parts, dim=1)
    wanted = plain_logits(hf_model, TOKENS, dict(hooks))
    assert torch.allclose(found, wanted, atol=1e-4)
    assert torch.allclose(found, model.logits(TOKENS, hooks), atol=1e-4)


def test_memories_are_kept_apart(model: LanguageModel) -> None:
    one, two = Memory(), Memory()
    model.logits(TOKENS[:1, :6], memory=one)
    model.logits(TOKENS[1:2, :3], memory=two)
    first = model.logits(TOKENS[:1, 6:], memory=one)
    second = model.logits(TOKENS[1:2, 3:], memory=two)
    whole = model.logits(TOKENS)
    assert torch.allclose(first, whole[:1, 6:], atol=1e-4)
    assert torch.allclose(second, whole[1:2, 3:], atol=1e-4)


def test_a_hook_that_raises_leaves_nothing_behind(model: LanguageModel) -> None:
    wanted = model.logits(TOKENS)

    def fail(_: torch.Tensor) -> None:
        raise ZeroDivisionError

    hooks = [
        ("blocks.0.hook_resid_post", torch.neg),
        (f"blocks.{LAST}.attn.hook_z", fail),
        ("blocks.0.hook_resid_pre", torch.neg),
    ]
    with pytest.raises(ZeroDivisionError):
        model.logits(TOKENS, hooks)
    assert_no_hook_is_left(model)
    assert torch.equal(model.logits(TOKENS), wanted)


def test_stopping_early_changes_nothing(model: LanguageModel) -> None:
    together = model.hidden(TOKENS, set(RESIDUAL_HOOKS))
    for name in RESIDUAL_HOOKS:
        assert torch.equal(model.hidden(TOKENS, {name})[name], together[name]), name


def runs_of(model: LanguageModel, hook_names: set[str]) -> list[str]:
    """Which parts begin to run for some hook points, in order."""
    bridge = model._bridge
    parts = {"unembed": bridge.unembed, "ln_final": bridge.ln_final}
    for layer, block in enumerate(bridge.blocks):
        parts |= {f"{layer}": block, f"{layer}.attn": block.attn, f"{layer}.mlp": block.mlp}
    runs: list[str] = []
    handles = [
        part.register_forward_pre_hook(lambda *_, name=name: runs.append(name))
        for name, part in parts.items()
    ]
    model.hidden(TOKENS, hook_names)
    for handle in handles:
        handle.remove()
    return runs


def test_the_forward_ends_at_the_deepest_hook_point(model: LanguageModel) -> None:
    first, last = ["0", "0.attn", "0.mlp"], [f"{LAST}", f"{LAST}.attn", f"{LAST}.mlp"]
    middle = [*first, *last[:1]]
    attn_out, mlp_out = f"blocks.{LAST}.hook_attn_out", f"blocks.{LAST}.hook_mlp_out"
    for hook_names, wanted in [
        ({"hook_embed"}, []),
        ({"blocks.0.hook_resid_pre"}, ["0"]),
        ({"blocks.0.hook_attn_out", "hook_embed"}, ["0", "0.attn"]),
        ({"blocks.0.mlp.hook_post"}, first),
        ({"blocks.0.hook_resid_post", "hook_embed"}, first),
        ({f"blocks.{LAST}.hook_resid_pre", "blocks.0.hook_mlp_out"}, middle),
        ({attn_out}, [*first, *last[:2]]),
        ({mlp_out, "blocks.0.hook_resid_post"}, [*first, *last]),
        ({f"blocks.{LAST}.hook_resid_post", attn_out}, [*first, *last]),
        (set(RESIDUAL_HOOKS), [*first, *last]),
    ]:
        assert runs_of(model, hook_names) == wanted, hook_names


def test_a_forward_that_ended_early_leaves_nothing_behind(model: LanguageModel) -> None:
    wanted = model.hidden(TOKENS, set(RESIDUAL_HOOKS))
    model.hidden(TOKENS, {"blocks.0.hook_attn_out"})
    assert_no_hook_is_left(model)
    again = model.hidden(TOKENS, set(RESIDUAL_HOOKS))
    assert all(torch.equal(again[name], wanted[name]) for name in RESIDUAL_HOOKS)


def test_hidden_vectors_in_bfloat16_are_about_the_same(
    model: LanguageModel, model_folder: Path
) -> None:
    rough = load_model(str(model_folder), dtype=torch.bfloat16)
    name = f"blocks.{LAST}.hook_resid_post"
    found, wanted = rough.hidden(TOKENS, {name})[name], model.hidden(TOKENS, {name})[name]
    assert found.dtype == torch.bfloat16
    assert 0 < (found.float() - wanted).norm() / wanted.norm() < 0.05
    assert rough.unembedding().weight.dtype == torch.float32


def test_as_many_contexts_run_together_as_there_is_cache_for(model: LanguageModel) -> None:
    assert [model.contexts_at_once(length) for length in (1, 16, 1000, 1024, 5000)] == [
        *(1024, 64, 1, 1, 1)
    ]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_told(model_folder: Path) -> None:
    with pytest.raises(ModelError, match="no CUDA device.*--device cpu works"):
        load_model(str(model_folder), device="cuda")


@pytest.mark.parametrize(
    ("point", "d_out"), [("mlp.hook_post", 4 * D_MODEL), ("attn.hook_z", D_MODEL)]
)
def test_output_weights_are_those_of_the_model(
    model: LanguageModel, hf_model: PreTrainedModel, point: str, d_out: int
) -> None:
    hook_name = f"blocks.1.{point}"
    found = model.to_residual(hook_name)
    projection, _ = module_of(hf_model, hook_name)
    weight = projection.weight.detach()
    wanted = weight if hf_model.config.model_type == "gpt2" else weight.T
    assert found.shape == (d_out, D_MODEL) == (model.width(hook_name), D_MODEL)
    assert torch.equal(found, wanted)
    # What the neurons, or the heads, hold is written to the residual stream through it.
    written = "blocks.1.hook_mlp_out" if "mlp" in point else "blocks.1.hook_attn_out"
    both = model.hidden(TOKENS, {hook_name, written})
    bias = 0 if projection.bias is None else projection.bias.detach()
    assert torch.allclose(both[hook_name] @ found + bias, both[written], atol=1e-4)


@pytest.mark.parametrize("hook_name", RESIDUAL_HOOKS)
def test_a_residual_vector_is_its_own_residual(model: LanguageModel, hook_name: str) -> None:
    assert torch.equal(model.to_residual(hook_name), torch.eye(D_MODEL))


@pytest.mark.parametrize("hook_name", ["blocks.0.attn.hook_q", "blocks.0.mlp.hook_pre"])
def test_other_vectors_have_no_place_in_the_residual(model: LanguageModel, hook_name: str) -> None:
    assert model.to_residual(hook_name) is None


def test_sizes(model: LanguageModel) -> None:
    assert (model.n_layers, model.d_model, model.d_vocab) == (N_LAYERS, D_MODEL, 300)
    assert model.context_limit == 32
    assert model.tokenizer.bos_token == "<bos>"


def test_an_unknown_hook_point_is_told_its_neighbours(model: LanguageModel) -> None:
    with pytest.raises(ModelError, match="no hook point 'blocks.0.hook_resid_pots'") as error:
        model.width("blocks.0.hook_resid_pots")
    assert "Nearest: blocks.0.hook_resid_post" in str(error.value)
    with pytest.raises(ModelError, match=f"layers are 0 to {LAST}"):
        model.width(f"blocks.{N_LAYERS}.hook_resid_pre")


def test_a_hook_point_that_is_switched_off_is_an_error(model: LanguageModel) -> None:
    with pytest.raises(ModelError, match="gives no vector for each token"):
        model.width("blocks.0.hook_mlp_in")


def test_a_hook_point_without_a_vector_for_each_token_is_an_error(model: LanguageModel) -> None:
    with pytest.raises(ModelError, match="gives no vector for each token"):
        model.width("blocks.0.attn.hook_pattern")


def test_writing_between_attention_and_mlp_reaches_both_ways_on(
    model: LanguageModel, hf_model: PreTrainedModel
) -> None:
    """The residual stream passes this hook point by: adding there is adding to attention's part."""
    if hf_model.config.model_type == "gpt_neox":
        return  # attention and MLP stand side by side there, with nothing between them
    added = torch.randn(D_MODEL, generator=torch.Generator().manual_seed(0))
    found = model.logits(TOKENS, [("blocks.0.hook_resid_mid", lambda vectors: vectors + added)])
    module, _ = module_of(hf_model, "blocks.0.hook_attn_out")

    def add(_: torch.nn.Module, __: tuple, output: tuple) -> tuple:
        return (output[0] + added, *output[1:])

    handle = module.register_forward_hook(add)
    with torch.no_grad():
        wanted = hf_model(torch.from_numpy(TOKENS)).logits
    handle.remove()
    assert torch.allclose(found, wanted, atol=1e-4)
