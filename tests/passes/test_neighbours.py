import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from featurestore.activations import ActivationFiles
from featurestore.blocks import Block
from featurestore.config import PassesConfig
from featurestore.corpus import Corpus
from featurestore.dictionaries.base import Dictionary, Nonlinearity, Origin
from featurestore.inference import LanguageModel, Unembedding
from featurestore.passes import coactivation, neighbours
from featurestore.passes.base import Run
from featurestore.passes.neighbours import Neighbours
from tests.small_run import (
    DEAD,
    N_FEATURES,
    NONFINITE,
    ONCE,
    make_corpus,
    make_dense,
    read_dense,
    write_dense,
)

N = 4
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module", params=[True, False], ids=["bos", "no bos"])
def corpus(request: pytest.FixtureRequest) -> Corpus:
    return make_corpus(has_bos=request.param)


@pytest.fixture(params=[2.0, 0.0], ids=["lists", "matrices"])
def way_of_counting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coactivation, "DENSE", request.param)


def run_of(corpus: Corpus, directions: torch.Tensor, n: int) -> Run:
    """A run of which the pass needs these; the model is none."""
    (n_features, d), origin = directions.shape, Origin("sae", "hook_embed", "hook_embed")
    zeros = [torch.zeros(size) for size in (n_features, d)]
    return Run(
        dictionary=Dictionary(
            origin, directions.T, *zeros, directions, zeros[1], Nonlinearity("relu")
        ),
        corpus=corpus,
        model=LanguageModel.__new__(LanguageModel),
        unembedding=Unembedding(torch.zeros(d, 7), torch.ones(d), True),
        to_residual=None,
        settings=PassesConfig(n_neighbours=n),
        seed=0,
    )


def random_directions(n_features: int, d: int = 4) -> torch.Tensor:
    return torch.randn(n_features, d, generator=torch.Generator().manual_seed(3))


def prepared(
    files: ActivationFiles, corpus: Corpus, directions: torch.Tensor, n: int = N
) -> Neighbours:
    made = Neighbours(run_of(corpus, directions, n))
    made.prepare(files)
    return made


def rows_of(made: Neighbours, files: ActivationFiles, first: int = 0, last: int = -1) -> Rows:
    activations = files.read(first, len(files.n_entries) if last < 0 else last)
    return made.rows(activations)["neighbours"].to_pylist()


def nearest_of(made: Neighbours, files: ActivationFiles) -> list[float | None]:
    found = made.rows(files.read(0, len(files.n_entries)))["features"]
    return found["nearest_cos"].to_pylist()


def silent(n_features: int) -> ActivationFiles:
    return ActivationFiles([], n_features)


def columns_of(dense: np.ndarray, corpus: Corpus) -> np.ndarray:
    """Activations on all valid tokens in float64, 0 where not finite: (feature, token)."""
    values = dense[corpus.is_valid(slice(0, len(dense)))].T.astype(np.float64)
    return np.where(np.isfinite(values), values, 0)


def cosine_of(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


def many_dense(corpus: Corpus, n_features: int = 50) -> np.ndarray:
    """Sparse features; the last ten are the first ten again, some are rare, one is never active."""
    rng = np.random.default_rng(4)
    dense = rng.standard_normal((*corpus.tokens.shape, n_features)).astype(np.float32)
    dense[dense < np.linspace(0.5, 2.8, n_features)] = 0
    dense[..., 20] = 0
    dense[..., -10:] = dense[..., :10]
    return dense


@pytest.mark.usefixtures("way_of_counting")
def test_every_number_of_every_pair(tmp_path: Path, corpus: Corpus) -> None:
    dense, directions = make_dense(corpus), random_directions(N_FEATURES)
    files = read_dense(tmp_path, dense, corpus)
    rows = rows_of(prepared(files, corpus, directions, 100), files)
    columns = columns_of(dense, corpus)
    assert columns.shape[1] == corpus.n_tokens
    assert not np.isfinite(dense[..., NONFINITE]).all()
    by_cosine = {(r["feature"], r["neighbour"]) for r in rows if r["measure"] == "cosine"}
    assert by_cosine == {(a, b) for a in range(10) for b in range(10) if a != b}
    for row in rows:
        a, b = columns[row["feature"]], columns[row["neighbour"]]
        n_a, n_b = int((a != 0).sum()), int((b != 0).sum())
        n_both = int(((a != 0) & (b != 0)).sum())
        n_either = int(((a != 0) | (b != 0)).sum())
        vectors = [directions[row[key]].tolist() for key in ("feature", "neighbour")]
        assert row["cosine"] == pytest.approx(cosine_of(*vectors), abs=1e-12)
        assert row["n_both"] == n_both
        assert row["jaccard"] == (n_both / n_either if n_either else None)
        assert row["conditional"] == (n_both / n_a if n_a else None)
        if n_both:
            wanted = math.log(corpus.n_tokens * n_both / (n_a * n_b))
            assert row["pmi"] == pytest.approx(wanted, abs=1e-12)
        else:
            assert row["pmi"] is None
        if n_a and n_b:
            assert row["correlation"] == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-9)
        else:
            assert row["correlation"] is None


