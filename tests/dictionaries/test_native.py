import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from featurestore.dictionaries import native
from featurestore.dictionaries.base import Dictionary
from featurestore.errors import DictionaryError
from tests.dictionaries.opened import opened

SETTINGS = {"kind": "sae", "nonlinearity": "relu", "hook_name": "blocks.0.hook_resid_post"}
TENSORS = ("W_enc", "b_enc", "W_dec", "b_dec")


def make_weights(
    d_in: int = 4, n_features: int = 9, d_out: int = 4, with_all: bool = False
) -> dict[str, torch.Tensor]:
    shapes = {
        "W_enc": (d_in, n_features),
        "b_enc": (n_features,),
        "W_dec": (n_features, d_out),
        "b_dec": (d_out,),
    }
    if with_all:
        shapes |= {"b_pre": (d_in,), "lookup": (11, d_out)}
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(s, generator=generator) for name, s in shapes.items()}


def round_trip(
    folder: Path,
    weights: dict[str, torch.Tensor],
    **settings: Any,  # noqa: ANN401
) -> Dictionary:
    native.save(folder, SETTINGS | settings, weights)
    assert native.recognises(folder)
    return opened(folder)


def expected(
    w: dict[str, np.ndarray], x: np.ndarray, nonlinearity: str, k: int | None
) -> np.ndarray:
    """Activations of one hidden vector, one feature at a time."""
    pre = [
        sum((x[d] - w["b_pre"][d]) * w["W_enc"][d, f] for d in range(len(x))) + w["b_enc"][f]
        for f in range(len(w["b_enc"]))
    ]
    largest = sorted(range(len(pre)), key=lambda f: -pre[f])[:k]
    keeps = {
        "relu": lambda f: pre[f] > 0,
        "jumprelu": lambda f: pre[f] > w["threshold"][f] and pre[f] > 0,
        "topk": lambda f: f in largest and pre[f] > 0,
        "signed_topk": lambda f: f in largest,
    }[nonlinearity]
    return np.array([pre[f] if keeps(f) else 0.0 for f in range(len(pre))])


@pytest.mark.parametrize(("d_in", "n_features", "d_out"), [(4, 9, 4), (4, 4, 4), (4, 9, 3)])
@pytest.mark.parametrize(
    ("nonlinearity", "k"),
    [("relu", None), ("jumprelu", None), ("topk", 2), ("topk", 4), ("signed_topk", 3)],
)
def test_round_trip(
    tmp_path: Path, nonlinearity: str, k: int | None, d_in: int, n_features: int, d_out: int
) -> None:
    weights = make_weights(d_in, n_features, d_out, with_all=True)
    if nonlinearity == "jumprelu":
        weights["threshold"] = torch.linspace(-0.5, 1.5, n_features)
    dictionary = round_trip(tmp_path, weights, nonlinearity=nonlinearity, k=k)
    assert (dictionary.d_in, dictionary.n_features, dictionary.d_out) == (d_in, n_features, d_out)
    hidden = torch.randn(8, d_in, generator=torch.Generator().manual_seed(1))
    tokens = torch.arange(8)
    found = dictionary.encode(hidden)
    w = {name: weight.double().numpy() for name, weight in weights.items()}
    for i in range(8):
        wanted = expected(w, hidden[i].double().numpy(), nonlinearity, k)
        assert np.allclose(found[i], wanted, atol=1e-5)
        decoded = wanted @ w["W_dec"] + w["b_dec"] + w["lookup"][i]
        assert np.allclose(dictionary.decode(found, tokens, hidden)[i], decoded, atol=1e-5)


def test_origin(tmp_path: Path) -> None:
    settings = {"hook_name_out": "blocks.1.hook_mlp_out", "family": "steps", "step": 300}
    origin = round_trip(tmp_path, make_weights(d_out=3), kind="transcoder", **settings).origin
    assert (origin.kind, origin.hook_name) == ("transcoder", "blocks.0.hook_resid_post")
    assert (origin.hook_name_out, origin.family, origin.step) == tuple(settings.values())
    assert round_trip(tmp_path, make_weights()).origin.hook_name_out == origin.hook_name


def test_a_file_in_half_precision_is_read_in_single(tmp_path: Path) -> None:
    half = {name: weight.bfloat16() for name, weight in make_weights().items()}
    dictionary = round_trip(tmp_path, half)
    assert dictionary.readers.dtype == torch.float32
    assert torch.equal(dictionary.readers, half["W_enc"].float())


def refusal(folder: Path) -> str:
    with pytest.raises(DictionaryError) as error:
        opened(folder)
    assert str(folder) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", TENSORS)
def test_a_missing_tensor_is_named(tmp_path: Path, name: str) -> None:
    weights = make_weights()
    del weights[name]
    native.save(tmp_path, SETTINGS, weights)
    assert f"missing tensors: {name}. Expected W_dec, W_enc, b_dec, b_enc and opt" in refusal(
        tmp_path
    )


def test_an_unknown_tensor_is_named(tmp_path: Path) -> None:
    native.save(tmp_path, SETTINGS, make_weights() | {"W_gate": torch.zeros(4, 4)})
    assert "unknown tensors: W_gate." in refusal(tmp_path)


