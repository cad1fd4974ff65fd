from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from featurestore.config import DictionaryConfig
from featurestore.dictionaries.load import load_dictionary
from featurestore.encoder import encode_tokens
from featurestore.errors import StoreError, TextError, UnknownDictionary, WeightsError
from featurestore.inference import LanguageModel
from featurestore.live.records import Edit, TextActivations
from featurestore.live.runner import Runner
from featurestore.live.weights import Weights
from featurestore.plan import Order, make_plan
from featurestore.recipes import read_recipe
from featurestore.served_files import ServedFiles
from featurestore.store import Store
from featurestore.threads import one_thread
from tests.live_project import DICTIONARIES, IDS, loaded
from tests.tiny_model import CONTEXT_LIMIT, module_of
from tests.tiny_plan import opened, sweep_blocks

TEXT = "The cat sat on the log.\n\n  def sub(a): Caf\u00e9 \U0001f600"


def dense(found: TextActivations, n_features: int = 24) -> np.ndarray:
    matrix = np.zeros((found.n_tokens, n_features), dtype=np.float32)
    matrix[found.pos, found.feature] = found.value
    return matrix


@torch.no_grad()
def slow_activations(
    project: Path, model: PreTrainedModel, name: str, ids: list[int]
) -> np.ndarray:
    """A plain hook on the Hugging Face model, then the dictionary's own dense encode."""
    hook_name = DICTIONARIES[name]["hook_name"]
    module, is_input = module_of(model, hook_name)
    seen = []

    def see(_: torch.nn.Module, args: tuple, kwargs: dict, output: object) -> None:
        value = (args or tuple(kwargs.values())) if is_input else output
        seen.append(value[0] if isinstance(value, tuple) else value)

    with module.register_forward_hook(see, with_kwargs=True):
        model(torch.tensor([[0, *ids]]))
    dictionary = load_dictionary(DictionaryConfig(name, str(project / name)))
    return dictionary.encode(seen[0][0, 1:]).numpy()


@pytest.mark.parametrize("name", IDS)
def test_activations_are_those_of_a_plain_hook(
    runner: Runner, project: Path, plain_model: PreTrainedModel, name: str
) -> None:
    tokens = runner.tokens(name, TEXT)
    (found,) = runner.activations([name], tokens)
    wanted = slow_activations(project, plain_model, name, list(tokens.ids))
    assert found.n_tokens == len(tokens.ids) == len(wanted)
    assert np.allclose(dense(found), wanted, atol=1e-5)
    assert (np.diff(found.feature * 1000 + found.pos) > 0).all()  # by feature, then position
    assert (found.value != 0).all()
    assert found.n_active.tolist() == (wanted != 0).sum(axis=1).tolist()


