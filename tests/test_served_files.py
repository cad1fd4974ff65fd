"""Which files are served: the newest whole one of each dictionary."""

from pathlib import Path

import duckdb
import pytest

from featurestore import dictionary_file
from featurestore.errors import DamagedStore, UnknownDictionary
from featurestore.store import Store
from featurestore.verify import verify
from tests.small_store import ROWS, publish


def test_the_newest_run_is_served_at_once(own: Store) -> None:
    publish(own.folder, run_id="a", built_at="2026-03-01")
    assert own.dictionary("one").run_id == "a"
    changed = [row | {"n_active": row["n_active"] + 1} for row in ROWS["features"]]
    path = publish(own.folder, run_id="b", built_at="2026-04-01", features=changed)
    assert own.dictionary("one").run_id == "b"
    assert own.feature("one", 0).n_active == 6
    path.unlink()
    assert own.dictionary("one").run_id == "a"
    assert own.feature("one", 0).n_active == 5


def test_a_deleted_dictionary_is_gone_and_let_go_of(own: Store) -> None:
    (path,) = own.folder.glob("dictionaries/*/*.duckdb")
    own.feature("one", 0)
    path.unlink()
    with pytest.raises(UnknownDictionary):
        own.feature("one", 0)
    assert own._served._files._open == {}


def test_a_file_that_was_replaced_is_read_anew(own: Store) -> None:
    """DuckDB goes on serving the old bytes of a path while any connection to it is open."""
    own.feature("one", 0)
    (own.folder / "dictionaries/one/run1.duckdb").unlink()
    publish(own.folder, features=[row | {"n_active": 9} for row in ROWS["features"]])
    assert own.feature("one", 0).n_active == 9


def test_closing_is_no_end(own: Store) -> None:
    own.catalogue()
    own.close()
    assert own.feature("one", 0).feature == 0


# Files that cannot be served


def damaged(good: Path, name: str, content: bytes) -> Path:
    path = good.parents[1] / name / "run1.duckdb"
    path.parent.mkdir()
    path.write_bytes(content)
    return path


def test_a_damaged_file_is_reported_and_takes_nothing_down(own: Store) -> None:
    (good,) = own.folder.glob("dictionaries/*/*.duckdb")
    whole = good.read_bytes()
    contents = [whole[:size] for size in (0, 1, 100, 4095, 4096, 12_288, 70_000, len(whole) // 2)]
    contents += [b"<html><body>404</body></html>", b"just a text\n" * 1000, bytes(len(whole))]
    for offset in (0, 8, 20, 100):  # the header
        contents.append(whole[:offset] + bytes([whole[offset] ^ 1]) + whole[offset + 1 :])
    for i, content in enumerate(contents):
        damaged(good, f"bad-{i:02}", content)
    (good.parents[1] / "stray.txt").write_text("no folder")
    catalogue = own.catalogue()
    assert [info.dictionary_id for info in catalogue.dictionaries] == ["one"]
    assert [p.dictionary_id for p in catalogue.problems] == [
        f"bad-{i:02}" for i in range(len(contents))
    ]
    for problem in catalogue.problems:
        assert problem.path in problem.reason
        assert "Delete it and build the dictionary again" in problem.reason
    with pytest.raises(DamagedStore, match="Delete it"):
        own.feature("bad-00", 0)
    assert own.feature("one", 0).n_active == 5


def test_a_flipped_bit_is_found_or_changes_nothing(small: Store, tmp_path: Path) -> None:
    (good,) = small.folder.glob("dictionaries/*/*.duckdb")
    whole, n_found = good.read_bytes(), 0
    for i in range(40):
        offset = (2 * i + 1) * len(whole) // 80
        folder = tmp_path / f"flipped-{i}" / "dictionaries" / "one"
        folder.mkdir(parents=True)
        flipped = whole[:offset] + bytes([whole[offset] ^ 16]) + whole[offset + 1 :]
        (folder / "run1.duckdb").write_bytes(flipped)
        (finding,) = verify(folder.parents[1])
        n_found += bool(finding.faults)
        broken = Store(folder.parents[1])
        try:
            answers = [broken.feature("one", 0), broken.bands("one", 0, "top")]
            assert answers == [small.feature("one", 0), small.bands("one", 0, "top")]
        except DamagedStore as error:
            assert finding.faults
            assert "Delete it" in str(error)
        broken.close()
    assert n_found > 30


def test_other_versions_and_unfinished_files_are_problems(own: Store) -> None:
    (good,) = own.folder.glob("dictionaries/*/*.duckdb")
    changes = {
        "older": "update manifest set schema_version = 0",
        "unfinished": "delete from manifest",
        "foreign": "drop table manifest; create table manifest (a int); insert into manifest "
        "values (1)",
        "no-manifest": "drop table manifest",
        "renamed": "select 1",
    }
    for name, statement in changes.items():
        path = damaged(good, name, good.read_bytes())
        with duckdb.connect(str(path)) as connection:
            connection.execute(statement)
    reasons = {p.dictionary_id: p.reason for p in own.catalogue().problems}
    assert f"version 0; this program reads {dictionary_file.SCHEMA_VERSION}." in reasons["older"]
    assert "is not complete" in reasons["unfinished"]
    assert "schema version None" in reasons["foreign"]
    assert "cannot be read" in reasons["no-manifest"]
    assert "holds dictionary 'one'. Move it into" in reasons["renamed"]
    assert [info.dictionary_id for info in own.catalogue().dictionaries] == ["one"]


def test_an_older_run_is_served_in_place_of_a_damaged_one(own: Store) -> None:
    (own.folder / "dictionaries" / "one" / "run2.duckdb").write_bytes(b"x" * 5000)
    assert own.dictionary("one").run_id == "run1"
    assert len(own.catalogue().problems) == 1
