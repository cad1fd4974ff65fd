from pathlib import Path

import numpy as np
import pytest

from featurestore.dictionaries.base import Nonlinearity
from featurestore.inference import LanguageModel
from featurestore.passes.base import Run, Tables
from featurestore.passes.dependence import Dependence
from featurestore.passes.examples import Examples
from tests.tiny_run import N_FEATURES, swept, tiny_corpus, tiny_dictionary, tiny_run

MODES = {
    "relu": ("blocks.0.hook_resid_post", None, Nonlinearity("relu")),
    "topk": ("blocks.1.hook_mlp_out", None, Nonlinearity("topk", k=4)),
    "transcoder": ("blocks.1.hook_resid_pre", "blocks.1.hook_mlp_out", Nonlinearity("relu")),
}


def run_of(model: LanguageModel, mode: str = "relu", has_bos: bool = True, **settings: int) -> Run:
    corpus = tiny_corpus(model.d_vocab, n_contexts=16, has_bos=has_bos)
    dictionary = tiny_dictionary(model, *MODES[mode])
    return tiny_run(model, dictionary, corpus, **({"n_dependences": 3, "n_deleted": 5} | settings))


def dependences(run: Run, folder: Path) -> Tables:
    activations = swept(run, folder).read(0, N_FEATURES)
    return Dependence(run).follow_up(activations, Examples(run).rows(activations))


def plain_activation(run: Run, feature: int, tokens: list[int]) -> float:
    name = run.dictionary.origin.hook_name
    hidden = run.model.hidden(np.array([tokens]), {name})[name][0, -1:]
    return float(run.dictionary.encode(hidden)[0, feature])


@pytest.mark.parametrize("has_bos", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_each_token_before_the_peak_is_deleted_in_turn(
    model: LanguageModel, mode: str, has_bos: bool, tmp_path: Path
) -> None:
    run = run_of(model, mode, has_bos)
    rows = dependences(run, tmp_path)["dependences"].to_pylist()
    assert len(rows) > 10
    for row in rows:
        tokens = run.corpus.tokens[row["context"], : row["peak"] + 1].tolist()
        whole = plain_activation(run, row["feature"], tokens)
        assert row["activation"] == pytest.approx(whole, abs=1e-4, rel=1e-4)
        first = max(int(has_bos), row["peak"] - 5)
        assert row["start"] == first
        wanted = [
            plain_activation(run, row["feature"], tokens[:j] + tokens[j + 1 :]) - whole
            for j in range(first, row["peak"])
        ]
        assert np.allclose(row["changes"], wanted, atol=1e-4, rtol=1e-4)
    assert any(min(row["changes"], default=0) < -0.01 for row in rows)


def test_they_are_the_first_top_contexts(model: LanguageModel, tmp_path: Path) -> None:
    run = run_of(model)
    activations = swept(run, tmp_path).read(0, N_FEATURES)
    examples = Examples(run).rows(activations)
    found = Dependence(run).follow_up(activations, examples)["dependences"]
    tops = [
        row
        for row in examples["examples"].to_pylist()
        if row["sampler"] == "top" and row["rank"] < 3
    ]
    for mine, top in zip(found.to_pylist(), tops, strict=True):
        assert all(mine[name] == top[name] for name in ("feature", "rank", "context", "peak"))
        assert mine["activation"] == pytest.approx(top["activation"], abs=1e-4, rel=1e-4)


def test_a_feature_of_the_token_itself_depends_on_no_other(
    model: LanguageModel, tmp_path: Path
) -> None:
    run = run_of(model)
    corpus = run.corpus
    run = tiny_run(model, tiny_dictionary(model, "hook_embed"), corpus, n_dependences=3)
    rows = dependences(run, tmp_path)["dependences"].to_pylist()
    assert rows and all(abs(change) < 1e-5 for row in rows for change in row["changes"])


def test_a_peak_with_nothing_before_it_has_no_changes(model: LanguageModel, tmp_path: Path) -> None:
    run = run_of(model, n_dependences=24)
    rows = dependences(run, tmp_path)["dependences"].to_pylist()
    first = [row for row in rows if row["peak"] == 1]
    assert first and all(row["changes"] == [] and row["start"] == 1 for row in first)
    assert all(row["activation"] > 0 for row in first)


def test_how_the_work_is_split_changes_little(
    model: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(model)
    whole = dependences(run, tmp_path / "a")["dependences"].to_pylist()
    monkeypatch.setattr("featurestore.passes.dependence.TOKENS_AT_ONCE", 1)
    again = dependences(run, tmp_path / "b")["dependences"].to_pylist()
    for a, b in zip(whole, again, strict=True):
        assert (a["feature"], a["rank"], a["start"]) == (b["feature"], b["rank"], b["start"])
        assert np.allclose(a["changes"], b["changes"], atol=1e-5)


def test_none_are_asked_for(model: LanguageModel, tmp_path: Path) -> None:
    assert len(dependences(run_of(model, n_dependences=0), tmp_path)["dependences"]) == 0
