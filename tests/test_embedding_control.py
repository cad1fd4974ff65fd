from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from featurestore.embedding_control import replace_embedding
from featurestore.inference import LanguageModel, load_model

TOKENS = np.array([[0, 5, 17, 299]])


def rows_of(model: PreTrainedModel) -> torch.Tensor:
    return model.get_input_embeddings().weight.detach().clone()


def sorted_rows(rows: torch.Tensor) -> list[list[float]]:
    return sorted(rows.tolist())


def test_shuffled_rows_are_the_same_in_another_order(
    model: LanguageModel, model_folder: Path
) -> None:
    control = load_model(str(model_folder), embedding="shuffled", seed=3)
    before, after = model.embedding(), control.embedding()
    assert sorted_rows(after) == sorted_rows(before)
    assert (after != before).any(dim=1).float().mean() > 0.95
    found = control.hidden(TOKENS, {"hook_embed"})["hook_embed"][0]
    assert torch.equal(found, after[TOKENS[0]])


def test_random_rows_are_as_long_as_the_models(model: LanguageModel, model_folder: Path) -> None:
    control = load_model(str(model_folder), embedding="random", seed=3)
    before, after = model.embedding(), control.embedding()
    assert torch.allclose(after.norm(dim=1), before.norm(dim=1), rtol=1e-5)
    cosines = torch.cosine_similarity(after, before)
    assert abs(cosines.mean()) < 5 / np.sqrt(cosines.numel() * after.shape[1])
    normal = after / after.norm(dim=1, keepdim=True) * after.shape[1] ** 0.5
    assert abs(normal.var() - 1) < 0.01
    assert abs((normal**4).mean() - 3 * 16 / 18) < 0.2  # of a direction drawn at random in 16


@pytest.mark.parametrize("kind", ["shuffled", "random"])
def test_the_rest_of_the_model_is_left_alone(
    model: LanguageModel, model_folder: Path, kind: str
) -> None:
    control = load_model(str(model_folder), embedding=kind, seed=3)
    assert torch.equal(control.unembedding().weight, model.unembedding().weight)
    names = {"hook_embed", "blocks.0.hook_resid_pre"}
    hidden = model.hidden(TOKENS, names)
    as_it_was = [("hook_embed", lambda _: hidden["hook_embed"])]
    assert torch.equal(control.logits(TOKENS, as_it_was), model.logits(TOKENS))
    assert not torch.allclose(control.logits(TOKENS), model.logits(TOKENS), atol=1e-2)


def test_the_digest_tells_controls_apart(model: LanguageModel, model_folder: Path) -> None:
    def digest(kind: str, seed: int) -> str:
        return load_model(str(model_folder), embedding=kind, seed=seed).digest()

    digests = [digest("shuffled", 0), digest("shuffled", 1), digest("random", 0)]
    assert len({model.digest(), *digests}) == 4
    assert digest("shuffled", 1) == digests[1]


@pytest.mark.parametrize("kind", ["shuffled", "random"])
def test_a_tied_unembedding_is_untied_first(tmp_path: Path, kind: str) -> None:
    config = LlamaConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    before = rows_of(model)
    replace_embedding(model, kind, 0)
    assert torch.equal(model.lm_head.weight, before)
    assert not torch.equal(rows_of(model), before)
    assert not model.config.tie_word_embeddings


def test_both_precisions_get_the_same_rows(model_folder: Path) -> None:
    """The sweep may run in bfloat16, and the passes after it in float32."""
    for kind in ("shuffled", "random"):
        exact = load_model(str(model_folder), embedding=kind)
        rough = load_model(str(model_folder), dtype=torch.bfloat16, embedding=kind)
        assert torch.allclose(rough.embedding(), exact.embedding(), rtol=0.02)
