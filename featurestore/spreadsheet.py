"""Tables as CSV that a spreadsheet takes for data, and back to the last character. Pure.

What goes out is `safe`, what comes in is `plain`: between the two every text survives. Names, which
programs join on, are marked only where they are a formula.
"""

import csv
import io
import itertools
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from featurestore.errors import TableError

LARGEST_FILE = 64 * 2**20
"""Bytes of a table that is read."""
MOST_ROWS = 2_000_000

_DELIMITERS = ",;\t"
_EVALUATED = re.compile(
    r"""
    [ \u00a0\ufeff]* [\t\r\n]               # swallowed, then what follows counts
    | [\s\x00-\x1f\ufeff]* (?:
        [=+\-@|%＝＋－＠']                     # formulas, DDE; and our own mark
        | (?: true | false ) \s*+ \Z
    )
    | [^\w\[\]{}"]* \d                      # 007, 1e5, 12:30, .5, (5), €5; but no JSON
    | \W* [^\W\d_]+ [\s.,/-]*+ \d           # a word and a number may be a date: March 1, SEPT2
      [\d\s.,:/-]*+ (?: [ap]m | (?: mon|tue|wed|thu|fri|sat|sun ) [a-z]*+ )? \s*+ \Z
    """,
    re.VERBOSE | re.IGNORECASE,
)
_FORMULA = re.compile(r"[\s\x00-\x1f\ufeff]*[=+\-@|%＝＋－＠]|[ \u00a0\ufeff]*[\t\r\n]")
"""How what is evaluated begins, white space before it or not."""


@dataclass(frozen=True)
class Table:
    """A table as text."""

    header: tuple[str, ...]
    """Names of the columns; a column without a name has the empty one."""
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    """The number that a spreadsheet gives a row, 1 being the header's, and its cells: as many as
    columns. Empty lines count, and a cell of several lines is in one row."""

    def records(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Every row's number, and its cells by their columns' names."""
        for number, cells in self.rows:
            yield number, dict(zip(self.header, cells, strict=True))


def safe(cell: str) -> str:
    """Text that no spreadsheet evaluates or turns into something else.

    One `'` goes before whatever could start a formula, before a text whose first letter or digit is
    a digit, before a word with a number (a date, perhaps) and before true and false. `plain` takes
    it off.
    """
    return f"'{cell}" if _EVALUATED.match(cell) else cell


def safe_name(cell: str) -> str:
    """A name as it is, unless a spreadsheet would evaluate it: then one `'` goes before it.

    ck-4000 and true stay what they are, so that two tables can be joined on them; a spreadsheet may
    show such a cell as a date.
    """
    return f"'{cell}" if _FORMULA.match(cell) else cell


def plain(cell: str) -> str:
    """What `safe` was given: without the `'` that stands before it.

    One that opens what somebody has quoted, 'the' article, is no mark.
    """
    rest = cell.removeprefix("'")
    return rest if _EVALUATED.match(rest) or "'" not in rest else cell


def plain_of_program(cell: str) -> str:
    """The same of a table that a program wrote, where most such cells begin with a quotation."""
    rest = cell.removeprefix("'")
    is_marked = rest.startswith("'") or (_EVALUATED.match(rest) and "'" not in rest)
    return rest if is_marked else cell


def as_json(value: object) -> str:
    """What has no place in one cell otherwise."""
    return json.dumps(value, ensure_ascii=False)


def table_csv(
    header: Sequence[str],
    lines: Iterable[Sequence[Any]],
    bom: bool = True,
    names: Collection[str] = (),
) -> bytes:
    """A table as CSV in UTF-8, every cell quoted, every text safe, every number as it is.

    Excel reads UTF-8 only after a BOM; elsewhere it may be left out. `names` are the columns of
    what is a `safe_name` instead.
    """
    guards = [safe_name if column in names else safe for column in header]
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(header)
    for line in lines:
        writer.writerow(
            guard(cell) if isinstance(cell, str) else cell
            for guard, cell in zip(guards, line, strict=True)
        )
    return text.getvalue().encode("utf-8-sig" if bom else "utf-8", errors="replace")


def read_table(data: bytes, name: str = "The table", unmark: Callable[[str], str] = plain) -> Table:
    """A table from CSV, every cell as text, its mark taken off; no type is guessed.

    The delimiter is what the header has most of: comma, semicolon or tab. Empty lines are skipped.

    Args:
        data: UTF-8 with or without BOM, or UTF-16 with one.
        name: what messages call it.
        unmark: takes the mark off a cell.

    Raises:
        TableError: too large, not text, a quote that is not closed, a row of another width than
            the header, or two columns of one name.
    """
    text = decoded(data, name)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    header: tuple[str, ...] = ()
    rows = []
    for number, line, cells in _numbered(reader, name):
        if not header:
            header = tuple(plain(cell).strip() for cell in cells)
            _check_header(header, name)
            continue
        if len(cells) != len(header):
            raise TableError(
                f"{name}, row {number} (line {line}): {len(cells)} cells where the header "
                f"has {len(header)} columns. Is a delimiter missing, or one too many "
                "outside quotes?"
            )
        if len(rows) == MOST_ROWS:
            raise TableError(f"{name} has more than {MOST_ROWS:,} rows. Split it.")
        rows.append((number, tuple(map(unmark, cells))))
    if not header:
        raise TableError(f"{name} is empty: not even a header is in it.")
    return Table(header, tuple(rows))


def decoded(data: bytes, name: str) -> str:
    """The text of a file.

    Raises:
        TableError: too large, neither UTF-8 nor UTF-16 with a BOM, or holds NUL.
    """
    if len(data) > LARGEST_FILE:
        raise TableError(
            f"{name} has {len(data):,} bytes, more than the {LARGEST_FILE:,} allowed. Split it."
        )
    is_utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = data.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TableError(
            f"{name}, line {line}: not {'UTF-16' if is_utf16 else 'UTF-8'} ({error.reason}). In "
            "Excel save it as 'CSV UTF-8', in LibreOffice choose the character set UTF-8."
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise TableError(f"{name}, line {line}: it holds NUL, so it is no text.")
    return text


def _delimiter(text: str) -> str:
    header = re.sub(r'"[^"]*"', "", text.lstrip("\r\n").partition("\n")[0])
    return max(_DELIMITERS, key=header.count)


def _numbered(reader: Iterator[list[str]], name: str) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Every row that is no empty line: its number in a spreadsheet, and the line it begins in."""
    for number in itertools.count(1):
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise TableError(
                f"{name}, line {line}: {error}. Is a quote open? A quote inside a cell is written "
                "twice."
            ) from None
        if cells is None:
            return
        if cells:
            yield number, line, tuple(cells)


def _check_header(header: tuple[str, ...], name: str) -> None:
    named = [column for column in header if column]
    twice = sorted({column for column in named if named.count(column) > 1})
    if twice:
        raise TableError(f"{name} has two columns of one name: {', '.join(twice)}. Keep one.")
