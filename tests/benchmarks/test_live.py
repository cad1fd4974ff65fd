import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.live import as_text, bare, main, make_texts
from benchmarks.live_page import page_as_text
from featurestore.corpus import encode
from featurestore.live.runner import Runner
from tests.conftest import Once
from tests.live_project import IDS, build_project, loaded
from tests.tiny_model import make_tokenizer

N_TOKENS = 20


@pytest.fixture(scope="module")
def store(once: Once) -> Path:
    return once("live-gpt2", build_project) / "store"


@pytest.fixture(scope="module")
def runner(store: Path) -> Runner:
    return loaded(store)


def test_a_line_for_one_dictionary_and_one_for_all(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = ["--tokens", str(N_TOKENS), "--repeats", "3", "--dictionary", "topk"]
    main(["--store", str(store), "--json", *size])
    one, all_of_them = map(json.loads, capsys.readouterr().out.splitlines())
    assert (one["dictionaries"], all_of_them["dictionaries"]) == (1, len(IDS))
    for line in (one, all_of_them):
        assert (line["benchmark"], line["tokens"], line["repeats"]) == ("live", N_TOKENS, 3)
        assert line["models"] == 1
        assert line["threads"] >= 1
        assert 0 < line["bare_ms"] < 60_000
        assert 0 < line["ratio_low"] <= line["ratio_high"]
        # what was rounded is much of so small a time
        quotient = line["activations_ms"] / line["bare_ms"]
        assert line["ratio"] == pytest.approx(quotient, rel=0.05)
        assert line["text_ratio"] == pytest.approx(line["text_ms"] / line["bare_ms"], rel=0.05)
    first, second = as_text(one).splitlines()
    assert f"{N_TOKENS} tokens" in first
    assert "x the bare limit" in second and "median of 3" in second


def test_texts_have_the_tokens_that_were_asked_for() -> None:
    tokenizer = make_tokenizer()
    texts = make_texts(tokenizer, N_TOKENS, 12)
    assert [len(encode(tokenizer, text)) for text in texts] == [N_TOKENS] * 12
    assert all(text.startswith(f"#{i}#") for i, text in enumerate(texts))
    assert len({text[6:] for text in texts}) == 12
    with pytest.raises(SystemExit, match="no 2 texts of 1000000 tokens"):
        make_texts(tokenizer, 1_000_000, 2)


def test_the_limit_computes_what_live_answers(runner: Runner) -> None:
    """All of it, and no more: of the same tokens, the BOS in front left out of the answer."""
    text = make_texts(make_tokenizer(), N_TOKENS, 1)[0]
    tokens = runner.tokens("sae", text)
    dense = bare([runner._get(name) for name in IDS], tokens.ids)()
    assert list(dense) == list(IDS)
    for found in runner.activations(IDS, tokens):
        wanted = dense[found.dictionary_id].numpy()
        assert wanted.shape == (1 + N_TOKENS, 24)
        sparse = np.zeros_like(wanted[1:])
        sparse[found.pos, found.feature] = found.value
        assert np.allclose(sparse, wanted[1:], atol=1e-5)


def test_a_line_for_the_page() -> None:
    found = {"p50_ms": 12, "p95_ms": 34, "n": 5, "first_ms": 67, "loading_s": 8.91}
    line = page_as_text({"benchmark": "live_page", "dictionaries": 1} | found)
    assert "after 12 ms (p95 34 ms, n 5)" in line
    assert "8.9 s" in line
