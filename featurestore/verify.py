"""Read everything that a store holds, and compare it with what was written."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from featurestore.dictionary_file import KEYS, DictionaryFile
from featurestore.errors import StoreError
from featurestore.store import dictionary_paths


@dataclass(frozen=True)
class Finding:
    """What reading one file from end to end has shown."""

    path: Path
    n_rows: int
    faults: tuple[str, ...]
    """Empty if every table is as its manifest says."""

    def __str__(self) -> str:
        if self.faults:
            return f"BAD  {self.path}: {' '.join(self.faults)}"
        return f"ok   {self.path}: {self.n_rows:,} rows in {len(KEYS)} tables"


def verify(store: Path) -> Iterator[Finding]:
    """Check every file, older runs too; one finding for each, as soon as it is known.

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
