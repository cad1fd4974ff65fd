"""Neel Nanda's format against its formulas."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from featurestore.errors import DictionaryError
from tests.dictionaries.formulas import check, made_up, numbers
from tests.dictionaries.harm import check_refused, refusal
from tests.dictionaries.opened import opened

HOOK = "blocks.0.mlp.hook_post"
D = 5


def weights(n: int = 9) -> dict[str, torch.Tensor]:
    return made_up({"W_enc": (D, n), "W_dec": (n, D), "b_enc": (n,), "b_dec": (D,)})


def write(folder: Path, content: dict[str, object], **settings: object) -> Path:
    torch.save(content, folder / "25.pt")
    (folder / "25_cfg.json").write_text(json.dumps({"seed": 49} | settings))
    return folder / "25.pt"


@pytest.mark.parametrize("n", [9, D])
def test_formulas(tmp_path: Path, n: int) -> None:
    dictionary = opened(write(tmp_path, weights(n), act_name=HOOK))
    assert (dictionary.origin.kind, dictionary.origin.hook_name) == ("sae", HOOK)
    w = numbers(weights(n))
    check(
        dictionary,
        lambda x: np.maximum((x - w["b_dec"]) @ w["W_enc"] + w["b_enc"], 0),
        lambda x, f, token: f @ w["W_dec"] + w["b_dec"],
    )


def test_the_recipe_goes_before_the_settings(tmp_path: Path) -> None:
    origin = opened(write(tmp_path, weights(), act_name=HOOK), "a", "b").origin
    assert (origin.hook_name, origin.hook_name_out) == ("a", "b")


def test_the_hook_point_must_be_known(tmp_path: Path) -> None:
    assert "Add to the recipe, under this dictionary: hook_name" in refusal(
        write(tmp_path, weights())
    )
    file = write(tmp_path, weights(), act_name=3)
    with pytest.raises(DictionaryError, match=r"25_cfg\.json: 'act_name' is 3; expected a hook"):
        opened(file)


def test_the_settings_tell_the_format(tmp_path: Path) -> None:
    file = write(tmp_path, weights())
    (tmp_path / "25_cfg.json").write_text("{")
    with pytest.raises(DictionaryError, match=r"25_cfg\.json: not readable as JSON"):
        opened(file, HOOK)
    (tmp_path / "25_cfg.json").unlink()
    assert "'25_cfg.json', which belongs to that, is not beside it" in refusal(file, hook_name=HOOK)


def test_wrong_tensors_are_named(tmp_path: Path) -> None:
    turned = {"W_enc": torch.zeros(9, D)}
    message = refusal(write(tmp_path, weights() | turned, act_name=HOOK))
    assert "'b_enc' has shape (9,), expected (n_features = 5)" in message


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_harmful_files_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path, weights(), act_name=HOOK)
    check_refused(file, lambda it: torch.save(weights() | {"W_enc": it}, file))
