"""Against each architecture's formula, written out a token at a time."""

import json
from pathlib import Path

import pytest
import torch

from featurestore.dictionaries import sae_lens
from featurestore.dictionaries.base import Origin
from featurestore.errors import DictionaryError
from tests.dictionaries.opened import opened
from tests.dictionaries.sae_lens_folder import HOOK, D, K, check, make_weights, write

TRANSCODERS = ("transcoder", "jumprelu_transcoder", "skip_transcoder", "jumprelu_skip_transcoder")


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


@pytest.mark.parametrize("architecture", ["topk", "batchtopk"])
def test_a_training_checkpoint_that_is_scaled_by_directions_too(
    tmp_path: Path, architecture: str
) -> None:
    weights = make_weights(architecture)
    more = {"k": K, "rescale_acts_by_decoder_norm": True}
    more["normalize_activations"] = "expected_average_only_in"
    folder = write(tmp_path, weights, architecture, **more)
    (folder / "activation_scaler.json").write_text('{"scaling_factor": 0.4}')
    check(folder, weights, architecture, scale=0.4, rescales=True)


@pytest.mark.parametrize("n", [9, D])
@pytest.mark.parametrize("how", ["layer_norm", "constant_norm_rescale"])
@pytest.mark.parametrize("architecture", ["standard", "gated", "topk", "batchtopk"])
def test_vectors_that_are_normalised_one_by_one(
    tmp_path: Path, architecture: str, how: str, n: int
) -> None:
    weights = make_weights(architecture, n)
    folder = write(tmp_path, weights, architecture, k=K, normalize_activations=how)
    check(folder, weights, architecture, how=how)


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
        ({"activation_fn": "topk", "activation_fn_kwargs": None}, "'k' is missing"),
        ({"architecture": "topk"}, "'k' is missing"),
        ({"architecture": "topk", "k": 2.5}, "'k' is 2.5"),
        ({"architecture": "jumprelu"}, "missing tensors: threshold"),
        ({"architecture": "gated"}, "unknown tensors: b_enc"),
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
