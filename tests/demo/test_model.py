from pathlib import Path

import numpy as np
import pytest

from featurestore.demo import model
from featurestore.documents import Document
from featurestore.inference import load_model

DOCUMENTS = [
    Document(f"{i}", "the cat sat on the mat, and the dog sat too.\n" * 60) for i in range(4)
]


def test_every_checkpoint_opens_as_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "CHECKPOINTS", (1, 3))
    monkeypatch.setattr(model, "BATCH", 4)
    model.train_model(DOCUMENTS, tmp_path)
    first, last = (load_model(str(tmp_path / f"step-{step}")) for step in (1, 3))
    assert first.digest() != last.digest()
    tokens = np.array([last.tokenizer.encode("the cat")])
    assert (
        last.hidden(tokens, {"blocks.3.hook_resid_post"})["blocks.3.hook_resid_post"].shape[2]
        == 160
    )


def test_padding_is_no_target() -> None:
    tokenizer = model.train_tokenizer(DOCUMENTS)
    short = [Document("a", "the cat")]
    corpus = model.make_corpus(short, tokenizer, model.CONTEXT_LENGTH, prepend_bos=True)
    network = model.GPT2LMHeadModel(model._config(tokenizer))
    loss = model._loss(network, corpus, np.array([0]))
    corpus.tokens[0, corpus.n_valid[0] :] = 7
    assert model._loss(network, corpus, np.array([0])) == loss


def test_the_learning_rate_rises_then_falls() -> None:
    rates = [model._learning_rate(step, 1000) for step in (1, 100, 550, 1000)]
    assert rates[0] < rates[1] == model.PEAK_LEARNING_RATE
    assert rates[1] > rates[2] > rates[3] > 0
