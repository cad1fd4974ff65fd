from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from featurestore.activations import Activations
from featurestore.dictionaries.base import Nonlinearity
from featurestore.inference import LanguageModel
from featurestore.passes.ablation import Ablation
from featurestore.passes.base import Run, Tables
from featurestore.passes.examples import Examples
from tests.plain_model import plain_logits
from tests.tiny_model import N_LAYERS
from tests.tiny_run import N_FEATURES, swept, tiny_corpus, tiny_dictionary, tiny_run

LAST = N_LAYERS - 1
SETTINGS = {"n_ablated_top": 3, "n_ablated_bands": 2, "n_control_draws": 2, "n_lens_tokens": 4}
MODES = {
    "relu": ("blocks.0.hook_resid_post", None, Nonlinearity("relu"), False),
    "topk": (f"blocks.{LAST}.hook_resid_post", None, Nonlinearity("topk", k=4), False),
    "signed": ("blocks.0.hook_mlp_out", None, Nonlinearity("signed_topk", k=3), False),
    "tokenized": (f"blocks.{LAST}.hook_resid_pre", None, Nonlinearity("topk", k=5), True),
    "heads": (f"blocks.{LAST}.attn.hook_z", None, Nonlinearity("relu"), False),
    "transcoder": (
        f"blocks.{LAST}.hook_resid_pre",
        f"blocks.{LAST}.hook_mlp_out",
        Nonlinearity("relu"),
        False,
    ),
    "normed": ("blocks.0.hook_resid_post", None, Nonlinearity("relu"), False, "layer_norm"),
    "embedding": ("hook_embed", None, Nonlinearity("relu"), False),
}