def test_several_dictionaries_share_one_forward(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = runner.tokens("sae", TEXT)
    alone = [runner.activations([name], tokens)[0] for name in IDS]
    calls, hidden = [], LanguageModel.hidden
    monkeypatch.setattr(
        LanguageModel, "hidden", lambda *given: calls.append(given) or hidden(*given)
    )
    together = runner.activations(IDS[::-1], tokens)
    assert len(calls) == 1
    for found, wanted in zip(together[::-1], alone, strict=True):
        assert found.dictionary_id == wanted.dictionary_id
        assert np.array_equal(found.value, wanted.value)


def test_the_same_block_shape_gives_the_builds_bits(project: Path, tmp_path: Path) -> None:
    plan = opened(make_plan(Order(read_recipe(project / "recipe.toml"), tmp_path)))
    sweep_blocks(plan, [1])
    store = Store(project / "store")
    weights = Weights(store.folder)
    rows = slice(plan.contexts(1).start, plan.contexts(1).stop)
    is_valid = plan.corpus.is_valid(rows)
    places = np.flatnonzero(is_valid) + rows.start * plan.corpus.tokens.shape[1]
    for job in plan.jobs:
        live = weights.load(store.dictionary(job.config.id))
        encoders = [(job.dictionary.origin.hook_name, live.encoder)]
        with one_thread():
            (found,) = encode_tokens(
                live.model.language_model, plan.corpus.tokens[rows], is_valid, encoders
            )
        features, counts, tokens, values = job.workspace.block(1).read(0, 24)
        order = np.lexsort((found.rows, found.features))
        assert np.array_equal(found.features[order], np.repeat(features, counts))
        assert np.array_equal(places[found.rows[order]], tokens)
        assert np.array_equal(found.values[order].view(np.uint32), values.view(np.uint32))


@pytest.mark.parametrize("name", IDS)
def test_every_stored_context_is_what_the_store_says(
    runner: Runner, project: Path, name: str
) -> None:
    served = ServedFiles(project / "store")
    rows = served.file(name).rows("SELECT DISTINCT context FROM examples")
    contexts = {row["context"] for row in rows}
    served.close()
    assert len(contexts) > 10
    found = [runner.recompute(name, context) for context in sorted(contexts)]
    assert all(one.n_features > 0 for one in found)
    assert sum(one.n_beyond for one in found) == 0
    assert all(one.largest <= one.step + 1e-4 for one in found)
    assert max(one.largest for one in found) > 0  # 8 bits do lose something


def test_a_context_that_the_store_does_not_hold(runner: Runner) -> None:
    with pytest.raises(StoreError, match="'sae' holds no context 123456"):
        runner.recompute("sae", 123_456)


def test_what_is_not_loaded_or_unknown_is_told(project: Path) -> None:
    some = loaded(project / "store", ("sae",))
    with pytest.raises(WeightsError, match="'topk' is not loaded yet"):
        some.tokens("topk", TEXT)
    with pytest.raises(UnknownDictionary, match="No dictionary 'none'"):
        some.tokens("none", TEXT)


def test_edits_that_cannot_be_are_told(runner: Runner) -> None:
    tokens = runner.tokens("sae", "The cat")
    with pytest.raises(StoreError, match="No feature 24 in 'sae'"):
        runner.intervene((Edit("sae", 24, "ablate"),), tokens, 0, 0)
    with pytest.raises(TextError, match="No token 99"):
        runner.intervene((Edit("sae", 3, "ablate"),), tokens, 99, 0)
    with pytest.raises(TextError, match="No token 98"):
        runner.intervene((Edit("sae", 3, "clamp", 2.0, (0, 98)),), tokens, 0, 0)
    with pytest.raises(TextError, match="No feature is changed"):
        runner.intervene((), tokens, 0, 0)


def test_a_text_may_be_as_long_as_the_model_reads(runner: Runner) -> None:
    most = CONTEXT_LIMIT - 1
    tokens = runner.tokens("sae", "\x01" * most)
    assert runner.activations(IDS, tokens)[0].n_tokens == most
    with pytest.raises(TextError, match=f"has {most + 1} tokens; model 'tiny' reads {most} after"):
        runner.tokens("sae", "\x01" * (most + 1))


def without_bos(runner: Runner, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a dictionary's contexts had been built without BOS."""
    loaded = runner._weights.get(runner._store.dictionary(name))
    recipe = loaded.info.recipe | {"corpus": loaded.info.recipe["corpus"] | {"prepend_bos": False}}
    plain = replace(loaded, info=replace(loaded.info, recipe=recipe))
    monkeypatch.setitem(runner._weights._loaded, loaded.info.run_id, plain)


def test_a_text_must_fit_every_dictionary(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """One without BOS has room for a token more, which another's model cannot read."""
    without_bos(runner, "topk", monkeypatch)
    full = runner.tokens("topk", "\x01" * CONTEXT_LIMIT)
    assert runner.activations(["topk"], full)[0].n_tokens == CONTEXT_LIMIT
    with pytest.raises(TextError, match=f"model 'tiny' reads {CONTEXT_LIMIT - 1} after its BOS"):
        runner.activations(["topk", "sae"], full)
    with pytest.raises(TextError, match=f"reads {CONTEXT_LIMIT - 1} after its BOS"):
        runner.substitution("sae", full)


def test_with_and_without_bos_side_by_side(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reads as it was built, and no position is shifted; edits of both are refused."""
    tokens = runner.tokens("sae", TEXT)
    (with_bos,) = runner.activations(["sae"], tokens)
    without_bos(runner, "topk", monkeypatch)
    found = runner.activations(["topk", "sae"], tokens)
    assert np.array_equal(dense(found[1]), dense(with_bos))
    live = runner._weights.get(runner._store.dictionary("topk"))
    hook_name = live.dictionary.origin.hook_name
    hidden = live.model.language_model.hidden(np.array([tokens.ids]), {hook_name})[hook_name]
    assert np.allclose(dense(found[0]), live.dictionary.encode(hidden[0]).numpy(), atol=1e-5)
    with pytest.raises(TextError, match="with and without a BOS"):
        runner.intervene((Edit("sae", 0, "ablate"), Edit("topk", 0, "ablate")), tokens, 0, 0)
