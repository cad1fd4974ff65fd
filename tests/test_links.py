from pathlib import Path

import duckdb
import pytest

from featurestore.errors import DamagedStore, UnknownDictionary, UnknownFeature
from featurestore.link_records import Link
from featurestore.links import LinkFile
from featurestore.store import Store
from featurestore.two_runs import read_info
from tests.made_up_links import write_links
from tests.small_store import publish

RUNS = {"one": "run1", "two": "run2", "three": "run3"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """`one` and `three` feed `two`, `three` from further up."""
    for name, run_id in RUNS.items():
        publish(tmp_path, name, run_id)
    for name, place in (("one", 12), ("three", 6)):
        write_links(tmp_path, (name, RUNS[name]), ("two", "run2"), place=place)
    return Store(tmp_path)


def test_what_a_feature_feeds_and_what_feeds_it(store: Store) -> None:
    found = store.links.of("one", 0)
    (table,) = found.feeds
    assert found.fed_by == found.problems == ()
    assert (table.own.dictionary_id, table.other.dictionary_id) == ("one", "two")
    assert table.links == (
        Link(0, 2, -3.5, -0.5, -0.25, False, 0, None, None),
        Link(1, 1, 2.0, 0.75, 0.95, True, 40, 1.5, 0.5),
    )
    fed = store.links.of("two", 1)
    assert fed.feeds == ()
    assert [table.other.dictionary_id for table in fed.fed_by] == ["three", "one"]  # as they stand
    assert [table.links[0].other for table in fed.fed_by] == [0, 0]


def test_a_feature_without_links_has_no_tables(store: Store) -> None:
    found = store.links.of("two", 0)
    assert found.fed_by == found.feeds == found.problems == ()
    with pytest.raises(UnknownFeature):
        store.links.of("two", 5)
    with pytest.raises(UnknownDictionary):
        store.links.of("four", 0)


def test_files_are_counted_without_being_opened(store: Store) -> None:
    for path in (store.folder / "links").iterdir():
        path.write_bytes(b"nothing")
    assert [len(paths) for paths in store.links.paths("two")] == [2, 0]
    assert [len(paths) for paths in store.links.paths("one")] == [0, 1]


def test_links_are_those_of_the_runs_that_are_served(store: Store) -> None:
    assert len(store.links.all().links) == 2
    publish(store.folder, "one", "run4", built_at="2027-01-01")
    assert store.links.of("one", 0).feeds == ()
    assert [table.other.dictionary_id for table in store.links.of("two", 1).fed_by] == ["three"]
    assert [link.upstream.dictionary_id for link in store.links.all().links] == ["three"]


def test_a_file_that_cannot_be_read_is_a_problem(store: Store) -> None:
    path = store.folder / "links" / "run3--run2.duckdb"
    path.write_bytes(b"nothing")
    found = store.links.of("two", 1)
    assert [table.other.dictionary_id for table in found.fed_by] == ["one"]
    (problem,) = found.problems
    assert str(path) in problem and "Delete it and link the two dictionaries again" in problem
    assert store.links.all().problems == found.problems


def test_a_file_that_is_written_anew_is_read_anew(store: Store) -> None:
    assert store.links.of("one", 0).feeds[0].links[1].weight == 2
    changed = [("upstream", 0, 0, 1, 9.0, 0.75, 0.95, True, None, None, None)]
    write_links(store.folder, ("one", "run1"), ("two", "run2"), changed)
    assert store.links.of("one", 0).feeds[0].links[0].weight == 9


def spoil(path: Path, statement: str) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute(statement)


def test_what_a_file_says_of_its_ends(tmp_path: Path) -> None:
    found = read_info(LinkFile, write_links(tmp_path, ("one", "run1"), ("two", "run2")))
    assert (found.upstream.dictionary_id, found.downstream.run_id) == ("one", "run2")
    assert (found.downstream.hook_name, found.downstream.place) == ("blocks.3.hook_resid_post", 24)
    assert (found.reading, found.n_tokens, found.why_not) == ("stream", 100, None)


def test_other_versions_and_incomplete_files_are_told(tmp_path: Path) -> None:
    path = write_links(tmp_path, ("one", "run1"), ("two", "run2"))
    spoil(path, "update link set schema_version = 0")
    with pytest.raises(DamagedStore, match=f"program reads {LinkFile.schema_version}. Link"):
        read_info(LinkFile, path)
    spoil(path, "delete from link")
    with pytest.raises(DamagedStore, match="it has no manifest. Delete it and link the two"):
        read_info(LinkFile, path)
    path.write_bytes(b"nothing")
    with pytest.raises(DamagedStore, match="cannot be read"):
        read_info(LinkFile, path)
