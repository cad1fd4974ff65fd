from dataclasses import replace

from app.compare.scoreboard import COLUMNS
from app.compare.selection import CompareSelection
from app.compare.table import payload
from tests.app.compare.made_up import made, of


def test_rows_with_links_to_browse() -> None:
    one = of(made("a&b"), step=4000)
    data = payload([one], CompareSelection(by="l0", descending=True))
    assert [column["name"] for column in data["columns"]] == list(COLUMNS)
    assert (data["sort"], data["descending"]) == ("l0", True)
    (row,) = data["rows"]
    assert (row["id"], row["href"]) == ("a&b", "./?dictionary=a%26b")
    assert row["facts"] == "sae · here · step 4,000"
    assert len(row["cells"]) == len(COLUMNS) - 1
    assert row["cells"][1][0] == "4.00"


def test_pairs_lead_to_the_page_of_two() -> None:
    alone, compared = made("a&b"), replace(made("a&b"), n_pairs=2, beside="c")
    without, with_pairs = payload([alone, compared], CompareSelection())["rows"]
    assert without["pair"] == ""
    assert with_pairs["pair"] == "pair?other=c&dictionary=a%26b"
    assert with_pairs["cells"][-1] == ["2", "Compared with 2. Opens it beside c"]
    assert COLUMNS[-1] == "pairs"  # the script makes the last cell a link
