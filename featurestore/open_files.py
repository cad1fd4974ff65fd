"""Files of a store that stay open, because opening one takes ten times as long as asking it."""

import threading
from collections.abc import Collection
from pathlib import Path
from typing import Generic, TypeVar

from featurestore.store_file import StoreFile, stamp

File = TypeVar("File", bound=StoreFile)


class OpenFiles(Generic[File]):
    """Files of one kind, opened when they are first asked for. Safe to share between threads."""

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
            held = self._open.get(path)
            if held and held.stamp == stamp(path):
                return held
            if held:
                # DuckDB serves the old bytes to everybody until the last connection is closed.
                self._open.pop(path).close()
            self._open[path] = self._kind(path)
            return self._open[path]

    def forget_all_but(self, paths: Collection[Path]) -> None:
        """Let go of deleted files; a question under way keeps its own open until it is answered."""
        with self._lock:
            self._open = {path: file for path, file in self._open.items() if path in paths}

    def close(self) -> None:
        """Close every file; those asked for later are opened again."""
        with self._lock:
            for file in self._open.values():
                file.close()
            self._open.clear()
