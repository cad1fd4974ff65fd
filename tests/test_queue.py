"""A queue: what is said of a feature takes it out of the list that one walks through."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from featurestore.annotations.records import NO_VERDICT, Verdict
from featurestore.listing import Remarks
from featurestore.records import FeatureQuery
from featurestore.store import Store
from tests.said import PLAIN, Said


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def store(synthetic_store: Path, said: Said) -> Iterable[Store]:
    remarks: Remarks = said
    store = Store(synthetic_store, remarks)
    yield store
    store.close()


def listed(store: Store, query: FeatureQuery) -> list[int]:
    return [row.feature for row in store.features(query, limit=1000).rows]


def walk(store: Store, said: Said, query: FeatureQuery, skipped: set[int]) -> list[int]:
    """Judge one feature after the other, and go on by Next from where it was."""
    (first,) = store.features(query, limit=1).rows
    visited, feature, n_kept = [], first.feature, store.features(query, limit=0).n_kept
    while feature is not None and len(visited) < 200:
        visited.append(feature)
        if feature not in skipped:
            said.judged[feature] = Verdict.UNSURE
            n_kept -= 1
        place = store.place(query, feature)
        assert place.n_kept == n_kept
        assert (place.place is None) == (feature not in skipped)
        kept = [f for f in visited[:-1] if f in skipped]
        assert place.previous == (kept[-1] if kept else None)
        feature = place.next
    return visited


@pytest.mark.parametrize("skipped", [set(), {4, 9, 10, 11, 119}])
@pytest.mark.parametrize("sort", ["random", "n_active", "max_activation", "decoder_norm"])
def test_a_queue_is_visited_once_in_order(
    store: Store, said: Said, sort: str, skipped: set[int]
) -> None:
    query = replace(PLAIN, sort=sort, verdicts=frozenset({NO_VERDICT}), seed=2)
    queue = listed(store, query)
    assert len(queue) == 90
    assert walk(store, said, query, skipped) == queue
    assert listed(store, query) == [f for f in queue if f in skipped]


def test_a_label_that_no_longer_matches_keeps_its_neighbours(store: Store, said: Said) -> None:
    query = replace(PLAIN, text="line", within="annotations", sort="feature", descending=False)
    queue = listed(store, query)
    assert queue == [2, 12, 22, 32, 42, 52]
    said.said = [(f, part, text) for f, part, text in said.said if f != 12]
    place = store.place(query, 12)
    assert (place.place, place.n_kept, place.previous, place.next) == (None, 5, 2, 22)


def test_what_the_file_leaves_out_has_the_whole_list_after_it(store: Store) -> None:
    query = replace(
        PLAIN, ranges=(("feature", 10, None),), verdicts=frozenset({NO_VERDICT}), sort="feature"
    )
    assert store.place(query, 5).next == 119
    assert store.place(query, 5).place is None
    found = store.place(replace(query, text="no such text"), 20)
    assert (found.place, found.n_kept, found.previous, found.next) == (None, 0, None, None)
