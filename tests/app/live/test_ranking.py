import math
from collections.abc import Callable

import numpy as np
import pytest

from app.live.ranking import (
    Contrast,
    ContrastBy,
    Contrasted,
    RankBy,
    Ranked,
    Ranking,
    Side,
    contrast,
    rank,
)
from featurestore.live.records import TextActivations
from featurestore.records import FeatureMark

INF, NAN = math.inf, math.nan


def every(found: Ranking | Contrast) -> tuple[Ranked, ...] | tuple[Contrasted, ...]:
    return found.records(range(found.n_kept))


Entries = dict[tuple[int, int], float]
"""(feature, pos) to value."""


def activations(dictionary_id: str, entries: Entries, n_tokens: int = 9) -> TextActivations:
    keys = sorted(entries)
    return TextActivations(
        dictionary_id,
        n_tokens,
        feature=np.array([feature for feature, _ in keys], np.int64),
        pos=np.array([pos for _, pos in keys], np.int32),
        value=np.array([entries[key] for key in keys], np.float32),
    )


def random_text(rng: np.random.Generator, traps: list[float]) -> tuple[TextActivations, ...]:
    """Three dictionaries on one text, with values that tie and values that trap.

    They are sixteenths, whose sums are exact in any order.
    """
    choices = [*traps, 1.0, -1.0, 2.0, -2.0, *((rng.integers(1, 99, 4) / 16).tolist())]
    n_tokens = int(rng.integers(0, 12))
    found = []
    for name in "xyz":
        entries = {}
        for _ in range(int(rng.integers(0, 60)) if n_tokens else 0):
            key = int(rng.integers(0, 25)), int(rng.integers(0, n_tokens))
            entries[key] = float(rng.choice(choices))
        found.append(activations(name, entries, n_tokens))
    return tuple(found)


def random_marks(rng: np.random.Generator) -> dict[str, tuple[FeatureMark, ...]]:
    """Marks in no order, of features that may be silent, some dead in the corpus."""
    marks = {}
    for name in "xyz":
        rows = []
        for feature in rng.permutation(30)[: int(rng.integers(0, 31))].tolist():
            density = float(rng.choice([0.0, 0.01, rng.random()]))
            stored = float(rng.choice([1.0, -3.0, 0.0, rng.random()]))
            rows.append(FeatureMark(feature, density, stored if density else None))
        marks[name] = tuple(rows)
    return marks


def by_feature(found: TextActivations) -> dict[int, dict[int, float]]:
    features: dict[int, dict[int, float]] = {}
    columns = (found.feature.tolist(), found.pos.tolist(), found.value.tolist())
    for feature, pos, value in zip(*columns, strict=True):
        features.setdefault(feature, {})[pos] = value
    return features


def largest(values: list[float]) -> float:
    if any(math.isnan(value) for value in values):
        return NAN
    return max(values, key=lambda value: (abs(value), value), default=0.0)


def slow_rank(
    texts: tuple[TextActivations, ...],
    marks: dict[str, tuple[FeatureMark, ...]],
    by: RankBy,
    tokens: tuple[int, ...],
) -> list[Ranked]:
    """One feature at a time."""
    rows = []
    for place, found in enumerate(texts):
        known = {mark.feature: mark for mark in marks[found.dictionary_id]}
        for feature, here in by_feature(found).items():
            if feature not in known:
                continue
            mark, values = known[feature], list(here.values())
            size = abs(largest(values))
            row = Ranked(
                found.dictionary_id,
                feature,
                max=largest(values),
                sum=sum(values),
                at=sum((here[pos] for pos in tokens if pos in here), 0.0),
                n=len(here),
                density=mark.density,
                share=size / abs(mark.max_activation) if mark.max_activation else None,
                stored_max=mark.max_activation,
                pos=tuple(here),
                values=tuple(values),
            )
            if row.share is not None and math.isnan(row.share):
                row = Ranked(**{**vars(row), "share": None})
            if not all(map(math.isfinite, values)):
                key = (1, 0, 0)
            elif by == "rarity":
                key = (0, row.density, -size)
            else:
                value = getattr(row, by)
                key = (0, INF if value is None else -abs(value), -size)
            rows.append((key, place, feature, row))
    return [row for *_, row in sorted(rows, key=lambda one: one[:3])]


def same(one: object, other: object) -> bool:
    """Equal field by field, where NaN equals NaN."""
    return repr(one) == repr(other)


