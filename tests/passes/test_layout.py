"""A dictionary of planted groups among random directions, laid out once for all tests."""

import math
from collections import Counter
from typing import Any
from unittest.mock import Mock

import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.manifold import trustworthiness

from featurestore.activations import ActivationFiles
from featurestore.config import PassesConfig
from featurestore.dictionaries.base import Dictionary, Nonlinearity, Origin
from featurestore.inference import LanguageModel, Unembedding
from featurestore.passes import layout
from featurestore.passes.base import Run, Tables
from featurestore.passes.layout import FEW, LEAST, Layout, lay_out, nearest, principal_components
from tests.small_run import make_corpus

D = 48
GROUPS = (40, 35, 30, 25, 20)
N_RANDOM = 150
DEAD, NO_LENGTH = (3, 77), (10, 200)
COMMON = 5
"""A token that every feature promotes."""


def planted() -> tuple[torch.Tensor, np.ndarray]:
    """Directions of every length, and the group of each, or -1; in no order."""
    generator = torch.Generator().manual_seed(0)
    group = torch.cat([torch.full((n,), g) for g, n in enumerate(GROUPS)])
    group = torch.cat([group, torch.full((N_RANDOM,), -1)])
    group = group[torch.randperm(len(group), generator=generator)]
    directions = torch.randn(len(group), D, generator=generator)
    centres = 2 * torch.randn(len(GROUPS), D, generator=generator)
    directions += torch.where(group[:, None] >= 0, centres[group], 0.0)
    directions *= 10.0 ** torch.randint(-30, 10, (len(group), 1), generator=generator)
    directions[list(NO_LENGTH)] = 0
    return directions, group.numpy()


DIRECTIONS, GROUP = planted()
N = len(GROUP)


def promoted_by(group: int, feature: int) -> list[int]:
    """Tokens of a feature: a common one, two of its group, some of its own, and one too many."""
    own = [100 + (feature * 7 + i) % 900 for i in range(6)]
    tokens = [COMMON, 10 + group, 20 + group, *own] if group >= 0 else [COMMON, *own]
    return [*tokens[:6], 99]


def make_layout(directions: torch.Tensor, seed: int = 0, is_wanted: bool = True) -> Layout:
    n_features, d = directions.shape
    nothing = torch.zeros(n_features), torch.zeros(d)
    origin = Origin("sae", "blocks.0.hook_resid_post", "blocks.0.hook_resid_post")
    dictionary = Dictionary(
        origin, directions.T, *nothing, directions, nothing[1], Nonlinearity("relu")
    )
    run = Run(
        dictionary=dictionary,
        corpus=make_corpus(),
        model=Mock(spec=LanguageModel),
        unembedding=Unembedding(torch.zeros(d, 7), torch.ones(d), True),
        to_residual=None,
        settings=PassesConfig(map=is_wanted),
        seed=seed,
    )
    return Layout(run)


def build(
    made: Layout,
    n_features: int,
    dead: tuple[int, ...] = (),
    at_once: int = 10_000,
    has_lens: bool = True,
) -> Tables:
    """What a build would write of it, the rows of `features` put together."""
    files = ActivationFiles([], n_features)
    firsts = range(0, n_features, at_once)
    ranges = [files.read(first, min(first + at_once, n_features)) for first in firsts]
    files.n_entries += 1
    files.n_entries[list(dead)] = 0
    made.prepare(files)
    parts = []
    for activations in ranges:
        rows = made.rows(activations)
        parts.append(rows["features"])
        found = rows
        if has_lens:
            lists = [promoted_by(int(GROUP[f]), f) for f in activations.features]
            promoted = pa.array(lists, pa.list_(pa.int32()))
            found = {"features": rows["features"].append_column("promoted", promoted)}
        assert made.follow_up(activations, found) == {}
    return {"features": pa.concat_tables(parts)} | made.conclude()


@pytest.fixture(scope="module")
def tables() -> Tables:
    return build(make_layout(DIRECTIONS), N, DEAD)


@pytest.fixture(scope="module")
def rows(tables: Tables) -> list[dict[str, Any]]:
    return tables["features"].to_pylist()


@pytest.fixture(scope="module")
def measures(tables: Tables) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in tables["measures"].to_pylist()}


def laid_out() -> list[int]:
    return [f for f in range(N) if f not in (*DEAD, *NO_LENGTH)]


