import random
import time
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from featurestore import spreadsheet
from featurestore.errors import TableError
from featurestore.spreadsheet import (
    Table,
    plain,
    plain_of_program,
    read_table,
    safe,
    safe_name,
    table_csv,
)

PIECES = [
    *"=+-@\t\r\n|%＝＋－＠'\" \ufeff\u00a0\u3000,;.:/()[]{}$€#_~\\`<&",
    *("\r\n", "'=", '""', "\u202e", "\u2067", "\u200b", "\u0301", "\ud7ff", "\u2028"),
    *("\x01", "\x1b", "\x7f", "\x85", "a\rb"),
    *("0", "7", "007", "1e5", "1E5", "12:30", "5 PM", ".5", "50%", "٣", "５", "½", "2020-01-02"),
    *("March", "SEPT2", "MAR-1", "Mai", "May ", "TRUE", "false", "inf", "nan", "NULL", "NA", "N/A"),
    *("cmd", "a", "é", "😀", "DDE(1)", "the cat"),
]
DANGEROUS = set("=+-@\t\r\n|%＝＋－＠")
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t"}


@pytest.fixture(scope="module")
def cells() -> list[str]:
    rng = random.Random(5)
    return ["".join(rng.choices(PIECES, k=rng.randrange(6))) for _ in range(200_000)]


@pytest.fixture(scope="module")
def written(cells: list[str]) -> bytes:
    """The cells in four columns."""
    rows = [cells[i : i + 4] for i in range(0, len(cells), 4)]
    return table_csv(["a", "b", "c", "d"], rows)


def starts_a_formula(cell: str) -> bool:
    return cell.lstrip(" \ufeff\u00a0")[:1] in DANGEROUS


def test_every_cell_comes_back_and_none_is_dangerous(cells: list[str], written: bytes) -> None:
    start = time.perf_counter()
    table = read_table(written)
    assert time.perf_counter() - start < 10
    assert table.header == ("a", "b", "c", "d")
    assert [cell for _, row in table.rows for cell in row] == cells
    assert len(table.rows) == 50_000

    assert [cell for cell in cells if plain(safe(cell)) != cell] == []
    assert [cell for cell in cells if starts_a_formula(safe(cell))] == []
    assert sum(starts_a_formula(cell) for cell in cells) > 20_000  # or the test is about nothing


QUOTED = ["'the' article", "'i'", "' in'", "'tis the season's"]
UNMARKED = {"'-ing": "-ing", "'March 1": "March 1", "''i'": "'i'", "it's": "it's", "i": "i"}


def test_a_quotation_that_somebody_wrote_is_no_mark() -> None:
    assert list(map(plain, QUOTED)) == QUOTED
    assert {cell: plain(cell) for cell in UNMARKED} == UNMARKED
    assert (plain("'March first"), plain("'-don't")) == ("March first", "-don't")


def test_what_a_program_quotes_is_kept() -> None:
    quoted = [*QUOTED, "'-' or '+'", "'007'", "'tis"]
    assert list(map(plain_of_program, quoted)) == quoted
    assert {cell: plain_of_program(cell) for cell in UNMARKED} == UNMARKED


