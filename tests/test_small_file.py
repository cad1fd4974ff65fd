from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from featurestore import small_file
from featurestore.errors import BuildFailed
from featurestore.small_file import write_whole
from featurestore.two_runs import TwoRunsFile, read_info


class Numbers(TwoRunsFile[tuple[int, str]]):
    """A kind of file made up for these tests."""

    schema_version = 7
    schema = """
        create table one (schema_version integer, y integer); create table many (x integer);
    """
    about = "one"
    content = "many"

    @staticmethod
    def said(row: dict[str, Any]) -> tuple[int, str]:
        return row["y"], row["path"]


def write(folder: Path, many: pa.Table | None = None) -> Path:
    path = folder / "there" / "a.duckdb"
    (folder / "work").mkdir(exist_ok=True)
    rows = pa.table({"x": [1, 2]}) if many is None else many
    write_whole(Numbers, path, folder / "work", {"y": 3}, rows)
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = write(tmp_path)
    with duckdb.connect(str(path), read_only=True) as connection:
        assert connection.sql("from many").fetchall() == [(1,), (2,)]
        assert connection.sql("from one").fetchall() == [(7, 3)]
    assert read_info(Numbers, path) == (3, str(path))
    assert [p.name for p in tmp_path.rglob("*.duckdb*")] == [path.name]


def test_a_row_that_does_not_fit_leaves_the_older_file(tmp_path: Path) -> None:
    path = write(tmp_path)
    before = path.read_bytes()
    with pytest.raises(BuildFailed, match="(?s)writing .* stopped: .*The store is as it was"):
        write(tmp_path, pa.table({"no column": [1]}))
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
