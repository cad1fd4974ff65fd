"""Against plain hooks on the Hugging Face model, and answers known by hand."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from featurestore.errors import TextError
from featurestore.live import interventions
from featurestore.live.records import Edit, Tokens
from featurestore.live.runner import Runner, _with_bos
from tests.live.test_substitution import hooked, load, slow_kl
from tests.live_project import DICTIONARIES, IDS
from tests.tiny_model import CONTEXT_LIMIT

pytestmark = pytest.mark.long

TEXT = "The cat sat on the mat and the log."
N_DRAWN = 70


@pytest.fixture
def tokens(runner: Runner) -> Tokens:
    return runner.tokens("sae", TEXT)


def strongest(runner: Runner, name: str, tokens: Tokens) -> int:
    """The feature that is active most."""
    (found,) = runner.activations([name], tokens)
    return int(found.feature[np.abs(found.value).argmax()])


def slow_edit(
    runner: Runner, model: torch.nn.Module, edit: Edit, ids: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Logits before and after, from x' = x + (f' - f) d at all but BOS, and how many f changed."""
    settings = DICTIONARIES[edit.dictionary_id]
    dictionary = load(runner, edit.dictionary_id).dictionary
    hook_out = settings.get("hook_name_out", settings["hook_name"])
    clean, vectors = hooked(model, settings["hook_name"], ids)
    before = dictionary.encode(vectors[0])[:, edit.feature]
    after = {
        "ablate": torch.zeros_like(before),
        "scale": before * edit.value,
        "clamp": torch.full_like(before, edit.value),
    }[edit.mode]
    difference = after - before
    for place in range(len(difference)):
        if place == 0 or (edit.positions and place - 1 not in edit.positions):
            difference[place] = 0
    change = difference[:, None] * dictionary.directions[edit.feature]
    if dictionary.standardisation == "layer_norm":
        change = change * torch.from_numpy(vectors[0].numpy().std(axis=1, ddof=1, keepdims=True))
    changed, _ = hooked(model, hook_out, ids, lambda vectors: vectors + change)
    return clean, changed, int((difference != 0).sum())


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize(
    ("mode", "value", "positions"),
    [
        ("ablate", 0.0, ()),
        ("scale", 3.0, ()),
        ("scale", -1.0, (1, 4)),
        ("clamp", 5.0, (0,)),
        ("clamp", 2.0, ()),
    ],
)
def test_interventions_are_those_of_a_plain_hook(
    runner: Runner,
    plain_model: PreTrainedModel,
    tokens: Tokens,
    name: str,
    mode: str,
    value: float,
    positions: tuple[int, ...],
) -> None:
    edit = Edit(name, strongest(runner, name, tokens), mode, value, positions)
    pos = len(tokens.ids) - 1
    found = runner.intervene((edit,), tokens, pos, n_new=0)
    ids, _ = _with_bos(load(runner, name), tokens)
    clean, changed, n_changed = slow_edit(runner, plain_model, edit, ids)
    assert found.n_changed == n_changed
    assert np.allclose(found.kl, slow_kl(clean, changed)[1:], atol=1e-4)
    p, q = clean[-1].double().softmax(0), changed[-1].double().softmax(0)
    text = load(runner, name).model.token_texts
    for one in found.next_tokens:
        places = [i for i, token in enumerate(text) if token == one.token]
        assert min(abs(p[i].item() - one.before) for i in places) < 1e-5
        assert min(abs(q[i].item() - one.after) for i in places) < 1e-5
    shown = [one.before for one in found.next_tokens]
    assert shown == sorted(shown, reverse=True)
    assert max(one.after for one in found.next_tokens) == pytest.approx(q.max().item(), abs=1e-5)
    assert found.continuations == ()


