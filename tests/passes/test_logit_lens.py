from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from featurestore.activations import Activations
from featurestore.dictionaries.base import Dictionary, Nonlinearity, Origin
from featurestore.inference import LanguageModel, Unembedding
from featurestore.passes.base import Run
from featurestore.passes.logit_lens import LogitLens
from tests.small_run import make_corpus, make_run
from tests.tiny_model import D_MODEL

N_FEATURES = 12
N_TOKENS = 9


def silence(first: int, last: int) -> Activations:
    """Activations of a range of features that are never active."""
    nothing = np.zeros(0, dtype=np.int64)
    bounds = np.zeros(last - first + 1, dtype=np.int64)
    return Activations(first, bounds, nothing, np.zeros(0, np.float32), nothing, nothing)


def make_dictionary(d_out: int = D_MODEL) -> Dictionary:
    generator = torch.Generator().manual_seed(5)
    shapes = ((D_MODEL, N_FEATURES), (N_FEATURES,), (D_MODEL,), (N_FEATURES, d_out), (d_out,))
    weights = [torch.randn(shape, generator=generator) for shape in shapes]
    return Dictionary(Origin("sae", "a", "a"), *weights, Nonlinearity("relu"))


def make_lens(model: LanguageModel, hook_name: str = "blocks.0.hook_resid_post") -> LogitLens:
    to_residual = model.to_residual(hook_name)
    d_out = D_MODEL if to_residual is None else to_residual.shape[0]
    run = make_run(make_corpus(), n_lens_tokens=N_TOKENS, n_bins=7)
    unembedding = model.unembedding()
    dictionary = make_dictionary(d_out)
    return LogitLens(
        replace(run, dictionary=dictionary, unembedding=unembedding, to_residual=to_residual)
    )


