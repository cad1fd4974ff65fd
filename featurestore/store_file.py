"""One file of a store, open.

It is read-only, with everything switched off that could reach beyond it. A question that takes too
long is stopped, and an error of a question is told from a damaged file.
"""

import atexit
import contextlib
import itertools
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import numpy as np

from featurestore.errors import DamagedStore, StoreError, TooSlow

QUERY_LIMIT_S = 5.0
"""A query that runs longer is interrupted: no question of ours takes a tenth of this."""

_WAKE_S = 0.1
"""How often the watch looks; so late may an interrupt come."""

ROWS_TOGETHER = 32_768
"""Rows of a group, which one thread reads: all contexts of most files would be one of DuckDB's."""

_LIMITS = {
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    "memory_limit": "1GB",
    "threads": "2",
    "max_temp_directory_size": "1GB",
}
_LOCK = "set enable_external_access = false; set lock_configuration = true"

_UNANSWERABLE = (duckdb.DataError, duckdb.InvalidInputException, duckdb.OutOfMemoryException)
"""Errors of a question, not of the file that it is put to."""

_NUMBERS = itertools.count()
_READING = f"(row_group_size {ROWS_TOGETHER}, read_only)"
_WRITING = f"(row_group_size {ROWS_TOGETHER})"
_PATTERN = "select regexp_matches('', ?)"


class _Watch:
    """Interrupts what runs too long: one thread for all, since starting one takes longer than most
    questions, and in a crowd each waits for its turn.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[object, tuple[float, duckdb.DuckDBPyConnection]] = {}
        self._thread: threading.Thread | None = None
        self._is_over = threading.Event()
        atexit.register(self._end)

    @contextlib.contextmanager
    def over(self, cursor: duckdb.DuckDBPyConnection, limit_s: float) -> Iterator[None]:
        """Interrupt a cursor that is still busy after `limit_s`, or up to _WAKE_S later."""
        key = object()
        with self._lock:
            self._running[key] = time.monotonic() + limit_s, cursor
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._watch, daemon=True, name="watch")
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:  # so it is not interrupted once it may be closed
                del self._running[key]

    def _watch(self) -> None:
        while not self._is_over.wait(_WAKE_S):
            self._interrupt_late_ones()

    def _interrupt_late_ones(self) -> None:
        with self._lock:
            for deadline, cursor in self._running.values():
                if time.monotonic() > deadline:
                    cursor.interrupt()

    def _end(self) -> None:
        self._is_over.set()
        if self._thread is not None:
            self._thread.join()


_WATCH = _Watch()


class StoreFile:
    """A file, open. Safe to share between threads; let go of when nobody holds it any more."""

    cure: ClassVar[str]
    """What makes the file anew: the end of "Delete it and ..."."""

    def __init__(self, path: Path, beside: duckdb.DuckDBPyConnection | None = None) -> None:
        """Open a file `beside` the others of a `shared` DuckDB, or in one of its own.

        Raises:
            DamagedStore: it cannot be read.
        """
        self._path = path
        self.stamp = stamp(path)
        name = f"file_{next(_NUMBERS)}"
        self._use = f"use {name}"
        is_alone = beside is None
        self._connection = _connect(path, _LIMITS) if is_alone else beside.cursor()
        self._let_go = weakref.finalize(self, _let_go, self._connection, f"detach {name}")
        try:
            # Named here too, because by the size of groups DuckDB decides how many threads share
            # a scan.
            self._connection.execute(f"attach '{quoted(path)}' as {quoted(name)} {_READING}")
            if is_alone:
                self._connection.execute(_LOCK)
        except duckdb.Error as error:
            self.close()
            raise self._damaged(error) from error

    def rows(
        self, statement: str, *parameters: object, limit_s: float | None = None
    ) -> list[dict[str, Any]]:
        """All rows of a statement, as dicts.

        Raises:
            TooSlow: there was no answer within `limit_s`, by default QUERY_LIMIT_S.
            StoreError: DuckDB cannot answer it.
            DamagedStore: the file cannot be read.
        """
        limit_s = QUERY_LIMIT_S if limit_s is None else limit_s
        cursor = self._connection.cursor()
        try:
            cursor.execute(self._use)
            with _WATCH.over(cursor, limit_s):
                result = cursor.execute(statement, list(parameters))
                names = [column[0] for column in result.description]
                return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
        except duckdb.InterruptException as error:
            raise TooSlow(
                f"The question took longer than {limit_s:g} s and was stopped."
            ) from error
        except _UNANSWERABLE as error:
            raise StoreError(f"The question cannot be answered ({_first_line(error)}).") from error
        except duckdb.Error as error:
            raise self._damaged(error) from error
        finally:
            cursor.close()

    def n_rows(self, statement: str) -> int:
        """Rows of a statement without parameters, each read in full.

        Raises:
            DamagedStore: the file cannot be read.
        """
        with self._relation(statement) as found:
            return sum(len(batch) for batch in found.to_arrow_reader(100_000))

    def arrays(self, statement: str) -> dict[str, np.ndarray]:
        """All rows of a statement without parameters, as an array a column; null is NaN.

        Raises:
            DamagedStore: the file cannot be read.
        """
        with self._relation(statement) as found:
            table = found.to_arrow_table()
        return {name: table[name].to_numpy() for name in table.column_names}

    def refusal(self, pattern: str) -> str:
        """Why RE2 cannot read a pattern; empty if it can."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(_PATTERN, [pattern])
        except _UNANSWERABLE as error:
            return _first_line(error).partition(": ")[2]
        return ""

    def manifest(self, statement: str, schema_version: int) -> dict[str, Any]:
        """The one row that is written last, and says what the file is.

        Raises:
            DamagedStore: there is none, or it is of another version.
        """
        rows = self.rows(statement)
        if len(rows) != 1:
            raise DamagedStore(
                f"{self._path} is not complete: it has no manifest. Delete it and {self.cure}."
            )
        found = rows[0].get("schema_version")
        if found != schema_version:
            raise DamagedStore(
                f"{self._path} has schema version {found}; this program reads {schema_version}. "
                f"{self.cure.capitalize()} with this version."
            )
        return rows[0]

    @contextlib.contextmanager
    def _relation(self, statement: str) -> Iterator[duckdb.DuckDBPyRelation]:
        """What a statement without parameters gives, to be read within the block."""
        with self._connection.cursor() as cursor:
            try:
                cursor.execute(self._use)
                yield cursor.sql(statement)
            except (duckdb.Error, OSError) as error:
                raise self._damaged(error) from error

    def close(self) -> None:
        """Release the file."""
        self._let_go()

    def _damaged(self, error: duckdb.Error | OSError) -> DamagedStore:
        self.stamp = None  # who asks for it again gets it opened anew
        return DamagedStore(
            f"{self._path} cannot be read ({_first_line(error)}). Delete it and {self.cure}, or "
            "restore it from a copy."
        )


