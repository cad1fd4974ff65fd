"""One dictionary's file: its layout, and how it is opened.

It is read-only, with everything switched off that could reach beyond it. A question that takes too
long is stopped, and an error of a question is told from a damaged file.
"""

import atexit
import contextlib
import functools
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

import duckdb
import numpy as np
import pyarrow as pa

from featurestore.digests import table_digest
from featurestore.errors import DamagedStore, StoreError, TooSlow, UnknownFeature
from featurestore.records import DictionaryInfo

SCHEMA_VERSION = 5
KEYS = {
    "vocab": "token_id",
    "contexts": "context",
    "features": "feature",
    "bands": "feature, sampler, band",
    "examples": "feature, sampler, band, rank",
    "top_contexts": "context, feature, rank",
    "promoted_tokens": "token_id, is_promoted, rank, feature",
    "ablated_contexts": "feature, rank",
    "dependences": "feature, rank",
    "neighbours": "feature, measure, rank",
    "clusters": "cluster",
    "control_map": "number",
    "measures": "name",
    "substituted_tokens": "token_id",
}
"""Every table but the manifest, with the columns that order its rows."""

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

_ATTACHED_AS = {
    "read": f"dictionary (row_group_size {ROWS_TOGETHER}, read_only)",
    "write": f"dictionary (row_group_size {ROWS_TOGETHER})",
    "gather": "gathered",
}
_USE = "use dictionary"
_PATTERN = "select regexp_matches('', ?)"
_CONTENT = {table: f"from {table}" for table in KEYS}
_MANIFEST = "select * from manifest"
_VOCABULARY = "select token_id, token from vocab order by token_id"
_TOKENS_LIKE = """
    select token_id, token from vocab
    where trim(lower(token)) = trim(lower(?)) order by token_id limit 100
"""
_TOKENS_EXACT = "select token_id, token from vocab where token = ? order by token_id limit 100"


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


class DictionaryFile:
    """One dictionary's file, open. Safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.stamp = stamp(path)
        try:
            self._connection = connected(path, _LIMITS, "read")
            self._connection.execute(_LOCK)
        except duckdb.Error as error:
            raise self._damaged(error) from error
        try:
            self.info = self._read_manifest()
        except StoreError:
            self.close()
            raise

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
            cursor.execute(_USE)
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

    def refusal(self, pattern: str) -> str:
        """Why RE2 cannot read a pattern; empty if it can."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(_PATTERN, [pattern])
        except _UNANSWERABLE as error:
            return _first_line(error).partition(": ")[2]
        return ""

    def token_texts(self, token_ids: set[int]) -> dict[int, str]:
        """Token ids to texts, of those that the vocabulary has."""
        known, texts = self._vocabulary
        wanted = np.fromiter(token_ids, np.int64, len(token_ids))
        place = np.searchsorted(known, wanted)
        is_known = place < np.searchsorted(known, wanted, side="right")
        found = texts.take(pa.array(place[is_known])).to_pylist()
        return dict(zip(wanted[is_known].tolist(), found, strict=True))

    def matching_tokens(self, text: str) -> dict[int, str]:
        """Tokens equal to a text but for case and outer spaces; exactly equal to a quoted one."""
        if not is_unicode(text):
            return {}
        is_quoted = len(text) > 2 and text[0] == text[-1] == '"'
        rows = self.rows(_TOKENS_EXACT, text[1:-1]) if is_quoted else self.rows(_TOKENS_LIKE, text)
        return {row["token_id"]: row["token"] for row in rows}

    def digest(self, table: str) -> tuple[int, str]:
        """Number of rows of a table, and the digest of what is in it, in the order it stands in."""
        with self._relation(_CONTENT[table]) as found:
            return table_digest(found.to_arrow_reader(100_000))

    @functools.cached_property
    def _vocabulary(self) -> tuple[np.ndarray, pa.ChunkedArray]:
        """Token ids, rising, and their texts: kept, since every page asks for hundreds of them."""
        with self._relation(_VOCABULARY) as found:
            table = found.to_arrow_table()
        return table["token_id"].to_numpy(), table["token"]

    @contextlib.contextmanager
    def _relation(self, statement: str) -> Iterator[duckdb.DuckDBPyRelation]:
        """What a statement without parameters gives, to be read within the block."""
        with self._connection.cursor() as cursor:
            try:
                cursor.execute(_USE)
                yield cursor.sql(statement)
            except (duckdb.Error, OSError) as error:
                raise self._damaged(error) from error

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    def _read_manifest(self) -> DictionaryInfo:
        rows = self.rows(_MANIFEST)
        if len(rows) != 1:
            raise DamagedStore(
                f"{self._path} is not complete: it has no manifest. "
                "Delete it and build the dictionary again."
            )
        found = rows[0].get("schema_version")
        if found != SCHEMA_VERSION:
            raise DamagedStore(
                f"{self._path} has schema version {found}; this program reads {SCHEMA_VERSION}. "
                "Build the dictionary again with this version."
            )
        info = _info(rows[0], self._path)
        if info.dictionary_id != self._path.parent.name:
            raise DamagedStore(
                f"{self._path} holds dictionary '{info.dictionary_id}'. "
                f"Move it into a folder of that name: dictionaries/{info.dictionary_id}/."
            )
        return info

    def _damaged(self, error: duckdb.Error | OSError) -> DamagedStore:
        return DamagedStore(
            f"{self._path} cannot be read ({_first_line(error)}). Delete it and build the "
            "dictionary again, or restore it from a copy."
        )


def connected(
    path: Path, settings: dict[str, str], use: Literal["read", "write"]
) -> duckdb.DuckDBPyConnection:
    """A connection whose tables are those of a file; its cursors must say `use dictionary`.

    The file is attached, since that alone takes a size of groups; readers name it too, because by
    it DuckDB decides how many threads share a scan.
    """
    connection = duckdb.connect(config=settings | {"temp_directory": f"{path}.tmp"})
    try:
        attach(connection, path, use)
        connection.execute(_USE)
    except duckdb.Error:
        connection.close()
        raise
    return connection


def attach(
    connection: duckdb.DuckDBPyConnection, path: Path, use: Literal["read", "write", "gather"]
) -> None:
    """Open a file as the database of a name that its use decides; make it if there is none."""
    connection.execute(f"attach '{_quoted(path)}' as {_ATTACHED_AS[use]}")


def _quoted(path: Path) -> str:
    """A path inside single quotes: ATTACH takes no bound parameter."""
    return str(path).replace("'", "''")


def check_feature(feature: int, info: DictionaryInfo) -> None:
    """Raise UnknownFeature unless a dictionary has a feature of this number."""
    if not 0 <= feature < info.n_features:
        raise UnknownFeature(
            f"No feature {feature} in '{info.dictionary_id}': "
            f"its features are 0 to {info.n_features - 1}."
        )


def stamp(path: Path) -> tuple[int, int, int] | None:
    """What tells a file from another that took its name; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def is_unicode(text: str) -> bool:
    """Whether a text can be stored at all: half a surrogate pair cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _info(row: dict[str, Any], path: Path) -> DictionaryInfo:
    as_json = {"recipe", "digests", "versions", "tables", "dtype_change"}
    names = [field.name for field in fields(DictionaryInfo) if field.name != "path"]
    values = {
        name: json.loads(row[name]) if name in as_json and row[name] is not None else row[name]
        for name in names
    }
    return DictionaryInfo(**values, path=str(path))
