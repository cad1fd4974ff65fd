import json
from pathlib import Path

import pytest
import torch

from featurestore.__main__ import main
from featurestore.dictionaries import native
from featurestore.dictionaries.description import NOT_SAID, describe
from featurestore.errors import DictionaryError

HOOK = "blocks.1.hook_resid_post"
WEIGHTS = {
    "W_enc": torch.tensor([[1.0, 0, 2], [0, 3, 0]]),
    "b_enc": torch.zeros(3),
    "W_dec": torch.tensor([[2.0, 0], [0, -1], [0, 0]]),
    "b_dec": torch.zeros(2),
}


def test_a_dictionary_is_described(tmp_path: Path) -> None:
    settings = {"kind": "topk", "nonlinearity": "topk", "k": 2, "hook_name": HOOK, "step": 7}
    native.save(tmp_path, settings, WEIGHTS)
    facts = describe(tmp_path)
    assert facts["format"].startswith("Our own format")
    assert (facts["kind"], facts["hook_name"], facts["step"]) == ("topk", HOOK, "7")
    assert (facts["features"], facts["d_in, d_out"]) == ("3", "2, 2")
    assert facts["nonlinearity"] == "topk, k = 2"
    assert facts["direction lengths"] == "0 to 2, median 1; 1 of length 0"
    assert facts["encoder-decoder cosine"] == "-1 to 1, median 0"
    assert len(facts["digest"]) == 64


def test_a_file_that_does_not_say_where_it_reads(tmp_path: Path) -> None:
    state = {
        "bias": torch.zeros(2),
        "encoder.weight": torch.ones(3, 2),
        "encoder.bias": torch.zeros(3),
        "decoder.weight": torch.ones(2, 3),
    }
    state["decoder.weight"] = torch.full((2, 3), 1.5**0.5)
    torch.save(state, tmp_path / "ae.pt")
    facts = describe(tmp_path / "ae.pt")
    assert facts["format"].startswith("The format of saprmarks/dictionary_learning")
    assert facts["hook_name"] == NOT_SAID
    assert facts["family"] == facts["step"] == "none"  # which no recipe has to say
    assert facts["direction lengths"] == "1.732"
    torch.save(state | {"gate": torch.ones(3)}, tmp_path / "ae.pt")
    with pytest.raises(DictionaryError, match="unknown tensors: gate"):
        describe(tmp_path / "ae.pt")


def test_the_command_line_tells_of_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"kind": "sae", "nonlinearity": "relu", "hook_name": HOOK}
    native.save(tmp_path, settings, WEIGHTS)
    assert main(["info", str(tmp_path)]) == 0
    assert f"hook_name                {HOOK}\n" in capsys.readouterr().out
    assert main(["info", "--json", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "sae"
    assert main(["info", str(tmp_path / "nothing")]) == 2
    assert "does not exist. Give a dictionary's folder or file" in capsys.readouterr().err
    assert main(["info", "hub:nothing"]) == 2
    assert "Expected hub:owner/name/path" in capsys.readouterr().err


def test_where_it_writes_is_told_of_a_transcoder_alone(tmp_path: Path) -> None:
    settings = {"kind": "transcoder", "nonlinearity": "relu", "hook_name": HOOK}
    native.save(tmp_path, settings, WEIGHTS)
    assert "hook_name_out" not in describe(tmp_path)
    native.save(tmp_path, settings | {"hook_name_out": "blocks.1.hook_mlp_out"}, WEIGHTS)
    assert describe(tmp_path)["hook_name_out"] == "blocks.1.hook_mlp_out"
