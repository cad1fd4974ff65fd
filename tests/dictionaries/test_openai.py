"""Each activation against the formulas of OpenAI's sparse_autoencoder."""

from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.dictionaries.formulas import check, kept, made_up, numbers
from tests.dictionaries.harm import check_refused, refusal
from tests.dictionaries.opened import opened

HOOK = "blocks.1.hook_resid_post"
D, K = 5, 3
TOPK = {"activation": "TopK", "activation_state_dict": {"k": K, "postact_fn": "ReLU"}}


def weights(n: int = 9) -> dict[str, torch.Tensor]:
    shapes = {"encoder.weight": (n, D), "decoder.weight": (D, n)}
    return made_up(shapes | {"pre_bias": (D,), "latent_bias": (n,)})


def write(folder: Path, content: dict[str, object]) -> Path:
    n = len(content["latent_bias"])
    statistics = {
        "stats_last_nonzero": torch.zeros(n, dtype=torch.int64),
        "latents_activation_frequency": torch.ones(n),
        "latents_mean_square": torch.full((n,), float("nan")),
    }
    torch.save(OrderedDict(content | statistics), folder / "8.pt")
    return folder / "8.pt"


BOTH = pytest.mark.parametrize("n", [9, D])


@BOTH
@pytest.mark.parametrize("activation", ["ReLU", "Identity", None])
def test_without_topk(tmp_path: Path, n: int, activation: str | None) -> None:
    more = {"activation": activation, "activation_state_dict": {}} if activation else {}
    dictionary = opened(write(tmp_path, weights(n) | more), HOOK)
    assert (dictionary.origin.kind, dictionary.origin.hook_name_out) == ("sae", HOOK)
    w = numbers(weights(n))

    def encode(x: np.ndarray) -> np.ndarray:
        z = w["encoder.weight"] @ (x - w["pre_bias"]) + w["latent_bias"]
        return z if activation == "Identity" else np.maximum(z, 0)

    check(dictionary, encode, lambda x, f, token: w["decoder.weight"] @ f + w["pre_bias"])


@pytest.mark.parametrize("after", ["ReLU", "Identity"])
@pytest.mark.parametrize(("n", "k"), [(9, K), (D, K), (9, 9)])
def test_topk_reads_layer_normed_vectors(tmp_path: Path, n: int, k: int, after: str) -> None:
    more = {"activation": "TopK", "activation_state_dict": {"k": k, "postact_fn": after}}
    dictionary = opened(write(tmp_path, weights(n) | more), HOOK)
    assert (dictionary.origin.kind, dictionary.standardisation) == ("topk", "layer_norm")
    w = numbers(weights(n))

    def encode(x: np.ndarray) -> np.ndarray:
        read = (x - x.mean()) / (x.std(ddof=1) + 1e-5)
        f = kept(w["encoder.weight"] @ (read - w["pre_bias"]) + w["latent_bias"], k)
        return np.maximum(f, 0) if after == "ReLU" else f

    def decode(x: np.ndarray, f: np.ndarray, token: int) -> np.ndarray:
        return (w["decoder.weight"] @ f + w["pre_bias"]) * x.std(ddof=1) + x.mean()

    check(dictionary, encode, decode)


@BOTH
def test_a_tied_one_decodes_with_its_encoder(tmp_path: Path, n: int) -> None:
    tied = weights(n)
    tied["decoder.linear.weight"] = tied["encoder.weight"]
    del tied["decoder.weight"]
    w = numbers(tied)
    check(
        opened(write(tmp_path, tied), HOOK),
        lambda x: np.maximum(w["encoder.weight"] @ (x - w["pre_bias"]) + w["latent_bias"], 0),
        lambda x, f, token: f @ w["encoder.weight"] + w["pre_bias"],
    )


def test_the_recipe_says_where_it_reads(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, weights()))
    assert 'Add to the recipe, under this dictionary: hook_name = "blocks.0' in message


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"activation": "Tanh"}, "'activation' is 'Tanh' with the settings {}"),
        ({"activation": 3}, "'activation' is 3"),
        (TOPK | {"activation_state_dict": None}, "with the settings None"),
        (TOPK | {"activation_state_dict": {}}, "'k' is missing; it must be a whole number"),
        (
            TOPK | {"activation_state_dict": {"k": 10, "postact_fn": "ReLU"}},
            "'k' is 10; it must be a whole number from 1 to 9",
        ),
        (
            TOPK | {"activation_state_dict": {"k": 3, "postact_fn": "GELU"}},
            "'postact_fn' is 'GELU'; it must be 'ReLU' or 'Identity'",
        ),
        (TOPK | {"activation_state_dict": {"k": 3, "postact_fn": []}}, "'postact_fn' is []"),
    ],
)
def test_what_follows_must_be_known(tmp_path: Path, content: dict[str, object], told: str) -> None:
    assert told in refusal(write(tmp_path, weights() | content), hook_name=HOOK)


def test_wrong_tensors_are_named(tmp_path: Path) -> None:
    turned = {"encoder.weight": torch.zeros(D, 9)}
    message = refusal(write(tmp_path, weights() | turned), hook_name=HOOK)
    assert "'pre_bias' has shape (5,), expected (d_in = 9)" in message
    message = refusal(write(tmp_path, weights() | {"extra": torch.zeros(1)}), hook_name=HOOK)
    assert "unknown tensors: extra" in message
    nan = {"decoder.weight": torch.full((D, 9), float("nan"))}
    message = refusal(write(tmp_path, weights() | nan), hook_name=HOOK)
    assert "'decoder.weight' holds 45 values" in message
    encoder_only = weights()
    del encoder_only["decoder.weight"]
    message = refusal(write(tmp_path, encoder_only), hook_name=HOOK)
    assert "missing tensors: decoder.weight" in message


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_harmful_files_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path, weights() | TOPK)
    check_refused(
        file,
        lambda it: torch.save(weights() | TOPK | {"encoder.weight": it}, file),
        hook_name=HOOK,
    )
