"""What Live asks of a store, against the rows of small_store."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from featurestore.errors import DamagedStore, StoreError, UnknownDictionary
from featurestore.records import (
    FeatureMark,
    FeatureQuery,
    Flag,
    StoredActivations,
    StoredContext,
)
from featurestore.store import Store
from tests.small_store import ROWS, TOKENS, publish

QUERY = FeatureQuery("one")
ALL = range(5)
UNKNOWN = (-1, 34, 2**31, -(2**31) - 1, 2**63, -(2**127), 2**128, 10**400)


def _example(feature: int, sampler: str, context: int, peak: int, activation: float) -> dict:
    key = {"feature": feature, "sampler": sampler, "band": 0, "rank": 0, "context": context}
    return key | {"peak": peak, "activation": activation}


EXAMPLES = [
    *ROWS["examples"],
    # a silent token beside active ones
    _example(1, "zero", 3, peak=1, activation=0.0) | {"scale": 9.0, "pos": [2], "q": [127]},
    # a silent token of a silent context
    _example(2, "zero", 3, peak=0, activation=0.0) | {"scale": 0.0, "pos": [], "q": []},
    # a signed one: exact where it was sampled, else its nearest 127th
    _example(4, "random", 3, peak=0, activation=-0.7)
    | {"scale": 3.0}
    | {"pos": [0, 1, 2], "q": [-30, 127, -100]},
    _example(4, "top", 3, peak=1, activation=3.0)
    | {"scale": 3.0}
    | {"pos": [0, 1, 2], "q": [-30, 127, -100]},
    _example(4, "zero", 5, peak=0, activation=0.0) | {"scale": 1.0, "pos": [1], "q": [-127]},
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("store")
    publish(folder, examples=EXAMPLES)
    return Store(folder)


def marked(store: Store, features: object = ALL, **changes: object) -> list[int]:
    return [mark.feature for mark in store.marks(replace(QUERY, **changes), features)]


# marks


def test_marks_say_density_and_maximum(store: Store) -> None:
    assert store.marks(QUERY, [4, 0]) == (FeatureMark(0, 0.05, 2.0), FeatureMark(4, 0.5, 7.0))


def test_marks_stand_by_number_and_once(store: Store) -> None:
    assert marked(store, [4, 0, 2, 0, 4]) == [0, 2, 4]
    assert marked(store, sort="max_activation") == [0, 1, 2, 4]
    assert marked(store, []) == []


def test_a_dead_feature_is_marked_only_if_the_dead_are_asked_for(store: Store) -> None:
    assert marked(store, [3]) == []
    (mark,) = store.marks(replace(QUERY, include_dead=True), [3])
    assert mark == FeatureMark(3, 0.0, None)
    assert marked(store, flags=frozenset({Flag.DEAD})) == [3]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"ranges": (("max_activation", 2.0, 7.0),)}, [0, 2, 4]),
        ({"ranges": (("max_activation", 2.0, 7.0), ("feature", 1, None))}, [2, 4]),
        ({"flags": frozenset({Flag.DENSE})}, [4]),
        ({"flags": frozenset({Flag.NONFINITE}), "include_dead": True}, [4]),
        ({"token": "cat"}, [0, 1]),
        ({"token": '" cat"'}, [1]),
        ({"token": "dog", "role": "suppresses"}, [2]),
        ({"token": "dog", "role": "peaks on", "include_dead": True}, [1]),
        ({"token": "dog", "ranges": (("density", 0.02, None),)}, [0]),
        ({"token": "no such token"}, []),
    ],
)
def test_marks_are_of_those_that_the_query_keeps(
    store: Store, changes: dict, wanted: list[int]
) -> None:
    assert marked(store, **changes) == wanted
    listed = store.features(replace(QUERY, **changes)).rows
    assert wanted == sorted(row.feature for row in listed)
    assert marked(store, wanted[:1], **changes) == wanted[:1]
    assert marked(store, set(ALL) - set(wanted), **changes) == []


def test_numbers_that_are_none_of_the_dictionarys_are_left_out(store: Store) -> None:
    assert marked(store, [*UNKNOWN, 4, 5, *UNKNOWN]) == [4]
    assert list(store.summaries("one", [*UNKNOWN, 4, 5, *UNKNOWN])) == [4]
    assert marked(store, UNKNOWN) == []
    assert store.summaries("one", UNKNOWN) == {}


@pytest.mark.parametrize("dtype", [np.int64, np.uint32])
def test_numpys_numbers_are_numbers(store: Store, dtype: type) -> None:
    numbers = np.array([4, 0, 3], dtype=dtype)
    assert marked(store, numbers) == [0, 4]
    assert sorted(store.summaries("one", numbers)) == [0, 3, 4]
    assert store.context("one", numbers[2]).context == 3
    assert store.activations_on("one", numbers[2]) == store.activations_on("one", 3)
    assert store.feature("one", numbers[1]) == store.feature("one", 0)
    assert store.bands("one", numbers[1], "top") == store.bands("one", 0, "top")


def test_a_bad_query_is_not_blamed_on_the_file(store: Store) -> None:
    for changes in ({"sort": "x"}, {"ranges": (("density", float("nan"), None),)}):
        with pytest.raises(StoreError) as caught:
            marked(store, **changes)
        assert not isinstance(caught.value, DamagedStore)


# summaries


def test_summaries_are_the_rows_of_the_table(store: Store) -> None:
    rows = store.features(replace(QUERY, include_dead=True)).rows
    assert store.summaries("one", [4, 1, 0, 3, 2, 1]) == {row.feature: row for row in rows}
    assert store.summaries("one", [1, 3]) == {row.feature: row for row in rows if row.feature % 2}
    assert store.summaries("one", []) == {}


# contexts


def test_a_context(store: Store) -> None:
    assert store.context("one", 3) == StoredContext(
        3, "a.txt", 0, ("cat", "dog", " cat"), (0, 3, 1)
    )
    # a token twice is there twice
    assert store.context("one", 5) == StoredContext(5, "b.txt", 8, ("\n", "\n"), (4, 4))


@pytest.mark.parametrize("context", [0, 4, 33, *UNKNOWN])
def test_a_context_that_no_feature_refers_to_is_told(store: Store, context: int) -> None:
    with pytest.raises(StoreError, match=f"'one' holds no context {context}. .* of 34: ") as caught:
        store.context("one", context)
    assert not isinstance(caught.value, DamagedStore)
    assert store.activations_on("one", context) == ()


def test_activations_on_a_context(store: Store) -> None:
    silent_token, silent_context, signed = store.activations_on("one", 3)[1:]
    assert silent_token == StoredActivations(1, 9.0, {2: 9.0}, frozenset({1}))
    assert silent_context == StoredActivations(2, 0.0, {}, frozenset({0}))
    # every sampled position is exact, whichever example the others are read from
    assert (signed.feature, signed.scale, signed.exact) == (4, 3.0, {0, 1})
    assert signed.activations == {0: pytest.approx(-0.7), 1: 3.0, 2: -100 / 127 * 3}


def test_examples_of_one_context_are_joined(store: Store) -> None:
    first, last = store.activations_on("one", 5)
    assert first == StoredActivations(0, 1.0, {0: 0.5, 1: 1.0}, frozenset({0, 1}))
    assert last == StoredActivations(4, 1.0, {1: -1.0}, frozenset({0}))


def test_every_example_is_there(store: Store) -> None:
    for context in (3, 5):
        found = store.activations_on("one", context)
        mine = [example for example in EXAMPLES if example["context"] == context]
        assert [one.feature for one in found] == sorted({row["feature"] for row in mine})
        for one in found:
            peaks = {row["peak"]: row for row in mine if row["feature"] == one.feature}
            assert one.exact == peaks.keys()
            for peak, row in peaks.items():
                assert one.activations.get(peak, 0.0) == np.float32(row["activation"])


# What all share


METHODS = [
    lambda store, name: store.marks(FeatureQuery(name), [0]),
    lambda store, name: store.summaries(name, [0]),
    lambda store, name: store.context(name, 3),
    lambda store, name: store.activations_on(name, 3),
]


@pytest.mark.parametrize("ask", METHODS)
def test_no_answer_of_what_is_not_there_or_broken(
    tmp_path: Path, ask: Callable[[Store, str], object]
) -> None:
    path = publish(tmp_path)
    own = Store(tmp_path)
    before = ask(own, "one")
    with pytest.raises(UnknownDictionary, match=r"It has: one\."):
        ask(own, "one'; drop table features; --")
    path.with_name("run0.duckdb").write_bytes(path.read_bytes()[:5000])
    assert ask(own, "one") == before  # the whole file stands in
    path.unlink()
    with pytest.raises(DamagedStore, match="Delete it and build the dictionary again"):
        ask(own, "one")
    own.close()


def test_a_context_is_that_of_the_newest_run(tmp_path: Path) -> None:
    publish(tmp_path)
    own = Store(tmp_path)
    assert own.context("one", 3).token_ids == (0, 3, 1)
    contexts = [row | {"tokens": [7]} for row in ROWS["contexts"]]
    publish(tmp_path, run_id="run2", built_at="2026-02-01", contexts=contexts, examples=[])
    assert own.context("one", 3).tokens == (TOKENS[7],)
    assert own.activations_on("one", 3) == ()
    own.close()
