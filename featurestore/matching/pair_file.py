"""Write one pair's file."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from featurestore.pairs import SCHEMA_VERSION
from featurestore.small_file import write_whole

SCHEMA = (Path(__file__).parent.parent / "pair_schema.sql").read_text(encoding="utf-8")
_INSERT_MATCHES = "insert into matches by name from incoming"
_INSERT_PAIR = "insert into pair by name from incoming"


def write_pair(path: Path, folder: Path, pair: dict[str, Any], matches: pa.Table) -> None:
    """Write a pair's two tables, by way of a folder for what is unfinished.

    `pair` gives every column of that table but `schema_version`.

    Raises:
        BuildFailed: the disk is full, or a table does not fit.
    """
    row = pa.Table.from_pylist([pair | {"schema_version": SCHEMA_VERSION}])
    write_whole(path, folder, SCHEMA, {_INSERT_MATCHES: matches, _INSERT_PAIR: row})