def shared(folder: Path) -> duckdb.DuckDBPyConnection:
    """A DuckDB for many files of a folder, which alone it may reach.

    Starting one takes ten times as long as attaching a file.
    """
    connection = _connect(folder, _LIMITS)
    connection.execute(f"set allowed_directories = ['{quoted(folder)}/']")
    connection.execute(_LOCK)
    return connection


def _let_go(connection: duckdb.DuckDBPyConnection, detach: str) -> None:
    """Close a file; questions under way are answered all the same."""
    with contextlib.suppress(duckdb.Error):  # its DuckDB may be gone before it
        connection.execute(detach)
    connection.close()


def for_writing(path: Path, settings: dict[str, str]) -> duckdb.DuckDBPyConnection:
    """A connection whose tables are those of a file, made if there is none.

    The file is attached, since that alone takes a size of groups.
    """
    connection = _connect(path, settings)
    try:
        connection.execute(f"attach '{quoted(path)}' as file {_WRITING}")
        connection.execute("use file")
    except duckdb.Error:
        connection.close()
        raise
    return connection


def _connect(path: Path, settings: dict[str, str]) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory, which spills to a folder beside a path."""
    return duckdb.connect(config=settings | {"temp_directory": f"{path}.tmp"})


def quoted(path: Path | str) -> str:
    """A path or name inside single quotes: ATTACH takes no bound parameter."""
    return str(path).replace("'", "''")


def stamp(path: Path) -> tuple[int, int, int] | None:
    """What tells a file from another that took its name; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