@pytest.mark.parametrize(
    ("name", "found", "wanted"),
    [
        ("W_enc", (9,), "(d_in, n_features)"),
        ("W_enc", (0, 9), "(d_in, n_features), none of them 0."),
        ("b_enc", (4,), "(n_features = 9)."),
        ("W_dec", (4, 9), "(n_features = 9, d_out); perhaps it, or"),
        ("W_dec", (9,), "(n_features = 9, d_out)"),
        ("b_dec", (9,), "(d_out = 4)"),
        ("b_dec", (1, 4), "(d_out = 4)"),
        ("b_pre", (9,), "(d_in = 4)"),
        ("threshold", (4,), "(n_features = 9)"),
        ("lookup", (11, 9), "(d_vocab, d_out = 4)."),
    ],
)
def test_a_wrong_shape_is_shown_beside_the_right_one(
    tmp_path: Path, name: str, found: tuple[int, ...], wanted: str
) -> None:
    native.save(tmp_path, SETTINGS, make_weights() | {name: torch.zeros(found)})
    assert f"'{name}' has shape {found}, expected {wanted}" in refusal(tmp_path)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", [*TENSORS, "lookup"])
def test_weights_that_are_not_finite_are_counted(tmp_path: Path, name: str, bad: float) -> None:
    weights = make_weights(with_all=True)
    weights[name].view(-1)[1:3] = bad
    native.save(tmp_path, SETTINGS, weights)
    assert f"'{name}' holds 2 values that are NaN or infinite" in refusal(tmp_path)


def test_weights_too_large_for_single_precision_are_refused(tmp_path: Path) -> None:
    weights = make_weights()
    weights["b_dec"] = torch.full((4,), 1e300, dtype=torch.float64)
    native.save(tmp_path, SETTINGS, weights)
    assert "'b_dec' holds 4 values" in refusal(tmp_path)


@pytest.mark.parametrize("k", [None, 0, -1, 10, 2.0, "2", True])
def test_k_must_be_possible(tmp_path: Path, k: object) -> None:
    native.save(tmp_path, SETTINGS | {"nonlinearity": "topk", "k": k}, make_weights())
    found = "missing" if k is None else repr(k)
    assert f"'k' is {found}; it must be a whole number from 1 to 9" in refusal(tmp_path)


def test_an_unknown_nonlinearity_is_named(tmp_path: Path) -> None:
    native.save(tmp_path, SETTINGS | {"nonlinearity": "gelu"}, make_weights())
    assert "'nonlinearity' is 'gelu'; allowed: relu, jumprelu" in refusal(tmp_path)


def test_jumprelu_needs_its_threshold(tmp_path: Path) -> None:
    native.save(tmp_path, SETTINGS | {"nonlinearity": "jumprelu"}, make_weights())
    assert "needs a tensor 'threshold'" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("hook_name", None, "nothing says where it reads. Add to the recipe"),
        ("hook_name", 3, "key 'hook_name' is 3; expected str or nothing"),
        ("kind", 3, "'kind' is 3; allowed: sae, topk"),
        ("format", "other", "'format' is 'other'; it must be 'featurestore-dictionary-1'"),
        ("step", "300", "key 'step' is '300'; expected int or nothing"),
        ("family", 3, "key 'family' is 3; expected str or nothing"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, key: str, value: object, complaint: str) -> None:
    native.save(tmp_path, SETTINGS | {key: value}, make_weights())
    assert complaint in refusal(tmp_path)


def test_the_recipe_may_say_where_it_reads(tmp_path: Path) -> None:
    silent = {key: value for key, value in SETTINGS.items() if key != "hook_name"}
    native.save(tmp_path, silent, make_weights())
    assert opened(tmp_path, "blocks.1.hook_mlp_out").origin.hook_name == "blocks.1.hook_mlp_out"


@pytest.mark.parametrize("key", ["kind", "nonlinearity"])
def test_a_missing_setting_is_named(tmp_path: Path, key: str) -> None:
    native.save(tmp_path, {k: v for k, v in SETTINGS.items() if k != key}, make_weights())
    assert f"'{key}' is missing; allowed: " in refusal(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_settings_that_are_no_json_object(tmp_path: Path, content: bytes) -> None:
    native.save(tmp_path, SETTINGS, make_weights())
    (tmp_path / native.SETTINGS).write_bytes(content)
    assert native.SETTINGS in refusal(tmp_path)


@pytest.mark.parametrize("n_bytes", [0, 4, 100, 400])
def test_truncated_weights(tmp_path: Path, n_bytes: int) -> None:
    native.save(tmp_path, SETTINGS, make_weights())
    path = tmp_path / native.WEIGHTS
    path.write_bytes(path.read_bytes()[:n_bytes])
    message = refusal(tmp_path)
    assert f"{native.WEIGHTS}: not readable as safetensors" in message
    assert "If it was cut short, fetch it again." in message


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    native.save(tmp_path, SETTINGS, make_weights())
    (tmp_path / native.WEIGHTS).unlink()
    assert f"{native.WEIGHTS}: cannot be read: No such file" in refusal(tmp_path)
    (tmp_path / native.WEIGHTS).write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n"
    )
    assert "git lfs pull" in refusal(tmp_path)


def test_saved_settings_are_json_of_one_format(tmp_path: Path) -> None:
    native.save(tmp_path, SETTINGS, make_weights())
    settings = json.loads((tmp_path / native.SETTINGS).read_text())
    assert settings == SETTINGS | {"format": native.FORMAT}


def test_one_tensor_may_serve_twice(tmp_path: Path) -> None:
    mean = torch.arange(3.0)
    weights = {"W_enc": torch.ones(3, 2), "b_enc": torch.zeros(2), "W_dec": torch.ones(2, 3)}
    settings = {"kind": "sae", "nonlinearity": "relu", "hook_name": "blocks.0.hook_resid_post"}
    native.save(tmp_path, settings, weights | {"b_pre": mean, "b_dec": mean})
    assert opened(tmp_path).pre_bias.tolist() == [0, 1, 2]