def test_pandas_reads_the_same(cells: list[str], written: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cells.csv"
    path.write_bytes(written)
    frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    read = frame.to_numpy().ravel().tolist()
    assert list(map(plain, read)) == cells
    assert [cell for cell in read if starts_a_formula(cell)] == []


def test_duckdb_reads_the_same(cells: list[str], written: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cells.csv"
    path.write_bytes(written)
    relation = duckdb.read_csv(
        str(path), all_varchar=True, header=True, delimiter=",", quotechar='"', escapechar='"',
        na_values=["never in a cell"], parallel=False,
    )  # fmt: skip
    read = [cell for row in relation.fetchall() for cell in row]
    assert list(map(plain, read)) == cells


MARKED = """
=1+1; =1;\u00a0=1;\ufeff@x;\tx;\rx;|x;%x;＝1;';'x;-;− 5;007;7;1e5;12:30;1/2;1-Mar;.5;,5;(5);( 5)
$5;€ 5;5%;\u00a05;  5;５;2020-01-02;5 PM;3D shapes;1 1/2;5-;#1;March 1;MARCH1;SEPT2;MAR-1
Mar 1, 2020;april 2020;Mai 1;Dez. 5;Mar 1, 2020 10:00 am;USD 5;Layer 3;e5;TRUE;false; True 
MAR-1 Mon;\x01=1;\x1b'x;\x01 true
"""
LEFT_ALONE = """
;the number 7;Python 3 code;NA;NULL;None;inf;nan;N/A;truely;[1, 2];{"1": 2};["=1"];«cat»;a=1
<script>;😀;March;\u0301;\u202ecat;dog's;cat; ;one, two
"""


def split(cells: str) -> list[str]:
    return [cell for line in cells[1:-1].split("\n") for cell in line.split(";")]


@pytest.mark.parametrize("cell", split(MARKED))
def test_what_a_spreadsheet_would_change_is_marked(cell: str) -> None:
    assert safe(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", split(LEFT_ALONE))
def test_what_a_spreadsheet_leaves_alone_is_not(cell: str) -> None:
    assert safe(cell) == cell


def test_the_rule_takes_no_longer_than_its_text() -> None:
    for cell in ("a " * 20_000, "a" + "1 " * 20_000 + "x", " " * 40_000 + "x", "a" + " " * 40_000):
        start = time.perf_counter()
        safe(cell)
        assert time.perf_counter() - start < 0.5, cell[:10]


@pytest.mark.parametrize("cell", ["ck-4000", "true", "SEPT2", "007", "1e5", "a=1", "", "'the' x"])
def test_a_name_is_as_it_is(cell: str) -> None:
    assert safe_name(cell) == cell


@pytest.mark.parametrize("cell", ["=1", "+1", "-x", "@x", "\tx", "\rx", " =1", "\ufeff@x", "＝1"])
def test_a_name_that_is_a_formula_is_marked(cell: str) -> None:
    assert safe_name(cell) == f"'{cell}"


def test_no_name_is_dangerous(cells: list[str]) -> None:
    assert [cell for cell in cells if starts_a_formula(safe_name(cell))] == []


def test_columns_of_names_can_be_joined_on(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    lines = [["ck-4000", "ck-4000", "true"], ["=x", "=x", "false"]]
    path.write_bytes(table_csv(["id", "text", "is"], lines, bom=False, names=("id", "is")))
    read = pd.read_csv(path)
    assert read["id"].tolist() == ["ck-4000", "'=x"]
    assert read["text"].tolist() == ["'ck-4000", "'=x"]
    assert read["is"].tolist() == [True, False]


def test_numbers_stay_numbers_and_the_bom_may_be_left_out() -> None:
    data = table_csv(["n", "x"], [[-5, -0.5], [None, "-5"]])
    assert data == b'\xef\xbb\xbf"n","x"\r\n"-5","-0.5"\r\n"","\'-5"\r\n'
    assert table_csv(["n"], [], bom=False) == b'"n"\r\n'


@pytest.mark.parametrize("delimiter", DELIMITERS.values(), ids=DELIMITERS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_and_encodings_of_spreadsheets(delimiter: str, encoding: str, end: str) -> None:
    lines = [["feature", " label ", ""], ["007", '"a,b;c\té"', "'=1"], ["NA", "", "1e5"]]
    text = "".join(delimiter.join(line) + end for line in lines)
    table = read_table(text.encode(encoding))
    first = ("007", "a,b;c\té", "=1")
    assert table == Table(("feature", "label", ""), ((2, first), (3, ("NA", "", "1e5"))))
    assert list(table.records())[0] == (2, {"feature": "007", "label": "a,b;c\té", "": "=1"})


def test_rows_are_counted_as_a_spreadsheet_does() -> None:
    """An empty line is a row of its own, a cell of two lines is not."""
    table = read_table(b'\n"a","b"\n"1","two\nlines"\n\n"3","4"\n')
    assert table.rows == ((3, ("1", "two\nlines")), (5, ("3", "4")))
    with pytest.raises(TableError, match=r"it\.csv, row 3 \(line 4\): 1 cells where the header"):
        read_table(b'a,b\n"two\nlines",1\n3\n', "it.csv")


BAD = {
    "empty": (b"", ["it.csv is empty"]),
    "blank": (b"\n\n", ["it.csv is empty"]),
    "Latin-1": ("a\nb\nMäuse\n".encode("latin-1"), ["line 3: not UTF-8", "'CSV UTF-8'"]),
    "half UTF-16": (b"\xff\xfea", ["not UTF-16"]),
    "NUL": (b"a\nb\nc\0\n", ["line 3: it holds NUL"]),
    "an open quote": (b'a,b\n1,2\n3,"4\n5,6\n', ["line 3: unexpected end of data", "quote open"]),
    "text after a quote": (b'a,b\n1,"2"3\n', ["line 2: ',' expected after '\"'"]),
    "too short": (b"a,b\n1,2\n3\n", ["row 3 (line 3): 1 cells where the header has 2 columns"]),
    "too long": (b"a,b\n1,2,3\n", ["row 2 (line 2): 3 cells where the header has 2 columns"]),
    "one name twice": (b"a,b, a,,\n", ["two columns of one name: a"]),
    "a huge cell": (b"a\n" + b"x" * 200_000 + b"\n", ["line 2: field larger than field limit"]),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_table_is_told(case: str) -> None:
    data, expected = BAD[case]
    with pytest.raises(TableError) as error:
        read_table(data, "it.csv")
    assert [part for part in expected if part not in str(error.value)] == []


def test_what_is_too_large_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheet, "MOST_ROWS", 2)
    assert len(read_table(b"a\n1\n2\n").rows) == 2
    with pytest.raises(TableError, match="more than 2 rows"):
        read_table(b"a\n1\n2\n3\n")
    monkeypatch.setattr(spreadsheet, "LARGEST_FILE", 6)
    assert read_table(b"a\n1\n2\n").rows
    with pytest.raises(TableError, match="7 bytes, more than the 6 allowed"):
        read_table(b"a\n1\n23\n")