def test_what_changes_nothing_changes_nothing(runner: Runner, tokens: Tokens) -> None:
    (found,) = runner.activations(["sae"], tokens)
    silent = next(i for i in range(24) if i not in found.feature)
    for edit in (
        Edit("sae", silent, "ablate"),
        Edit("sae", silent, "scale", 7.0),
        Edit("sae", strongest(runner, "sae", tokens), "scale", 1.0),
    ):
        effect = runner.intervene((edit,), tokens, 0, n_new=4)
        assert effect.n_changed == 0
        assert (effect.kl == 0).all()
        assert all(one.before == one.after for one in effect.next_tokens)
        assert len(effect.next_tokens) == interventions.N_SHOWN  # the likeliest, no others
    # A silent feature may be active on what is written after; scaling by 1 changes nothing there.
    assert all(one.before == one.after for one in effect.continuations)


def test_the_control_moves_as_far_in_other_directions(
    runner: Runner, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved, as_long = [], interventions.as_long

    def see(change: torch.Tensor, noise: torch.Generator) -> torch.Tensor:
        moved.append((change, as_long(change, noise)))
        return moved[-1][1]

    monkeypatch.setattr(interventions, "as_long", see)
    edit = Edit("sae", strongest(runner, "sae", tokens), "scale", 3.0)
    found = runner.intervene((edit,), tokens, 0, n_new=0)
    assert found.control_kl.shape == (len(moved), len(tokens.ids))
    for change, control in moved:
        assert torch.allclose(change.norm(dim=-1), control.norm(dim=-1), rtol=1e-4)
        moves = change.norm(dim=-1) > 0
        cosine = torch.cosine_similarity(change[moves], control[moves], dim=-1)
        assert (cosine.abs() < 0.99).all(), (change[moves], control[moves])
    again = runner.intervene((edit,), tokens, 0, n_new=0)
    assert np.array_equal(found.control_kl, again.control_kl)
    other = runner.intervene((edit,), tokens, 0, n_new=0, seed=1)
    assert not np.allclose(found.control_kl, other.control_kl)


def test_edits_of_several_dictionaries_act_together(
    runner: Runner, plain_model: PreTrainedModel, tokens: Tokens
) -> None:
    """Each dictionary reads what those below it have left."""
    first = Edit("sae", strongest(runner, "sae", tokens), "scale", 4.0)
    second = Edit("signed", strongest(runner, "signed", tokens), "clamp", 3.0)
    found = runner.intervene((second, first), tokens, 0, n_new=0)
    ids, _ = _with_bos(load(runner, "sae"), tokens)
    clean, _, _ = slow_edit(runner, plain_model, first, ids)
    sae = load(runner, "sae").dictionary

    def edit_first(_: torch.nn.Module, args: tuple, output: object) -> object:
        vectors = output[0] if isinstance(output, tuple) else output
        change = 3 * sae.encode(vectors[0])[:, first.feature]
        change[0] = 0
        changed = vectors + change[:, None] * sae.directions[first.feature]
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    blocks = {"gpt2": "h", "gpt_neox": "layers", "llama": "layers"}[plain_model.config.model_type]
    block = plain_model.base_model.get_submodule(f"{blocks}.0")
    with block.register_forward_hook(edit_first):
        _, changed, _ = slow_edit(runner, plain_model, second, ids)
    assert np.allclose(found.kl, slow_kl(clean, changed)[1:], atol=1e-4)


def test_edits_of_one_feature_act_one_after_the_other(runner: Runner, tokens: Tokens) -> None:
    feature, last = strongest(runner, "sae", tokens), len(tokens.ids) - 1

    def edit(*given: object) -> Edit:
        return Edit("sae", feature, *given)

    first, behind = edit("clamp", 5.0, (0,)), tuple(range(1, last + 1))
    for several, plain in (
        ((edit("ablate"), first), (edit("ablate", 0.0, behind), first)),
        ((edit("scale", 2.0), edit("scale", 3.0)), (edit("scale", 6.0),)),
        ((edit("clamp", 5.0), edit("ablate")), (edit("ablate"),)),
    ):
        found, wanted = (runner.intervene(edits, tokens, last, 0) for edits in (several, plain))
        assert found.n_changed == wanted.n_changed
        assert np.allclose(found.kl, wanted.kl, atol=1e-6)


@pytest.mark.parametrize("value", [1e300, -3e38, float("inf"), float("nan")])
@pytest.mark.parametrize("mode", ["scale", "clamp"])
def test_values_that_leave_no_numbers_are_told(
    runner: Runner, tokens: Tokens, mode: str, value: float
) -> None:
    edit = Edit("sae", strongest(runner, "sae", tokens), mode, value)
    with warnings.catch_warnings(action="error"), pytest.raises(TextError, match="Use smaller"):
        runner.intervene((edit,), tokens, 0, n_new=2)


@torch.no_grad()
def slow_greedy(runner: Runner, model: torch.nn.Module, edit: Edit, ids: np.ndarray) -> list[int]:
    """One token after the other, all anew each time."""
    for _ in range(5):
        _, changed, _ = slow_edit(runner, model, edit, ids)
        ids = np.append(ids, [[int(changed[-1].argmax())]], axis=1)
    return ids[0, -5:].tolist()


@pytest.mark.parametrize("positions", [(), (2,)])
def test_continuations_are_those_of_whole_forwards(
    runner: Runner, plain_model: PreTrainedModel, tokens: Tokens, positions: tuple[int, ...]
) -> None:
    edit = Edit("sae", strongest(runner, "sae", tokens), "clamp", 6.0, positions)
    found = runner.intervene((edit,), tokens, 0, n_new=5)
    greedy, sampled = found.continuations
    loaded = load(runner, "sae")
    ids, _ = _with_bos(loaded, tokens)
    text = loaded.model.token_texts

    def until_end(row: list[int]) -> tuple[str, ...]:
        return tuple(text[i] for i in (row[: row.index(0) + 1] if 0 in row else row))

    none = Edit("sae", edit.feature, "scale", 1.0)
    assert greedy.before == until_end(slow_greedy(runner, plain_model, none, ids))
    assert greedy.after == until_end(slow_greedy(runner, plain_model, edit, ids))
    again = runner.intervene((edit,), tokens, 0, n_new=5).continuations[1]
    assert (sampled.way, sampled) == ("sampled", again)
    others = {runner.intervene((edit,), tokens, 0, 5, seed).continuations[1] for seed in range(4)}
    assert len(others) > 1


@pytest.mark.parametrize("architecture", ["gpt2"], indirect=True, scope="session")
def test_samples_follow_the_probabilities(
    runner: Runner, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one model: what is drawn depends on its logits alone."""
    monkeypatch.setattr(interventions, "N_DRAWS", 1)  # for the control, which is not looked at
    edit = (Edit("sae", 0, "scale", 1.0),)
    drawn = [
        runner.intervene(edit, tokens, len(tokens.ids) - 1, 1, seed).continuations[1].before[0]
        for seed in range(N_DRAWN)
    ]
    shown = runner.intervene(edit, tokens, len(tokens.ids) - 1, 0).next_tokens
    for one in shown[:3]:
        n = drawn.count(one.token)
        spread = np.sqrt(N_DRAWN * one.before * (1 - one.before))
        assert abs(n - N_DRAWN * one.before) < 4 * spread + 1, one


def test_a_continuation_ends_where_the_model_ends(runner: Runner) -> None:
    tokens = runner.tokens("sae", "\x01" * (CONTEXT_LIMIT - 3))
    greedy, _ = runner.intervene((Edit("sae", 0, "ablate"),), tokens, 0, n_new=9).continuations
    assert 1 <= len(greedy.before) <= 2
    full = runner.tokens("sae", "\x01" * (CONTEXT_LIMIT - 1))
    greedy, _ = runner.intervene((Edit("sae", 0, "ablate"),), full, 0, n_new=9).continuations
    assert greedy.before == ()


def test_features_of_two_models_are_refused(
    runner: Runner, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = load(runner, "topk")
    elsewhere = replace(other, model=replace(other.model))
    monkeypatch.setitem(runner._weights._loaded, other.info.run_id, elsewhere)
    edits = (Edit("sae", 0, "ablate"), Edit("topk", 0, "ablate"))
    with pytest.raises(TextError, match="'sae', 'topk' read different models"):
        runner.intervene(edits, tokens, 0, 0)
