from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from featurestore.checkpoints import (
    can_follow_numbers,
    numbers_persist,
    read_checkpoints,
    share_nearest_own,
    spread,
    stages,
    step_names,
    training_order,
)
from featurestore.records import DictionaryInfo
from featurestore.store import Store
from featurestore.track_records import Beside, Checkpoints
from tests.app.compare.made_up import INFO
from tests.tracked_store import write_tracked


def info(name: str, step: int | None = None, model_step: int | None = None) -> DictionaryInfo:
    return replace(INFO, dictionary_id=name, step=step, model_step=model_step, family="run")


def ids(infos: tuple[DictionaryInfo, ...]) -> list[str]:
    return [one.dictionary_id for one in infos]


def test_few_of_many_steps_are_spread_evenly() -> None:
    assert spread(5, 5) == (0, 1, 2, 3, 4)
    assert spread(101, 5) == (0, 25, 50, 75, 100)
    for around in (0, 1, 50, 99, 100):
        places = spread(101, 16, around)
        assert len(places) <= 16 and len(places) >= 14
        assert {0, 100, around} <= set(places)
        assert {p for p in (around - 1, around + 1) if 0 <= p <= 100} <= set(places)
        assert max(np.diff(places)) <= 9


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tracked(tmp_path_factory.mktemp("tracked"))


def read(folder: Path) -> Checkpoints:
    infos = training_order(Store(folder).catalogue().dictionaries)
    return read_checkpoints(infos, Store(folder).pairs.beside)


def test_order_is_that_of_steps_as_numbers() -> None:
    late, early, first = info("a", 1000, 5), info("b", 250, 5), info("c")
    assert ids(training_order([late, early, first])) == ["c", "b", "a"]
    checkpoints = [info("x", 1500, 2000), info("y", 1500, 1000), info("z", 4000, 4000)]
    assert ids(training_order(checkpoints)) == ["y", "x", "z"]


def test_steps_are_named_by_what_tells_them_apart() -> None:
    assert step_names([info("a", 250, 5), info("b", 1000, 5)]) == ("step", ("250", "1,000"))
    assert step_names([info("a", 9, 10), info("b", 9, 20)]) == ("model step", ("10", "20"))
    assert step_names([info("a", 9), info("b", 9)]) == ("dictionary", ("a", "b"))
    assert step_names([info("a", 9), info("b")]) == ("dictionary", ("a", "b"))


def test_consecutive_pairs_and_each_with_the_last_are_asked_for_once() -> None:
    asked = []
    pair = Beside(np.zeros((1, 5), int), np.ones((1, 5)), None)

    def beside(one: DictionaryInfo, other: DictionaryInfo) -> tuple[Beside, Beside]:
        asked.append((one.dictionary_id, other.dictionary_id))
        return pair, pair

    found = read_checkpoints([info(name) for name in "abcd"], beside)
    assert asked == [("a", "b"), ("b", "c"), ("c", "d"), ("a", "d"), ("b", "d")]
    assert len(found.onward) == len(found.final) == 3
    assert found.missing == found.problems == ()


def test_what_was_not_compared_is_named(folder: Path, tmp_path: Path) -> None:
    store = write_tracked(tmp_path)
    (store / "pairs" / "run-t1--run-t3.duckdb").unlink()
    (store / "pairs" / "run-t1--run-t2.duckdb").write_bytes(b"nothing")
    found = read(store)
    assert found.missing == (("t1", "t3"),)
    assert len(found.problems) == 1 and "run-t1--run-t2" in found.problems[0]
    assert [pair is None for pair in found.onward] == [True, False]
    assert [pair is None for pair in found.final] == [True, False]
    assert read(folder).missing == ()


def test_numbers_mean_something_in_one_family_of_one_size() -> None:
    same = [info("a"), info("b")]
    assert can_follow_numbers(same)
    assert not can_follow_numbers([same[0], replace(same[1], n_features=9)])
    assert not can_follow_numbers([same[0], replace(same[1], family="other")])
    assert not can_follow_numbers([replace(one, family=None) for one in same])


def test_numbers_persist_if_most_are_nearest_to_their_own() -> None:
    def pair(*nearest: int) -> tuple[Beside, Beside]:
        one = Beside(np.array([[n, -1, -1, -1, -1] for n in nearest]), np.ones((4, 5)), None)
        return one, one

    assert share_nearest_own(pair(0, 1, -1, 2)) == pytest.approx(2 / 3)  # of those with a length
    assert numbers_persist([pair(0, 1, 2, 0), None])
    assert not numbers_persist([pair(0, 1, 2, 3), pair(0, 1, 3, 2)])  # half is not most
    assert not numbers_persist([None])
    assert np.isnan(share_nearest_own(pair(-1, -1, -1, -1)))
    assert not numbers_persist([pair(-1, -1, -1, -1)])


def test_a_feature_at_every_step(folder: Path) -> None:
    known = Store(folder)
    t1, t2, t3 = (known.dictionary(name) for name in ("t1", "t2", "t3"))
    besides = [Store(folder).pairs.beside(t2, t1)[0], None, Store(folder).pairs.beside(t2, t3)[0]]
    before, here, after = stages(1, 1, besides, "number")
    assert (before.feature, before.how, before.cosine) == (1, "number", pytest.approx(0.95))
    assert before.correlation == pytest.approx(0.95 / 2)
    assert (here.feature, here.how, here.cosine) == (1, "itself", None)
    assert after.cosine == pytest.approx(0.5)
    on, _, off = stages(1, 1, besides, "match", (1, 1, -1))
    assert (on.how, off.how, off.feature) == ("track", "match", 1)
    unmatched, _, _ = stages(1, 4, besides, "match")
    assert (unmatched.feature, unmatched.cosine) == (None, None)
    gone, _, _ = stages(1, 4, besides, "number")  # it has no length there
    assert (gone.feature, gone.cosine) == (4, None)


def test_a_feature_where_nothing_was_compared() -> None:
    number, _ = stages(1, 7, [None, None], "number")
    assert (number.feature, number.how, number.cosine) == (7, "missing", None)
    match, _ = stages(1, 7, [None, None], "match")
    assert (match.feature, match.how) == (None, "missing")
