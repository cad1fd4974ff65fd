import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from featurestore.activations import ActivationFiles
from featurestore.dictionaries.base import Dictionary, Nonlinearity, Origin
from featurestore.inference import TOKENS_AT_ONCE, LanguageModel, load_model
from featurestore.passes.base import Run
from featurestore.passes.unigrams import N_EMBEDDINGS, N_RANDOM, N_UNIGRAMS, Unigrams
from featurestore.threads import one_thread
from tests.tiny_model import D_MODEL, N_LAYERS, make_model, make_tokenizer, module_of
from tests.tiny_run import N_FEATURES, tiny_corpus, tiny_dictionary, tiny_run

DEAD = N_FEATURES - 1
LAST = N_LAYERS - 1
BOS = 0
MODES = {
    "relu": ("blocks.0.hook_resid_post", None, Nonlinearity("relu"), False),
    "jumprelu": (
        f"blocks.{LAST}.hook_resid_post",
        None,
        Nonlinearity("jumprelu", threshold=torch.arange(N_FEATURES) / 4),
        False,
    ),
    "signed": ("blocks.0.hook_mlp_out", None, Nonlinearity("signed_topk", k=10), False),
    "tokenized": (f"blocks.{LAST}.hook_resid_pre", None, Nonlinearity("topk", k=5), True),
    "heads": (f"blocks.{LAST}.attn.hook_z", None, Nonlinearity("relu"), False),
    "neurons": ("blocks.0.mlp.hook_post", None, Nonlinearity("relu"), False),
    "transcoder": (
        f"blocks.{LAST}.hook_resid_pre",
        f"blocks.{LAST}.hook_mlp_out",
        Nonlinearity("relu"),
        False,
    ),
    "embedding": ("hook_embed", None, Nonlinearity("relu"), False),
}
MEASURES = ["unigram_cos", "lookup_cos", "embedding_cos"]

only_gpt2 = pytest.mark.parametrize("architecture", ["gpt2"], indirect=True)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """As in a build."""
    with one_thread():
        yield


