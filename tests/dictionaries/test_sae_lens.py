"""Against each architecture's formula, written out a token at a time."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from featurestore.dictionaries import sae_lens
from featurestore.dictionaries.base import Origin
from featurestore.errors import DictionaryError
from tests.dictionaries.opened import opened

HOOK = "blocks.3.hook_resid_pre"
D, K = 4, 3
MORE = {
    "gated": ("b_gate", "b_mag", "r_mag"),
    "jumprelu": ("b_enc", "threshold"),
    "jumprelu_transcoder": ("b_enc", "threshold"),
}
Numbers = dict[str, np.ndarray]


def make_weights(architecture: str = "standard", n: int = 9) -> dict[str, torch.Tensor]:
    d_out = 6 if architecture.endswith("transcoder") else D
    shapes = {"W_enc": (D, n), "W_dec": (n, d_out), "b_dec": (d_out,)}
    shapes |= {name: (n,) for name in MORE.get(architecture, ("b_enc",))}
    generator = torch.Generator().manual_seed(0)
    weights = {name: torch.randn(*shape, generator=generator) for name, shape in shapes.items()}
    if "batchtopk" in architecture:
        weights["topk_threshold"] = torch.tensor(0.7, dtype=torch.float64)
    return weights


def write(
    folder: Path, weights: dict[str, torch.Tensor], architecture: str = "standard", **more: object
) -> Path:
    """As version 6 writes it."""
    folder.mkdir(exist_ok=True, parents=True)
    save_file(weights, folder / "sae_weights.safetensors")
    metadata = {"hook_name": HOOK, "hook_name_out": "blocks.3.hook_mlp_out", "context_size": 128}
    metadata |= more.pop("metadata", {})
    known = {"architecture": architecture, "dtype": "float32", "normalize_activations": "none"}
    settings = known | {"apply_b_dec_to_input": True, "metadata": metadata} | more
    (folder / "cfg.json").write_text(json.dumps(settings))
    return folder


def activations(architecture: str, x: np.ndarray, w: Numbers, rescales: bool) -> np.ndarray:
    """What the library's encode gives, by its formulas; x less what is subtracted first."""
    z = x @ w["W_enc"]
    if architecture == "gated":
        return (z + w["b_gate"] > 0) * np.maximum(z * np.exp(w["r_mag"]) + w["b_mag"], 0)
    pre = z + w["b_enc"]
    if rescales:
        pre = pre * np.linalg.norm(w["W_dec"], axis=1)
    f = np.maximum(pre, 0)
    if architecture == "topk":
        f[np.argsort(-f)[K:]] = 0
    elif "threshold" in w:
        f *= pre > w["threshold"]
    elif "topk_threshold" in w:
        f *= f > w["topk_threshold"]
    return f


def check(
    folder: Path, weights: dict[str, torch.Tensor], architecture: str, **told: float | bool
) -> None:
    """`told`: subtracts, rescales, scale."""
    dictionary = opened(folder, None)
    w = {name: weight.double().numpy() for name, weight in weights.items()}
    scale, rescales = told.get("scale", 1.0), bool(told.get("rescales"))
    hidden = 2 * torch.randn(20, D, generator=torch.Generator().manual_seed(1))
    found = dictionary.encode(hidden)
    for vector, activation in zip(hidden, found, strict=True):
        x = vector.double().numpy() * scale
        centred = x - w["b_dec"] if told.get("subtracts", True) else x
        f = activations(architecture, centred, w, rescales)
        assert np.allclose(activation, f, atol=2e-5)
        contributions = f / np.linalg.norm(w["W_dec"], axis=1) if rescales else f
        decoded = dictionary.decode(
            activation[None], torch.zeros(1, dtype=torch.int64), vector[None]
        )[0]
        wanted = (contributions @ w["W_dec"] + w["b_dec"]) / scale
        assert np.allclose(decoded, wanted, atol=2e-5)
    assert 0 < np.count_nonzero(found) < found.numel()


@pytest.mark.parametrize("subtracts", [True, False])
@pytest.mark.parametrize("n", [9, D])
@pytest.mark.parametrize(
    ("architecture", "kind"),
    [
        ("standard", "sae"),
        ("gated", "gated"),
        ("jumprelu", "jumprelu"),
        ("topk", "topk"),
        ("batchtopk", "topk"),
        ("matryoshka_batchtopk", "topk"),
    ],
)
def test_architectures(
    tmp_path: Path, architecture: str, kind: str, n: int, subtracts: bool
) -> None:
    weights = make_weights(architecture, n)
    folder = write(tmp_path, weights, architecture, apply_b_dec_to_input=subtracts, k=K)
    assert sae_lens.recognises(folder)
    assert opened(folder, None).origin == Origin(kind, HOOK, HOOK)
    check(folder, weights, architecture, subtracts=subtracts)


@pytest.mark.parametrize("architecture", ["topk", "batchtopk", "matryoshka_batchtopk"])
def test_activations_that_are_scaled_by_directions(tmp_path: Path, architecture: str) -> None:
    weights = make_weights(architecture)
    more = {"k": 3.0, "rescale_acts_by_decoder_norm": True}
    check(write(tmp_path, weights, architecture, **more), weights, architecture, rescales=True)


