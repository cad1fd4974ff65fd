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
from featurestore.pair_records import (
    Match,
    MatchKind,
    MatchPage,
    MatchSort,
    PairCatalogue,
    PairInfo,
    Side,
)
from featurestore.records import DictionaryInfo
from featurestore.store_file import StoreFile, stamp
from featurestore.two_runs import all_files, file_of, runs_of

SCHEMA_VERSION = 2
FOLDER = "pairs"

_PAIR = "select * from pair"
_COLUMNS = ", ".join(field.name for field in fields(Match))
_KEPT = {
    "nearest": "side = $1 and rank = 0",
    "matched": "side = $1 and is_matched",
    "unmatched": """side = $1 and rank = 0 and feature not in
        (select feature from matches where side = $1 and is_matched)""",
}
_BELOW = "($2::double is null or cosine < $2)"
_PAGE = {
    (kind, sort, descending): f"""
        select {_COLUMNS} from matches where {_KEPT[kind]} and {_BELOW}
        order by {sort} {"desc" if descending else "asc"} nulls last, feature limit $3 offset $4
    """
    for kind in get_args(MatchKind)
    for sort in get_args(MatchSort)
    for descending in (True, False)
}
_COUNT = {
    kind: f"select count(*) as n from matches where {kept} and {_BELOW}"
    for kind, kept in _KEPT.items()
}
_OF_FEATURE = f"""
    select {_COLUMNS} from matches where side = ? and feature = ? order by rank nulls last
"""


class PairFile(StoreFile):
    """One pair's file, open."""

    cure = "match the two dictionaries again"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            row = self.manifest(_PAIR, SCHEMA_VERSION)
        except StoreError:
            self.close()
            raise
        del row["schema_version"]
        sides = {name: _side(row[name]) for name in ("a", "b")}
        self.info = PairInfo(**row | sides, path=str(path))


def pair_path(store: Path, one: DictionaryInfo, other: DictionaryInfo) -> Path:
    """Where the file of two dictionaries stands, if there is one."""
    return file_of(store / FOLDER, *in_order(one, other))


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
    """What a file is.

    Raises:
        DamagedStore: it cannot be read, or is of another version.
    """
    return _read_pair(path, stamp(path))


@lru_cache(maxsize=10_000)
def _read_pair(path: Path, _stamp: object) -> PairInfo:
    """Kept, since a page of a family asks for all of its pairs, and each takes some 30 ms."""
    with closing(PairFile(path)) as file:
        return file.info


def pair_files(
    store: Path, served: tuple[DictionaryInfo, ...]
) -> Iterator[tuple[Path, DictionaryInfo, DictionaryInfo]]:
    """Files of pairs of which both runs are served, and whose they are: A's, then B's."""
    by_run = {info.run_id: info for info in served}
    for path in all_files(store / FOLDER):
        found = [by_run[run] for run in runs_of(path) if run in by_run]
        if len(found) == 2:
            yield path, *found


def read_pairs(store: Path, served: tuple[DictionaryInfo, ...], of_families: bool) -> PairCatalogue:
    """All that can be read, or all of two of one family; and why some cannot."""
    found, problems = [], []
    for path, a, b in pair_files(store, served):
        if of_families and (a.family is None or a.family != b.family):
            continue
        try:
            found.append(read_pair(path))
        except StoreError as error:
            problems.append(str(error))
    return PairCatalogue(tuple(found), tuple(problems))


def read_matches(
    path: Path,
    side: str,
    kind: MatchKind,
    below: float | None,
    sort: MatchSort,
    descending: bool,
    limit: int,
    offset: int,
) -> MatchPage:
    """A page of one side's features; those with a cosine `below` a bound, if there is one.

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
    n_kept = _count(path, stamp(path), side, kind, below)
    if not limit:
        return MatchPage((), n_kept)
    with closing(PairFile(path)) as file:
        rows = file.rows(_PAGE[kind, sort, descending], side, below, limit, offset)
    return MatchPage(tuple(Match(**row) for row in rows), n_kept)


@lru_cache(maxsize=10_000)
def _count(path: Path, _stamp: object, side: str, kind: MatchKind, below: float | None) -> int:
    """Kept, since a page says of every list how long it is, and shows only one."""
    with closing(PairFile(path)) as file:
        (count,) = file.rows(_COUNT[kind], side, below)
    return count["n"]


def read_nearest(path: Path, side: str, feature: int) -> tuple[Match, ...]:
    """All that is stored of one feature: its nearest, then its match if that is none of them."""
    with closing(PairFile(path)) as file:
        return tuple(Match(**row) for row in file.rows(_OF_FEATURE, side, feature))


def _side(row: dict[str, Any]) -> Side:
    return Side(**row | {"histogram": tuple(row["histogram"])})
