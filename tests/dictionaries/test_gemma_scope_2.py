"""Against the formula, written out a token at a time."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from featurestore.dictionaries import gemma_scope_2
from featurestore.dictionaries.base import Origin
from featurestore.errors import DictionaryError
from tests.dictionaries.opened import opened

D = 4
HOOK = "blocks.20.hook_resid_post"
RESIDUAL = "model.layers.20.output"
READ = "model.layers.20.pre_feedforward_layernorm.output"
WRITTEN = "model.layers.20.post_feedforward_layernorm.output"


def make_weights(n: int = 9, d_out: int = D) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = {"w_enc": (D, n), "b_enc": (n,), "w_dec": (n, d_out), "b_dec": (d_out,)}
    shapes["threshold"] = (n,)
    return {name: torch.randn(*shape, generator=generator) for name, shape in shapes.items()}


def write(folder: Path, weights: dict[str, torch.Tensor], **settings: object) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    save_file(weights, folder / "params.safetensors")
    known = {"architecture": "jump_relu", "hf_hook_point_in": RESIDUAL, "l0": 50}
    (folder / "config.json").write_text(json.dumps(known | settings))
    return folder


def check(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    dictionary = opened(folder)
    w = {name: weight.double().numpy() for name, weight in weights.items()}
    hidden = torch.randn(20, D, generator=torch.Generator().manual_seed(1))
    for vector, found in zip(hidden, dictionary.encode(hidden), strict=True):
        x = vector.double().numpy()
        pre = x @ w["w_enc"] + w["b_enc"]
        f = np.maximum(pre, 0) * (pre > w["threshold"])
        assert np.allclose(found, f, atol=1e-5)
        wanted = f @ w["w_dec"] + w["b_dec"]
        if "affine_skip_connection" in w:
            wanted += x @ w["affine_skip_connection"]
        tokens = torch.zeros(1, dtype=torch.int64)
        assert np.allclose(
            dictionary.decode(found[None], tokens, vector[None])[0], wanted, atol=1e-5
        )


@pytest.mark.parametrize("n", [9, D])
def test_a_dictionary(tmp_path: Path, n: int) -> None:
    weights = make_weights(n)
    folder = write(tmp_path, weights)
    assert gemma_scope_2.recognises(folder)
    assert opened(folder).origin == Origin("jumprelu", HOOK, HOOK)
    check(folder, weights)


@pytest.mark.parametrize("has_skip", [False, True])
@pytest.mark.parametrize("d_out", [6, D])
@pytest.mark.parametrize("n", [9, D])
def test_a_transcoder(tmp_path: Path, n: int, d_out: int, has_skip: bool) -> None:
    weights = make_weights(n, d_out)
    if has_skip:
        generator = torch.Generator().manual_seed(2)
        weights["affine_skip_connection"] = torch.randn(D, d_out, generator=generator)
    folder = write(tmp_path, weights, hf_hook_point_in=READ, hf_hook_point_out=WRITTEN)
    origin = Origin("transcoder", "blocks.20.mlp.hook_in", "blocks.20.hook_mlp_out")
    assert opened(folder).origin == origin
    assert opened(folder, "a", "b").origin == Origin("transcoder", "a", "b")
    check(folder, weights)


@pytest.mark.parametrize(
    ("module", "hook_name"),
    [
        (RESIDUAL, HOOK),
        ("model.language_model.layers.20.output", HOOK),
        ("model.layers.20.self_attn.o_proj.input", "blocks.20.attn.hook_z"),
        (WRITTEN, "blocks.20.hook_mlp_out"),
    ],
)
def test_the_settings_say_where_it_reads(tmp_path: Path, module: str, hook_name: str) -> None:
    settings = {"hf_hook_point_in": module, "hf_hook_point_out": module}
    folder = write(tmp_path, make_weights(), **settings)
    assert opened(folder).origin == Origin("jumprelu", hook_name, hook_name)
    assert opened(folder, "a").origin == Origin("jumprelu", "a", "a")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"architecture": "topk"}, "'architecture' is 'topk'; .* can be read: 'jump_relu'"),
        ({"hf_hook_point_in": None}, 'names None as a hook point; .* hook_name = "blocks'),
        ({"hf_hook_point_in": "model.layers.20.mlp.output"}, "names 'model.layers.20.mlp.output'"),
        ({"hf_hook_point_out": "model.norm.output"}, 'hook_name_out = "blocks'),
    ],
)
def test_settings_that_cannot_be_read(
    tmp_path: Path, settings: dict[str, object], message: str
) -> None:
    folder = write(tmp_path, make_weights(), **settings)
    with pytest.raises(DictionaryError, match=message) as error:
        opened(folder)
    assert str(folder) in str(error.value)


def test_dictionaries_of_several_layers_are_refused(tmp_path: Path) -> None:
    weights = make_weights() | {"w_dec": torch.zeros(9, 3, D)}
    with pytest.raises(DictionaryError, match=r"'w_dec' has shape \(9, 3, 4\): it is of several"):
        opened(write(tmp_path, weights))


def test_wrong_tensors_are_named(tmp_path: Path) -> None:
    turned = make_weights() | {"w_dec": torch.zeros(D, 9)}
    with pytest.raises(DictionaryError, match=r"'w_dec' has shape \(4, 9\), expected \(n_features"):
        opened(write(tmp_path, turned))
    skip = make_weights() | {"affine_skip_connection": torch.zeros(D, D)}
    with pytest.raises(DictionaryError, match="unknown tensors: affine_skip_connection"):
        opened(write(tmp_path, skip))


def test_settings_that_are_missing(tmp_path: Path) -> None:
    folder = write(tmp_path, make_weights())
    (folder / "config.json").unlink()
    with pytest.raises(DictionaryError, match=r"config.json: not readable as JSON"):
        opened(folder, HOOK)