def test_planted_groups_are_the_clusters(rows: list[dict[str, Any]], tables: Tables) -> None:
    clusters = tables["clusters"].to_pylist()
    assert [row["cluster"] for row in clusters] == [0, 1, 2, 3, 4]
    sizes = [row["n_features"] for row in clusters]
    assert sizes == sorted(sizes, reverse=True)
    groups = []
    for row in clusters:
        members = [f for f in range(N) if rows[f]["cluster"] == row["cluster"]]
        assert len(members) == row["n_features"]
        group, n = Counter(GROUP[members].tolist()).most_common(1)[0]
        groups.append(group)
        assert n >= 0.9 * len(members)  # of the random ones, a few lie close by chance
        assert n >= 0.8 * sum(GROUP[f] == group for f in laid_out())
        for axis in ("x", "y"):
            middle = np.median([rows[f][axis] for f in members])
            assert row[axis] == pytest.approx(middle, rel=1e-6)
    assert sorted(groups) == [0, 1, 2, 3, 4]


def test_clusters_are_named_by_planted_tokens(rows: list[dict[str, Any]], tables: Tables) -> None:
    for row in tables["clusters"].to_pylist():
        members = [f for f in range(N) if rows[f]["cluster"] == row["cluster"]]
        group = Counter(GROUP[members].tolist()).most_common(1)[0][0]
        assert row["tokens"][:2] == [10 + group, 20 + group]
        assert len(row["tokens"]) == 5 and not {COMMON, 99} & set(row["tokens"])
        for token, share in zip(row["tokens"], row["shares"], strict=True):
            n_promoting = sum(token in promoted_by(int(GROUP[f]), f)[:6] for f in members)
            assert share == n_promoting / len(members)


def test_random_directions_lie_on_a_map_but_in_no_cluster(
    tables: Tables, measures: dict[str, dict[str, Any]]
) -> None:
    control = tables["control_map"].to_pylist()
    n = len(laid_out())
    assert [row["number"] for row in control] == list(range(n))
    assert all(math.isfinite(row["x"]) and math.isfinite(row["y"]) for row in control)
    n_clustered = sum(row["cluster"] is not None for row in control)
    assert n_clustered <= 0.02 * n
    assert measures["clustered"]["control"] == n_clustered / n
    assert measures["clustered"]["value"] > 0.35


def test_what_is_dead_or_has_no_length_is_not_on_the_map(rows: list[dict[str, Any]]) -> None:
    for feature in (*DEAD, *NO_LENGTH):
        assert rows[feature] == {"x": None, "y": None, "cluster": None}
    for feature in laid_out():
        assert math.isfinite(rows[feature]["x"]) and math.isfinite(rows[feature]["y"])
    assert any(rows[f]["cluster"] is None for f in laid_out())


def test_measures(
    rows: list[dict[str, Any]], tables: Tables, measures: dict[str, dict[str, Any]]
) -> None:
    assert list(measures) == sorted(measures)
    kept = laid_out()
    n_clustered = sum(rows[f]["cluster"] is not None for f in kept)
    row = measures["clustered"]
    assert (row["value"], row["n"], row["n_control"]) == (
        *(n_clustered / len(kept), len(kept)),
        len(kept),
    )
    assert (measures["n_clusters"]["value"], measures["n_clusters"]["n"]) == (5, len(kept))
    assert measures["silhouette"]["value"] > 0.5 and measures["silhouette"]["n"] == n_clustered
    assert measures["silhouette"]["control"] is None
    places = np.array([[rows[f]["x"], rows[f]["y"]] for f in kept])
    directions = DIRECTIONS[kept].double()
    directions /= directions.norm(dim=1, keepdim=True)  # scikit-learn takes tiny ones for zeros
    wanted = trustworthiness(directions.numpy(), places, n_neighbors=15, metric="cosine")
    row = measures["trustworthiness"]
    assert row["value"] == pytest.approx(wanted, abs=1e-6)
    assert row["value"] > row["control"] > 0.4
    assert (row["n"], row["n_control"]) == (len(kept), len(kept))


def test_the_seed_decides_the_bits_and_ranges_do_not(tables: Tables) -> None:
    again = build(make_layout(DIRECTIONS), N, DEAD, at_once=37)
    assert all(again[name].equals(tables[name]) for name in tables)
    other = lay_out(DIRECTIONS[laid_out()], seed=2**61)
    x = np.array([x for x in tables["features"]["x"].to_pylist() if x is not None])
    assert not np.array_equal(other.places[:, 0], x)


def test_torch_keeps_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    umap, before = layout._umap, torch.get_num_threads()

    def meddling(*given: object) -> object:
        torch.set_num_threads(before + 2)  # as numba does to OpenMP where there are many rows
        return umap(*given)

    monkeypatch.setattr(layout, "_umap", meddling)
    lay_out(torch.randn(40, 8, generator=torch.Generator().manual_seed(0)), 0)
    assert torch.get_num_threads() == before  # else the passes that follow would round otherwise


