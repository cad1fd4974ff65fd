import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featurestore.activations import ActivationFiles
from featurestore.corpus import Corpus
from featurestore.inference import LanguageModel
from featurestore.passes.tokens import Tokens
from tests.small_run import (
    CONSTANT,
    DEAD,
    N_FEATURES,
    ONCE,
    SIGNED,
    active,
    make_corpus,
    make_dense,
    read_dense,
)
from tests.tiny_run import tiny_dictionary, tiny_run

pytestmark = pytest.mark.parametrize("architecture", ["gpt2"], indirect=True)

NAMES = ("token_share", "share_token", "token_entropy")


def make_pass(model: LanguageModel, corpus: Corpus) -> Tokens:
    return Tokens(tiny_run(model, tiny_dictionary(model, "hook_embed"), corpus))


def rows_of(made: Tokens, files: ActivationFiles, first: int, last: int) -> list[dict[str, Any]]:
    return made.rows(files.read(first, last))["features"].to_pylist()


def expected(corpus: Corpus, places: dict[int, float]) -> dict[str, Any]:
    """The same one activation at a time."""
    sums: dict[int, float] = {}
    for place, value in places.items():
        token = int(corpus.tokens.reshape(-1)[place])
        sums[token] = sums.get(token, 0.0) + abs(value)
    if not sums:
        return dict.fromkeys(NAMES)
    shares = {token: part / sum(sums.values()) for token, part in sums.items()}
    return {
        "token_share": pytest.approx(max(shares.values()), rel=1e-12),
        "share_token": min(token for token in sums if sums[token] == max(sums.values())),
        "token_entropy": pytest.approx(
            -sum(share * math.log(share) for share in shares.values()), rel=1e-12, abs=1e-15
        ),
    }


@pytest.mark.parametrize("has_bos", [True, False])
def test_shares_are_those_counted_one_by_one(
    tmp_path: Path, model: LanguageModel, has_bos: bool
) -> None:
    corpus = make_corpus(has_bos=has_bos)
    dense = make_dense(corpus)
    rows = rows_of(make_pass(model, corpus), read_dense(tmp_path, dense, corpus), 0, N_FEATURES)
    for feature, row in enumerate(rows):
        assert row == expected(corpus, active(dense, corpus, feature))
    assert rows[DEAD] == dict.fromkeys(NAMES)
    assert rows[ONCE] == {
        "token_share": 1.0,
        "share_token": corpus.tokens[2, 3],
        "token_entropy": 0.0,
    }
    assert math.copysign(1, rows[ONCE]["token_entropy"]) == 1  # not -0
    # Of a signed feature positive and negative activations do not cancel.
    assert 0 < rows[SIGNED]["token_share"] < 1
    assert 0 < rows[CONSTANT]["token_entropy"] < math.log(6)


def test_of_equal_shares_the_smallest_token_is_given(tmp_path: Path, model: LanguageModel) -> None:
    corpus = make_corpus(n_contexts=8)
    corpus.tokens[1, 1:5] = [5, 3, 6, 3]
    dense = np.zeros((*corpus.tokens.shape, 2), dtype=np.float32)
    dense[1, 1:4, 0] = [0.5, -0.5, 0.5]  # three tokens, one of them below zero
    dense[1, 1:5, 1] = [3, 1, 1, 2]  # token 3 twice: as much as token 5
    rows = rows_of(make_pass(model, corpus), read_dense(tmp_path, dense, corpus), 0, 2)
    assert [row["share_token"] for row in rows] == [3, 3]
    assert [row["token_share"] for row in rows] == [1 / 3, 3 / 7]
    assert rows[0]["token_entropy"] == pytest.approx(math.log(3), rel=1e-15)


def test_tiny_and_huge_activations_add_up(tmp_path: Path, model: LanguageModel) -> None:
    """In float32 the sums would overflow, and the small ones be lost."""
    corpus = make_corpus(n_contexts=8)
    corpus.tokens[1, 1:5] = [5, 5, 3, 3]
    dense = np.zeros((*corpus.tokens.shape, 2), dtype=np.float32)
    dense[1, 1:5, 0] = [3e38, 3e38, 3e38, 1e-45]
    dense[1, 1:5, 1] = [2**25, 1, 2**25, 2]
    rows = rows_of(make_pass(model, corpus), read_dense(tmp_path, dense, corpus), 0, 2)
    assert rows[0]["token_share"] == pytest.approx(2 / 3)
    assert (rows[1]["share_token"], rows[1]["token_share"] > 0.5) == (3, True)


def test_ranges_and_tiles_give_the_same(
    tmp_path: Path, model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = make_corpus()
    files = read_dense(tmp_path, make_dense(corpus), corpus)
    made = make_pass(model, corpus)
    whole = rows_of(made, files, 0, N_FEATURES)
    assert [rows_of(made, files, i, i + 1)[0] for i in range(N_FEATURES)] == whole
    monkeypatch.setattr("featurestore.activations.FEATURES_IN_CACHE", 3)
    assert rows_of(made, files, 0, N_FEATURES) == whole
