from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from featurestore.errors import DamagedStore
from featurestore.pair_file import PairFile
from featurestore.small_file import write_whole
from featurestore.two_runs import read_info

SIDE = {
    "dictionary_id": "one",
    "run_id": "run1",
    "hook_name": "blocks.0.hook_resid_post",
    "n_features": 3,
    "n": 2,
    "mmcs": 0.5,
    "share_above": 0.25,
    "floor": None,
    "histogram": [1, 0, 1],
}
PAIR = {
    "a": SIDE,
    "b": SIDE | {"dictionary_id": "two", "run_id": "run2"},
    "d_out": 4,
    "is_same_model": True,
    "is_absolute": False,
    "method": "mutual",
    "n_matched": 0,
    "mean_matched": None,
    "n_tokens": None,
    "built_at": "2026-01-01T00:00:00+00:00",
}
MATCHES = [
    {"side": "a", "feature": 0, "rank": 0, "other": 1, "cosine": 0.5, "is_matched": True},
    {"side": "a", "feature": 1, "rank": 0, "other": None, "cosine": None, "is_matched": False},
]


def write(folder: Path, matches: list[dict[str, Any]] = MATCHES, **changes: object) -> Path:
    """A file of the rows above."""
    path = folder / "pairs" / "run1--run2.duckdb"
    (folder / "work").mkdir(exist_ok=True)
    write_whole(PairFile, path, folder / "work", PAIR | changes, pa.Table.from_pylist(matches))
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = write(tmp_path)
    found = read_info(PairFile, path)
    assert (found.a.dictionary_id, found.b.dictionary_id) == ("one", "two")
    assert (found.a.mmcs, found.a.floor, found.a.histogram) == (0.5, None, (1, 0, 1))
    assert (found.method, found.mean_matched, found.n_tokens) == ("mutual", None, None)
    assert found.side("two") is found.b and found.side("one") is found.a
    assert [p.name for p in tmp_path.rglob("*.duckdb*")] == [path.name]


def spoil(path: Path, statement: str) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute(statement)


def test_other_versions_and_incomplete_files_are_told(tmp_path: Path) -> None:
    path = write(tmp_path)
    spoil(path, "update pair set schema_version = 0")
    with pytest.raises(
        DamagedStore, match=f"version 0; this program reads {PairFile.schema_version}. Match"
    ):
        read_info(PairFile, path)
    spoil(path, "delete from pair")
    with pytest.raises(
        DamagedStore, match="is not complete: it has no manifest. Delete it and match"
    ):
        read_info(PairFile, path)
    spoil(path, "drop table pair")
    with pytest.raises(DamagedStore, match="cannot be read"):
        read_info(PairFile, path)
    path.write_bytes(b"nothing")
    with pytest.raises(DamagedStore, match="cannot be read"):
        read_info(PairFile, path)