def test_few_directions_lie_by_their_principal_components() -> None:
    # Unit vectors along three axes; the mean is taken off, and the spread is largest along the
    # first axis less the second: ±1 / sqrt(2), of which the larger entry's sign is the first's.
    unit = torch.eye(3)[[0, 0, 0, 1, 1, 1]]
    found = lay_out(5 * unit, seed=0)
    assert np.abs(found.places[:, 0]) == pytest.approx(np.full(6, 0.5**0.5), abs=1e-6)
    assert found.places[0, 0] == -found.places[3, 0]
    assert found.places[:, 1] == pytest.approx(np.zeros(6), abs=1e-6)
    assert found.cluster.tolist() == [-1] * 6
    assert set(found.measures.values()) == {(None, 6)}


def test_principal_components_are_those_of_an_svd() -> None:
    vectors = np.random.default_rng(4).standard_normal((30, 6)) * np.arange(1, 7)
    centred = vectors - vectors.mean(axis=0)
    axes = np.linalg.svd(centred)[2][:3]
    axes *= np.sign([axis[np.abs(axis).argmax()] for axis in axes])[:, None]
    found = principal_components(torch.from_numpy(vectors.astype(np.float32)), 3)
    assert found == pytest.approx(centred @ axes.T, abs=1e-4)
    assert principal_components(torch.ones(4, 1), 2).tolist() == [[0, 0]] * 4


@pytest.mark.parametrize("n_alive", [0, 1, 2, 3, FEW, FEW + 1])
def test_small_dictionaries(n_alive: int) -> None:
    dead = tuple(range(n_alive, FEW + 4))
    tables = build(make_layout(DIRECTIONS[20 : 24 + FEW]), FEW + 4, dead)
    n_laid_out = n_alive if n_alive >= LEAST else 0
    assert tables["features"]["x"].null_count == FEW + 4 - n_laid_out
    assert len(tables["control_map"]) == n_laid_out
    measures = {row["name"]: row for row in tables["measures"].to_pylist()}
    assert len(measures) == 4
    assert all(row["n_control"] <= n_laid_out for row in measures.values())
    assert measures["trustworthiness"]["value"] is None
    assert (measures["clustered"]["value"] is None) == (n_alive <= FEW)


def test_directions_that_are_all_the_same_or_along_one_line() -> None:
    same = lay_out(torch.ones(40, 5), seed=0)
    assert np.isfinite(same.places).all()
    line = lay_out(torch.tensor([[1.0], [-1.0]]).repeat(20, 1), seed=0)
    assert np.isfinite(line.places).all() and set(line.cluster.tolist()) == {-1}


def test_nearest_compares_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    unit = torch.randn(60, 8, generator=torch.Generator().manual_seed(1))
    unit = torch.nn.functional.normalize(unit, dim=1)
    unit[7] = unit[3]
    monkeypatch.setattr(layout, "COSINES_AT_ONCE", 7 * len(unit))  # seven rows at a time
    found = nearest(unit, 4)
    cosines = unit.double() @ unit.double().T
    for row in range(len(unit)):
        others = sorted((-cosines[row, i].item(), i) for i in range(len(unit)) if i != row)[:3]
        assert found.indices[row].tolist() == [row, *(i for _, i in others)]
        wanted = [1, *(-c for c, _ in others)]
        assert found.cosines[row].tolist() == pytest.approx(wanted, abs=1e-6)


def test_of_too_many_features_a_sample_is_laid_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "MOST", 50)
    monkeypatch.setattr(layout, "N_JUDGED", 40)
    tables = build(make_layout(DIRECTIONS), N, DEAD)
    x = tables["features"]["x"]
    assert x.null_count == N - 50 and len(tables["control_map"]) == 50
    assert all(x[feature].as_py() is None for feature in (*DEAD, *NO_LENGTH))
    n = {row["name"]: row["n"] for row in tables["measures"].to_pylist()}
    assert (n["clustered"], n["trustworthiness"]) == (50, 40)


def test_without_a_logit_lens_names_are_empty() -> None:
    tables = build(make_layout(DIRECTIONS), N, DEAD, has_lens=False)
    clusters = tables["clusters"]
    assert clusters["tokens"].to_pylist() == clusters["shares"].to_pylist() == [[]] * len(clusters)
    assert len(clusters) == 5


def test_no_map_unless_asked_for() -> None:
    made = make_layout(DIRECTIONS, is_wanted=False)
    files = ActivationFiles([], N)
    made.prepare(files)
    silence = files.read(0, N)
    assert made.rows(silence) == made.follow_up(silence, {}) == made.conclude() == {}
