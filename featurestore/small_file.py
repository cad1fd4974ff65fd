"""Write a file about two dictionaries, whole or not at all."""

import os
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from featurestore.errors import BuildFailed
from featurestore.store_file import for_writing, quoted
from featurestore.two_runs import TwoRunsFile
from featurestore.writer import SETTINGS, force_to_disk


def write_whole(
    kind: type[TwoRunsFile], path: Path, folder: Path, about: dict[str, Any], content: pa.Table
) -> None:
    """Write the two tables of a kind of file in `folder`, then move the file into its place.

    `about` gives every column of its table but `schema_version`.

    Raises:
        BuildFailed: the disk is full, or a table does not fit.
    """
    unfinished = folder / path.name
    row = pa.Table.from_pylist([about | {"schema_version": kind.schema_version}])
    try:
        connection = for_writing(unfinished, SETTINGS)
        try:
            connection.execute(kind.schema)
            for table, rows in ((kind.content, content), (kind.about, row)):
                connection.register("incoming", rows)
                connection.execute(f"insert into {quoted(table)} by name from incoming")
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