@pytest.fixture(scope="module")
def hf_model(model_folder: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(model_folder)


def run_of(model: LanguageModel, mode: str = "relu", has_bos: bool = True) -> Run:
    dictionary = tiny_dictionary(model, *MODES[mode])
    return tiny_run(model, dictionary, tiny_corpus(model.d_vocab, has_bos=has_bos))


def made_of(run: Run) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Rows of `features`, and of `measures` by name."""
    made, silence = Unigrams(run), ActivationFiles([], run.dictionary.n_features)
    made.prepare(silence)
    rows = made.rows(silence.read(0, run.dictionary.n_features)).get("features")
    measures = {row.pop("name"): row for row in made.conclude()["measures"].to_pylist()}
    return [] if rows is None else rows.to_pylist(), measures


@cache
@torch.no_grad()
def plain_hidden(hf_model: PreTrainedModel, hook_name: str) -> np.ndarray:
    """What a plain hook sees at position 1 of [BOS, t], for every t."""
    module, is_input = module_of(hf_model, hook_name)
    seen = []

    def see(_: torch.nn.Module, args: tuple, kwargs: dict, output: object) -> None:
        found = (args or tuple(kwargs.values())) if is_input else output
        seen.append((found[0] if isinstance(found, tuple) else found)[:, 1])

    handle = module.register_forward_hook(see, with_kwargs=True)
    tokens = torch.arange(hf_model.config.vocab_size)
    hf_model(torch.stack([torch.full_like(tokens, BOS), tokens], dim=1))
    handle.remove()
    return seen[0].double().numpy()


def plain_activations(dictionary: Dictionary, hidden: np.ndarray) -> np.ndarray:
    """By the formula of each nonlinearity, in float64."""
    each = (dictionary.pre_bias, dictionary.readers, dictionary.reader_bias)
    pre_bias, readers, bias = (weight.double().numpy() for weight in each)
    pre = (hidden - pre_bias) @ readers + bias
    rule = dictionary.nonlinearity
    if rule.name == "relu":
        return np.maximum(pre, 0)
    if rule.name == "jumprelu":
        return np.where(pre > rule.threshold.double().numpy(), np.maximum(pre, 0), 0)
    largest = np.argsort(-pre, axis=1)[:, : rule.k]
    kept = np.zeros_like(pre)
    np.put_along_axis(kept, largest, np.take_along_axis(pre, largest, axis=1), axis=1)
    return kept if rule.name == "signed_topk" else np.maximum(kept, 0)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum()) / math.sqrt(float((a * a).sum()) * float((b * b).sum()))


def nearest(direction: np.ndarray, vectors: np.ndarray, tokens: list[int], n: int) -> list:
    """The `n` largest cosines with their tokens, falling."""
    pairs = [(cosine(direction, vectors[token]), token) for token in tokens]
    return sorted(pairs, key=lambda pair: (-pair[0], pair[1]))[:n]


@pytest.mark.parametrize("mode", MODES)
def test_rows_are_those_of_the_model_run_by_hand(
    model: LanguageModel, hf_model: PreTrainedModel, mode: str
) -> None:
    run = run_of(model, mode)
    rows, _ = made_of(run)
    origin, tokens = run.dictionary.origin, list(range(1, model.d_vocab))
    activations = plain_activations(run.dictionary, plain_hidden(hf_model, origin.hook_name))
    written = plain_hidden(hf_model, origin.hook_name_out)
    centred = written - written[tokens].mean(axis=0)
    embedding = hf_model.get_input_embeddings().weight.detach().double().numpy()
    embedding = embedding - embedding.mean(axis=0)
    assert len(rows) == N_FEATURES
    for feature, row in enumerate(rows):
        values = {t: activations[t, feature] for t in tokens if activations[t, feature] != 0}
        order = sorted(values, key=lambda t, v=values: -abs(v[t]))[:N_UNIGRAMS]
        assert row["n_unigrams"] == len(values)
        assert row["unigrams"] == order
        assert row["unigram_activations"] == pytest.approx([values[t] for t in order], abs=1e-4)
        direction = run.dictionary.directions[feature].double().numpy()
        ((best, token),) = nearest(direction, centred, tokens, 1)
        assert (row["unigram_cos_token"], row["unigram_cos"]) == (
            token,
            pytest.approx(best, abs=1e-5),
        )
        assert row["unigram_cos_raw"] == pytest.approx(cosine(direction, written[token]), abs=1e-5)
        residual = direction @ run.to_residual.double().numpy()
        pairs = nearest(residual, embedding, list(range(model.d_vocab)), N_EMBEDDINGS)
        assert row["embedding_tokens"] == [token for _, token in pairs]
        assert row["embedding_cos"] == pytest.approx([each for each, _ in pairs], abs=1e-5)
        assert ("lookup_cos" in row) == (mode == "tokenized")
    assert (rows[DEAD]["n_unigrams"], rows[DEAD]["unigrams"]) == (0, [])
    if mode == "signed":
        assert min(value for row in rows for value in row["unigram_activations"]) < 0
        assert any(
            sorted(row["unigram_activations"]) != row["unigram_activations"][::-1] for row in rows
        )


def test_the_embedding_is_the_models_own(model: LanguageModel, hf_model: PreTrainedModel) -> None:
    found = model.embedding()
    assert (found.dtype, found.requires_grad) == (torch.float32, False)
    assert torch.equal(found, hf_model.get_input_embeddings().weight)


@only_gpt2
def test_lookup_rows_of_zeros_are_near_to_nothing(model: LanguageModel) -> None:
    run = run_of(model, "tokenized")
    lookup, directions = run.dictionary.lookup, run.dictionary.directions
    lookup[::2] = 0
    lookup[3] = 2 * directions[5]
    rows, measures = made_of(run)
    assert (rows[5]["lookup_cos_token"], rows[5]["lookup_cos"]) == (3, pytest.approx(1))
    for row, direction in zip(rows, directions.double().numpy(), strict=True):
        odd = list(range(1, model.d_vocab, 2))
        ((best, token),) = nearest(direction, lookup.double().numpy(), odd, 1)
        assert (row["lookup_cos_token"], row["lookup_cos"]) == (token, pytest.approx(best))
    lookup[:] = 0
    rows, measures = made_of(run)
    assert {(row["lookup_cos"], row["lookup_cos_token"]) for row in rows} == {(None, None)}
    assert measures["lookup_cos"] == {"value": None, "n": 0, "control": None, "n_control": 0}


def test_a_feature_built_for_one_token_fires_on_it_alone(
    model: LanguageModel, hf_model: PreTrainedModel
) -> None:
    """Its reader is the token's hidden vector less the mean; its direction too."""
    hidden = plain_hidden(hf_model, "blocks.0.hook_resid_post")[1:]
    centred = torch.from_numpy(hidden - hidden.mean(axis=0)).float()
    readers = centred / centred.square().sum(dim=1, keepdim=True)
    scores = centred @ readers.T
    best = scores.diag()
    others = scores.masked_fill(torch.eye(len(scores), dtype=torch.bool), -torch.inf).amax(dim=0)
    chosen = (best - others).argsort(descending=True)[:5]  # those that stand out
    assert (best - others)[chosen].min() > 0.05
    dictionary = Dictionary(
        Origin("sae", "blocks.0.hook_resid_post", "blocks.0.hook_resid_post"),
        readers[chosen].T,
        -(best + others)[chosen] / 2,
        torch.from_numpy(hidden.mean(axis=0)).float(),
        centred[chosen],
        torch.zeros(D_MODEL),
        Nonlinearity("relu"),
    )
    rows, measures = made_of(tiny_run(model, dictionary, tiny_corpus(model.d_vocab)))
    for row, token in zip(rows, (chosen + 1).tolist(), strict=True):
        assert (row["n_unigrams"], row["unigrams"]) == (1, [token])
        margin = (best - others)[token - 1].item() / 2
        assert row["unigram_activations"] == [pytest.approx(margin, abs=1e-3)]
        assert (row["unigram_cos_token"], row["unigram_cos"]) == (
            token,
            pytest.approx(1, abs=1e-6),
        )
    assert measures["unigram_cos"]["value"] == pytest.approx(1, abs=1e-6)
    assert measures["unigram_cos"]["control"] < 0.9


@only_gpt2
def test_equal_activations_are_ordered_by_token(model: LanguageModel) -> None:
    """Whatever is read the activation is 1, or -1."""
    run = run_of(model, "signed")
    plain = replace(run.dictionary, nonlinearity=Nonlinearity("signed_topk", k=N_FEATURES))
    plain.readers[:] = 0
    plain.reader_bias[:] = torch.arange(N_FEATURES) % 2 * 2 - 1
    rows, _ = made_of(replace(run, dictionary=plain))
    for feature, row in enumerate(rows):
        assert row["n_unigrams"] == model.d_vocab - 1
        assert row["unigrams"] == list(range(1, N_UNIGRAMS + 1))
        assert row["unigram_activations"] == [feature % 2 * 2 - 1] * N_UNIGRAMS


@only_gpt2
def test_nan_and_infinity_count_as_nothing(model: LanguageModel) -> None:
    run = run_of(model)
    run.dictionary.readers[:, 3] = 3e38
    rows, _ = made_of(run)
    assert (rows[3]["n_unigrams"], rows[3]["unigrams"]) == (0, [])
    assert rows[2]["n_unigrams"] > 0


@only_gpt2
@pytest.mark.parametrize("mode", ["relu", "tokenized"])
def test_what_has_no_length_has_no_cosine(model: LanguageModel, mode: str) -> None:
    run = run_of(model, mode)
    before, _ = made_of(run)
    run.dictionary.directions[4] = 0
    rows, measures = made_of(run)
    fired = ("n_unigrams", "unigrams", "unigram_activations")
    assert {name: rows[4].pop(name) for name in fired} == {n: before[4][n] for n in fired}
    assert len(rows[4]) == (7 if mode == "tokenized" else 5)
    assert set(rows[4].values()) == {None}
    assert rows[:4] + rows[5:] == before[:4] + before[5:]
    assert {row["n"] for row in measures.values()} == {N_FEATURES - 1}


@only_gpt2
def test_without_bos_only_the_weights_are_compared(model: LanguageModel) -> None:
    rows, measures = made_of(run_of(model, "tokenized", has_bos=False))
    wanted, _ = made_of(run_of(model, "tokenized"))
    names = {"lookup_cos", "lookup_cos_token", "embedding_tokens", "embedding_cos"}
    assert rows == [{name: row[name] for name in row if name in names} for row in wanted]
    assert set(rows[0]) == names
    assert {name.removesuffix("_p95") for name in measures} == {"lookup_cos", "embedding_cos"}


@only_gpt2
def test_without_a_map_to_the_residual_no_embedding_is_near(model: LanguageModel) -> None:
    run = tiny_run(
        model, tiny_dictionary(model, "blocks.0.attn.hook_q"), tiny_corpus(model.d_vocab)
    )
    rows, measures = made_of(run)
    assert {"n_unigrams", "unigram_cos"} < set(rows[0])
    assert not {"embedding_tokens", "embedding_cos"} & set(rows[0])
    assert list(measures) == ["unigram_cos", "unigram_cos_p95"]
    no_bos = replace(run, corpus=tiny_corpus(model.d_vocab, has_bos=False))
    assert made_of(no_bos) == ([], {})


@only_gpt2
@pytest.mark.parametrize("mode", ["tokenized", "neurons"])
def test_measures_stand_beside_those_of_random_directions(
    model: LanguageModel, hf_model: PreTrainedModel, mode: str
) -> None:
    run = run_of(model, mode)
    rows, measures = made_of(run)
    names = [name for name in MEASURES if name in rows[0]]
    assert list(measures) == [name + end for name in names for end in ("", "_p95")]
    for name in names:
        found = [row[name][0] if name == "embedding_cos" else row[name] for row in rows]
        median, high = measures[name], measures[f"{name}_p95"]
        assert median["value"] == pytest.approx(np.median(found), abs=1e-6)
        assert high["value"] == pytest.approx(np.quantile(found, 0.95), abs=1e-6)
        assert {(row["n"], row["n_control"]) for row in (median, high)} == {(N_FEATURES, N_RANDOM)}
    # Other random directions have nearly the same nearest tokens.
    random = np.random.default_rng(99).standard_normal((N_RANDOM, run.dictionary.d_out))
    residual = random @ run.to_residual.double().numpy()
    embedding = hf_model.get_input_embeddings().weight.detach().double().numpy()
    embedding -= embedding.mean(axis=0)
    units = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (residual, embedding)]
    wanted = (units[0] @ units[1].T).max(axis=1)
    control = measures["embedding_cos"]["control"], measures["embedding_cos_p95"]["control"]
    assert control == pytest.approx((np.median(wanted), np.quantile(wanted, 0.95)), abs=0.02)


