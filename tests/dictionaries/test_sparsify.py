"""Against the formula, written out a token at a time."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from featurestore.dictionaries import sparsify
from featurestore.dictionaries.base import Origin
from featurestore.errors import DictionaryError
from tests.dictionaries.opened import opened

HOOK = "blocks.3.hook_resid_post"
D, K = 4, 3


def make_weights(n: int = 9, d_out: int = D) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = {"encoder.weight": (n, D), "encoder.bias": (n,), "W_dec": (n, d_out)}
    shapes["b_dec"] = (d_out,)
    return {name: torch.randn(*shape, generator=generator) for name, shape in shapes.items()}


def write(folder: Path, weights: dict[str, torch.Tensor], **settings: object) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    save_file(weights, folder / "sae.safetensors")
    # As the library writes it: 0 latents stand for expansion_factor x d_in.
    known = {"activation": "topk", "k": K, "num_latents": 0, "expansion_factor": 32, "d_in": D}
    (folder / "cfg.json").write_text(json.dumps(known | settings))
    return folder


@pytest.mark.parametrize("has_skip", [False, True])
@pytest.mark.parametrize(("is_transcoder", "d_out"), [(False, D), (True, D), (True, 6)])
@pytest.mark.parametrize("n", [9, D])
def test_it_computes_what_its_authors_do(
    tmp_path: Path, n: int, is_transcoder: bool, d_out: int, has_skip: bool
) -> None:
    weights = make_weights(n, d_out)
    if has_skip:
        generator = torch.Generator().manual_seed(2)
        weights["W_skip"] = torch.randn(d_out, D, generator=generator)
    settings = {"transcode": is_transcoder, "skip_connection": has_skip}
    folder = write(tmp_path / "layers.3.mlp", weights, **settings)
    assert sparsify.recognises(folder) and not sparsify.recognises(tmp_path)
    dictionary = opened(folder, None)
    w = {name: weight.double().numpy() for name, weight in weights.items()}
    hidden = torch.randn(20, D, generator=torch.Generator().manual_seed(1))
    for x, found in zip(hidden, dictionary.encode(hidden), strict=True):
        centred = x.double().numpy() - (0 if is_transcoder else w["b_dec"])
        f = np.maximum(w["encoder.weight"] @ centred + w["encoder.bias"], 0)
        f[np.argsort(-f)[K:]] = 0
        assert np.allclose(found, f, atol=1e-5)
        decoded = dictionary.decode(found[None], torch.zeros(1, dtype=torch.int64), x[None])[0]
        skipped = w["W_skip"] @ x.double().numpy() if has_skip else 0
        assert np.allclose(decoded, f @ w["W_dec"] + w["b_dec"] + skipped, atol=1e-5)


@pytest.mark.parametrize(
    ("folder", "is_transcoder", "origin"),
    [
        ("layers.3", False, Origin("topk", HOOK, HOOK)),
        ("gpt_neox.layers.3", False, Origin("topk", HOOK, HOOK)),
        ("transformer.h.3", False, Origin("topk", HOOK, HOOK)),
        ("layers.3.mlp", False, Origin("topk", *["blocks.3.hook_mlp_out"] * 2)),
        ("layers.3.attention", False, Origin("topk", *["blocks.3.hook_attn_out"] * 2)),
        ("model.embed_tokens", False, Origin("topk", "hook_embed", "hook_embed")),
        (
            "model.layers.3.mlp",
            True,
            Origin("transcoder", "blocks.3.mlp.hook_in", "blocks.3.hook_mlp_out"),
        ),
    ],
)
def test_the_folder_says_where_it_reads(
    tmp_path: Path, folder: str, is_transcoder: bool, origin: Origin
) -> None:
    path = write(tmp_path / folder, make_weights(), transcode=is_transcoder)
    assert opened(path, None).origin == origin


def test_the_recipe_goes_before_the_folder(tmp_path: Path) -> None:
    path = write(tmp_path / "layers.3", make_weights())
    assert opened(path, "a").origin == Origin("topk", "a", "a")
    path = write(tmp_path / "layers.3.mlp", make_weights(), transcode=True)
    assert opened(path, "a").origin == Origin("transcoder", "a", "blocks.3.hook_mlp_out")
    assert opened(path, "a", "b").origin == Origin("transcoder", "a", "b")


@pytest.mark.parametrize(
    ("name", "is_transcoder", "given"),
    [
        ("mine", False, ()),
        ("layers.3.mlp.act", False, ()),
        ("mine", True, ("a",)),
        ("layers.3", True, ("a",)),
    ],
)
def test_a_hook_point_that_is_not_known(
    tmp_path: Path, name: str, is_transcoder: bool, given: tuple[str, ...]
) -> None:
    path = write(tmp_path / name, make_weights(), transcode=is_transcoder)
    with pytest.raises(DictionaryError, match="Add to the recipe") as error:
        opened(path, *(given or (None,)))
    assert ("and hook_name_out" in str(error.value)) == is_transcoder
    assert opened(path, "a", "b").origin.hook_name == "a"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"activation": "groupmax"},
            "'activation' is 'groupmax'; .* can be read: 'topk'",
        ),
        ({"skip_connection": True}, "missing tensors: W_skip"),
        ({"skip_connection": 1.5}, "'skip_connection' is 1.5"),
        ({"signed": True}, "'signed' is True"),
        ({"transcode": "yes"}, "'transcode' is 'yes'; .*: False or True"),
        ({"k": 0}, "'k' is 0; it must be a whole number from 1 to 9"),
        ({"k": None}, "'k' is missing"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, settings: dict[str, object], message: str) -> None:
    path = write(tmp_path / "layers.3", make_weights(), **settings)
    with pytest.raises(DictionaryError, match=message) as error:
        opened(path, None)
    assert str(path) in str(error.value)


def test_wrong_tensors_are_named(tmp_path: Path) -> None:
    turned = make_weights() | {"W_dec": torch.zeros(D, 9)}
    with pytest.raises(DictionaryError, match=r"'W_dec' has shape \(4, 9\), expected \(n_features"):
        opened(write(tmp_path / "layers.3", turned), None)
    skip = make_weights() | {"W_skip": torch.zeros(D, D)}
    with pytest.raises(DictionaryError, match="unknown tensors: W_skip"):
        opened(write(tmp_path / "layers.3", skip), None)
