"""Read everything that a store holds, and compare it with what was written."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from featurestore.dictionary_file import KEYS, DictionaryFile
from featurestore.errors import StoreError
from featurestore.links import LinkFile
from featurestore.pair_file import PairFile
from featurestore.served_files import ServedFiles, dictionary_paths
from featurestore.two_runs import TwoRunsFile, all_files, files_served

_KINDS = (PairFile, LinkFile)


@dataclass(frozen=True)
class Finding:
    """What reading one file from end to end has shown."""

    path: Path
    n_rows: int
    faults: tuple[str, ...]
    """Empty if every table is as its manifest says."""
    n_tables: int = len(KEYS)
    is_stale: bool = False
    """Whether it is about a run that no dictionary has any more, so that nobody sees it."""

    def __str__(self) -> str:
        if self.faults:
            return f"BAD  {self.path}: {' '.join(self.faults)}"
        if self.is_stale:
            return f"old  {self.path}: of a run that is served no more; delete it"
        tables = "1 table" if self.n_tables == 1 else f"{self.n_tables} tables"
        return f"ok   {self.path}: {self.n_rows:,} rows in {tables}"


def verify(store: Path) -> Iterator[Finding]:
    """Check every file, older runs too; one finding for each, as soon as it is known.

    Files about two dictionaries, which hold no digests, are read from end to end.

    Raises:
        StoreNotFound: there is no store in this folder.
    """
    for path in dictionary_paths(store):
        try:
            file = DictionaryFile(path)
        except StoreError as error:
            yield Finding(path, 0, (str(error),))
            continue
        try:
            yield _compared(path, file)
        finally:
            file.close()
    served = ServedFiles(store).catalogue().dictionaries
    for kind in _KINDS:
        shown = set(files_served(store / kind.folder, served))
        for path in all_files(store / kind.folder):
            yield _read(path, kind, path not in shown)


def _read(path: Path, kind: type[TwoRunsFile], is_stale: bool) -> Finding:
    """A file about two dictionaries."""
    try:
        with closing(kind(path)) as file:
            return Finding(path, file.n_rows(f"from {kind.content}"), (), 1, is_stale)
    except StoreError as error:
        return Finding(path, 0, (str(error),), 1, is_stale)


def _compared(path: Path, file: DictionaryFile) -> Finding:
    n_rows, faults = 0, []
    for table in KEYS:
        try:
            found = dict(zip(("rows", "digest"), file.digest(table), strict=True))
        except StoreError as error:
            faults.append(str(error))
            break
        n_rows += found["rows"]
        expected = file.info.tables.get(table, {"rows": 0, "digest": "none"})
        if found != expected:
            faults.append(
                f"Table '{table}' has {found['rows']:,} rows with digest {found['digest'][:16]}; "
                f"written were {expected['rows']:,} with {expected['digest'][:16]}."
            )
    return Finding(path, n_rows, tuple(faults))