@only_gpt2
def test_the_random_directions_are_the_seeds(model: LanguageModel) -> None:
    run = run_of(model, "tokenized")
    (rows, first), (_, again) = made_of(run), made_of(run)
    other_rows, other = made_of(replace(run, seed=4))
    assert first == again
    assert rows == other_rows
    for name, row in first.items():
        assert row["control"] != other[name]["control"]
        assert row["control"] == pytest.approx(other[name]["control"], abs=0.05)
        assert row["value"] == other[name]["value"]


def test_ids_that_the_tokenizer_lacks_are_left_out(tmp_path: Path) -> None:
    """Models pad their vocabularies; such a token is never read, so nothing may point to it."""
    tokenizer = make_tokenizer()
    hf_model = make_model("gpt2", len(tokenizer) + 20)
    hf_model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = load_model(str(tmp_path))
    run = run_of(model, "tokenized")
    directions = run.dictionary.directions
    run.dictionary.lookup[len(tokenizer) + 1] = directions[0]
    directions[1] = model.embedding()[len(tokenizer) + 2]
    run.dictionary.readers[:, 2], run.dictionary.reader_bias[2] = 0, 100
    rows, _ = made_of(run)
    assert rows[0]["lookup_cos"] < 0.99
    assert rows[1]["embedding_cos"][0] < 0.99
    assert rows[2]["n_unigrams"] == len(tokenizer) - 1


@only_gpt2
def test_ranges_and_parts_give_the_same(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(model, "tokenized")
    made, silence = Unigrams(run), ActivationFiles([], N_FEATURES)
    made.prepare(silence)
    whole = made.rows(silence.read(0, N_FEATURES))["features"].to_pylist()
    parts = [made.rows(silence.read(i, i + 5))["features"].to_pylist() for i in (0, 5)]
    assert sum(parts, []) == whole[:10]
    monkeypatch.setattr("featurestore.passes.unigrams.ENTRIES_AT_ONCE", 1)
    monkeypatch.setattr("featurestore.passes.unigrams.FEATURES_AT_ONCE", 5)
    monkeypatch.setattr("featurestore.passes.token_vectors.TOKENS_AT_ONCE", 33)
    monkeypatch.setitem(TOKENS_AT_ONCE, "cpu", 14)
    small, _ = made_of(run)
    for row, wanted in zip(small, whole, strict=True):
        for name, value in wanted.items():
            is_exact = name in ("n_unigrams", "unigrams") or "token" in name
            assert row[name] == (value if is_exact else pytest.approx(value, abs=1e-5))
