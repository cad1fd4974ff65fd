"""Write a small file of the store, whole or not at all."""

import os
from pathlib import Path

import duckdb
import pyarrow as pa

from featurestore.errors import BuildFailed
from featurestore.store_file import connected
from featurestore.writer import SETTINGS, force_to_disk


def write_whole(path: Path, folder: Path, schema: str, inserts: dict[str, pa.Table]) -> None:
    """Write tables to a file in `folder`, then move it into its place.

    `inserts` are statements, each with the rows that it knows as `incoming`; the manifest last.

    Raises:
        BuildFailed: the disk is full, or a table does not fit.
    """
    unfinished = folder / path.name
    try:
        connection = connected(unfinished, SETTINGS, "write")
        try:
            connection.execute(schema)
            for statement, rows in inserts.items():
                connection.register("incoming", rows)
                connection.execute(statement)
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
