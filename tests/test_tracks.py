"""Tracks against hand-computed fates, and against slow loops on random dictionaries."""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from featurestore.checkpoints import read_checkpoints, training_order
from featurestore.store import Store
from featurestore.track_records import MATCH, OWN, Beside, Checkpoints, Tracks
from featurestore.tracks import follow, has_drifted, lost_at, spread_to_final
from tests.tracked_store import write_tracked


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Checkpoints:
    """The three checkpoints whose features' fates are known."""
    folder: Path = write_tracked(tmp_path_factory.mktemp("tracked"))
    infos = training_order(Store(folder).catalogue().dictionaries)
    return read_checkpoints(infos, Store(folder).pairs.beside)


def rows(tracks: Tracks) -> list[tuple[int, ...]]:
    return sorted(map(tuple, tracks.feature.tolist()), reverse=True)


@pytest.mark.parametrize("mode", ["number", "match"])
def test_fates_that_are_known(known: Checkpoints, mode: str) -> None:
    tracks = follow(known, mode, "cosine", 0.9)
    assert rows(tracks) == [
        (3, -1, -1),
        (2, 2, 2),
        (1, 1, -1),
        (0, 0, 0),
        (-1, 4, 4),
        (-1, 3, -1),
        (-1, -1, 3),
        (-1, -1, 1),
    ]
    first, second = tracks.changes
    assert (first.n, first.n_next, first.n_continued) == (4, 5, 3)  # 4 has no direction at t1
    assert (first.n_died, first.n_born) == (1, 2)
    assert first.drift == pytest.approx(1 - (1 + 0.95 + 0.95) / 3)
    assert (second.n, second.n_died, second.n_born) == (5, 2, 2)
    assert second.drift == pytest.approx(1 - (1 + 0.95 + 1) / 3)
    born = {tuple(row) for row in tracks.feature[tracks.was_born].tolist()}
    assert born == {(-1, 4, 4), (-1, 3, -1), (-1, -1, 3), (-1, -1, 1)}
    died = {tuple(row) for row in tracks.feature[tracks.has_died].tolist()}
    assert died == {(3, -1, -1), (1, 1, -1), (-1, 3, -1)}


def test_what_is_measured_of_a_track(known: Checkpoints) -> None:
    tracks = follow(known, "number", "cosine", 0.9)
    (at,) = np.flatnonzero((tracks.feature == [1, 1, -1]).all(axis=1))
    assert tracks.link[at] == pytest.approx([0.95, np.nan], nan_ok=True)
    assert tracks.onward[at] == pytest.approx([0.95, 0.5])
    whole = np.cos(np.arccos(0.95) + np.arccos(0.5))
    assert tracks.final[at] == pytest.approx([whole, 0.5])
    assert (tracks.first[at], tracks.last[at]) == (0, 1)


@pytest.mark.parametrize("mode", ["number", "match"])
def test_learned_then_lost(known: Checkpoints, mode: str) -> None:
    tracks = follow(known, mode, "cosine", 0.9)

    def lost(*bounds: float) -> dict[tuple[int, ...], int]:
        found = lost_at(known, tracks, mode, "cosine", bounds)
        return {
            tuple(tracks.feature[at].tolist()): int(found[at]) for at in np.flatnonzero(found >= 0)
        }

    assert lost(0.9, 0.6) == {(1, 1, -1): 1}
    assert lost(0.96, 0.6) == {}
    assert lost(0.9, 0.5 - 1e-9) == {}
    assert lost(0.79, 0.9) == {(1, 1, -1): 1, (-1, 3, -1): 1}  # 3 turned both times


@pytest.mark.parametrize("mode", ["number", "match"])
def test_losing_does_not_depend_on_where_tracks_end(known: Checkpoints, mode: str) -> None:
    for tau in (0.3, 0.9, 0.99):
        tracks = follow(known, mode, "cosine", tau)
        lost = lost_at(known, tracks, mode, "cosine", (0.9, 0.6))
        (at,) = np.flatnonzero(lost >= 0)
        assert tracks.feature[at, 1] == 1


def test_drifting_is_small_steps_away(known: Checkpoints) -> None:
    tracks = follow(known, "number", "cosine", 0.9)
    whole = np.cos(2 * np.arccos(0.95))  # 0.805
    assert not has_drifted(tracks, whole - 1e-6).any()
    drifted = has_drifted(tracks, whole + 1e-6)
    assert tracks.feature[drifted].tolist() == [[2, 2, 2]]