@pytest.mark.parametrize("by", RankBy.__args__)
@pytest.mark.parametrize("traps", [[], [NAN, INF, -INF]])
def test_a_ranking_is_what_a_loop_finds(by: RankBy, traps: list[float]) -> None:
    rng = np.random.default_rng(len(traps))
    for _ in range(60):
        texts = random_text(rng, traps)
        marks = random_marks(rng)
        tokens = tuple(range(int(rng.integers(0, 4)), int(rng.integers(4, 20))))
        found = rank(texts, marks, by, tokens)
        slow = slow_rank(texts, marks, by, tokens)
        assert found.n_active == sum(len(by_feature(one)) for one in texts)
        assert found.n_kept == len(slow)
        assert same(list(every(found)), slow)
        bad = [row for row in slow if not all(map(math.isfinite, row.values))]
        assert found.n_nonfinite == len(bad)
        assert same(bad, slow[len(slow) - len(bad) :])


def test_sums_are_exact_to_float64() -> None:
    values = np.random.default_rng(0).normal(size=500).astype(np.float32)
    text = activations("x", {(3, pos): float(value) for pos, value in enumerate(values)}, 500)
    (row,) = every(rank((text,), {"x": (FeatureMark(3, 0.1, 2.0),)}, "max", tuple(range(250))))
    assert row.sum == pytest.approx(math.fsum(values.tolist()), rel=1e-13)
    assert row.at == pytest.approx(math.fsum(values[:250].tolist()), rel=1e-13)


def mark_all(density: Callable[[int], float] = lambda feature: 0.1) -> tuple[FeatureMark, ...]:
    return tuple(FeatureMark(i, density(i), 4.0 if density(i) else None) for i in range(10))


def order(entries: Entries, by: RankBy, marks: tuple[FeatureMark, ...]) -> list[int]:
    found = rank((activations("x", entries),), {"x": marks}, by)
    return [row.feature for row in every(found)]


def test_the_largest_size_comes_first_with_its_sign() -> None:
    entries = {(1, 0): 2.0, (2, 0): -3.0, (2, 1): 1.0, (3, 0): 1.5, (3, 1): 1.5, (3, 2): -2.0}
    rows = every(rank((activations("x", entries),), {"x": mark_all()}, "max"))
    assert [(row.feature, row.max) for row in rows] == [(2, -3.0), (1, 2.0), (3, -2.0)]
    assert rows[2].pos == (0, 1, 2) and rows[2].values == (1.5, 1.5, -2.0)
    assert (rows[2].sum, rows[2].n, rows[0].share) == (1.0, 3, 0.75)


def test_dead_in_the_corpus_is_the_rarest_and_has_no_share() -> None:
    entries = {(1, 0): 1.0, (2, 0): 2.0, (3, 0): 0.5, (4, 0): 9.0}
    marks = mark_all(lambda feature: {1: 0.0, 2: 0.0, 3: 1e-6, 4: 0.5}.get(feature, 0.1))
    assert order(entries, "rarity", marks) == [2, 1, 3, 4]
    assert order(entries, "share", marks) == [4, 3, 2, 1]


def test_not_finite_is_never_first() -> None:
    entries = {(1, 0): NAN, (2, 0): INF, (2, 1): -INF, (3, 0): 0.1, (4, 0): 5.0, (4, 1): NAN}
    for by in RankBy.__args__:
        assert order(entries, by, mark_all(lambda feature: feature % 3 / 10)) == [3, 1, 2, 4]


def test_ties_go_to_size_then_dictionary_then_number() -> None:
    one = activations("b", {(7, 0): 1.0, (5, 0): 1.0, (6, 0): 3.0, (6, 1): -2.0})
    other = activations("a", {(1, 0): 1.0, (2, 0): -1.0})
    marks = {name: mark_all() for name in "ab"}
    rows = every(rank((one, other), marks, "sum"))
    found = [(row.dictionary_id, row.feature) for row in rows]
    assert found == [("b", 6), ("b", 5), ("b", 7), ("a", 1), ("a", 2)]


def test_a_feature_without_a_mark_is_left_out_before_any_cut() -> None:
    text = activations("x", {(feature, 0): 10.0 - feature for feature in range(9)})
    found = rank((text,), {"x": (FeatureMark(8, 0.1, 1.0), FeatureMark(99, 0.1, 1.0))}, "max")
    assert (found.n_active, found.n_kept) == (9, 1)
    assert [row.feature for row in found.records([0])] == [8]
    assert rank((text,), {}, "max").n_kept == 0


