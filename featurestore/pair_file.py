"""Two dictionaries that were compared: their file, and the questions that it answers.

store/pairs/<run of A>--<run of B>.duckdb    A is the one whose id sorts first
"""

from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from featurestore.errors import MatchError, StoreError
from featurestore.pair_records import (
    Match,
    MatchKind,
    MatchSort,
    PairInfo,
    Side,
)
from featurestore.records import DictionaryInfo
from featurestore.two_runs import TwoRunsFile, file_of

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
_SAME_NUMBER = """
    select count(*) as n from matches where side = 'a' and is_matched and feature = other
"""
_OF_FEATURE = f"""
    select {_COLUMNS} from matches where side = ? and feature = ? order by rank nulls last
"""


class PairFile(TwoRunsFile[PairInfo]):
    """One pair's file, open."""

    cure = "match the two dictionaries again"
    folder = "pairs"
    schema_version = 2
    schema = (Path(__file__).parent / "pair_schema.sql").read_text(encoding="utf-8")
    about = "pair"
    content = "matches"

    @staticmethod
    def said(row: dict[str, Any]) -> PairInfo:
        """What the file is, from its row of `pair`."""
        return PairInfo(**row | {name: _side(row[name]) for name in ("a", "b")})

    def page(
        self,
        side: str,
        kind: MatchKind,
        below: float | None,
        sort: MatchSort,
        descending: bool,
        limit: int,
        offset: int,
    ) -> tuple[Match, ...]:
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
        asked = (side, below, limit, offset)
        return tuple(Match(**row) for row in self.rows(_PAGE[kind, sort, descending], *asked))

    def count(self, side: str, kind: MatchKind, below: float | None) -> int:
        """How many features all pages of a list have."""
        return self.rows(_COUNT[kind], side, below)[0]["n"]

    def n_same_number(self) -> int:
        """How many features are matched with the one of their own number."""
        return self.rows(_SAME_NUMBER)[0]["n"]

    def of(self, side: str, feature: int) -> tuple[Match, ...]:
        """All that is stored of one feature: its nearest, then its match if that is none."""
        return tuple(Match(**row) for row in self.rows(_OF_FEATURE, side, feature))


def pair_path(store: Path, one: DictionaryInfo, other: DictionaryInfo) -> Path:
    """Where the file of two dictionaries stands, if there is one."""
    return file_of(store / PairFile.folder, *in_order(one, other))


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


def _side(row: dict[str, Any]) -> Side:
    return Side(**row | {"histogram": tuple(row["histogram"])})
