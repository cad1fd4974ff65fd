"""Files about two dictionaries, named by their runs: <run>--<run>.duckdb.

Nothing has to be kept up to date: once either is built anew, the name fits no more.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from featurestore.records import DictionaryInfo

_BETWEEN = "--"


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
