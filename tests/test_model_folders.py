"""What is loaded as a model: a folder, or a name in the hub's cache, and nothing else."""

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from featurestore.errors import ModelError
from featurestore.inference import load_model
from tests.tiny_model import N_LAYERS, save_model


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The folder of a model of its own, to be spoilt."""
    return save_model(tmp_path / "model")


def test_the_digest_changes_with_one_weight_or_setting(copy: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(copy, moved)
    first = load_model(str(copy)).digest()
    assert first == load_model(str(moved)).digest()
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"n_head": 4}))
    assert load_model(str(copy)).digest() != first
    weights = load_file(moved / "model.safetensors")
    weights["transformer.h.1.mlp.c_fc.bias"][3] += 1e-3
    save_file(weights, moved / "model.safetensors", metadata={"format": "pt"})
    assert load_model(str(moved)).digest() != first


def without_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()


def with_half_of_the_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


def without_one_weight(folder: Path) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights.pop(next(name for name in sorted(weights) if "mlp" in name))
    save_file(weights, path, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("spoil", "advice"),
    [
        (shutil.rmtree, "no such folder"),
        (lambda folder: (folder / "config.json").unlink(), "has no config.json. Write one with"),
        (lambda folder: (folder / "config.json").write_text("{"), "not a valid JSON"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no file named model.safetensors"),
        (without_one_weight, "lacks 1 weights"),
        (with_half_of_the_weights, "could not be loaded"),
        (without_tokenizer, "has no tokenizer. Save it into the same folder"),
    ],
)
def test_what_is_no_model_says_what_to_do(
    copy: Path, spoil: Callable[[Path], object], advice: str
) -> None:
    spoil(copy)
    with pytest.raises(ModelError) as error:
        load_model(str(copy))
    assert str(copy) in str(error.value)
    assert advice in str(error.value)


@pytest.fixture
def hub(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the hub that holds one checkpoint of one model; the network is not asked."""
    cache = tmp_path / "cache"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: pytest.fail("it asked the network"))
    folder = cache / "models--org--tiny"
    shutil.copytree(copy, folder / "snapshots" / "a1")
    (folder / "refs").mkdir()
    (folder / "refs" / "step3000").write_text("a1")
    return folder


def test_a_checkpoint_in_the_cache_needs_no_network(hub: Path, copy: Path) -> None:
    found = load_model("org/tiny", "step3000")
    assert found.digest() == load_model(str(copy)).digest()
    assert found.tokenizer.bos_token == "<bos>"


@pytest.mark.parametrize(
    ("name", "revision", "parts"),
    [
        (
            "org/tiny",
            "step3001",
            (
                "'org/tiny' at revision 'step3001'",
                "Check the name and 'model.revision' on https://huggingface.co",
                "unset HF_HUB_OFFLINE",
                "hf download org/tiny --revision step3001",
            ),
        ),
        (
            "org/tiny",
            None,
            ("Model 'org/tiny' could", "Check the name on", "hf download org/tiny ("),
        ),
        ("org/none", "main", ("'org/none' at revision 'main'", "cached or reachable")),
    ],
)
def test_what_the_hub_does_not_give_says_what_was_asked(
    hub: Path, name: str, revision: str | None, parts: tuple[str, ...]
) -> None:
    with pytest.raises(ModelError) as caught:
        load_model(name, revision)
    assert [part for part in parts if part not in str(caught.value)] == []


def test_code_that_comes_with_a_model_is_never_run(copy: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    code = f"import os\nos.mkdir({str(canary)!r})\n"
    for name in ("configuration_x", "modeling_x", "tokenization_x"):
        (copy / f"{name}.py").write_text(code)
    config = json.loads((copy / "config.json").read_text())
    autos = {"AutoConfig": "configuration_x.C", "AutoModelForCausalLM": "modeling_x.M"}
    (copy / "config.json").write_text(json.dumps(config | {"auto_map": autos}))
    tokenizer = json.loads((copy / "tokenizer_config.json").read_text())
    tokenizer["auto_map"] = {"AutoTokenizer": ["tokenization_x.T", "tokenization_x.T"]}
    (copy / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    assert load_model(str(copy)).n_layers == N_LAYERS  # by the library's own classes
    (copy / "config.json").write_text(
        json.dumps(config | {"auto_map": autos, "model_type": "x", "architectures": ["M"]})
    )
    with pytest.raises(ModelError, match="contains custom code"):
        load_model(str(copy))
    assert not canary.exists()
