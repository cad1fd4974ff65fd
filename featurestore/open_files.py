"""Files of a store that stay open, because opening one takes longer than asking it."""

import threading
from collections.abc import Collection
from pathlib import Path
from typing import Generic, TypeVar

import duckdb

from featurestore.store_file import StoreFile, shared, stamp

MOST_TOGETHER = 300
"""Files that share a DuckDB: each takes a descriptor of the system, and a megabyte once asked."""

File = TypeVar("File", bound=StoreFile)


class OpenFiles(Generic[File]):
    """Files of one kind, opened when they are first asked for. Safe to share between threads.

    One that is let go of stays open until the question under way is answered.
    """

    def __init__(self, kind: type[File]) -> None:
        self._kind = kind
        self._lock = threading.Lock()
        self._open: dict[Path, File] = {}

    def get(self, path: Path) -> File:
        """An open file; opened anew if another now stands in its place.

        Raises:
            DamagedStore: it cannot be read.
        """
        with self._lock:
            held = self._open.pop(path, None)
            if held is None or held.stamp != stamp(path):
                held = None  # let go of, before the other is opened
                held = self._opened(path)
            self._open[path] = held  # the last that was asked for stands last
            return held

    def _opened(self, path: Path) -> File:
        return self._kind(path)

    def forget_all_but(self, paths: Collection[Path]) -> None:
        """Let go of deleted files."""
        with self._lock:
            self._open = {path: file for path, file in self._open.items() if path in paths}

    def close(self) -> None:
        """Close every file; those asked for later are opened again."""
        with self._lock:
            for file in self._open.values():
                file.close()
            self._open.clear()


class FilesTogether(OpenFiles[File]):
    """Small files of one folder, of which a page may ask dozens: they share one DuckDB."""

    def __init__(self, kind: type[File], folder: Path) -> None:
        super().__init__(kind)
        self._folder = folder
        self._shared: duckdb.DuckDBPyConnection | None = None

    def _opened(self, path: Path) -> File:
        if self._shared is None or not _is_alive(self._shared):
            self._open.clear()
            self._shared = shared(self._folder)
        while len(self._open) >= MOST_TOGETHER:
            del self._open[next(iter(self._open))]
        return self._kind(path, self._shared)

    def close(self) -> None:
        """Close every file, and their DuckDB."""
        super().close()
        with self._lock:
            if self._shared is not None:
                self._shared.close()
                self._shared = None


def _is_alive(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether it still answers: an error inside DuckDB ends it for all files."""
    try:
        connection.execute("select 1")
    except duckdb.Error:
        return False
    return True
