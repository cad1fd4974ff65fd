"""Write one dictionary's file, and publish it whole or not at all.

Rows are gathered in a file in the store's folder `work`. `publish` copies them in key order into a
second file, adds the manifest as the last row, forces it to disk and renames it into
`store/dictionaries/<dictionary_id>/<run_id>.duckdb`. A crash at any moment leaves the store as it
was: readers only ever see a name that stands for a complete file.
"""

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import pyarrow as pa

from featurestore.dictionary_file import KEYS, SCHEMA_VERSION
from featurestore.digests import table_digest
from featurestore.errors import BuildFailed

SCHEMA = (Path(__file__).parent / "schema.sql").read_text(encoding="utf-8")

INSERT = {table: f"insert into {table} by name from incoming" for table in [*KEYS, "manifest"]}
COPY = {
    table: f"insert into {table} from gathered.{table} order by {KEYS[table]}" for table in KEYS
}
READ = {table: f"from {table} order by {KEYS[table]}" for table in KEYS}


class StoreWriter:
    """Gathers the tables of one dictionary; a context manager that drops what is not published."""

    def __init__(self, store: Path, dictionary_id: str, run_id: str) -> None:
        folder = store / "work" / run_id
        self._gathered = folder / f"{dictionary_id}.gathered.duckdb"
        self._complete = folder / f"{dictionary_id}.complete.duckdb"
        self.path = store / "dictionaries" / dictionary_id / f"{run_id}.duckdb"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._discard()
            self._connection = duckdb.connect(str(self._gathered))
            self._connection.execute(SCHEMA)
        except (duckdb.Error, OSError) as error:
            raise _failed("preparing the file", self.path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()
        self._discard()

    def append(self, table: str, rows: pa.Table) -> None:
        """Add rows, matching columns by name.

        Raises:
            BuildFailed: the rows do not fit the table, or the disk is full.
        """
        try:
            _insert(self._connection, table, rows)
        except duckdb.Error as error:
            raise _failed(f"writing table '{table}'", self.path, error) from error

    def publish(self, manifest: dict[str, Any]) -> Path:
        """Copy all rows in key order, add the manifest, and move the file into the store.

        `manifest` gives every column of that table but `schema_version` and `tables`; a dict is
        stored as JSON.

        Raises:
            BuildFailed: the disk is full, or a table does not fit.
        """
        try:
            self._connection.close()
            self._write_complete_file(manifest)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            force_to_disk(self._complete)
            os.replace(self._complete, self.path)
            for folder in self.path.parents[:3]:  # down to the store's own
                force_to_disk(folder)
        except (duckdb.Error, OSError) as error:
            raise _failed("publishing", self.path, error) from error
        return self.path

    def _write_complete_file(self, manifest: dict[str, Any]) -> None:
        with duckdb.connect(str(self._complete)) as connection:
            connection.execute(SCHEMA)
            connection.execute(f"attach '{_quoted(self._gathered)}' as gathered (read_only)")
            tables = {}
            for table in KEYS:
                connection.execute(COPY[table])
                n_rows, digest = table_digest(connection.sql(READ[table]).to_arrow_reader(100_000))
                tables[table] = {"rows": n_rows, "digest": digest}
            row = manifest | {"schema_version": SCHEMA_VERSION, "tables": tables}
            row = {
                k: json.dumps(v, sort_keys=True) if isinstance(v, dict) else v
                for k, v in row.items()
            }
            _insert(connection, "manifest", pa.Table.from_pylist([row]))
            connection.execute("detach gathered")
            connection.execute("checkpoint")

    def _discard(self) -> None:
        for path in (self._gathered, self._complete):
            for leftover in (path, path.with_suffix(".duckdb.wal")):
                leftover.unlink(missing_ok=True)


def force_to_disk(path: Path) -> None:
    """Return when a file, or the names in a folder, would survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _insert(connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    connection.register("incoming", rows)
    connection.execute(INSERT[table])
    connection.unregister("incoming")


def _quoted(path: Path) -> str:
    """A path inside single quotes: ATTACH takes no bound parameter."""
    return str(path).replace("'", "''")


def _failed(action: str, path: Path, error: Exception) -> BuildFailed:
    return BuildFailed(
        f"{action} for {path} stopped: {error}. The store is as it was; "
        "free space or mend the cause, then run the same build again."
    )