def test_spread_counts_only_what_has_a_cosine(known: Checkpoints) -> None:
    first, second = spread_to_final(known, "number", "cosine")
    turned = [np.cos(sum(np.arccos(pair))) for pair in ((0.95, 0.5), (0.95, 0.95), (0.8, 0.8))]
    expected = np.quantile([1, *turned], [0.1, 0.5, 0.9])
    assert (first.n, second.n) == (4, 5)
    assert (first.low, first.median, first.high) == pytest.approx(tuple(expected))


def test_correlation_measures_the_same_pairs(known: Checkpoints) -> None:
    tracks = follow(known, "number", "correlation", 0.45)
    assert [change.n_continued for change in tracks.changes] == [3, 3]
    assert tracks.changes[0].drift == pytest.approx(1 - (1 + 0.95 + 0.95) / 6)
    silent = replace(
        known, onward=tuple((replace(a, correlation=None), b) for a, b in known.onward)
    )
    none = follow(silent, "number", "correlation", 0.1)
    assert [(change.n, change.n_continued, change.drift) for change in none.changes] == [
        (0, 0, None),
        (0, 0, None),
    ]


def test_a_gap_ends_tracks_but_kills_nobody(known: Checkpoints) -> None:
    gap = replace(known, onward=(None, known.onward[1]))
    tracks = follow(gap, "number", "cosine", 0.9)
    assert tracks.changes[0] is None
    assert tracks.changes[1].n_continued == 3
    before = tracks.last == 0
    assert before.sum() == 4 and not tracks.has_died[before].any()
    assert not tracks.was_born[tracks.first == 1].any()
    nothing = replace(known, onward=(None, None), final=(None, None))
    assert len(follow(nothing, "match", "cosine", 0.9)) == 0


def test_the_same_file_twice_goes_on_whole() -> None:
    vectors = np.random.default_rng(0).normal(size=(6, 4))
    tracks = follow(made([vectors, vectors, vectors]), "match", "cosine", 0.999)
    assert (tracks.feature == np.arange(6)[:, None]).all()
    assert tracks.link == pytest.approx(1)
    assert [change.drift for change in tracks.changes] == pytest.approx([0, 0])


def test_one_feature_and_none_with_a_length() -> None:
    one = follow(made([np.ones((1, 3)), np.ones((1, 3))]), "number", "cosine", 0.9)
    assert (one.feature.tolist(), one.changes[0].n_continued) == ([[0, 0]], 1)
    empty = made([np.ones((2, 3)), np.zeros((2, 3))])
    tracks = follow(empty, "match", "cosine", 0.9)
    assert len(tracks) == 0
    assert (tracks.changes[0].n, tracks.changes[0].drift) == (0, None)
    assert spread_to_final(empty, "match", "cosine")[0].n == 0
    assert lost_at(empty, tracks, "match", "cosine", (0.9, 0.6)).shape == (0,)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / lengths) if lengths else float("nan")


def one_way(a: np.ndarray, b: np.ndarray, match: dict[int, int]) -> Beside:
    """Columns by loops."""
    other, values = np.full((len(a), 5), -1), np.full((len(a), 5), np.nan)
    for i, vector in enumerate(a):
        cosines = {j: c for j, row in enumerate(b) if (c := cosine(vector, row)) == c}
        chosen = dict(enumerate(sorted(cosines, key=lambda j: -cosines[j])[:3]))
        chosen |= {MATCH: match[i]} if i in match else {}
        chosen |= {OWN: i} if i in cosines and len(a) == len(b) else {}
        for at, j in chosen.items():
            other[i, at], values[i, at] = j, cosines[j]
    return Beside(other, values, None)


def both_ways(a: np.ndarray, b: np.ndarray) -> tuple[Beside, Beside]:
    own, others = (np.flatnonzero(np.linalg.norm(one, axis=1)) for one in (a, b))
    table = np.array([[-cosine(a[i], b[j]) for j in others] for i in own]).reshape(
        len(own), len(others)
    )
    row, at = linear_sum_assignment(table)
    match = dict(zip(own[row].tolist(), others[at].tolist(), strict=True))
    return one_way(a, b, match), one_way(b, a, {j: i for i, j in match.items()})


def made(steps: list[np.ndarray]) -> Checkpoints:
    onward = tuple(both_ways(a, b) for a, b in zip(steps, steps[1:], strict=False))
    final = (*(both_ways(a, steps[-1]) for a in steps[:-2]), onward[-1])
    sizes = tuple(map(len, steps))
    return Checkpoints(tuple(map(str, range(len(steps)))), sizes, onward, final, (), ())


