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
    "jumprelu_skip_transcoder": ("b_enc", "threshold"),
}
TRANSCODERS = ("transcoder", "jumprelu_transcoder", "skip_transcoder", "jumprelu_skip_transcoder")
Numbers = dict[str, np.ndarray]


def make_weights(
    architecture: str = "standard", n: int = 9, d_out: int = D
) -> dict[str, torch.Tensor]:
    shapes = {"W_enc": (D, n), "W_dec": (n, d_out), "b_dec": (d_out,)}
    shapes |= {name: (n,) for name in MORE.get(architecture, ("b_enc",))}
    if "skip" in architecture:
        shapes["W_skip"] = (d_out, D)
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
    if architecture == "abstopk":
        pre[np.argsort(-np.abs(pre))[K:]] = 0
        return pre
    f = np.maximum(pre, 0)
    if architecture == "topk":
        f[np.argsort(-f)[K:]] = 0
    elif "threshold" in w:
        f *= pre > w["threshold"]
    elif "topk_threshold" in w:
        f *= f > w["topk_threshold"]
    return f


def standardised(how: str | None, x: np.ndarray) -> tuple[np.ndarray, float, float]:
    """What the library reads, and what it multiplies and adds to what it decodes."""
    if how == "constant_norm_rescale":
        length = np.linalg.norm(x) / np.sqrt(len(x))
        return x / length, length, 0.0
    if how == "layer_norm":
        spread = np.std(x, ddof=1)
        return (x - x.mean()) / (spread + 1e-5), spread, x.mean()
    return (x - x.mean(), 1.0, x.mean()) if how == "centred" else (x, 1.0, 0.0)


def check(
    folder: Path, weights: dict[str, torch.Tensor], architecture: str, **told: float | bool | str
) -> None:
    """`told`: subtracts, rescales, scale, how vectors are standardised."""
    dictionary = opened(folder, None)
    w = {name: weight.double().numpy() for name, weight in weights.items()}
    scale, rescales = told.get("scale", 1.0), bool(told.get("rescales"))
    hidden = 2 * torch.randn(20, D, generator=torch.Generator().manual_seed(1))
    found = dictionary.encode(hidden)
    for vector, activation in zip(hidden, found, strict=True):
        x, length, shift = standardised(told.get("how"), vector.double().numpy())
        x = x * scale
        centred = x - w["b_dec"] if told.get("subtracts", True) else x
        f = activations(architecture, centred, w, rescales)
        assert np.allclose(activation, f, atol=2e-5)
        contributions = f / np.linalg.norm(w["W_dec"], axis=1) if rescales else f
        decoded = dictionary.decode(
            activation[None], torch.zeros(1, dtype=torch.int64), vector[None]
        )[0]
        wanted = (contributions @ w["W_dec"] + w["b_dec"]) / scale * length + shift
        if "W_skip" in w:
            wanted += w["W_skip"] @ vector.double().numpy()
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
        ("abstopk", "topk"),
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


@pytest.mark.parametrize("architecture", ["topk", "abstopk", "batchtopk", "matryoshka_batchtopk"])
def test_activations_that_are_scaled_by_directions(tmp_path: Path, architecture: str) -> None:
    weights = make_weights(architecture)
    more = {"k": 3.0, "rescale_acts_by_decoder_norm": True}
    check(write(tmp_path, weights, architecture, **more), weights, architecture, rescales=True)


@pytest.mark.parametrize("d_out", [6, D])
@pytest.mark.parametrize("n", [9, D])
@pytest.mark.parametrize("architecture", TRANSCODERS)
def test_transcoders(tmp_path: Path, architecture: str, n: int, d_out: int) -> None:
    weights = make_weights(architecture, n, d_out)
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


@pytest.mark.parametrize("n", [9, D])
@pytest.mark.parametrize("how", ["layer_norm", "constant_norm_rescale"])
@pytest.mark.parametrize("architecture", ["standard", "gated", "topk", "batchtopk"])
def test_vectors_that_are_normalised_one_by_one(
    tmp_path: Path, architecture: str, how: str, n: int
) -> None:
    weights = make_weights(architecture, n)
    folder = write(tmp_path, weights, architecture, k=K, normalize_activations=how)
    check(folder, weights, architecture, how=how)


@pytest.mark.parametrize("text", [None, "{}", '{"scaling_factor": null}', '{"scaling_factor": 0}'])
def test_a_scale_that_is_not_known(tmp_path: Path, text: str | None) -> None:
    folder = write(tmp_path, make_weights(), normalize_activations="expected_average_only_in")
    if text:
        (folder / "activation_scaler.json").write_text(text)
    with pytest.raises(DictionaryError, match="its factor is not known") as error:
        opened(folder, None)
    assert "Put activation_scaler.json there" in str(error.value)


