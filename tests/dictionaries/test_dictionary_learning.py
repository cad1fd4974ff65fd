import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from featurestore.dictionaries import dictionary_learning
from featurestore.errors import DictionaryError

HOOK = "blocks.1.hook_mlp_out"


def make_weights(n_features: int = 9, **more: torch.Tensor) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    linear = {
        "encoder.weight": torch.randn(n_features, 4, generator=generator),
        "encoder.bias": torch.randn(n_features, generator=generator),
        "decoder.weight": torch.randn(4, n_features, generator=generator),
    }
    return linear | more


def topk_weights(n_features: int = 9, k: int = 2) -> dict[str, torch.Tensor]:
    more = {"b_dec": torch.tensor([0.5, -1, 0, 2]), "k": torch.tensor(k, dtype=torch.int32)}
    return make_weights(n_features, threshold=torch.tensor(-1.0), **more)


def write(folder: Path, weights: object, dict_class: str | None = None) -> Path:
    torch.save(weights, folder / "ae.pt")
    if dict_class:
        config = {"trainer": {"dict_class": dict_class}, "buffer": {}}
        (folder / "config.json").write_text(json.dumps(config))
    return folder


def refusal(path: Path) -> str:
    with pytest.raises(DictionaryError) as error:
        dictionary_learning.load(path, HOOK)
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("n_features", [9, 4])
def test_autoencoder(tmp_path: Path, n_features: int) -> None:
    weights = make_weights(n_features, bias=torch.tensor([0.5, -1, 0, 2]))
    dictionary = dictionary_learning.load(write(tmp_path, weights), HOOK)
    assert (dictionary.origin.kind, dictionary.origin.hook_name) == ("sae", HOOK)
    hidden = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    w = {name: weight.double().numpy() for name, weight in weights.items()}
    for x, found in zip(hidden, dictionary.encode(hidden), strict=True):
        f = w["encoder.weight"] @ (x.double().numpy() - w["bias"]) + w["encoder.bias"]
        f[f < 0] = 0
        assert np.allclose(found, f, atol=1e-5)
        decoded = dictionary.decode(found[None], torch.zeros(1, dtype=torch.int64))[0]
        assert np.allclose(decoded, w["decoder.weight"] @ f + w["bias"], atol=1e-5)


@pytest.mark.parametrize(("n_features", "k"), [(9, 2), (9, 9), (4, 1)])
def test_autoencoder_topk(tmp_path: Path, n_features: int, k: int) -> None:
    weights = topk_weights(n_features, k)
    dictionary = dictionary_learning.load(write(tmp_path, weights, "AutoEncoderTopK"), HOOK)
    assert (dictionary.origin.kind, dictionary.nonlinearity.k) == ("topk", k)
    hidden = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    w = {name: weight.double().numpy() for name, weight in weights.items()}
    for x, found in zip(hidden, dictionary.encode(hidden), strict=True):
        f = w["encoder.weight"] @ (x.double().numpy() - w["b_dec"]) + w["encoder.bias"]
        f[f < 0] = 0
        f[np.argsort(-f)[k:]] = 0
        assert np.allclose(found, f, atol=1e-5)
        decoded = dictionary.decode(found[None], torch.zeros(1, dtype=torch.int64))[0]
        assert np.allclose(decoded, w["decoder.weight"] @ f + w["b_dec"], atol=1e-5)


def test_a_bare_file_is_a_dictionary_too(tmp_path: Path) -> None:
    write(tmp_path, make_weights(bias=torch.zeros(4)))
    assert dictionary_learning.recognises(tmp_path)
    assert dictionary_learning.recognises(tmp_path / "ae.pt")
    assert dictionary_learning.load(tmp_path / "ae.pt", HOOK).n_features == 9


def test_the_hook_point_must_be_given(tmp_path: Path) -> None:
    write(tmp_path, make_weights(bias=torch.zeros(4)))
    with pytest.raises(DictionaryError, match=r"Add to the recipe.*hook_name ="):
        dictionary_learning.load(tmp_path, None)


@pytest.mark.parametrize("dict_class", [None, "BatchTopKSAE"])
def test_what_has_the_keys_of_topk_is_not_taken_for_it(
    tmp_path: Path, dict_class: str | None
) -> None:
    message = refusal(write(tmp_path, topk_weights(), dict_class))
    assert f"dict_class {dict_class!r}" in message
    assert "AutoEncoderTopK" in message


