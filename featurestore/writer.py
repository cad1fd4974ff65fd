"""Write one dictionary's file, and publish it whole or not at all.

Rows are appended in key order to a file in the store's folder `work`. Two tables are sorted at the
end, because they come by feature and are kept by another key: `promoted_tokens` waits in a second
file, and `top_contexts` is made from the examples. `publish` then adds the manifest as the last
row, forces the file to disk and renames it into
`store/dictionaries/<dictionary_id>/<run_id>.duckdb`. A crash at any moment leaves the store as it
was: readers only ever see a name that stands for a complete file.
"""

import json
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import pyarrow as pa

from featurestore.dictionary_file import KEYS, SCHEMA_VERSION
from featurestore.digests import TableDigest
from featurestore.errors import BuildFailed
from featurestore.store_file import for_writing, quoted

SCHEMA = (Path(__file__).parent / "schema.sql").read_text(encoding="utf-8")

GATHERED = "promoted_tokens"
"""Comes by feature and is kept by token."""

SORTED_LAST = {
    GATHERED: f"from gathered.{GATHERED}",
    "top_contexts": "select context, feature, rank from examples where sampler = 'top'",
}
"""Tables that are written when all rows have come, and what of."""

INSERT = {table: f"insert into {table} from incoming" for table in [*KEYS, "manifest"]}
INSERT[GATHERED] = f"insert into gathered.{GATHERED} from incoming"
GATHER = f"create table gathered.{GATHERED} as from {GATHERED} limit 0"
SORT = {
    table: f"insert into {table} {source} order by {KEYS[table]}"
    for table, source in SORTED_LAST.items()
}
SORTED = {table: f"from {table}" for table in SORTED_LAST}
EMPTY = {table: f"from {table} limit 0" for table in [*KEYS, "manifest"]}

SETTINGS = {"memory_limit": "512MB"}
"""Beyond this memory DuckDB sorts on disk, in the run's own folder."""


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
            self._connection = for_writing(self._complete, SETTINGS)
            self._connection.execute("set enable_progress_bar = false")  # it goes to stdout
            self._connection.execute(SCHEMA)
            self._connection.execute(f"attach '{quoted(self._gathered)}' as gathered")
            self._connection.execute(GATHER)
            self._schemas = {
                table: self._connection.sql(EMPTY[table]).to_arrow_table().schema for table in EMPTY
            }
        except (duckdb.Error, OSError) as error:
            raise _failed("preparing the file", self.path, error) from error
        self._reached: dict[str, int] = {}
        self._digests = {table: TableDigest(self._schemas[table].names) for table in KEYS}

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
        """Add the rows that come next in key order, matching columns by name.

        Raises:
            BuildFailed: the rows do not fit the table, or the disk is full.
        """
        try:
            rows = _fitted(rows, self._schemas[table])
            self._check_order(table, rows)
            self._insert(table, rows)
        except (duckdb.Error, pa.ArrowException) as error:
            raise _failed(f"writing table '{table}'", self.path, error) from error
        if table not in SORTED_LAST:
            for batch in rows.to_batches():
                self._digests[table].update(batch)

    def publish(self, manifest: dict[str, Any]) -> Path:
        """Sort what is left to sort, add the manifest, and move the file into the store.

        `manifest` gives every column of that table but `schema_version` and `tables`; a dict is
        stored as JSON.

        Raises:
            BuildFailed: the disk is full, or a table does not fit.
        """
        try:
            self._complete_file(manifest)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            force_to_disk(self._complete)
            os.replace(self._complete, self.path)
            for folder in self.path.parents[:3]:  # down to the store's own
                force_to_disk(folder)
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise _failed("publishing", self.path, error) from error
        return self.path

    def _complete_file(self, manifest: dict[str, Any]) -> None:
        for table in SORTED_LAST:
            self._connection.execute(SORT[table])
            for batch in self._connection.sql(SORTED[table]).to_arrow_reader(100_000):
                self._digests[table].update(batch)
        tables = {
            table: {"rows": digest.n_rows, "digest": digest.hexdigest()}
            for table, digest in self._digests.items()
        }
        row = manifest | {"schema_version": SCHEMA_VERSION, "tables": tables}
        row = {
            k: json.dumps(v, sort_keys=True) if isinstance(v, dict) else v for k, v in row.items()
        }
        self._insert("manifest", _fitted(pa.Table.from_pylist([row]), self._schemas["manifest"]))
        self._connection.execute("detach gathered")
        self._connection.execute("checkpoint")
        self._connection.close()

    def _check_order(self, table: str, rows: pa.Table) -> None:
        """Raise ArrowInvalid where rows come too late; their order among them is the passes'."""
        if table not in SORTED_LAST and len(rows):
            first, last = (rows[KEYS[table].partition(",")[0]][i].as_py() for i in (0, -1))
            if first < self._reached.get(table, first):
                raise pa.ArrowInvalid(f"key {first} comes after {self._reached[table]}")
            self._reached[table] = last

    def _insert(self, table: str, rows: pa.Table) -> None:
        self._connection.register("incoming", rows)
        self._connection.execute(INSERT[table])
        self._connection.unregister("incoming")

    def _discard(self) -> None:
        for path in (self._gathered, self._complete):
            for leftover in (path, path.with_suffix(".duckdb.wal")):
                leftover.unlink(missing_ok=True)
            shutil.rmtree(path.with_suffix(".duckdb.tmp"), ignore_errors=True)


def _fitted(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """The same rows with a table's columns, in its order and types; nulls where there are none.

    Raises:
        ArrowInvalid: a column that the table has not, or a value that its type cannot hold.
    """
    unknown = set(rows.column_names) - set(schema.names)
    if unknown:
        raise pa.ArrowInvalid(f"there is no column {', '.join(sorted(unknown))}")
    columns = [
        rows[field.name].cast(field.type)
        if field.name in rows.column_names
        else pa.nulls(len(rows), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def force_to_disk(path: Path) -> None:
    """Return when a file, or the names in a folder, would survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failed(action: str, path: Path, error: Exception) -> BuildFailed:
    return BuildFailed(
        f"{action} for {path} stopped: {error}. The store is as it was; "
        "free space or mend the cause, then run the same build again."
    )