@pytest.mark.parametrize("architecture", ["transcoder", "jumprelu_transcoder"])
def test_transcoders(tmp_path: Path, architecture: str) -> None:
    weights = make_weights(architecture)
    metadata = {"hook_name": "blocks.3.ln2.hook_normalized"}
    folder = write(tmp_path, weights, architecture, metadata=metadata)
    origin = Origin("transcoder", "blocks.3.mlp.hook_in", "blocks.3.hook_mlp_out")
    assert opened(folder, None).origin == origin
    assert opened(folder, "a", "b").origin == Origin("transcoder", "a", "b")
    check(folder, weights, architecture, subtracts=False)


@pytest.mark.parametrize("how", ["expected_average_only_in", True])
@pytest.mark.parametrize("architecture", ["standard", "jumprelu", "batchtopk"])
def test_a_training_checkpoint_has_its_scale(
    tmp_path: Path, architecture: str, how: str | bool
) -> None:
    weights = make_weights(architecture)
    folder = write(tmp_path, weights, architecture, normalize_activations=how)
    (folder / "activation_scaler.json").write_text('{"scaling_factor": 0.4}')
    check(folder, weights, architecture, scale=0.4)


@pytest.mark.parametrize("text", [None, "{}", '{"scaling_factor": null}', '{"scaling_factor": 0}'])
def test_a_scale_that_is_not_known(tmp_path: Path, text: str | None) -> None:
    folder = write(tmp_path, make_weights(), normalize_activations="expected_average_only_in")
    if text:
        (folder / "activation_scaler.json").write_text(text)
    with pytest.raises(DictionaryError, match="its factor is not known") as error:
        opened(folder, None)
    assert "Put activation_scaler.json there" in str(error.value)


def test_settings_from_before_version_6(tmp_path: Path) -> None:
    weights = make_weights("topk")
    folder = write(tmp_path, weights | {"scaling_factor": torch.ones(9)})
    old = {"hook_point": HOOK, "activation_fn_str": "topk", "activation_fn_kwargs": {"k": K}}
    (folder / "cfg.json").write_text(json.dumps(old | {"d_in": D, "d_sae": 9}))
    assert opened(folder, None).origin == Origin("topk", HOOK, HOOK)
    check(folder, weights, "topk")
    weights = make_weights("jumprelu")
    logs = {"log_threshold": weights["threshold"].abs().log()}
    rest = {name: weight for name, weight in weights.items() if name != "threshold"}
    folder = write(tmp_path / "log", rest | logs, "jumprelu")
    check(folder, rest | {"threshold": weights["threshold"].abs()}, "jumprelu")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"architecture": "temporal"}, "'architecture' is 'temporal'; .* standard, gated"),
        ({"architecture": ["standard"]}, "'architecture' is "),
        ({"architecture": "skip_transcoder"}, "'skip_transcoder'"),
        ({"normalize_activations": "layer_norm"}, "'normalize_activations' is 'layer_norm'"),
        ({"metadata": {"hook_head_index": 2}}, "'hook_head_index' is 2: it reads one head"),
        (
            {"metadata": {"model_from_pretrained_kwargs": {"center_writing_weights": True}}},
            "trained on a model with other weights",
        ),
        (
            {"metadata": {"model_from_pretrained_kwargs": "centred"}},
            "'model_from_pretrained_kwargs' is 'centred'; expected a table",
        ),
        ({"activation_fn": "tanh-relu"}, "'activation_fn' is 'tanh-relu'"),
        ({"activation_fn": "topk", "activation_fn_kwargs": None}, "'k' is None"),
        ({"architecture": "topk"}, "'k' is None"),
        ({"architecture": "topk", "k": 2.5}, "'k' is 2.5"),
        ({"architecture": "jumprelu"}, "missing tensors: threshold"),
        ({"architecture": "gated"}, "unknown tensors: b_enc"),
        ({"metadata": {"hook_name": None}}, "no 'hook_name' in it. Add to the recipe"),
        ({"metadata": {"hook_name_out": 3}, "architecture": "transcoder"}, "no 'hook_name_out'"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, settings: dict[str, object], message: str) -> None:
    folder = write(tmp_path, make_weights(), **settings)
    with pytest.raises(DictionaryError, match=message) as error:
        opened(folder, None)
    assert str(folder) in str(error.value)


def test_a_threshold_that_was_never_set(tmp_path: Path) -> None:
    weights = make_weights("batchtopk") | {"topk_threshold": torch.tensor(0.0)}
    with pytest.raises(DictionaryError, match="'topk_threshold' is 0: it was never set"):
        opened(write(tmp_path, weights, "batchtopk"), None)


def test_a_finetuned_scale_is_refused(tmp_path: Path) -> None:
    weights = make_weights() | {"scaling_factor": torch.arange(9.0)}
    with pytest.raises(DictionaryError, match="'scaling_factor' is not 1 everywhere"):
        opened(write(tmp_path, weights), None)


def test_wrong_shapes_are_named(tmp_path: Path) -> None:
    turned = make_weights() | {"W_dec": torch.zeros(D, 9)}
    with pytest.raises(DictionaryError, match=r"'W_dec' has shape \(4, 9\), expected \(n_features"):
        opened(write(tmp_path, turned), None)
