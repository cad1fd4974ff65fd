"""Tokenized SAEs against the formulas of their library."""

from pathlib import Path

import numpy as np
import pytest
import torch

from featurestore.dictionaries.tokenized import LOOKUP
from tests.dictionaries.formulas import check, kept, made_up, numbers
from tests.dictionaries.harm import check_refused, refusal
from tests.dictionaries.opened import opened

HOOK = "blocks.5.hook_resid_pre"
D, V = 5, 7
NAME = "gpt2_resid_pre_5_ot3.pt"


def weights(n: int = 9) -> dict[str, torch.Tensor]:
    shapes = {"W_enc": (n, D), "W_dec": (D, n), "b_enc": (n,), "b_dec": (D,)}
    return made_up(shapes | {LOOKUP: (V, D)})


def write(folder: Path, content: dict[str, object], name: str = NAME) -> Path:
    torch.save(content, folder / name)
    return folder / name


@pytest.mark.parametrize("centred", [None, True, False])
@pytest.mark.parametrize(("n", "k"), [(9, 3), (9, 9), (D, 2)])
def test_formulas(tmp_path: Path, n: int, k: int, centred: bool | None) -> None:
    dictionary = opened(write(tmp_path, weights(n)), k=k, centred=centred)
    assert (dictionary.origin.kind, dictionary.origin.hook_name) == ("tokenized", HOOK)
    w = numbers(weights(n))

    def mean(x: np.ndarray) -> float:
        return 0.0 if centred is False else x.mean()

    def encode(x: np.ndarray) -> np.ndarray:
        return kept(w["W_enc"] @ (x - mean(x) - w["b_dec"]) + w["b_enc"], k)

    def decode(x: np.ndarray, f: np.ndarray, token: int) -> np.ndarray:
        return w["W_dec"] @ f + w["b_dec"] + w[LOOKUP][token] + mean(x)

    check(dictionary, encode, decode, n_tokens=V)


def test_what_is_kept_may_be_negative(tmp_path: Path) -> None:
    low = weights() | {"b_enc": torch.full((9,), -100.0)}
    found = opened(write(tmp_path, low), k=3).encode(torch.zeros(1, D))
    assert int((found < 0).sum()) == 3


@pytest.mark.parametrize(
    ("name", "hook_name"),
    [
        ("gpt2_resid_pre_11_ot30.pt", "blocks.11.hook_resid_pre"),
        ("resid_mid_0.pt", "blocks.0.hook_resid_mid"),
        ("pythia_mlp_out_3_t15.pt", "blocks.3.hook_mlp_out"),
    ],
)
def test_hook_points_of_names(tmp_path: Path, name: str, hook_name: str) -> None:
    file = write(tmp_path, weights(), name)
    assert opened(file, k=2).origin.hook_name == hook_name
    assert opened(file, "hook_embed", k=2).origin.hook_name == "hook_embed"


@pytest.mark.parametrize("name", ["sae.pt", "resid_pre_ot30.pt", "resid_pre_x5_ot30.pt"])
def test_the_hook_point_must_be_known(tmp_path: Path, name: str) -> None:
    message = refusal(write(tmp_path, weights(), name), k=2)
    assert "Add to the recipe, under this dictionary: hook_name = " in message


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (NAME, "k = 3 (the file's name suggests 3)"),
        ("a_resid_pre_5.pt", "k = 30 (what it was trained with)"),
    ],
)
def test_k_must_be_said(tmp_path: Path, name: str, told: str) -> None:
    message = refusal(write(tmp_path, weights(), name))
    assert f"Add to the recipe, under this dictionary: {told}" in message


@pytest.mark.parametrize("k", [0, 10])
def test_k_must_be_possible(tmp_path: Path, k: int) -> None:
    message = refusal(write(tmp_path, weights()), k=k)
    assert f"'k' is {k}; it must be a whole number from 1 to 9" in message


def test_wrong_tensors_are_named(tmp_path: Path) -> None:
    turned = {"W_enc": torch.zeros(D, 9)}
    message = refusal(write(tmp_path, weights() | turned), k=2)
    assert "'W_dec' has shape (5, 9), expected (d_in = 9, n_features = 5)" in message
    message = refusal(write(tmp_path, weights() | {LOOKUP: torch.zeros(V, 4)}), k=2)
    assert f"'{LOOKUP}' has shape (7, 4), expected (d_vocab, d_in = 5)" in message
    message = refusal(write(tmp_path, weights() | {"W_gate": torch.zeros(9, D)}), k=2)
    assert "unknown tensors: W_gate" in message


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_harmful_files_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path, weights())
    check_refused(file, lambda it: torch.save(weights() | {"W_dec": it}, file), k=2)
