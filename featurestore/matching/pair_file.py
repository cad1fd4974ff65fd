"""Write one pair's file, whole or not at all."""

import os
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from featurestore.errors import BuildFailed
from featurestore.pairs import SCHEMA_VERSION
from featurestore.store_file import connected
from featurestore.writer import SETTINGS, force_to_disk

SCHEMA = (Path(__file__).parent.parent / "pair_schema.sql").read_text(encoding="utf-8")
_INSERT_MATCHES = "insert into matches by name from incoming"
_INSERT_PAIR = "insert into pair by name from incoming"


def write_pair(path: Path, folder: Path, pair: dict[str, Any], matches: pa.Table) -> None:
    """Write a pair's two tables to a file in `folder`, then move it into its place.

    `pair` gives every column of that table but `schema_version`.

    Raises:
        BuildFailed: the disk is full, or a table does not fit.
    """
    unfinished = folder / path.name
    try:
        connection = connected(unfinished, SETTINGS, "write")
        try:
            connection.execute(SCHEMA)
            connection.register("incoming", matches)
            connection.execute(_INSERT_MATCHES)
            row = pa.Table.from_pylist([pair | {"schema_version": SCHEMA_VERSION}])
            connection.register("incoming", row)
            connection.execute(_INSERT_PAIR)
            connection.execute("checkpoint")
        finally:
            connection.close()
        path.parent.mkdir(parents=True, exist_ok=True)
        force_to_disk(unfinished)
        os.replace(unfinished, path)
        force_to_disk(path.parent)
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        raise BuildFailed(
            f"writing {path} stopped: {error}. The store is as it was; free space or mend the "
            "cause, then run the same command again."
        ) from error
