import statistics
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featurestore.activations import Activations
from featurestore.corpus import Corpus
from featurestore.passes.statistics import Statistics
from tests.small_run import (
    CONSTANT,
    DEAD,
    N_FEATURES,
    NONFINITE,
    ONCE,
    SIGNED,
    STEPS,
    active,
    make_corpus,
    make_dense,
    make_run,
    read_dense,
)

N_BINS = 6


@pytest.fixture(scope="module", params=[True, False], ids=["bos", "no bos"])
def corpus(request: pytest.FixtureRequest) -> Corpus:
    return make_corpus(has_bos=request.param)


@pytest.fixture(scope="module")
def rows(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    files = read_dense(tmp_path_factory.mktemp("blocks"), make_dense(corpus), corpus)
    found = Statistics(make_run(corpus, n_bins=N_BINS)).rows(files.read(0, N_FEATURES))
    return found["features"].to_pylist()


def values_of(corpus: Corpus, feature: int) -> list[float]:
    return list(active(make_dense(corpus), corpus, feature).values())


def test_counts_leave_out_masked_tokens(corpus: Corpus, rows: list[dict[str, Any]]) -> None:
    n_tokens = sum(int(n) - corpus.has_bos for n in corpus.n_valid)
    for feature, row in enumerate(rows):
        places = active(make_dense(corpus), corpus, feature)
        assert row["feature"] == feature
        assert row["n_active"] == len(places)
        assert row["density"] == len(places) / n_tokens
        contexts = {place // corpus.tokens.shape[1] for place in places}
        assert row["n_contexts_active"] == len(contexts)
    assert n_tokens < corpus.tokens.size - len(corpus.tokens)


def test_density_of_a_feature_active_everywhere_is_one(tmp_path: Path, corpus: Corpus) -> None:
    everywhere = np.ones((*corpus.tokens.shape, 1), dtype=np.float32)
    found = read_dense(tmp_path, everywhere, corpus).read(0, 1)
    assert Statistics(make_run(corpus)).rows(found)["features"]["density"].to_pylist() == [1]


def test_moments(corpus: Corpus, rows: list[dict[str, Any]]) -> None:
    for feature, row in enumerate(rows):
        values = values_of(corpus, feature)
        if not values:
            continue
        exact = [Fraction(value) for value in values]
        mean = statistics.mean(exact)
        m2, m3, m4 = (float(statistics.mean((v - mean) ** p for v in exact)) for p in (2, 3, 4))
        assert (row["max_activation"], row["min_activation"]) == (max(values), min(values))
        assert row["mean_activation"] == pytest.approx(float(mean), rel=1e-12)
        assert row["std_activation"] == pytest.approx(m2**0.5, rel=1e-9, abs=1e-12)
        if m2 > 0:
            assert row["skewness"] == pytest.approx(m3 / m2**1.5, rel=1e-7, abs=1e-9)
            assert row["kurtosis"] == pytest.approx(m4 / m2**2, rel=1e-7)


def test_what_has_no_value_is_null(rows: list[dict[str, Any]]) -> None:
    shape = ("skewness", "kurtosis")
    value = ("max_activation", "min_activation", "mean_activation", "std_activation")
    assert all(rows[DEAD][name] is None for name in (*value, *shape))
    assert (rows[DEAD]["n_active"], rows[DEAD]["density"], rows[DEAD]["histogram"]) == (0, 0, [])
    for feature in (CONSTANT, ONCE):
        assert all(rows[feature][name] is None for name in shape)
        assert all(rows[feature][name] is not None for name in value)


def test_histograms(corpus: Corpus, rows: list[dict[str, Any]]) -> None:
    for feature, row in enumerate(rows):
        values = values_of(corpus, feature)
        if feature in (DEAD, CONSTANT, ONCE):
            assert row["histogram"] == ([len(values)] if values else [])
            continue
        low, high = min(values), max(values)
        edges = [low + (high - low) * i / N_BINS for i in range(N_BINS + 1)]
        wanted = [
            sum(a <= v < b or (b == high and v == high) for v in values)
            for a, b in zip(edges[:-1], [*edges[1:-1], high], strict=True)
        ]
        assert row["histogram"] == wanted
    assert rows[SIGNED]["min_activation"] < 0 < rows[SIGNED]["max_activation"]
    assert rows[STEPS]["histogram"][1] == 0  # 1, 2, 3, 4 in bins of a half


def test_nan_and_infinity_are_counted_and_nothing_else(
    corpus: Corpus, rows: list[dict[str, Any]]
) -> None:
    valid = corpus.is_valid(slice(0, len(corpus.tokens)))
    n_bad = sum(
        not np.isfinite(value) for value in make_dense(corpus)[..., NONFINITE][valid].tolist()
    )
    assert n_bad > 30
    assert [row["n_nonfinite"] for row in rows] == [n_bad * (f == NONFINITE) for f in range(10)]
    assert all(np.isfinite(rows[NONFINITE][name]) for name in ("max_activation", "kurtosis"))


def test_the_length_of_the_direction(corpus: Corpus, rows: list[dict[str, Any]]) -> None:
    directions = make_run(corpus).dictionary.directions.tolist()
    for row, direction in zip(rows, directions, strict=True):
        wanted = sum(x * x for x in direction) ** 0.5
        assert row["decoder_norm"] == pytest.approx(wanted, rel=1e-12)


def test_a_large_offset_does_not_hide_a_small_spread() -> None:
    values = np.float32(1e6) + np.tile(np.float32([0, 0.0625, 0.125]), 100_000)
    n = len(values)
    nothing = np.zeros(0, dtype=np.int64)
    activations = Activations(0, np.array([0, n]), np.arange(n), values, nothing, nothing)
    corpus = make_corpus(n_contexts=1, length=20)
    run = make_run(corpus)
    found = Statistics(run).rows(activations)["features"].to_pylist()[0]
    assert found["mean_activation"] == pytest.approx(1e6 + 0.0625, rel=1e-15)
    assert found["std_activation"] == pytest.approx(0.0625 * (2 / 3) ** 0.5, rel=1e-6)
    assert found["skewness"] == pytest.approx(0, abs=1e-4)
    assert found["kurtosis"] == pytest.approx(1.5, rel=1e-6)
