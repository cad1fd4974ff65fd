"""Pairs of dictionaries that were compared: one file each, and the questions that it answers.

    store/pairs/<run of A>--<run of B>.duckdb    A is the one whose id sorts first

A file is opened for one question and closed again: there may be thousands.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

from featurestore.errors import MatchError, StoreError
from featurestore.pair_records import Match, MatchKind, MatchPage, MatchSort, PairInfo, Side
from featurestore.records import DictionaryInfo
from featurestore.store_file import StoreFile, stamp

SCHEMA_VERSION = 1

_PAIR = "select * from pair"
_COLUMNS = ", ".join(field.name for field in fields(Match))
_KEPT = {
    "nearest": "side = $1 and rank = 0",
    "matched": "side = $1 and is_matched",
    "unmatched": """side = $1 and rank = 0 and feature not in
        (select feature from matches where side = $1 and is_matched)""",
}
_PAGE = {
    (kind, sort, descending): f"""
        select {_COLUMNS} from matches where {_KEPT[kind]}
        order by {sort} {"desc" if descending else "asc"} nulls last, feature limit $2 offset $3
    """
    for kind in get_args(MatchKind)
    for sort in get_args(MatchSort)
    for descending in (True, False)
}
_COUNT = {kind: f"select count(*) as n from matches where {_KEPT[kind]}" for kind in _KEPT}
_OF_FEATURE = f"""
    select {_COLUMNS} from matches where side = ? and feature = ? order by rank nulls last
"""


class PairFile(StoreFile):
    """One pair's file, open."""

    cure = "match the two dictionaries again"

    def info(self) -> PairInfo:
        """What the file is.

        Raises:
            DamagedStore: it cannot be read, or is of another version.
        """
        row = self.manifest(_PAIR, SCHEMA_VERSION)
        del row["schema_version"]
        return PairInfo(**row | {"a": _side(row["a"]), "b": _side(row["b"])}, path=str(self._path))


def pair_path(store: Path, one: DictionaryInfo, other: DictionaryInfo) -> Path:
    """Where the file of two dictionaries stands, if there is one."""
    a, b = in_order(one, other)
    return store / "pairs" / f"{a.run_id}--{b.run_id}.duckdb"


def side_of(dictionary_id: str, other_id: str) -> str:
    """Which side a dictionary is on in its pair with another."""
    return "a" if dictionary_id < other_id else "b"


def in_order(one: DictionaryInfo, other: DictionaryInfo) -> tuple[DictionaryInfo, DictionaryInfo]:
    """Two dictionaries as A and B."""
    a, b = sorted((one, other), key=lambda info: info.dictionary_id)
    return a, b


def check_comparable(one: DictionaryInfo, other: DictionaryInfo) -> None:
    """Raise MatchError unless cosines between directions of the two exist."""
    if one.dictionary_id == other.dictionary_id:
        raise MatchError(f"'{one.dictionary_id}' was given twice. Give two dictionaries.")
    if one.d_out != other.d_out:
        raise MatchError(
            f"'{one.dictionary_id}' has directions of {one.d_out} dimensions and "
            f"'{other.dictionary_id}' of {other.d_out}: they have no cosines. Give two that write "
            "to hook points of one width; `featurestore info` lists them."
        )


def read_pair(path: Path) -> PairInfo:
    """What a file is; raises as `PairFile.info`."""
    return _read_pair(path, stamp(path))


@lru_cache(maxsize=10_000)
def _read_pair(path: Path, _stamp: object) -> PairInfo:
    """Kept, since a page of a family asks for all of its pairs, and each takes some 30 ms."""
    with closing(PairFile(path)) as file:
        return file.info()


def pair_paths(store: Path, served: tuple[DictionaryInfo, ...]) -> Iterator[Path]:
    """Files of pairs of which both runs are served."""
    runs = {info.run_id for info in served}
    for path in sorted((store / "pairs").glob("*--*.duckdb")):
        if runs.issuperset(path.stem.split("--")):
            yield path


def read_matches(
    path: Path,
    side: str,
    kind: MatchKind,
    sort: MatchSort,
    descending: bool,
    limit: int,
    offset: int,
) -> MatchPage:
    """A page of one side's features.

    Raises:
        StoreError: there is no such order or kind, or the file cannot be read.
    """
    if (kind, sort, descending) not in _PAGE:
        raise StoreError(
            f"No list of '{kind}' matches by '{sort}'. There are lists of "
            f"{', '.join(get_args(MatchKind))} by {', '.join(get_args(MatchSort))}."
        )
    if limit < 0 or offset < 0:
        raise StoreError(f"No page of {limit} rows after {offset}: both must be 0 or more.")
    with closing(PairFile(path)) as file:
        rows = file.rows(_PAGE[kind, sort, descending], side, limit, offset)
        (count,) = file.rows(_COUNT[kind], side)
    return MatchPage(tuple(Match(**row) for row in rows), count["n"])


def read_nearest(path: Path, side: str, feature: int) -> tuple[Match, ...]:
    """All that is stored of one feature: its nearest, then its match if that is none of them."""
    with closing(PairFile(path)) as file:
        return tuple(Match(**row) for row in file.rows(_OF_FEATURE, side, feature))


def _side(row: dict[str, Any]) -> Side:
    return Side(**row | {"histogram": tuple(row["histogram"])})
