from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from featurestore import small_file
from featurestore.errors import BuildFailed
from featurestore.small_file import write_whole

SCHEMA = "create table first (x integer); create table last (y integer);"
INSERTS = {
    "insert into first by name from incoming": pa.table({"x": [1, 2]}),
    "insert into last by name from incoming": pa.table({"y": [3]}),
}


def write(folder: Path, **changes: pa.Table) -> Path:
    path = folder / "there" / "a.duckdb"
    (folder / "work").mkdir(exist_ok=True)
    inserts = {statement: changes.get(statement[12:17], t) for statement, t in INSERTS.items()}
    write_whole(path, folder / "work", SCHEMA, inserts)
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = write(tmp_path)
    with duckdb.connect(str(path), read_only=True) as connection:
        assert connection.sql("from first").fetchall() == [(1,), (2,)]
        assert connection.sql("from last").fetchall() == [(3,)]
    assert [p.name for p in tmp_path.rglob("*.duckdb*")] == [path.name]


def test_a_row_that_does_not_fit_leaves_the_older_file(tmp_path: Path) -> None:
    path = write(tmp_path)
    before = path.read_bytes()
    with pytest.raises(BuildFailed, match="(?s)writing .* stopped: .*The store is as it was"):
        write(tmp_path, first=pa.table({"no column": [1]}))
    assert path.read_bytes() == before


def test_a_disk_that_is_full_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(small_file, "force_to_disk", full)
    with pytest.raises(BuildFailed, match="No space left on device"):
        write(tmp_path)
    assert list((tmp_path / "there").iterdir()) == []