@pytest.mark.parametrize(
    ("hook_name", "how"),
    [
        (HOOK, "centred"),
        ("hook_embed", "centred"),
        ("blocks.3.hook_attn_out", "centred"),
        ("blocks.3.hook_mlp_out", "centred"),
        ("blocks.3.mlp.hook_post", None),
        ("blocks.3.attn.hook_z", None),
    ],
)
def test_a_model_whose_weights_were_centred(
    tmp_path: Path, hook_name: str, how: str | None
) -> None:
    weights = make_weights()
    changes = {"center_writing_weights": True, "fold_ln": True}
    metadata = {"hook_name": hook_name, "model_from_pretrained_kwargs": changes}
    check(write(tmp_path, weights, metadata=metadata), weights, "standard", how=how)


def test_centred_vectors_are_normalised_or_scaled_too(tmp_path: Path) -> None:
    weights = make_weights()
    centred = {"model_from_pretrained_kwargs": {"center_writing_weights": True}}
    settings = {"metadata": centred, "normalize_activations": "layer_norm"}
    check(write(tmp_path / "a", weights, **settings), weights, "standard", how="layer_norm")
    settings["normalize_activations"] = "expected_average_only_in"
    folder = write(tmp_path / "b", weights, **settings)
    (folder / "activation_scaler.json").write_text('{"scaling_factor": 0.4}')
    check(folder, weights, "standard", scale=0.4, how="centred")


def test_the_recipe_says_whether_weights_were_centred(tmp_path: Path) -> None:
    folder = write(tmp_path, make_weights())
    assert opened(folder).standardisation == "none"
    assert opened(folder, centred=True).standardisation == "centred"
    assert opened(folder, "blocks.3.mlp.hook_post", centred=True).standardisation == "none"
    metadata = {"model_from_pretrained_kwargs": {"center_writing_weights": True}}
    folder = write(tmp_path, make_weights(), metadata=metadata)
    assert opened(folder, centred=False).standardisation == "none"


@pytest.mark.parametrize(
    ("hook_name", "unfolded"),
    [
        ("blocks.3.ln2.hook_normalized", "blocks.3.mlp.hook_in"),
        ("blocks.3.ln1.hook_normalized", "blocks.3.ln1.hook_out"),
        ("ln_final.hook_normalized", "ln_final.hook_out"),
    ],
)
def test_what_comes_after_a_norm(tmp_path: Path, hook_name: str, unfolded: str) -> None:
    folder = write(tmp_path, make_weights(), metadata={"hook_name": hook_name})
    assert opened(folder).origin.hook_name == unfolded
    folded = {"hook_name": hook_name, "model_from_pretrained_kwargs": {"fold_ln": True}}
    dictionary = opened(write(tmp_path, make_weights(), metadata=folded))
    assert dictionary.origin.hook_name == hook_name and dictionary.standardisation == "none"


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
        ({"architecture": "skip_transcoder"}, "missing tensors: W_skip"),
        ({"normalize_activations": "covariance_whitening"}, "is 'covariance_whitening', which"),
        ({"normalize_activations": ["none"]}, r"'normalize_activations' is \['none'\]"),
        (
            {"normalize_activations": "layer_norm", "architecture": "transcoder"},
            r"a transcoder of vectors that were normalised \(normalize_activations = 'layer_norm'",
        ),
        ({"metadata": {"hook_head_index": 2}}, "'hook_head_index' is 2: it reads one head"),
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


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        ("center_writing_weights", {"architecture": "transcoder"}, "a transcoder .* were centred"),
        (
            "center_writing_weights",
            {"normalize_activations": "constant_norm_rescale"},
            "centred, by the model's weights, and then brought to one length",
        ),
        ("fold_ln", {"hook_name": "blocks.3.attn.hook_q"}, "other weights .*fold_ln"),
        ("fold_value_biases", {"hook_name": "blocks.3.attn.hook_z"}, "biases of the values"),
    ],
)
def test_a_model_whose_vectors_cannot_be_had(
    tmp_path: Path, change: str, settings: dict[str, str], message: str
) -> None:
    metadata = {"model_from_pretrained_kwargs": {change: True}}
    metadata |= {name: settings[name] for name in settings if name == "hook_name"}
    rest = {name: value for name, value in settings.items() if name != "hook_name"}
    folder = write(tmp_path, make_weights(), metadata=metadata, **rest)
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
