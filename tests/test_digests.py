import math
import random
from pathlib import Path

import pyarrow as pa
import pytest

from featurestore.digests import file_digest, folder_digest, table_digest

SCHEMA = pa.schema(
    {
        "key": pa.int32(),
        "text": pa.string(),
        "number": pa.float32(),
        "flag": pa.bool_(),
        "list": pa.list_(pa.int16()),
    }
)
ROWS = [
    {"key": 0, "text": "a", "number": 0.0, "flag": True, "list": [1, 2]},
    {"key": 1, "text": "", "number": None, "flag": None, "list": []},
    {"key": 2, "text": None, "number": 1.5, "flag": False, "list": None},
    {"key": 3, "text": "b\0é", "number": math.nan, "flag": True, "list": [3]},
]


def digest(rows: list[dict], batch: int = 100) -> tuple[int, str]:
    table = pa.Table.from_pylist(rows, SCHEMA)
    return table_digest(pa.RecordBatchReader.from_batches(SCHEMA, table.to_batches(batch)))


def changed(row: int, **cells: object) -> list[dict]:
    return [{**r, **cells} if i == row else r for i, r in enumerate(ROWS)]


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_the_size_of_batches_changes_nothing(batch: int) -> None:
    assert digest(ROWS, batch) == digest(ROWS)
    assert digest(ROWS)[0] == 4


def test_an_empty_table_has_one_digest() -> None:
    no_batch = pa.RecordBatchReader.from_batches(SCHEMA, [])
    empty = pa.RecordBatch.from_pylist([], SCHEMA)
    one_empty_batch = pa.RecordBatchReader.from_batches(SCHEMA, [empty])
    assert table_digest(no_batch) == table_digest(one_empty_batch)


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        (0, {"key": 7}),
        (0, {"text": "b"}),
        (0, {"number": None}),  # null is not 0
        (0, {"number": -0.0}),  # bits count
        (0, {"flag": None}),
        (0, {"flag": False}),
        (0, {"list": [2, 1]}),
        (0, {"list": [1]}),
        (1, {"text": None}),  # null is not the empty text
        (1, {"list": None}),  # nor the empty list
        (2, {"list": []}),
        (3, {"text": "b\0e\u0301"}),
        (3, {"number": 1.0}),
        (3, {"list": [None]}),
    ],
)
def test_every_cell_counts(row: int, cells: dict) -> None:
    assert digest(changed(row, **cells)) != digest(ROWS)


def test_borders_between_cells_count() -> None:
    def texts(*values: str) -> tuple[int, str]:
        return digest([{**ROWS[0], "text": value} for value in values])

    def lists(*values: list[int]) -> tuple[int, str]:
        return digest([{**ROWS[0], "list": value} for value in values])

    assert texts("ab", "c") != texts("a", "bc")
    assert lists([1, 2], [3]) != lists([1], [2, 3])
    assert digest(ROWS) != digest(ROWS[::-1])


def test_the_names_of_columns_count() -> None:
    def named(name: str) -> tuple[int, str]:
        return table_digest(pa.table({name: [1]}).to_reader())

    assert named("a") != named("b")


def test_any_single_change_of_random_rows_shows() -> None:
    rng = random.Random(0)
    lists = [None, [], [0], [1], [0, 0], [None]]
    rows = [{**ROWS[0], "key": i, "list": rng.choice(lists)} for i in range(50)]
    for _ in range(50):
        i, new = rng.randrange(50), rng.choice(lists)
        other = [{**row, "list": new} if row["key"] == i else row for row in rows]
        assert (digest(other, rng.randint(1, 60)) == digest(rows)) == (new == rows[i]["list"])


def test_a_folder_is_its_names_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a.txt").write_text("1")
    (tmp_path / "b" / "c.txt").write_text("2")
    first = folder_digest(tmp_path)
    assert folder_digest(tmp_path) == first
    assert folder_digest(tmp_path, "*.py") != first
    (tmp_path / "b" / "c.txt").rename(tmp_path / "b" / "d.txt")
    renamed = folder_digest(tmp_path)
    (tmp_path / "a.txt").write_text("3")
    assert len({first, renamed, folder_digest(tmp_path)}) == 3
    # sha256 of "3", as `printf 3 | sha256sum` gives it
    assert file_digest(tmp_path / "a.txt").startswith("4e07408562bedb8b60ce05c1decfe3ad16b7223")
