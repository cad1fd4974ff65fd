import csv
import io
from dataclasses import replace
from typing import Any

from app.pair.rows import Row, matches_csv, nearest_payload, payload
from app.pair.selection import PairSelection
from featurestore.pair_records import Match
from featurestore.spreadsheet import safe
from tests.app.test_feature_table import ROW

SELECTION = PairSelection("one", "two", by="jaccard")
MATCH = Match(4, 0, 9, 0.75, True, n_both=3, jaccard=0.5, correlation=None)
NEAR = Row(MATCH, ROW, replace(ROW, feature=9, density=0.25, peak_tokens=(("=1+1", 2),)))
NOBODY = Row(Match(5, 0, None, None, False, None, None, None), ROW, None)


def cells(data: dict[str, Any], at: int = 0) -> dict[str, Any]:
    names = [column["name"] for column in data["columns"]]
    return dict(zip(names, data["rows"][at]["cells"], strict=True))


def test_a_row_holds_both_features() -> None:
    data = payload([NEAR], SELECTION, True)
    assert (data["sort"], data["descending"]) == ("jaccard", True)
    labels = {column["name"]: column["label"] for column in data["columns"]}
    assert (labels["feature"], labels["other"]) == ("one", "two")
    assert data["rows"][0]["href"] == "pair?other=two&dictionary=one&by=jaccard&feature=4&beside=9"
    found = cells(data)
    assert (found["feature"], found["other"]) == (4, ["9", "Feature 9"])
    assert found["mine"] == [["↵", r'"\n"', 3]] and found["theirs"] == [["=1+1", '"=1+1"', 2]]
    assert (found["mine_density"][0], found["theirs_density"][0]) == ("0.500", "0.250")
    assert (found["cosine"], found["n_both"]) == (["0.750", "0.75"], ["3", "3"])
    assert found["correlation"] == ["–", "One of the two does not vary on these tokens"]
    assert "flags" not in found  # all are matched


def test_the_list_of_the_other_turns_the_columns_round() -> None:
    data = payload([NEAR], replace(SELECTION, shown="only_other"), True)
    assert data["columns"][0]["label"] == "two"
    assert data["rows"][0]["href"].endswith("feature=9&beside=4")
    assert cells(data)["flags"] == [["matched", "The two are matched one to one"]]


def test_a_feature_without_a_direction_says_so() -> None:
    found = cells(payload([NOBODY], replace(SELECTION, shown="nearest"), True))
    for name in ("other", "theirs_density", "cosine", "n_both", "jaccard"):
        assert found[name][0] == "–" and "has no length" in found[name][1]
    assert found["theirs"] == found["flags"] == []


def test_activations_that_were_not_compared_have_no_columns() -> None:
    assert not {"correlation", "jaccard", "n_both"} & set(cells(payload([NEAR], SELECTION, False)))
    assert set(cells(nearest_payload([NEAR], SELECTION, "one", False))) == {
        *("other", "theirs", "cosine", "flags")
    }


def test_only_what_the_store_sorts_by_has_a_button() -> None:
    columns = payload([NEAR], SELECTION, True)["columns"]
    assert {column["name"] for column in columns if column["sort"]} == {
        *("feature", "cosine", "correlation", "jaccard", "n_both")
    }


def test_what_is_nearest_is_known_by_its_own_number() -> None:
    (row,) = nearest_payload([NEAR], SELECTION, "one", True)["rows"]
    assert (row["feature"], row["cells"][0]) == (9, 9)
    assert row["href"].endswith("feature=4&beside=9")
    (row,) = nearest_payload([NEAR], SELECTION, "two", True)["rows"]
    assert row["href"].endswith("feature=9&beside=4")


def test_the_file_is_safe_in_spreadsheets() -> None:
    data = matches_csv([NEAR, NOBODY], replace(SELECTION, dictionary="=one")).decode("utf-8-sig")
    first, second = csv.DictReader(io.StringIO(data, newline=""))
    assert first["dictionary"] == safe("=one") == "'=one"
    assert (first["feature"], first["other_dictionary"], first["other_feature"]) == (
        *("4", "two", "9"),
    )
    assert (first["density"], first["other_density"]) == ("0.5", "0.25")
    assert first["other_peak_tokens"] == '[["=1+1", 2]]'
    assert (first["cosine"], first["is_matched"], first["rank"]) == ("0.75", "True", "0")
    assert first["correlation"] == second["other_feature"] == second["cosine"] == ""
