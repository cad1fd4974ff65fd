from app.neighbour_table import payload
from app.selection import Selection
from featurestore.detail_records import Neighbour, Neighbours
from featurestore.records import FeatureQuery

SELECTION = Selection(FeatureQuery("planted", token="<sea>"), feature=3, tab="bands")
NEAR = Neighbour(12, True, (" sea", "<b>", "c", "d"), -0.81, 0, None, None, None, None)
TOGETHER = Neighbour(4, False, (), 0.1, 30, 0.25, -0.5, 0.8, 0.31)


def test_both_tables_with_links_that_keep_the_list() -> None:
    data = payload(Neighbours((NEAR,), (TOGETHER,)), 0.254, SELECTION)
    by_cosine, together = data["tables"]
    assert by_cosine["detail"] == "the nearest, dead ones too · largest by chance 0.254"
    (row,) = by_cosine["rows"]
    assert row["href"] == "feature?dictionary=planted&feature=12&token=%3Csea%3E&tab=bands"
    assert row["is_dead"] and row["open"] == 12
    assert by_cosine["tokens"] == "promotes"
    assert row["tokens"] == [["␣sea", '" sea"'], ["<b>", '"<b>"'], ["c", '"c"']]
    assert row["cells"] == [["−0.810", "-0.81"]]
    labels = [column["label"] for column in together["columns"]]
    cells = [shown for shown, _ in together["rows"][0]["cells"]]
    assert dict(zip(labels, cells, strict=True)) == {
        "Jaccard": "0.250",
        "both": "30",
        "P(it)": "80.0%",
        "PMI": "−0.500",
        "corr.": "0.310",
    }


def test_an_empty_table_says_why() -> None:
    by_cosine, together = payload(Neighbours((), (TOGETHER,)), 0.254, SELECTION)["tables"]
    assert by_cosine["detail"] == "none: it has no length"
    assert together["detail"] == "on the same tokens"
    assert payload(Neighbours((NEAR,), ()), 0.254, SELECTION)["tables"][1]["detail"] == (
        "no other is active where it is"
    )
