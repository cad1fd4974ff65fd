import pytest

from featurestore.annotations.rewriting import is_rewritten

REWRITTEN = """
007|7;7|7;1e5|100000;1e5|1.00E+05;1E5|1,00E+05;12345e12|1.23E+16;.5|0.5;0,5|0.5;50%|50.00%;5%|0.05
$5|$5.00;€5|5,00 €;(5)|-5;( 5)|-5;5-|-5;+5|5;1,234|1234;1.234|1234;1,234.5|1234.5;1.|1;1 1/2|1.5
3.14159265358979|3.141592654;123456789012345678901234567890|1.23456789012346E+029;00|0;-0|0
true|TRUE;False|FALSE;TRUE|true
12:30|12:30:00 PM;5pm|05:00:00 PM;5 PM|17:00;1:2:3|1:2:3;10:00 am|10:00:00;12:05 AM|00:05
March 1|03/01/26;March 1|01.03.2026;March 1|1-Mar;MARCH1|01-Mar;SEPT2|2026-09-02;MAR-1|1. mar
Mar 1, 2020|03/01/20;april 2020|04/01/20;1/2|01/02/26;1/2|2-Jan;1-2|1. Feb;1.2|01. Feb
2020-01-02|02/01/2020;5/6/2020|05/06/20;2020-01-02T10:00:00|01/02/20 10:00 AM;3/5|5/3
 x|x;x |x;a\\r\\nb|a\\nb;a\\rb|a\\nb; \\n|;\\ufeffx|x
"""
EDITED = """
007|8;7|70;1.5|15;1,5|15;7.3|7;1.234|1235;1e5|100001;5%|5;5|-5;(5)|5;$5|6;1 1/2|1 1/3;1/2|0.5
true|false;true|yes;yes|true;true|1;cat|Cat;cat|cats;a b|ab;a\\n\\nb|a\\nb;cat|;|cat;x|X
12:30|12:31;5pm|5;5 pm|5 am;March 1|March 2;March 1|April 1;March 1, 2020|March 1, 2021
Marble 3|March 3;Layer 3|Layers 3;3 mai|5 mai;12/13|13/14;32/1|1/31;5-5-5|5-5-6;2020|2021;a_1|1
1 2 3 4|1-2-3-4;2020-01-02 10:00|2020-01-02 10:01;2020-01-02 10:00|2020-01-02;1e5|inf
"""


def pairs(text: str) -> list[tuple[str, str]]:
    cells = [pair for line in text[1:-1].split("\n") for pair in line.split(";")]
    decoded = [cell.replace("\\r", "\r").replace("\\n", "\n") for cell in cells]
    return [tuple(cell.replace("\\ufeff", "\ufeff").split("|")) for cell in decoded]


@pytest.mark.parametrize(("stored", "found"), pairs(REWRITTEN))
def test_what_a_spreadsheet_writes_anew_is_no_edit(stored: str, found: str) -> None:
    assert is_rewritten(stored, found)


@pytest.mark.parametrize(("stored", "found"), pairs(EDITED))
def test_an_edit_is_one(stored: str, found: str) -> None:
    assert not is_rewritten(stored, found)


ODD = ["9" * 400, "1e999", "0/0", "1 1/0", "²", "٣", "½", "99:99", "1" * 9000, "1 " * 5000]
ODD += ["1" * 9000 + "/1", "1 1/" + "1" * 9000, "1/" + "2" * 9000 + "/3", "(" * 9000, "1:1" * 9000]


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_no_text_is_too_odd(text: str) -> None:
    assert is_rewritten(text, f" {text}")
    for other in ("cat", "7", "1/2", "12:30"):
        assert not is_rewritten(text, other)
        assert not is_rewritten(other, text)