@pytest.fixture(scope="module")
def hf_model(model_folder: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(model_folder).double()


def final_norm(hf_model: PreTrainedModel) -> torch.nn.Module:
    body = hf_model.base_model
    return next(getattr(body, n) for n in ("ln_f", "final_layer_norm", "norm") if hasattr(body, n))


def is_rms(hf_model: PreTrainedModel) -> bool:
    return getattr(final_norm(hf_model), "bias", None) is None


def test_the_lens_is_its_formula(model: LanguageModel, hf_model: PreTrainedModel) -> None:
    found = make_lens(model).logits(0, N_FEATURES)
    gain = final_norm(hf_model).weight.detach().numpy()
    unembed = hf_model.lm_head.weight.detach().numpy()
    for feature, v in enumerate(make_dictionary().directions.double().numpy()):
        if not is_rms(hf_model):
            v = v - v.sum() / len(v)
        logits = [sum(v * gain * row) for row in unembed]
        wanted = np.array(logits) - sum(logits) / len(logits)
        assert np.allclose(found[feature], wanted, atol=1e-4)


@torch.no_grad()
def test_the_lens_is_the_derivative_of_log_softmax_at_a_frozen_norm(
    model: LanguageModel, hf_model: PreTrainedModel
) -> None:
    """Of the model's own head, centred over the vocabulary, and times the frozen sigma."""
    norm, head, step = final_norm(hf_model), hf_model.lm_head, 1e-5
    x = torch.randn(D_MODEL, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    mean = 0 if is_rms(hf_model) else x.mean()
    eps = getattr(norm, "eps", None) or norm.variance_epsilon
    sigma = ((x - mean).square().mean() + eps).sqrt()

    def log_probabilities(residual: torch.Tensor) -> torch.Tensor:
        centre = 0 if is_rms(hf_model) else residual.mean()
        shift = 0 if is_rms(hf_model) else norm.bias
        normalised = (residual - centre) / sigma * norm.weight + shift
        return torch.log_softmax(head(normalised), dim=-1)

    # The frozen norm is the model's own at x itself.
    assert torch.allclose(log_probabilities(x), head(norm(x)).log_softmax(-1), atol=1e-10)
    found = make_lens(model).logits(0, N_FEATURES)
    for feature, v in enumerate(make_dictionary().directions.double()):
        slope = (log_probabilities(x + step * v) - log_probabilities(x - step * v)) / (2 * step)
        wanted = (slope - slope.mean()) * sigma
        assert np.allclose(found[feature], wanted, atol=1e-4)


@pytest.mark.parametrize("hook_name", ["blocks.1.mlp.hook_post", "blocks.0.attn.hook_z"])
def test_the_lens_goes_through_output_weights(model: LanguageModel, hook_name: str) -> None:
    lens = make_lens(model, hook_name)
    to_residual = model.to_residual(hook_name)
    residual = make_dictionary(to_residual.shape[0]).directions @ to_residual
    plain = make_lens(model)
    same = replace(plain._run, dictionary=replace(make_dictionary(), directions=residual))
    assert np.allclose(lens.logits(0, N_FEATURES), LogitLens(same).logits(0, N_FEATURES))


def expected_rows(logits: np.ndarray) -> dict[str, Any]:
    order = sorted(range(len(logits)), key=lambda t: (-logits[t], t))
    falling = sorted(range(len(logits)), key=lambda t: (logits[t], t))
    values = logits.astype(np.float64)
    mean = values.mean()
    m2, m4 = ((values - mean) ** 2).mean(), ((values - mean) ** 4).mean()
    return {
        "promoted": order[:N_TOKENS],
        "promoted_logits": [logits[t] for t in order[:N_TOKENS]],
        "suppressed": falling[:N_TOKENS],
        "suppressed_logits": [logits[t] for t in falling[:N_TOKENS]],
        "logit_low": min(logits),
        "logit_high": max(logits),
        "logit_std": pytest.approx(m2**0.5, rel=1e-4),
        "logit_kurtosis": pytest.approx(m4 / m2**2, rel=1e-4),
    }


def test_rows_and_the_inverted_table_agree(model: LanguageModel) -> None:
    lens = make_lens(model)
    tables = lens.rows(silence(2, 9))
    features, inverted = (tables[t].to_pylist() for t in ("features", "promoted_tokens"))
    assert len(features) == 7
    assert len(inverted) == 7 * 2 * N_TOKENS
    for feature, row in enumerate(features, start=2):
        logits = lens.logits(2, 9)[feature - 2]
        histogram = row.pop("logit_histogram")
        assert row == expected_rows(logits)
        edges = np.linspace(logits.min(), logits.max(), 8)
        assert np.abs(np.cumsum(histogram) - [(logits <= e).sum() for e in edges[1:]]).max() <= 1
        assert (sum(histogram), len(histogram)) == (len(logits), 7)
        for is_promoted, name in ((True, "promoted"), (False, "suppressed")):
            kept = [
                (r["rank"], r["token_id"], r["logit"])
                for r in inverted
                if r["feature"] == feature and r["is_promoted"] == is_promoted
            ]
            tokens, logits_ = row[name], row[f"{name}_logits"]
            assert kept == list(zip(range(N_TOKENS), tokens, logits_, strict=True))


def test_tiles_and_ranges_give_the_same_rows(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    lens = make_lens(model)
    whole = lens.rows(silence(0, N_FEATURES))["features"]
    monkeypatch.setattr("featurestore.passes.logit_lens.LOGITS_AT_ONCE", 5 * model.d_vocab)
    monkeypatch.setattr("featurestore.passes.logit_lens.LOGITS_IN_CACHE", 2 * model.d_vocab)
    tiled = lens.rows(silence(0, N_FEATURES))["features"]
    parts = [lens.rows(silence(i, i + 1))["features"] for i in range(N_FEATURES)]
    for name in ("promoted", "suppressed"):
        assert tiled[name].to_pylist() == whole[name].to_pylist()
        assert [part[name][0].as_py() for part in parts] == whole[name].to_pylist()


def equal_columns(n_lens_tokens: int) -> Run:
    """A run whose tokens t and t + 5 have the same unembedding; feature 1 has no direction."""
    run = make_run(make_corpus(), n_lens_tokens=n_lens_tokens)
    run.dictionary.directions[1] = 0
    weight = torch.randn(4, 5, generator=torch.Generator().manual_seed(0)).repeat(1, 3)
    return replace(run, unembedding=Unembedding(weight, torch.ones(4), True))


@pytest.mark.parametrize("n", [1, 2, 4, 7, 15, 100])
def test_equal_logits_are_ordered_by_token(n: int) -> None:
    lens = LogitLens(equal_columns(n))
    rows = lens.rows(silence(0, 10))["features"].to_pylist()
    for row, logits in zip(rows, lens.logits(0, 10), strict=True):
        order = sorted(range(15), key=lambda t: (-logits[t], t))
        assert row["promoted"] == order[:n]
        assert row["suppressed"] == sorted(range(15), key=lambda t: (logits[t], t))[:n]
    assert rows[1]["promoted"] == list(range(15))[:n]
    assert rows[1]["logit_kurtosis"] is None
    assert sum(rows[1]["logit_histogram"]) == 15


@pytest.mark.parametrize("n", [1, 3, 12])
@pytest.mark.parametrize("d_vocab", [47, 192, 1003])
def test_lists_of_a_large_vocabulary(d_vocab: int, n: int) -> None:
    """Where most tokens drop out unsorted, and equal logits stand in several groups of them."""
    run = make_run(make_corpus(), n_lens_tokens=n)
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(4, d_vocab // 2 + 1, generator=generator).repeat(1, 2)[:, :d_vocab]
    lens = LogitLens(replace(run, unembedding=Unembedding(weight, torch.ones(4), True)))
    rows = lens.rows(silence(0, 10))["features"].to_pylist()
    for row, logits in zip(rows, lens.logits(0, 10), strict=True):
        order = np.arange(d_vocab)
        assert row["promoted"] == np.lexsort((order, -logits))[:n].tolist()
        assert row["suppressed"] == np.lexsort((order, logits))[:n].tolist()
        assert row["promoted_logits"] == logits[row["promoted"]].tolist()


@pytest.mark.parametrize("hook_name", ["blocks.0.attn.hook_q", "ln_final.hook_normalized"])
def test_no_lens_where_the_output_is_no_residual(model: LanguageModel, hook_name: str) -> None:
    assert make_lens(model, hook_name).rows(silence(0, N_FEATURES)) == {}
