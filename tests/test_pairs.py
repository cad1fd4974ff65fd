from pathlib import Path

import pyarrow as pa
import pytest

from featurestore.errors import (
    MatchError,
    NotCompared,
    StoreError,
    UnknownDictionary,
    UnknownFeature,
)
from featurestore.pair_file import PairFile
from featurestore.small_file import write_whole
from featurestore.store import Store
from tests.small_store import publish
from tests.test_pair_file import PAIR

COLUMNS = ("side", "feature", "rank", "other", "cosine", "is_matched", "correlation")
ROWS = [
    ("a", 0, 0, 2, 0.5, False, 0.1),
    ("a", 0, 1, 1, 0.25, True, None),
    ("a", 1, 0, None, None, False, None),
    ("a", 2, 0, 3, 0.5, True, -0.5),
    ("a", 2, None, 4, -0.5, True, None),
    ("a", 3, 0, 1, 0.75, False, 0.9),
    ("b", 1, 0, 3, 0.75, False, 0.9),
    ("b", 3, 0, 2, 0.5, True, -0.5),
]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two dictionaries, compared; a third is not."""
    for name, run_id in (("one", "run1"), ("two", "run2"), ("three", "run3")):
        publish(tmp_path, name, run_id)
    rows = pa.Table.from_pylist([dict(zip(COLUMNS, row, strict=True)) for row in ROWS])
    write_whole(PairFile, tmp_path / "pairs" / "run1--run2.duckdb", tmp_path / "work", PAIR, rows)
    return Store(tmp_path)


def features(store: Store, *arguments: object, **options: object) -> list[tuple]:
    page = store.pairs.matches("one", "two", *arguments, **options)
    return [(row.feature, row.other) for row in page.rows]


def test_lists_are_sorted_and_unknowns_are_last(store: Store) -> None:
    assert features(store) == [(3, 1), (0, 2), (2, 3), (1, None)]
    assert features(store, descending=False) == [(0, 2), (2, 3), (3, 1), (1, None)]
    assert features(store, sort="correlation") == [(3, 1), (0, 2), (2, 3), (1, None)]
    assert features(store, sort="correlation", descending=False)[:3] == [(2, 3), (0, 2), (3, 1)]
    assert features(store, "matched") == [(2, 3), (0, 1), (2, 4)]
    assert features(store, "unmatched") == [(3, 1), (1, None)]


def test_lists_come_by_the_page(store: Store) -> None:
    page = store.pairs.matches("one", "two", limit=2, offset=1)
    assert ([row.feature for row in page.rows], page.n_kept) == ([0, 2], 4)
    assert store.pairs.matches("one", "two", limit=0).n_kept == 4
    assert store.pairs.matches("one", "two", offset=9).n_kept == 4


def test_a_bound_keeps_what_is_less_alike(store: Store) -> None:
    page = store.pairs.matches("one", "two", below=0.75)  # without a cosine a feature is not unlike
    assert [(row.feature, row.cosine) for row in page.rows] == [(0, 0.5), (2, 0.5)]
    assert page.n_kept == store.pairs.matches("one", "two", below=0.75, limit=0).n_kept == 2
    assert features(store, below=0.76) == [(3, 1), (0, 2), (2, 3)]
    assert features(store, "matched", below=0.0) == [(2, 4)]


def test_counts_are_those_of_the_file_that_is_there(store: Store) -> None:
    assert store.pairs.matches("one", "two", limit=0).n_kept == 4
    path = store.folder / "pairs" / "run1--run2.duckdb"
    path.unlink()
    row = dict(zip(COLUMNS, ROWS[0], strict=True))
    write_whole(PairFile, path, store.folder / "work", PAIR, pa.Table.from_pylist([row]))
    assert store.pairs.matches("one", "two", limit=0).n_kept == 1


def test_matches_of_one_number_are_counted(store: Store) -> None:
    """Of (2, 3), (0, 1) and (2, 4), none; the nearest of one number that is no match is none."""
    assert store.pairs.n_same_number("one", "two") == 0
    path = store.folder / "pairs" / "run1--run2.duckdb"
    path.unlink()
    rows = [dict(zip(COLUMNS, ROWS[0], strict=True)) for _ in range(4)]
    for feature, other, is_matched, row in zip(
        (0, 1, 2, 3), (0, 1, 1, 3), (True, True, True, False), rows, strict=True
    ):
        row |= {"feature": feature, "other": other, "is_matched": is_matched}
    rows += [row | {"side": "b"} for row in rows]
    write_whole(PairFile, path, store.folder / "work", PAIR, pa.Table.from_pylist(rows))
    assert store.pairs.n_same_number("one", "two") == store.pairs.n_same_number("two", "one") == 2


def test_each_side_has_its_own_list(store: Store) -> None:
    found = store.pairs.matches("two", "one")
    assert [(row.feature, row.other) for row in found.rows] == [(1, 3), (3, 2)]
    assert store.pairs.info("two", "one") == store.pairs.info("one", "two")


def test_all_of_a_feature(store: Store) -> None:
    assert [(m.rank, m.other) for m in store.pairs.nearest("one", 2, "two")] == [(0, 3), (None, 4)]
    assert [m.other for m in store.pairs.nearest("two", 3, "one")] == [2]
    with pytest.raises(UnknownFeature):
        store.pairs.nearest("one", 5, "two")


@pytest.mark.parametrize("bad", [{"kind": "x"}, {"sort": "1; drop table pair"}, {"limit": -1}])
def test_lists_that_there_are_not(store: Store, bad: dict) -> None:
    with pytest.raises(StoreError, match="No list|No page"):
        store.pairs.matches("one", "two", **bad)


def test_pairs_are_those_of_the_runs_that_are_served(store: Store) -> None:
    (pair,) = store.pairs.all().pairs
    assert (pair.a.run_id, pair.b.run_id, pair.d_out) == ("run1", "run2", 4)
    publish(store.folder, "two", "run4", built_at="2027-01-01")
    assert store.pairs.all().pairs == store.pairs.all().problems == ()
    with pytest.raises(NotCompared, match="python -m featurestore match one two --store"):
        store.pairs.info("one", "two")
    with pytest.raises(NotCompared):
        store.pairs.matches("one", "three")
    with pytest.raises(UnknownDictionary):
        store.pairs.matches("one", "four")


def test_names_of_pairs_and_those_of_one_family(store: Store) -> None:
    assert store.pairs.compared() == (("one", "two"),)
    infos = store.catalogue().dictionaries
    beside = {
        (a.dictionary_id, b.dictionary_id) for a in infos for b in store.pairs.compared_with(a)
    }
    assert beside == {("one", "two"), ("two", "one")}
    assert store.pairs.all(of_families=True).pairs == ()
    for name, run_id in (("one", "run5"), ("two", "run6")):
        publish(store.folder, name, run_id, "2027-01-01", family="kin")
    assert store.pairs.compared() == ()
    rows = pa.Table.from_pylist([dict(zip(COLUMNS, ROWS[0], strict=True))])
    path = store.folder / "pairs" / "run5--run6.duckdb"
    write_whole(PairFile, path, store.folder / "work", PAIR, rows)
    assert len(store.pairs.all(of_families=True).pairs) == 1


def test_what_cannot_be_compared_says_why(store: Store) -> None:
    publish(store.folder, "wide", "run9", d_out=8)
    with pytest.raises(MatchError, match="they have no cosines"):
        store.pairs.info("one", "wide")
    with pytest.raises(MatchError, match="given twice"):
        store.pairs.matches("one", "one")


def test_a_file_that_cannot_be_read_is_a_problem(store: Store) -> None:
    path = store.folder / "pairs" / "run1--run3.duckdb"
    path.write_bytes(b"nothing")
    found = store.pairs.all()
    assert len(found.pairs) == len(found.problems) == 1
    assert str(path) in found.problems[0] and "Delete it" in found.problems[0]
