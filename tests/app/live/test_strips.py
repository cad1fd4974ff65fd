import json
import math
from dataclasses import replace
from typing import Any

import pytest

from app.live.strips import Column, Row, Strip, Text, payload

COLUMNS = (
    Column("feature", "feature", "link", "Its number", sort=True),
    Column("max", "max", "number", "Largest activation", sort=True),
    Column("n", "active", "number", "Tokens"),
    Column("promoted", "promotes", "tokens", "Tokens it promotes"),
    Column("flags", "", "words", "What is odd"),
    Column("label", "label", "text", "What somebody called it"),
)
CELLS = ("7", 1.23456, 1200, (" a", ("\n", 3)), ("dense",), "a \u202elabel")
STRIP = Strip((0, 2), (0.5, -1.25), "active on 2 of 4 tokens")
ROW = Row("7", CELLS, (STRIP,), 1.25, href="feature?feature=7")
TEXT = Text("Text", "4 tokens", ("a", " b", "a", "\n\n"))


def drawn(*rows: Row, texts: tuple[Text, ...] = (TEXT,), **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    given = {"sort": "max", "descending": True, "selected": ((),) * len(texts), "row": None}
    return payload(texts, COLUMNS, rows, **given | changes)


def test_each_distinct_token_goes_once() -> None:
    (text,) = drawn()["texts"]
    assert text == {
        "title": "Text",
        "detail": "4 tokens",
        "tokens": [["a"], [" b"], ["\n\n", "↵↵", r'"\n\n"']],
        "ids": [0, 1, 0, 2],
    }


def test_tokens_that_cannot_be_selected() -> None:
    assert drawn(texts=(TEXT, TEXT), selected=[(2, 1, 2), None])["selected"] == [[1, 2], None]


def test_cells_are_ready_to_show() -> None:
    (row,) = drawn(ROW)["rows"]
    assert row["cells"] == [
        "7",
        ["1.23", "1.23456"],
        ["1,200", "1,200"],
        [["␣a", '" a"'], ["↵", r'"\n"', 3]],
        ["dense"],
        "a ⟦U+202E⟧label",
    ]


def test_numbers_that_do_not_exist_are_said_to() -> None:
    cells = ("7", None, math.nan, (), (), "")
    (row,) = drawn(replace(ROW, cells=cells))["rows"]
    assert row["cells"] == ["7", ["–", "does not exist"], ["–", "nan"], [], [], ""]


def test_a_row_keeps_exact_values_and_its_scale() -> None:
    (row,) = drawn(replace(ROW, tone="loss"))["rows"]
    assert row["strips"] == [
        {"pos": [0, 2], "val": [0.5, -1.25], "label": "active on 2 of 4 tokens"}
    ]
    assert (row["key"], row["href"]) == ("7", "feature?feature=7")
    assert (row["scale"], row["scale_text"], row["tone"]) == (1.25, "1.25", "loss")


def test_columns_sort_and_what_is_selected_pass_through() -> None:
    data = drawn(ROW, texts=(TEXT, TEXT), selected=({3, 1}, (2, 2)), row="7", descending=False)
    assert data["columns"][0] == {
        "name": "feature",
        "label": "feature",
        "kind": "link",
        "title": "Its number",
        "sort": True,
    }
    assert [column["sort"] for column in data["columns"]] == [True, True, *[False] * 4]
    assert (data["sort"], data["descending"], data["row"]) == ("max", False, "7")
    assert data["selected"] == [[1, 3], [2]]
    assert len(data["texts"]) == 2


def test_without_rows_the_text_remains() -> None:
    data = drawn()
    assert data["rows"] == []
    assert data["texts"][0]["ids"] == [0, 1, 0, 2]


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_values_that_json_lacks_go_as_their_names(odd: float) -> None:
    strip = replace(STRIP, values=(odd, 1.0))
    data = drawn(replace(ROW, strips=(strip,), scale=odd))
    assert data["rows"][0]["strips"][0]["val"] == [str(odd), 1.0]
    assert data["rows"][0]["scale"] == 0.0
    json.dumps(data, allow_nan=False)


def test_hostile_titles_are_made_visible() -> None:
    (text,) = drawn(texts=(Text("\u202e<b>\0", "", ("", "<img src=x onerror=alert(1)>")),))["texts"]
    assert text["title"] == "⟦U+202E⟧<b>⟦NUL⟧"
    assert text["detail"] == ""
    assert text["tokens"] == [["", "∅", '""'], ["<img src=x onerror=alert(1)>"]]


def test_a_row_has_a_cell_for_every_column() -> None:
    with pytest.raises(ValueError, match="longer than"):
        drawn(replace(ROW, cells=("7",)))
