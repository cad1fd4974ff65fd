"""Every class against its formula, written out a token at a time."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from featurestore.config import DictionaryConfig
from featurestore.dictionaries import dictionary_learning
from featurestore.dictionaries.base import Dictionary
from featurestore.dictionaries.load import load_dictionary
from featurestore.errors import DictionaryError
from tests.dictionaries.opened import opened

HOOK = "blocks.1.hook_mlp_out"
D = 4
Numbers = dict[str, np.ndarray]


def made_up(**shapes: tuple[int, ...]) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name.replace("__", "."): torch.randn(*shape, generator=generator)
        for name, shape in shapes.items()
    }


def linear(n: int, **more: tuple[int, ...]) -> dict[str, torch.Tensor]:
    return made_up(encoder__weight=(n, D), decoder__weight=(D, n), **more)


def matrices(n: int, **more: tuple[int, ...]) -> dict[str, torch.Tensor]:
    return made_up(W_enc=(D, n), b_enc=(n,), W_dec=(n, D), b_dec=(D,), **more)


def autoencoder(n: int = 9) -> dict[str, torch.Tensor]:
    return linear(n, encoder__bias=(n,), bias=(D,))


def topk_weights(n: int = 9, k: int = 2, threshold: float = -1.0) -> dict[str, torch.Tensor]:
    more = {"k": torch.tensor(k, dtype=torch.int32), "threshold": torch.tensor(threshold)}
    return linear(n, encoder__bias=(n,), b_dec=(D,)) | more


def matryoshka(n: int = 9, threshold: float = 0.7) -> dict[str, torch.Tensor]:
    sizes = torch.tensor([1, n - 1])
    more = {"k": torch.tensor(2), "threshold": torch.tensor(threshold), "group_sizes": sizes}
    return matrices(n) | more


def write(folder: Path, weights: object, dict_class: str | None = None, **trainer: str) -> Path:
    torch.save(weights, folder / "ae.pt")
    if dict_class or trainer:
        config = {"trainer": {"dict_class": dict_class} | trainer, "buffer": {}}
        (folder / "config.json").write_text(json.dumps(config))
    return folder


def refusal(path: Path) -> str:
    with pytest.raises(DictionaryError) as error:
        opened(path, HOOK)
    assert str(path) in str(error.value)
    return str(error.value)


def check(
    dictionary: Dictionary,
    weights: dict[str, torch.Tensor],
    encode: Callable[[np.ndarray, Numbers], np.ndarray],
    decode: Callable[[np.ndarray, Numbers], np.ndarray],
) -> None:
    """Compare with formulas in float64; some features must be silent and some not."""
    assert dictionary.origin.hook_name == dictionary.origin.hook_name_out == HOOK
    w = {name: weight.double().numpy() for name, weight in weights.items()}
    hidden = 2 * torch.randn(20, D, generator=torch.Generator().manual_seed(1))
    activations = dictionary.encode(hidden)
    for x, found in zip(hidden, activations, strict=True):
        f = encode(x.double().numpy(), w)
        assert np.allclose(found, f, atol=1e-5)
        decoded = dictionary.decode(found[None], torch.zeros(1, dtype=torch.int64), x[None])[0]
        assert np.allclose(decoded, decode(f, w), atol=1e-5)
    assert 0 < np.count_nonzero(activations) < activations.numel()


BOTH = pytest.mark.parametrize("n", [9, D])


@BOTH
def test_autoencoder(tmp_path: Path, n: int) -> None:
    weights = autoencoder(n)
    dictionary = opened(write(tmp_path, weights), HOOK)
    assert dictionary.origin.kind == "sae"
    check(
        dictionary,
        weights,
        lambda x, w: np.maximum(w["encoder.weight"] @ (x - w["bias"]) + w["encoder.bias"], 0),
        lambda f, w: w["decoder.weight"] @ f + w["bias"],
    )


@BOTH
def test_autoencoder_new(tmp_path: Path, n: int) -> None:
    weights = linear(n, encoder__bias=(n,), decoder__bias=(D,))
    check(
        opened(write(tmp_path, weights, "AutoEncoderNew"), HOOK),
        weights,
        lambda x, w: np.maximum(w["encoder.weight"] @ x + w["encoder.bias"], 0),
        lambda f, w: w["decoder.weight"] @ f + w["decoder.bias"],
    )


@BOTH
def test_gated(tmp_path: Path, n: int) -> None:
    weights = linear(n, r_mag=(n,), gate_bias=(n,), mag_bias=(n,), decoder_bias=(D,))
    dictionary = opened(write(tmp_path, weights), HOOK)
    assert dictionary.origin.kind == "gated"

    def encode(x: np.ndarray, w: Numbers) -> np.ndarray:
        z = w["encoder.weight"] @ (x - w["decoder_bias"])
        magnitude = np.maximum(np.exp(w["r_mag"]) * z + w["mag_bias"], 0)
        return np.where(z + w["gate_bias"] > 0, magnitude, 0)

    check(dictionary, weights, encode, lambda f, w: w["decoder.weight"] @ f + w["decoder_bias"])


@BOTH
def test_jumprelu(tmp_path: Path, n: int) -> None:
    weights = matrices(n, threshold=(n,))
    dictionary = opened(write(tmp_path, weights), HOOK)
    assert dictionary.origin.kind == "jumprelu"

    def encode(x: np.ndarray, w: Numbers) -> np.ndarray:
        pre = x @ w["W_enc"] + w["b_enc"]
        return np.maximum(pre * (pre > w["threshold"]), 0)

    check(dictionary, weights, encode, lambda f, w: f @ w["W_dec"] + w["b_dec"])


@pytest.mark.parametrize(("n", "k"), [(9, 2), (9, 8), (D, 1)])
def test_topk(tmp_path: Path, n: int, k: int) -> None:
    weights = topk_weights(n, k)
    dictionary = opened(write(tmp_path, weights, "AutoEncoderTopK"), HOOK)
    assert (dictionary.origin.kind, dictionary.nonlinearity.k) == ("topk", k)

    def encode(x: np.ndarray, w: Numbers) -> np.ndarray:
        f = np.maximum(w["encoder.weight"] @ (x - w["b_dec"]) + w["encoder.bias"], 0)
        f[np.argsort(-f)[k:]] = 0
        return f

    check(dictionary, weights, encode, lambda f, w: w["decoder.weight"] @ f + w["b_dec"])


@BOTH
def test_batch_topk(tmp_path: Path, n: int) -> None:
    weights = topk_weights(n, threshold=0.7)

    def encode(x: np.ndarray, w: Numbers) -> np.ndarray:
        f = np.maximum(w["encoder.weight"] @ (x - w["b_dec"]) + w["encoder.bias"], 0)
        return f * (f > w["threshold"])

    dictionary = opened(write(tmp_path, weights, "BatchTopKSAE"), HOOK)
    check(dictionary, weights, encode, lambda f, w: w["decoder.weight"] @ f + w["b_dec"])


@BOTH
def test_matryoshka(tmp_path: Path, n: int) -> None:
    weights = matryoshka(n)

    def encode(x: np.ndarray, w: Numbers) -> np.ndarray:
        f = np.maximum((x - w["b_dec"]) @ w["W_enc"] + w["b_enc"], 0)
        return f * (f > w["threshold"])

    dictionary = opened(write(tmp_path, weights), HOOK)
    check(dictionary, weights, encode, lambda f, w: f @ w["W_dec"] + w["b_dec"])


@pytest.mark.parametrize(
    ("weights", "dict_class"), [(topk_weights(), "BatchTopKSAE"), (matryoshka(threshold=-1), None)]
)
def test_a_threshold_that_was_never_set(
    tmp_path: Path, weights: dict[str, torch.Tensor], dict_class: str | None
) -> None:
    message = refusal(write(tmp_path, weights, dict_class))
    assert "'threshold' is -1: it was never set" in message and "later checkpoint" in message


@pytest.mark.parametrize("factor", [3.0, torch.tensor(0.5), None])
def test_a_backup_has_the_scale_of_other_files(
    tmp_path: Path, factor: float | torch.Tensor | None
) -> None:
    weights = topk_weights(threshold=0.7)
    more = {} if factor is None else {"norm_factor": factor}
    backup = {"step": 3, "ae": weights, "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}}}
    config = {"config": {"dict_class": "BatchTopKSAE"}}
    dictionary = opened(write(tmp_path, backup | config | more), HOOK)
    scale = 1.0 if factor is None else float(factor)
    scaled = {"b_dec", "encoder.bias", "threshold"}
    (tmp_path / "other").mkdir()
    same = {name: w * scale if name in scaled else w for name, w in weights.items()}
    other = opened(write(tmp_path / "other", same, "BatchTopKSAE"), HOOK)
    hidden = torch.randn(20, D, generator=torch.Generator().manual_seed(1))
    assert torch.equal(dictionary.encode(hidden), other.encode(hidden))
    assert torch.equal(dictionary.direction_bias, other.direction_bias)


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), "2", torch.ones(2)])
def test_a_scale_that_cannot_be(tmp_path: Path, factor: object) -> None:
    message = refusal(write(tmp_path, {"ae": autoencoder(), "norm_factor": factor}))
    assert f"'norm_factor' is {factor!r}; expected a number above 0" in message


@pytest.mark.parametrize(
    ("folder", "submodule", "hook_name"),
    [
        ("pythia-70m-deduped/embed/10_32768", None, "hook_embed"),
        ("attn_out_layer3/10_32768", None, "blocks.3.hook_attn_out"),
        ("mlp_out_layer0/10_32768", None, "blocks.0.hook_mlp_out"),
        ("resid_out_layer5/10_32768", None, "blocks.5.hook_resid_post"),
        ("trainer_0", "resid_post_layer_12", "blocks.12.hook_resid_post"),
        ("mlp_out_layer0", "resid_post_layer_12", "blocks.12.hook_resid_post"),
    ],
)
def test_hook_points_of_the_layout(
    tmp_path: Path, folder: str, submodule: str | None, hook_name: str
) -> None:
    trainer = {"submodule_name": submodule} if submodule else {}
    path = tmp_path / folder
    path.mkdir(parents=True)
    write(path, autoencoder(), "AutoEncoder", **trainer)
    assert opened(path, None).origin.hook_name == hook_name
    assert opened(path, HOOK).origin.hook_name == HOOK


def test_a_checkpoint_knows_its_step(tmp_path: Path) -> None:
    write(tmp_path, topk_weights(), "AutoEncoderTopK", submodule_name="resid_post_layer_1")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "ae.pt").rename(tmp_path / "checkpoints" / "ae_1000.pt")
    dictionary = opened(tmp_path / "checkpoints" / "ae_1000.pt", None)
    assert (dictionary.origin.step, dictionary.origin.kind) == (1000, "topk")
    assert dictionary.origin.family == f"{tmp_path.parent.name}/{tmp_path.name}"
    config = DictionaryConfig("x", str(tmp_path / "checkpoints" / "ae_1000.pt"), family="mine")
    assert load_dictionary(replace(config, hook_name="hook_embed")).origin.family == "mine"
    assert dictionary.origin.hook_name == "blocks.1.hook_resid_post"


@pytest.mark.parametrize(("steps", "step"), [(4000, 4000), (None, None), (True, None), (0, None)])
def test_the_last_of_a_run_knows_its_step_by_the_settings(
    tmp_path: Path, steps: object, step: int | None
) -> None:
    said = {} if steps is None else {"steps": steps}
    run = tmp_path / "layer_1" / "trainer_0"
    run.mkdir(parents=True)
    write(run, topk_weights(), "AutoEncoderTopK", submodule_name="resid_post_layer_1", **said)
    (run / "checkpoints").mkdir()
    shutil.copy(run / "ae.pt", run / "checkpoints" / "ae_1000.pt")
    early = opened(run / "checkpoints" / "ae_1000.pt", None).origin
    assert (early.family, early.step) == ("layer_1/trainer_0", 1000)
    for path in (run, run / "ae.pt"):
        last = opened(path, None).origin
        assert (last.family, last.step) == (early.family if step else None, step)


def test_a_bare_file_is_a_dictionary_too(tmp_path: Path) -> None:
    write(tmp_path, autoencoder())
    assert dictionary_learning.recognises(tmp_path)
    assert dictionary_learning.recognises(tmp_path / "ae.pt")
    dictionary = opened(tmp_path / "ae.pt", HOOK)
    assert (dictionary.n_features, dictionary.origin.step) == (9, None)


def test_the_hook_point_must_be_known(tmp_path: Path) -> None:
    write(tmp_path, autoencoder())
    with pytest.raises(DictionaryError, match=r"Add to the recipe.*hook_name ="):
        opened(tmp_path, None)


def test_what_two_classes_look_like_is_asked_for(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, topk_weights()))
    assert "those of AutoEncoderTopK and of BatchTopKSAE" in message
    assert "config.json into" in message


@pytest.mark.parametrize("dict_class", ["AutoEncoder", "JumpReluAutoEncoder", "CrossCoder"])
def test_tensors_and_config_must_agree(tmp_path: Path, dict_class: str) -> None:
    message = refusal(write(tmp_path, topk_weights(), dict_class))
    assert f"dict_class {dict_class!r}" in message and "none of AutoEncoder, " in message


def test_a_class_that_is_not_known(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, {"weird": torch.zeros(3), "encoder.bias": torch.zeros(3)}))
    assert "unexpected tensors weird. See the formats" in message
    many = {f"layer.{i}": torch.zeros(1) for i in range(9)}
    assert "layer.6, layer.7, ..." in refusal(write(tmp_path, many))
    message = refusal(write(tmp_path, {"encoder.bias": torch.zeros(3)}))
    assert "tensors encoder.bias with dict_class None" in message


@pytest.mark.parametrize("k", [0, 10])
def test_k_must_be_possible(tmp_path: Path, k: int) -> None:
    message = refusal(write(tmp_path, topk_weights(k=k), "AutoEncoderTopK"))
    assert f"'k' is {k}; it must be a whole number from 1 to 9" in message


def test_wrong_tensors_are_named(tmp_path: Path) -> None:
    good = autoencoder()
    wrong = good | {"decoder.weight": torch.zeros(9, 4)}
    message = refusal(write(tmp_path, wrong))
    assert "'decoder.weight' has shape (9, 4), expected (d_in = 4, n_features = 9)" in message
    assert "unknown tensors: extra." in refusal(write(tmp_path, good | {"extra": torch.zeros(1)}))
    assert "'bias' holds 1 values that are NaN" in refusal(
        write(tmp_path, good | {"bias": torch.tensor([0, 0, 0, float("nan")])})
    )
    del good["encoder.bias"]
    assert "missing tensors: encoder.bias." in refusal(write(tmp_path, good))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"trainer": 3}'])
def test_a_config_that_cannot_be_used(tmp_path: Path, text: str) -> None:
    write(tmp_path, topk_weights())
    (tmp_path / "config.json").write_text(text)
    assert "config.json" in refusal(tmp_path)