@pytest.fixture(scope="module")
def hf_model(model_folder: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(model_folder)


def run_of(model: LanguageModel, mode: str = "relu", has_bos: bool = True) -> Run:
    corpus = tiny_corpus(model.d_vocab, has_bos=has_bos)
    return tiny_run(model, tiny_dictionary(model, *MODES[mode]), corpus, **SETTINGS)


def ablated(run: Run, activations: Activations) -> Tables:
    found = Examples(run).rows(activations)
    return Ablation(run).follow_up(activations, found)


def all_of(run: Run, folder: Path) -> Tables:
    return ablated(run, swept(run, folder).read(0, N_FEATURES))


def log_p(logits: torch.Tensor) -> np.ndarray:
    return logits.double().log_softmax(dim=-1).numpy()


class Plain:
    """One feature on one context, by the Hugging Face model and a plain hook."""

    def __init__(self, hf_model: PreTrainedModel, run: Run, feature: int, context: int) -> None:
        origin, corpus = run.dictionary.origin, run.corpus
        n_valid = corpus.n_valid[context]
        self.tokens = corpus.tokens[context : context + 1, :n_valid]
        hidden = run.model.hidden(self.tokens, {origin.hook_name})[origin.hook_name][0]
        self.activations = run.dictionary.encode(hidden)[:, feature].clone()
        self.activations[: int(corpus.has_bos)] = 0
        removed = self.activations[:, None] * run.dictionary.directions[feature]
        if run.dictionary.standardisation == "layer_norm":
            removed = removed * torch.from_numpy(hidden.numpy().std(axis=1, ddof=1, keepdims=True))
        clean = log_p(plain_logits(hf_model, self.tokens, {}))[0]
        changed = log_p(
            plain_logits(
                hf_model,
                self.tokens,
                {origin.hook_name_out: lambda vectors: vectors - removed.view_as(vectors[0])},
            )
        )[0]
        active = self.activations.numpy() != 0
        self.counted = np.flatnonzero(active[:-1])
        self.effect = (clean - changed)[self.counted]
        self.p = np.exp(clean)[self.counted]
        self.kl = (self.p * self.effect).sum(axis=1)
        following = self.tokens[0, 1:]
        along = (clean - changed)[np.arange(n_valid - 1), following]
        self.loss = along[self.counted]
        self.start = int(np.flatnonzero(active)[0])
        self.along = along[self.start :]


@pytest.mark.parametrize("mode", MODES)
def test_ablations_are_those_of_a_plain_hook(
    model: LanguageModel, hf_model: PreTrainedModel, mode: str, tmp_path: Path
) -> None:
    run = run_of(model, mode)
    found = all_of(run, tmp_path)
    sites = found["ablated_contexts"].to_pylist()
    features = found["features"].to_pylist()
    assert len(features) == N_FEATURES and len(sites) > 20
    plain: dict[int, list[Plain]] = {}
    for site in sites:
        one = Plain(hf_model, run, site["feature"], site["context"])
        plain.setdefault(site["feature"], []).append(one)
        assert (site["n_effects"], site["start"]) == (len(one.counted), one.start)
        if len(one.counted):
            assert site["kl"] == pytest.approx(one.kl.mean(), abs=1e-4, rel=1e-4)
        along = np.array(site["q"]) / 127 * site["scale"]
        assert len(along) == len(one.along)
        assert np.allclose(along, one.along, atol=1e-4 + site["scale"] / 253)
    for number, row in enumerate(features):
        each = plain.get(number, [])
        assert row["n_ablated"] == len(each)
        assert row["n_effects"] == sum(len(one.counted) for one in each)
        if row["n_effects"]:
            check_feature(row, each)


def check_feature(row: dict, each: list[Plain]) -> None:
    kl, loss = (np.concatenate([getattr(one, name) for one in each]) for name in ("kl", "loss"))
    effect, p = (np.concatenate([getattr(one, name) for one in each]) for name in ("effect", "p"))
    n = len(kl)
    close = {"abs": 1e-4, "rel": 1e-4}
    assert row["ablation_kl"] == pytest.approx(kl.mean(), **close)
    assert row["loss_effect"] == pytest.approx(loss.mean(), **close)
    if n > 1:
        assert row["ablation_kl_se"] == pytest.approx(kl.std(ddof=1) / n**0.5, **close)
        assert row["loss_effect_se"] == pytest.approx(loss.std(ddof=1) / n**0.5, **close)
    else:
        assert row["ablation_kl_se"] is None and row["loss_effect_se"] is None
    mean = effect.mean(axis=0)
    order = np.argsort(-mean)
    assert np.allclose(row["fall_effects"], mean[order[:4]], atol=1e-4, rtol=1e-4)
    assert np.allclose(row["rise_effects"], mean[order[:-5:-1]], atol=1e-4, rtol=1e-4)
    for name in ("fall", "rise"):
        tokens = row[f"{name}s"]
        assert np.allclose(mean[tokens], row[f"{name}_effects"], atol=1e-4, rtol=1e-4)
        assert np.allclose(p.mean(axis=0)[tokens], row[f"{name}_probabilities"], atol=1e-6)
        if n > 1:
            error = effect.std(axis=0, ddof=1)[tokens] / n**0.5
            assert np.allclose(row[f"{name}_se"], error, atol=1e-4, rtol=1e-4)
        else:
            assert row[f"{name}_se"] == [None] * 4


def test_what_cannot_be_known_is_null(model: LanguageModel, tmp_path: Path) -> None:
    """Feature 0 fires on the last position of contexts alone, feature 1 once."""
    run = run_of(model)
    corpus = run.corpus
    length = corpus.tokens.shape[1]
    last = np.arange(1, 6) * length + corpus.n_valid[1:6] - 1
    tokens = np.concatenate([last, [7 * length + 3]])
    activations = Activations(
        0,
        np.array([0, 5, 6, *[6] * (N_FEATURES - 2)]),
        tokens,
        np.full(6, 2, dtype=np.float32),
        np.zeros(0, dtype=np.int64),
        np.zeros(0, dtype=np.int64),
    )
    found = ablated(run, activations)
    never, once, dead = found["features"].to_pylist()[:3]
    values = (
        "ablation_kl ablation_kl_se control_kl kl_percentile loss_effect loss_effect_se".split()
    )
    assert [never[name] for name in values] == [None] * 6
    assert (never["n_ablated"], never["n_effects"], never["n_controls"]) == (3, 0, 0)
    assert (never["falls"], never["rises"]) == ([], [])
    assert (once["n_ablated"], once["n_effects"], once["n_controls"]) == (1, 1, 2)
    assert once["ablation_kl"] > 0 and once["ablation_kl_se"] is None
    assert once["fall_se"] == [None] * 4 and len(once["falls"]) == 4
    assert (dead["n_ablated"], dead["n_effects"], dead["falls"]) == (0, 0, [])
    assert [dead[name] for name in values] == [None] * 6
    rows = found["ablated_contexts"].to_pylist()
    assert all(row["kl"] is None and row["q"] == [] for row in rows if row["feature"] == 0)


def test_a_direction_of_no_length_does_exactly_nothing(
    model: LanguageModel, tmp_path: Path
) -> None:
    run = run_of(model)
    run.dictionary.directions[2] = 0
    row = all_of(run, tmp_path)["features"].to_pylist()[2]
    assert row["n_effects"] > 0
    names = ("ablation_kl", "control_kl", "loss_effect", "ablation_kl_se")
    assert [row[name] for name in names] == [0, 0, 0, 0]
    assert row["kl_percentile"] == 50  # no more and no less than its controls
    assert set(row["fall_effects"]) == set(row["rise_effects"]) == {0}


def test_all_features_at_once_take_the_whole_reconstruction_off(
    model: LanguageModel, hf_model: PreTrainedModel
) -> None:
    """A dictionary of one feature a token: what its ablation takes off is what it decodes."""
    run = run_of(model)
    dictionary, hook_name = run.dictionary, run.dictionary.origin.hook_name
    tokens = run.corpus.tokens[5:6]
    hidden = run.model.hidden(tokens, {hook_name})[hook_name][0]
    found = dictionary.encode(hidden)
    clean = Ablation(run)._remainder.clean(tokens)
    change = sum(-found[:, [i]] * dictionary.directions[[i]] for i in range(N_FEATURES))
    decoded = (
        dictionary.decode(found, torch.from_numpy(tokens[0]), hidden) - dictionary.direction_bias
    )
    everywhere = np.zeros(tokens.shape[1], dtype=np.int64), np.arange(tokens.shape[1])
    mine = Ablation(run)._remainder.logits(clean, np.array([0]), change[None], everywhere)[None]
    plain = plain_logits(hf_model, tokens, {hook_name: lambda vectors: vectors - decoded})
    assert torch.allclose(mine, plain, atol=1e-4)


def test_controls_take_off_as_much_elsewhere(model: LanguageModel, tmp_path: Path) -> None:
    run = run_of(model)
    ablation, changes = Ablation(run), []
    run_on = ablation._remainder.logits

    def logits(clean: object, rows: np.ndarray, change: torch.Tensor, at: tuple) -> torch.Tensor:
        changes.append(change)
        return run_on(clean, rows, change, at)

    ablation._remainder.logits = logits
    activations = swept(run, tmp_path).read(0, N_FEATURES)
    ablation.follow_up(activations, Examples(run).rows(activations))
    assert len(changes) % 3 == 0
    for *controls, mine in zip(changes[::3], changes[1::3], changes[2::3], strict=True):
        for control in controls:
            assert torch.allclose(control.norm(dim=2), mine.norm(dim=2), rtol=1e-4, atol=1e-6)
        away = mine.flatten(1).norm(dim=1) > 0
        for a, b in ((mine, controls[0]), (mine, controls[1]), (controls[0], controls[1])):
            cos = torch.cosine_similarity(a.flatten(1), b.flatten(1))
            assert (cos[away].abs() < 0.95).all()


def test_percentiles_come_from_matched_controls(model: LanguageModel, tmp_path: Path) -> None:
    run = run_of(model)
    rows = all_of(run, tmp_path)["features"].to_pylist()
    rows = [row for row in rows if row["n_effects"]]
    for row in rows:
        assert 0 <= row["kl_percentile"] <= 100
        assert row["kl_percentile"] * row["n_controls"] / 50 == pytest.approx(
            round(row["kl_percentile"] * row["n_controls"] / 50)
        )
    assert len({row["kl_percentile"] for row in rows}) > 2


def test_how_the_work_is_split_changes_nothing(
    model: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(model)
    files = swept(run, tmp_path)
    whole = ablated(run, files.read(0, N_FEATURES))
    monkeypatch.setattr("featurestore.passes.ablation.NUMBERS_SUMMED", 15 * model.d_vocab)
    monkeypatch.setattr("featurestore.passes.effects.NUMBERS_AT_ONCE", {"cpu": 3 * model.d_vocab})
    parts = [ablated(run, files.read(0, 5)), ablated(run, files.read(5, N_FEATURES))]
    for table, rows in whole.items():
        again = pa.concat_tables([part[table] for part in parts])
        for name in rows.column_names:
            mine, theirs = rows[name].to_pylist(), again[name].to_pylist()
            if name in ("q", "falls", "rises"):
                continue  # nearly equal effects may change places
            if name == "sampler":
                assert mine == theirs
                continue
            for a, b in zip(mine, theirs, strict=True):
                a, b = (np.array(each, dtype=np.float64) for each in (a, b))  # None becomes NaN
                assert np.allclose(a, b, rtol=1e-3, atol=1e-5, equal_nan=True), name


def test_without_bos_the_first_token_counts(
    model: LanguageModel, hf_model: PreTrainedModel, tmp_path: Path
) -> None:
    run = run_of(model, has_bos=False)
    sites = all_of(run, tmp_path)["ablated_contexts"].to_pylist()
    assert any(site["start"] == 0 for site in sites)
    for site in sites[:6]:
        one = Plain(hf_model, run, site["feature"], site["context"])
        assert site["n_effects"] == len(one.counted)
        if len(one.counted):
            assert site["kl"] == pytest.approx(one.kl.mean(), abs=1e-4, rel=1e-4)


def test_a_control_depends_on_the_seed_alone(model: LanguageModel, tmp_path: Path) -> None:
    run = run_of(model)
    first, again = all_of(run, tmp_path / "a"), all_of(run, tmp_path / "b")
    assert first["features"].equals(again["features"])
    other = all_of(replace(run, seed=4), tmp_path / "c")["features"]
    assert not other["control_kl"].equals(first["features"]["control_kl"])