@pytest.mark.usefixtures("way_of_counting")
def test_the_ranking_by_coactivation(tmp_path: Path, corpus: Corpus) -> None:
    dense = many_dense(corpus)
    files = read_dense(tmp_path, dense, corpus)
    rows = rows_of(prepared(files, corpus, random_directions(50)), files)
    active = columns_of(dense, corpus) != 0
    found = [r for r in rows if r["measure"] == "coactivation"]
    wanted = []
    for a in range(50):
        shares = []
        for b in range(50):
            n_both = int((active[a] & active[b]).sum())
            if a != b and n_both:
                shares.append((-n_both / int((active[a] | active[b]).sum()), -n_both, b))
        wanted += [(a, rank, b) for rank, (_, _, b) in enumerate(sorted(shares)[:N])]
    assert [(r["feature"], r["rank"], r["neighbour"]) for r in found] == wanted
    twins = [r["neighbour"] for r in found if r["feature"] < 10 and r["rank"] == 0]
    assert twins == list(range(40, 50))
    assert not any(20 in (r["feature"], r["neighbour"]) for r in found)


def test_what_is_never_active_has_no_coactivation(tmp_path: Path, corpus: Corpus) -> None:
    files = read_dense(tmp_path, make_dense(corpus), corpus)
    rows = rows_of(prepared(files, corpus, random_directions(N_FEATURES), 100), files)
    for row in rows:
        dead = DEAD in (row["feature"], row["neighbour"])
        assert not (dead and row["measure"] == "coactivation")
        assert dead is (row["correlation"] is None)
    by_once = [r for r in rows if r["feature"] == ONCE and r["measure"] == "coactivation"]
    assert {r["n_both"] for r in by_once} == {1}
    assert {r["conditional"] for r in by_once} == {1.0}


def test_the_ranking_by_cosine() -> None:
    directions = random_directions(60)
    made = prepared(silent(60), make_corpus(), directions)
    rows = rows_of(made, silent(60))
    wanted = []
    for a in range(60):
        others = [
            (-cosine_of(directions[a].tolist(), directions[b].tolist()), b)
            for b in range(60)
            if b != a
        ]
        wanted += [(a, rank, b) for rank, (_, b) in enumerate(sorted(others)[:N])]
    assert [(r["feature"], r["rank"], r["neighbour"]) for r in rows] == wanted
    assert nearest_of(made, silent(60)) == [r["cosine"] for r in rows if r["rank"] == 0]
    for row in rows:
        assert (row["measure"], row["n_both"]) == ("cosine", 0)
        assert row["jaccard"] is row["pmi"] is row["conditional"] is row["correlation"] is None


def test_duplicate_directions_are_each_others_neighbours_and_nobodys_own() -> None:
    directions = random_directions(9, d=300)
    directions[[2, 5, 8]] = directions[0].clone()
    directions[3] = directions[0] * 4
    directions[4] = -directions[0]
    made = prepared(silent(9), make_corpus(), directions, 4)
    rows = rows_of(made, silent(9))
    same = [0, 2, 3, 5, 8]
    for a in same:
        mine = [r for r in rows if r["feature"] == a]
        assert [r["neighbour"] for r in mine] == [b for b in same if b != a]
        assert [r["cosine"] for r in mine] == [1.0] * 4
    assert all(r["feature"] != r["neighbour"] for r in rows)
    opposed = rows_of(prepared(silent(2), make_corpus(), directions[[0, 4]]), silent(2))
    assert [r["cosine"] for r in opposed] == [-1.0, -1.0]


def test_cosines_that_float32_cannot_tell_apart_are_in_order() -> None:
    directions = torch.ones(13, 2)
    directions[:, 1] = torch.arange(12, -1, -1) * 1e-5
    rows = rows_of(prepared(silent(13), make_corpus(), directions, 3), silent(13))
    assert [r["neighbour"] for r in rows if r["feature"] == 12] == [11, 10, 9]
    assert [r["neighbour"] for r in rows if r["feature"] == 0] == [1, 2, 3]


def test_equal_cosines_are_in_the_order_of_features() -> None:
    rows = rows_of(prepared(silent(6), make_corpus(), torch.eye(6), 3), silent(6))
    assert [r["neighbour"] for r in rows if r["feature"] == 1] == [0, 2, 3]
    assert {r["cosine"] for r in rows} == {0.0}


def test_a_direction_without_length_has_no_cosine(tmp_path: Path, corpus: Corpus) -> None:
    directions = random_directions(N_FEATURES)
    directions[ONCE] = 0
    directions[0] = 1e-30  # short, but of some length
    files = read_dense(tmp_path, make_dense(corpus), corpus)
    made = prepared(files, corpus, directions, 100)
    rows = rows_of(made, files)
    for row in rows:
        has_none = ONCE in (row["feature"], row["neighbour"])
        assert (row["cosine"] is None) == has_none
        assert not (has_none and row["measure"] == "cosine")
    assert sum(row["measure"] == "cosine" for row in rows) == 9 * 8
    assert [value is None for value in nearest_of(made, files)] == [
        f == ONCE for f in range(N_FEATURES)
    ]