@pytest.mark.parametrize("k", [0, 10])
def test_k_must_be_possible(tmp_path: Path, k: int) -> None:
    message = refusal(write(tmp_path, topk_weights(k=k), "AutoEncoderTopK"))
    assert f"'k' is {k}; it must be a whole number from 1 to 9" in message


def test_wrong_tensors_are_named(tmp_path: Path) -> None:
    good = make_weights(bias=torch.zeros(4))
    wrong = good | {"decoder.weight": torch.zeros(9, 4)}
    message = refusal(write(tmp_path, wrong))
    assert "'decoder.weight' has shape (9, 4), expected (d_in = 4, n_features = 9)" in message
    assert "unknown tensors: extra." in refusal(write(tmp_path, good | {"extra": torch.zeros(1)}))
    assert "'bias' holds 1 values that are NaN" in refusal(
        write(tmp_path, good | {"bias": torch.tensor([0, 0, 0, float("nan")])})
    )
    del good["encoder.bias"]
    assert "missing tensors: encoder.bias;" in refusal(write(tmp_path, good))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"trainer": 3}'])
def test_a_config_that_cannot_be_used(tmp_path: Path, text: str) -> None:
    write(tmp_path, topk_weights())
    (tmp_path / "config.json").write_text(text)
    assert "config.json" in refusal(tmp_path)


class Bomb:
    """Makes a folder when unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.canary),)


def test_a_file_that_could_run_code_is_refused_and_not_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    weights = make_weights(bias=torch.zeros(4)) | {"more": Bomb(canary)}
    torch.save(weights, tmp_path / "a.pt")
    assert "could run code (posix.mkdir)" in refusal(tmp_path / "a.pt")
    torch.save(weights, tmp_path / "b.pt", _use_new_zipfile_serialization=False)
    assert "not readable as a torch file" in refusal(tmp_path / "b.pt")
    (tmp_path / "c.pt").write_bytes(pickle.dumps(weights))
    assert "saved by an old torch or by pickle" in refusal(tmp_path / "c.pt")
    assert not canary.exists()
    torch.load(tmp_path / "a.pt", weights_only=False)
    assert canary.exists()  # so it was a bomb


def test_the_switch_that_lets_files_run_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    assert "Unset it" in refusal(write(tmp_path, make_weights(bias=torch.zeros(4))))


def test_a_tensor_that_is_not_all_there_is_refused(tmp_path: Path) -> None:
    side = 10**6
    huge = make_weights(bias=torch.zeros(4)) | {"encoder.weight": torch.zeros(1).expand(side, side)}
    write(tmp_path, huge)
    assert (tmp_path / "ae.pt").stat().st_size < 10_000
    message = refusal(tmp_path)
    assert f"'encoder.weight' is a tensor of shape {(side, side)}" in message
    huge["encoder.weight"] = torch.empty(side, side, device="meta")
    assert "not all there" in refusal(write(tmp_path, huge))


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
def test_a_sparse_tensor_is_refused(tmp_path: Path) -> None:
    sparse = make_weights(bias=torch.zeros(4).to_sparse())
    assert "'bias' is a tensor of shape (4,) that is sparse" in refusal(write(tmp_path, sparse))


def test_a_state_dict_inside_another_is_refused(tmp_path: Path) -> None:
    nested = {"step": torch.tensor(3), "ae": make_weights(bias=torch.zeros(4))}
    assert "its 'ae' is of type dict" in refusal(write(tmp_path, nested))
    assert "found list" in refusal(write(tmp_path, [torch.zeros(1)]))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_damaged_files_are_refused_whatever_the_damage(tmp_path: Path) -> None:
    write(tmp_path, make_weights(bias=torch.zeros(4)))
    whole = (tmp_path / "ae.pt").read_bytes()
    rng = np.random.default_rng(0)
    n_refused = 0
    for i in range(300):
        damaged = bytearray(whole[: rng.integers(len(whole))] if i % 3 == 0 else whole)
        for place in rng.integers(0, max(1, len(damaged)), 8):
            damaged[place : place + 1] = bytes([rng.integers(256)])
        (tmp_path / "ae.pt").write_bytes(damaged)
        try:
            dictionary_learning.load(tmp_path, HOOK)
        except DictionaryError as error:
            n_refused += 1
            assert str(tmp_path) in str(error)
    assert n_refused > 150


def test_a_pointer_is_not_a_file(tmp_path: Path) -> None:
    (tmp_path / "ae.pt").write_text("version https://git-lfs.github.com/spec/v1\nsize 3\n")
    assert "git lfs pull" in refusal(tmp_path)
    (tmp_path / "ae.pt").unlink()
    assert "not readable" in refusal(tmp_path / "ae.pt")
