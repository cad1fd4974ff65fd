"""Against a plain hook on the Hugging Face model, and answers known by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from featurestore.dictionaries.base import Dictionary, Nonlinearity, Origin
from featurestore.encoder import Encoder
from featurestore.live.runner import Runner, _with_bos
from featurestore.live.substitution import N_DRAWS, substitute
from featurestore.live.weights import Loaded
from featurestore.perturbation import divergence
from tests.live_project import DICTIONARIES, IDS
from tests.tiny_model import D_MODEL, module_of

TEXT = "The dog sat on the mat, and so on."


def load(runner: Runner, name: str) -> Loaded:
    return runner._weights.get(runner._store.dictionary(name))


@torch.no_grad()
def hooked(
    model: PreTrainedModel, hook_name: str, ids: np.ndarray, change: object = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and what stands at a hook point, after `change` of it."""
    module, is_input = module_of(model, hook_name)
    seen = []

    def change_vectors(vectors: torch.Tensor) -> torch.Tensor:
        seen.append(vectors)
        return vectors if change is None else change(vectors)

    def before(_: torch.nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        if args:
            return (change_vectors(args[0]), *args[1:]), kwargs
        name = next(iter(kwargs))
        return args, kwargs | {name: change_vectors(kwargs[name])}

    def after(_: torch.nn.Module, args: tuple, output: object) -> object:
        if isinstance(output, tuple):
            return (change_vectors(output[0]), *output[1:])
        return change_vectors(output)

    if is_input:
        handle = module.register_forward_pre_hook(before, with_kwargs=True)
    else:
        handle = module.register_forward_hook(after)
    logits = model(torch.from_numpy(ids)).logits
    handle.remove()
    return logits[0], seen[0]


def slow_kl(before: torch.Tensor, after: torch.Tensor) -> np.ndarray:
    p, q = before.double().softmax(-1), after.double().softmax(-1)
    return (p * (p.log() - q.log())).sum(-1).numpy()


@pytest.mark.parametrize("name", IDS)
def test_substitution_is_that_of_a_plain_hook(
    runner: Runner, plain_model: PreTrainedModel, name: str
) -> None:
    loaded, tokens = load(runner, name), runner.tokens(name, TEXT)
    found = runner.substitution(name, tokens)
    ids, _ = _with_bos(loaded, tokens)
    settings = DICTIONARIES[name]
    hook_out = settings.get("hook_name_out", settings["hook_name"])
    clean, vectors = hooked(plain_model, settings["hook_name"], ids)
    _, written = hooked(plain_model, hook_out, ids)
    activations = loaded.dictionary.encode(vectors[0])
    decoded = loaded.dictionary.decode(activations, torch.from_numpy(ids)[0], vectors[0])

    def substitute_all_but_bos(vectors: torch.Tensor) -> torch.Tensor:
        return torch.cat([vectors[:, :1], decoded[None, 1:]], dim=1)

    changed, _ = hooked(plain_model, hook_out, ids, substitute_all_but_bos)
    assert np.allclose(found.kl, slow_kl(clean, changed)[1:], atol=1e-4)
    assert found.n_active.tolist() == (activations[1:] != 0).sum(dim=1).tolist()
    lost = (written[0] - decoded)[1:].norm(dim=1) / written[0, 1:].norm(dim=1)
    assert np.allclose(found.error, lost.numpy(), rtol=1e-4)
    assert found.control_kl.shape == (N_DRAWS, len(tokens.ids))
    assert (found.control_kl > 0).all()


def identity() -> Dictionary:
    """Exact: x = relu(x) - relu(-x)."""
    both = torch.cat([torch.eye(D_MODEL), -torch.eye(D_MODEL)], dim=1)
    origin = Origin("identity", "blocks.0.hook_resid_post", "blocks.0.hook_resid_post")
    zeros = torch.zeros(D_MODEL)
    return Dictionary(
        origin, both, torch.zeros(2 * D_MODEL), zeros, both.T.contiguous(), zeros,
        Nonlinearity("relu"),
    )  # fmt: skip


def test_an_exact_dictionary_loses_nothing(runner: Runner) -> None:
    dictionary = identity()
    loaded = replace(load(runner, "sae"), dictionary=dictionary, encoder=Encoder(dictionary))
    found = substitute(loaded, *_with_bos(loaded, runner.tokens("sae", TEXT)), seed=0)
    assert np.abs(found.error).max() < 1e-6
    assert np.abs(found.kl).max() < 1e-6
    assert np.abs(found.control_kl).max() < 1e-6


def test_the_control_is_as_long_as_the_error_and_seeded(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_ins = []
    module = "featurestore.live.substitution"

    def keep(
        model: object, ids: object, chosen: object, loaded: object, each: torch.Tensor
    ) -> torch.Tensor:
        stand_ins.append(each)
        return torch.zeros(len(each), 300)

    monkeypatch.setattr(f"{module}._logits_with", keep)
    loaded, tokens = load(runner, "sae"), runner.tokens("sae", TEXT)
    given = _with_bos(loaded, tokens)
    hidden = loaded.model.language_model.hidden(given[0], {"blocks.0.hook_resid_post"})
    vectors = hidden["blocks.0.hook_resid_post"][0, 1:]
    for seed in (0, 0, 1):
        substitute(loaded, *given, seed)
    error = (vectors - stand_ins[0]).norm(dim=1)
    for draw in stand_ins[1 : 1 + N_DRAWS]:
        assert torch.allclose((draw - vectors).norm(dim=1), error, rtol=1e-4)
    first, again, other = (torch.stack(stand_ins[i * 4 + 1 : i * 4 + 4]) for i in range(3))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_divergence_by_hand() -> None:
    before = torch.tensor([[0.0, 0.0], [0.0, torch.log(torch.tensor(3.0))]])
    after = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    wanted = 0.25 * np.log(0.5) + 0.75 * np.log(1.5)
    assert np.allclose(divergence(before, after), [0, wanted], atol=1e-7)
