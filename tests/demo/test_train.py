"""The one command that trains everything, on a few sentences and for a few steps."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from featurestore.demo import dictionaries, model, train
from featurestore.dictionaries import native
from featurestore.documents import Document
from tests.dictionaries.opened import opened

DOCUMENTS = [Document(f"{i}", "the cat sat, and the dog sat too.\n" * 80) for i in range(4)]


def test_one_command_trains_saves_and_scores_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "CHECKPOINTS", (1, 2))
    monkeypatch.setattr(model, "BATCH", 2)
    monkeypatch.setattr(dictionaries, "BATCH", 64)
    specs = tuple(
        replace(spec, n_steps=2, saved_steps=(1, 2) if spec.saved_steps else (), model_step=step)
        for spec in dictionaries.SPECS
        for step in [1 if spec.model_step < 4000 else 2]
    )
    monkeypatch.setattr(train, "SPECS", specs)
    monkeypatch.setattr(train, "training_documents", lambda: DOCUMENTS)
    monkeypatch.setattr(train, "held_out_documents", lambda: DOCUMENTS[:1])
    train.train_all(tmp_path)
    scores = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    saved = {path.parent.name for path in tmp_path.glob(f"dictionaries/*/{native.SETTINGS}")}
    assert scores.keys() == saved
    assert {"resid-2-step-1", "resid-2-step-2", "embed", "resid-2-model-1000"} <= saved
    for name, score in scores.items():
        found = opened(tmp_path / "dictionaries" / name)
        assert score["n_features"] == found.n_features
        assert 0 <= score["L0"] <= found.n_features
        assert score["explained_variance"] <= 1
