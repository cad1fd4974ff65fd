import json
import shutil
import socket
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from featurestore.build import build
from featurestore.dictionaries import native
from featurestore.errors import WeightsError
from featurestore.inference import load_model
from featurestore.live.weights import Weights
from featurestore.plan import Order
from featurestore.recipes import read_recipe
from featurestore.store import Store
from tests.tiny_model import LONG_PASSES_OFF, save_recipe


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A built run of its own, to be spoilt."""
    build(Order(read_recipe(save_recipe(tmp_path, **LONG_PASSES_OFF)), tmp_path / "store"))
    return tmp_path


def load(folder: Path) -> list[str]:
    """Load the dictionary anew; the steps that it took."""
    store, steps = Store(folder / "store"), []
    Weights(store.folder).load(store.dictionary("sae"), steps.append)
    return steps


def spoil_weight(path: Path, name: str) -> None:
    weights = load_file(path)
    weights[name].view(-1)[0] += 1
    save_file(weights, path, metadata={"format": "pt"})


def test_steps_are_told_and_taken_once(folder: Path) -> None:
    assert load(folder) == ["model model", "dictionary sae"]
    store, steps = Store(folder / "store"), []
    weights, info = Weights(store.folder), store.dictionary("sae")
    first = weights.load(info)
    assert weights.load(info, steps.append) is first is weights.get(info)
    assert steps == []
    assert first.info.has_bos
    assert first.model.token_texts[0] == "<bos>"


def test_a_changed_dictionary_is_told_by_its_digest(folder: Path) -> None:
    built = Store(folder / "store").dictionary("sae").digests["dictionary"]
    spoil_weight(folder / "sae" / native.WEIGHTS, "W_enc")
    with pytest.raises(WeightsError, match="dictionary of 'sae' has changed since the") as caught:
        load(folder)
    assert f"its digest was {built[:12]}…, now it is " in str(caught.value)


def test_a_changed_model_is_told_by_its_digest(folder: Path) -> None:
    spoil_weight(folder / "model" / "model.safetensors", "transformer.h.0.mlp.c_fc.bias")
    with pytest.raises(WeightsError, match="The model of 'sae' has changed since the build"):
        load(folder)


def test_a_changed_tokenizer_is_told_by_its_digest(folder: Path) -> None:
    path = folder / "model" / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["model"]["merges"].pop()
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(WeightsError, match="The tokenizer of 'sae' has changed since the build"):
        load(folder)


@pytest.mark.parametrize("name", ["sae", "model"])
def test_weights_that_are_gone_are_told(folder: Path, name: str) -> None:
    shutil.rmtree(folder / name)
    with pytest.raises(WeightsError, match=f"'{name}' of 'sae' is not there any more. Run the"):
        load(folder)


def test_weights_that_cannot_be_read_are_told(folder: Path) -> None:
    (folder / "sae" / native.WEIGHTS).write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="weights of 'sae' cannot be loaded any more. The build"):
        load(folder)


def test_building_again_notes_the_new_place_and_computes_nothing(folder: Path) -> None:
    built = list((folder / "store" / "dictionaries" / "sae").iterdir())
    shutil.move(folder / "sae", folder / "other")
    recipe = folder / "recipe.toml"
    recipe.write_text(recipe.read_text().replace('path = "sae"', 'path = "other"'))
    assert build(Order(read_recipe(recipe), folder / "store")) == []
    assert load(folder) == ["model model", "dictionary sae"]
    assert list((folder / "store" / "dictionaries" / "sae").iterdir()) == built


def test_the_precision_is_the_runs(folder: Path) -> None:
    recipe = folder / "recipe.toml"
    recipe.write_text('dtype = "bfloat16"\n' + recipe.read_text())
    build(Order(read_recipe(recipe), folder / "store2"))
    store = Store(folder / "store2")
    loaded = Weights(store.folder).load(store.dictionary("sae"))
    hook_name = "blocks.0.hook_resid_post"
    ids = torch.tensor([[0, 5]]).numpy()
    assert loaded.model.language_model.hidden(ids, {hook_name})[hook_name].dtype == torch.bfloat16


def test_a_control_is_loaded_with_the_embedding_of_its_build(folder: Path) -> None:
    recipe = folder / "recipe.toml"
    control = recipe.read_text().replace('name = "model"', 'name = "model"\nembedding = "shuffled"')
    recipe.write_text("seed = 3\n" + control)
    build(Order(read_recipe(recipe), folder / "store"))
    store = Store(folder / "store")
    info = store.dictionary("sae")
    assert info.model_name == "model, embedding shuffled"
    loaded = Weights(store.folder).load(info)
    plain = load_model(str(folder / "model"))
    found = loaded.model.language_model
    assert not torch.equal(found.embedding(), plain.embedding())
    assert torch.equal(found.unembedding().weight, plain.unembedding().weight)
    for note in (folder / "store" / "local").iterdir():
        note.write_text(json.dumps(json.loads(note.read_text()) | {"seed": 4}))
    with pytest.raises(WeightsError, match="The model of 'sae' has changed since the build"):
        Weights(store.folder).load(info)


@pytest.fixture
def hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run as if its model had been given by its name on the hub, and an empty cache of it."""
    for note in (folder / "store" / "local").iterdir():
        note.write_text(json.dumps(json.loads(note.read_text()) | {"model": "org/tiny"}))
    cache = folder / "cache"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: pytest.fail("it asked the network"))
    return cache / "models--org--tiny"


def test_nothing_is_fetched_whatever_a_note_asks_for(folder: Path, hub: Path) -> None:
    with pytest.raises(WeightsError, match="'org/tiny' of 'sae' is not on this.*hf download org/"):
        load(folder)


def test_a_model_of_the_hub_is_taken_from_the_cache(folder: Path, hub: Path) -> None:
    shutil.copytree(folder / "model", hub / "snapshots" / "a1")
    (hub / "refs").mkdir()
    (hub / "refs" / "main").write_text("a1")
    assert load(folder) == ["model model", "dictionary sae"]