def test_one_feature_has_no_neighbours(tmp_path: Path, corpus: Corpus) -> None:
    files = read_dense(tmp_path, make_dense(corpus)[..., :1], corpus)
    made = prepared(files, corpus, random_directions(1))
    assert rows_of(made, files) == []
    assert nearest_of(made, files) == [None]


def test_few_features_have_all_others_as_neighbours(tmp_path: Path, corpus: Corpus) -> None:
    files = read_dense(tmp_path, make_dense(corpus)[..., [5, 6, 7]], corpus)
    rows = rows_of(prepared(files, corpus, random_directions(3), 1000), files)
    keys = [(r["feature"], r["measure"], r["rank"]) for r in rows]
    measures = ("coactivation", "cosine")
    assert keys == [(f, m, rank) for f in range(3) for m in measures for rank in range(2)]


def test_a_large_mean_does_not_hide_a_correlation(tmp_path: Path, corpus: Corpus) -> None:
    rng = np.random.default_rng(6)
    shared, *own = rng.standard_normal((4, *corpus.tokens.shape))
    dense = np.stack([100 + 0.01 * (shared + each) for each in own], axis=-1).astype(np.float32)
    dense[..., 2] = 100
    files = read_dense(tmp_path, dense, corpus)
    rows = rows_of(prepared(files, corpus, random_directions(3), 9), files)
    wanted = np.corrcoef(columns_of(dense, corpus)[:2])[0, 1]
    assert 0.3 < wanted < 0.7
    for row in rows:
        if 2 in (row["feature"], row["neighbour"]):
            assert row["correlation"] is None  # always 100: it does not vary
        else:
            assert row["correlation"] == pytest.approx(wanted, abs=1e-9)
        assert (row["jaccard"], row["pmi"]) == (1.0, 0.0)


def test_opposed_and_equal_activations(tmp_path: Path, corpus: Corpus) -> None:
    dense = np.repeat(make_dense(corpus)[..., :1], 3, axis=-1) * np.float32([1, -1, 3])
    files = read_dense(tmp_path, dense, corpus)
    rows = rows_of(prepared(files, corpus, random_directions(3), 9), files)
    for row in rows:
        sign = -1 if 1 in (row["feature"], row["neighbour"]) else 1
        assert row["correlation"] == pytest.approx(sign, abs=1e-12)
        assert abs(row["correlation"]) <= 1


@pytest.mark.usefixtures("way_of_counting")
def test_the_same_however_the_work_is_cut(
    tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    dense, directions = many_dense(corpus), random_directions(50, d=40)
    directions[30:40] = directions[:10]
    files = read_dense(tmp_path / "a", dense, corpus)
    wanted = rows_of(prepared(files, corpus, directions), files)
    for module, sizes in (
        (neighbours, {"SCORES_AT_ONCE": 150, "COMPONENTS_AT_ONCE": 90}),
        (coactivation, {"ENTRIES_AT_ONCE": 500, "FEATURES_AT_ONCE": 7, "COUNTED_AT_ONCE": 5}),
        (coactivation, {"ONES_AT_ONCE": 1300, "PAIRS_AT_ONCE": 3}),
    ):
        for name, size in sizes.items():
            monkeypatch.setattr(module, name, size)
        assert rows_of(prepared(files, corpus, directions), files) == wanted
    for contexts_per_block in (1, 24):
        folder = tmp_path / str(contexts_per_block)
        names = write_dense(folder, dense, corpus, contexts_per_block)
        files = ActivationFiles([Block(folder, name) for name in names], 50)
        assert rows_of(prepared(files, corpus, directions), files) == wanted


def test_ranges_put_together_are_the_whole(tmp_path: Path, corpus: Corpus) -> None:
    files = read_dense(tmp_path, make_dense(corpus), corpus)
    made = prepared(files, corpus, random_directions(N_FEATURES))
    whole = rows_of(made, files, 0, 10)
    keys = [(r["feature"], r["measure"], r["rank"]) for r in whole]
    assert keys == sorted(keys)
    assert rows_of(made, files, 0, 4) + rows_of(made, files, 4, 10) == whole
    assert {r["feature"] for r in rows_of(made, files, 4, 10)} == set(range(4, 10))


def test_too_many_features_have_no_neighbours(
    tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = read_dense(tmp_path, make_dense(corpus), corpus)
    whole = prepared(files, corpus, random_directions(N_FEATURES))
    schema = whole.rows(files.read(0, 10))["neighbours"].schema
    monkeypatch.setattr(neighbours, "MOST_ENTRIES", 5)
    made = prepared(files, corpus, random_directions(N_FEATURES))
    assert made.rows(files.read(0, 10))["neighbours"].schema == schema
    assert rows_of(made, files) == []
    assert nearest_of(made, files) == nearest_of(whole, files)
    monkeypatch.setattr(neighbours, "MOST_FEATURES", 9)
    made = prepared(files, corpus, random_directions(N_FEATURES))
    assert rows_of(made, files) == []
    assert nearest_of(made, files) == [None] * 10
