"""Files about two dictionaries, named by their runs: <run>--<run>.duckdb.

Nothing has to be kept up to date: once either is built anew, the name fits no more.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import duckdb

from featurestore.errors import StoreError
from featurestore.records import DictionaryInfo
from featurestore.store_file import StoreFile

_BETWEEN = "--"

Info = TypeVar("Info")


class TwoRunsFile(StoreFile, Generic[Info]):
    """A file about two dictionaries, open: one table says what it is, the other holds its rows."""

    folder: ClassVar[str]
    """Of the store, where all of a kind stand."""
    schema_version: ClassVar[int]
    schema: ClassVar[str]
    """Statements that make its tables."""
    about: ClassVar[str]
    """The table of one row, which is written last."""
    content: ClassVar[str]
    """The other."""

    info: Info

    def __init__(self, path: Path, beside: duckdb.DuckDBPyConnection | None = None) -> None:
        super().__init__(path, beside)
        try:
            row = self.manifest(f"from {self.about}", self.schema_version)
        except StoreError:
            self.close()
            raise
        del row["schema_version"]
        self.info = self.said(row | {"path": str(path)})

    @staticmethod
    def said(row: dict[str, Any]) -> Info:
        """What the file is, from the row that tells it."""
        raise NotImplementedError


def read_info(kind: type[TwoRunsFile[Info]], path: Path) -> Info:
    """What a file is.

    Raises:
        DamagedStore: it cannot be read, or is of another version.
    """
    with closing(kind(path)) as file:
        return file.info


def file_of(folder: Path, first: DictionaryInfo, second: DictionaryInfo) -> Path:
    """Where the file of two dictionaries stands, if there is one."""
    return folder / f"{first.run_id}{_BETWEEN}{second.run_id}.duckdb"


def runs_of(path: Path) -> tuple[str, str]:
    """The runs that a file is about."""
    first, _, second = path.stem.partition(_BETWEEN)
    return first, second


def all_files(folder: Path) -> list[Path]:
    """Every file of a folder, whether or not its runs are served."""
    return sorted(folder.glob(f"*{_BETWEEN}*.duckdb"))


def files_served(folder: Path, served: Iterable[DictionaryInfo]) -> Iterator[Path]:
    """Files of which both runs are served."""
    runs = {info.run_id for info in served}
    return (path for path in all_files(folder) if runs.issuperset(runs_of(path)))
