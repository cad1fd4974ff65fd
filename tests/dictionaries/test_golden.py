"""Against what the libraries compute, of files that they wrote (tests/golden/write.py)."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.dictionaries.opened import opened

GOLDEN = Path(__file__).parents[1] / "golden"
KINDS = {
    "sae_lens/standard": "sae",
    "sae_lens/no_pre_bias": "sae",
    "sae_lens/gated": "gated",
    "sae_lens/jumprelu": "jumprelu",
    "sae_lens/topk": "topk",
    "sae_lens/topk_rescaled": "topk",
    "sae_lens/abstopk": "topk",
    "sae_lens/batchtopk": "jumprelu",
    "sae_lens/batchtopk_checkpoint": "topk",
    "sae_lens/layer_norm": "topk",
    "sae_lens/constant_norm": "gated",
    "sae_lens/transcoder": "transcoder",
    "sae_lens/skip_transcoder": "transcoder",
    "sae_lens/jumprelu_skip_transcoder": "transcoder",
    "dictionary_learning/AutoEncoder": "sae",
    "dictionary_learning/AutoEncoderNew": "sae",
    "dictionary_learning/GatedAutoEncoder": "gated",
    "dictionary_learning/JumpReluAutoEncoder": "jumprelu",
    "dictionary_learning/AutoEncoderTopK": "topk",
    "dictionary_learning/BatchTopKSAE": "topk",
    "dictionary_learning/MatryoshkaBatchTopKSAE": "topk",
    "sparsify/topk/layers.3": "topk",
    "sparsify/topk_skip/layers.3": "topk",
    "sparsify/transcoder/layers.3.mlp": "transcoder",
    "sparsify/transcoder_skip/layers.3.mlp": "transcoder",
}


@pytest.fixture(scope="module")
def outputs() -> dict[str, torch.Tensor]:
    return load_file(GOLDEN / "outputs.safetensors")


@pytest.mark.parametrize("folder", KINDS)
def test_it_computes_what_the_library_does(folder: str, outputs: dict[str, torch.Tensor]) -> None:
    dictionary = opened(GOLDEN / folder)
    assert dictionary.origin.kind == KINDS[folder]
    hidden, encoded = outputs["hidden"], outputs[f"{folder}/encoded"]
    assert 0 < encoded.count_nonzero() < encoded.numel()
    torch.testing.assert_close(dictionary.encode(hidden), encoded, rtol=1e-5, atol=1e-5)
    tokens = torch.zeros(len(hidden), dtype=torch.int64)
    decoded = dictionary.decode(encoded, tokens, hidden)
    torch.testing.assert_close(decoded, outputs[f"{folder}/decoded"], rtol=1e-5, atol=1e-5)


def test_every_file_is_compared(outputs: dict[str, torch.Tensor]) -> None:
    assert {name.rpartition("/")[0] for name in outputs} - {""} == set(KINDS)
    settings = [*GOLDEN.rglob("cfg.json"), *GOLDEN.rglob("config.json")]
    assert {str(file.parent.relative_to(GOLDEN)) for file in settings} == set(KINDS)