def slow_tracks(checkpoints: Checkpoints, column: int, tau: float) -> list[tuple]:
    """(features, links, was_born, has_died) of every chain, by walking each one."""
    n_steps = checkpoints.n_steps
    goes_to: dict[tuple[int, int], tuple[int, float]] = {}
    for step, (there, _) in enumerate(checkpoints.onward):
        for i in range(len(there.other)):
            if there.other[i, column] >= 0 and there.cosine[i, column] >= tau:
                goes_to[step, i] = int(there.other[i, column]), float(there.cosine[i, column])
    reached = {(step + 1, j) for (step, _), (j, _) in goes_to.items()}
    found = []
    for step, n in enumerate(checkpoints.n_features):
        for i in range(n):
            if (step, i) in reached:
                continue
            at, features, links = (step, i), [-1] * step + [i], []
            while at in goes_to:
                j, value = goes_to[at]
                at = at[0] + 1, j
                features.append(j)
                links.append(value)
            last, end = at
            was_born = step > 0 and checkpoints.onward[step - 1][1].other[i, 0] >= 0
            has_died = last < n_steps - 1 and checkpoints.onward[last][0].other[end, 0] >= 0
            has_length = any(
                (
                    last < n_steps - 1 and checkpoints.onward[last][0].other[end, 0] >= 0,
                    step > 0 and checkpoints.onward[step - 1][1].other[i, 0] >= 0,
                )
            )
            if has_length or links:
                features += [-1] * (n_steps - len(features))
                found.append((tuple(features), tuple(links), bool(was_born), bool(has_died)))
    return sorted(found)


def slow_lost(checkpoints: Checkpoints, by_number: bool, high: float, low: float) -> set[tuple]:
    """(step, feature) at which each line was lost last."""
    values = defaultdict(list)
    line = {(0, i): (0, i) for i in range(checkpoints.n_features[0])}
    for step, (there, _) in enumerate(checkpoints.onward):
        for i in range(checkpoints.n_features[step]):
            own = line.setdefault((step, i), (step, i))
            at = OWN if by_number else MATCH
            value = there.cosine[i, at]
            if not by_number and value != value:
                value = there.cosine[i, 0]
            values[own].append((step, i, value))
            heir = i if by_number else there.other[i, at]
            if heir >= 0:
                line[step + 1, int(heir)] = own
    found = set()
    for each in values.values():
        lost = [
            (step, i)
            for at, (step, i, value) in enumerate(each)
            if value < low and any(before >= high for _, _, before in each[:at])
        ]
        found.update(lost[-1:])
    return found


@pytest.mark.parametrize("sizes", [(12, 12, 12, 12), (9, 12, 7, 10)])
@pytest.mark.parametrize("mode", ["number", "match"])
@pytest.mark.parametrize("tau", [0.5, 0.8])
def test_against_slow_loops(sizes: tuple[int, ...], mode: str, tau: float) -> None:
    if mode == "number" and len(set(sizes)) > 1:
        return
    rng = np.random.default_rng(len(set(sizes)))
    base = rng.normal(size=(max(sizes), 6))
    steps = []
    for size in sizes:
        base = base + rng.choice([0.1, 1.5], size=(len(base), 1)) * rng.normal(size=base.shape) / 2
        vectors = base[:size].copy()
        vectors[rng.integers(size)] = 0
        steps.append(rng.permutation(vectors) if mode == "match" else vectors)
    checkpoints = made(steps)
    column = OWN if mode == "number" else MATCH
    tracks = follow(checkpoints, mode, "cosine", tau)
    found = sorted(
        (
            tuple(tracks.feature[at].tolist()),
            tuple(tracks.link[at][~np.isnan(tracks.link[at])].tolist()),
            bool(tracks.was_born[at]),
            bool(tracks.has_died[at]),
        )
        for at in range(len(tracks))
    )
    expected = slow_tracks(checkpoints, column, tau)
    assert found == expected
    assert sum(change.n_born for change in tracks.changes) == sum(one[2] for one in expected)
    assert sum(change.n_died for change in tracks.changes) == sum(one[3] for one in expected)
    for high, low in ((0.8, 0.5), (0.6, 0.9)):
        lost = lost_at(checkpoints, tracks, mode, "cosine", (high, low))
        assert {
            (int(lost[at]), int(tracks.feature[at, lost[at]])) for at in np.flatnonzero(lost >= 0)
        } == slow_lost(checkpoints, mode == "number", high, low)