@pytest.mark.parametrize("texts", [(), (activations("x", {}),), (activations("x", {}, 0),)])
def test_nothing_active_is_an_empty_ranking(texts: tuple[TextActivations, ...]) -> None:
    found = rank(texts, {"x": mark_all()}, "share", (1, 2))
    assert (found.n_active, found.n_kept, found.n_nonfinite, every(found)) == (0, 0, 0, ())
    both = contrast(texts, texts, {"x": mark_all()}, "mean")
    assert (both.n_active, both.n_kept, both.n_nonfinite, every(both)) == (0, 0, 0, ())


def test_rows_are_found_by_their_feature() -> None:
    text = activations("x", {(feature, 0): 1.0 + feature for feature in range(10)})
    other = activations("y", {(4, 0): 20.0})
    found = rank((text, other), {"x": mark_all(), "y": mark_all()}, "max")
    assert found.place("y", 4) == 0
    assert [row.feature for row in found.records([found.place("x", 2), 1])] == [2, 9]
    assert found.place("x", 12) is None
    assert found.place("z", 4) is None
    both = contrast((text,), (activations("x", {}),), {"x": mark_all()}, "max")
    assert [row.feature for row in both.records([both.place("x", 0)])] == [0]
    assert both.place("x", 11) is None


def slow_side(found: TextActivations, feature: int) -> Side:
    here = by_feature(found).get(feature, {})
    values = list(here.values())
    mean = sum(values, 0.0) / found.n_tokens if values else 0.0
    return Side(largest(values), mean, len(here), found.n_tokens, tuple(here), tuple(values))


def slow_contrast(
    first: tuple[TextActivations, ...],
    second: tuple[TextActivations, ...],
    marks: dict[str, tuple[FeatureMark, ...]],
    by: ContrastBy,
) -> list[Contrasted]:
    """One feature at a time."""
    rows = []
    for place, (one, other) in enumerate(zip(first, second, strict=True)):
        active = {*by_feature(one), *by_feature(other)}
        for mark in marks[one.dictionary_id]:
            if mark.feature not in active:
                continue
            sides = slow_side(one, mark.feature), slow_side(other, mark.feature)
            difference = getattr(sides[0], by) - getattr(sides[1], by)
            row = Contrasted(
                one.dictionary_id,
                mark.feature,
                mark.density,
                mark.max_activation,
                difference,
                *sides,
            )
            size = max(abs(side.max) for side in sides)
            finite = all(math.isfinite(value) for side in sides for value in side.values)
            key = (0, -abs(difference), -size) if finite else (1, 0, 0)
            rows.append((key, place, mark.feature, row))
    return [row for *_, row in sorted(rows, key=lambda one: one[:3])]


@pytest.mark.parametrize("by", ContrastBy.__args__)
@pytest.mark.parametrize("traps", [[], [NAN, INF, -INF]])
def test_a_contrast_is_what_a_loop_finds(by: ContrastBy, traps: list[float]) -> None:
    rng = np.random.default_rng(len(traps))
    for _ in range(60):
        first, second = random_text(rng, traps), random_text(rng, traps)
        marks = random_marks(rng)
        found, slow = contrast(first, second, marks, by), slow_contrast(first, second, marks, by)
        either = [
            {*by_feature(one), *by_feature(other)} for one, other in zip(first, second, strict=True)
        ]
        assert found.n_active == sum(map(len, either))
        assert found.n_kept == len(slow)
        assert same(list(every(found)), slow)
        bad = [r for r in slow if not all(map(math.isfinite, r.first.values + r.second.values))]
        assert found.n_nonfinite == len(bad)


def test_means_count_silent_tokens() -> None:
    first = activations("x", {(1, 0): 4.0, (2, 3): 1.0}, n_tokens=4)
    second = activations("x", {(1, 0): 4.0, (1, 1): 2.0}, n_tokens=2)
    marks = {"x": mark_all()}
    rows = every(contrast((first,), (second,), marks, "mean"))
    assert [(r.feature, r.difference, r.first.mean, r.second.mean) for r in rows] == [
        (1, -2.0, 1.0, 3.0),
        (2, 0.25, 0.25, 0.0),
    ]
    assert rows[1].second == Side(0.0, 0.0, 0, 2, (), ())
    rows = every(contrast((first,), (second,), marks, "max"))
    assert [(r.feature, r.difference) for r in rows] == [(2, 1.0), (1, 0.0)]


def test_two_texts_must_be_read_by_the_same_dictionaries() -> None:
    with pytest.raises(ValueError):
        contrast((activations("x", {}),), (), {}, "max")
