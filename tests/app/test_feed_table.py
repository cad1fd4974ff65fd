from dataclasses import replace

from app.feed_table import caution, payload
from app.selection import Selection
from featurestore.link_records import End, Link, LinkInfo, Links, LinkTable
from featurestore.records import FeatureQuery, FeatureSummary
from tests.synthetic_store import HOSTILE

SELECTION = Selection(FeatureQuery("here", token="sea", among=(1, 2)), 3, 7, tab="bands")
HERE = End("here", "run1", "blocks.1.hook_resid_post", 12, 9, 9, 0.5, 0.25)
LATER = End("<b>later", "run2", "blocks.2.mlp.hook_in", 16, 9, 9, None, None)
INFO = LinkInfo(
    *(HERE, LATER, 8, "layer norm", True, False, 2, 100, None, "2026-01-01", "links/a.duckdb")
)
SAME = Link(0, 4, -1.5, -0.625, 0.953, True, 1234, -0.25, 0.5)
WEAK = Link(1, 5, 0.5, 0.1, None, False, 0, None, None)
TABLE = LinkTable(INFO, "upstream", (SAME, WEAK))


def feature_summary(feature: int, peaks: tuple[str, ...], n_active: int) -> FeatureSummary:
    empty = dict.fromkeys(FeatureSummary.__dataclass_fields__)
    given = {"feature": feature, "n_active": n_active, "peak_tokens": tuple((t, 1) for t in peaks)}
    return FeatureSummary(**empty | given)


SUMMARIES = {"<b>later": {4: feature_summary(4, HOSTILE[:5], 9), 5: feature_summary(5, (), 0)}}


def test_rows_say_where_they_lead_and_what_they_weigh() -> None:
    (table,) = payload(Links((), (TABLE,), ()), SUMMARIES, SELECTION)["tables"]
    assert table["title"] == "Feeds <b>later"  # which the script sets as text
    assert table["detail"] == (
        "blocks.2.mlp.hook_in · read through a layer norm · largest cos by chance ±0.250"
    )
    first, second = table["rows"]
    assert (first["feature"], first["open"], first["is_dead"]) == (4, ["<b>later", 4], False)
    assert first["href"] == "feature?dictionary=%3Cb%3Elater&feature=4&tab=bands"
    labels = [column["label"] for column in table["columns"]]
    assert dict(zip(labels, [shown for shown, _ in first["cells"]], strict=True)) == {
        "weight": "−1.50",
        "cos": "−0.625",
        "directions": "same 0.953",
        "on the texts": "−0.250",
        "both": "1,234",
        "corr.": "0.500",
    }
    assert [shown for shown, _ in second["cells"]] == ["0.500", "0.100", "–", "–", "0", "–"]
    assert second["is_dead"] and second["tokens"] == []


def test_tokens_go_as_text_and_few() -> None:
    (table,) = payload(Links((), (TABLE,), ()), SUMMARIES, SELECTION)["tables"]
    shown = [shown for shown, _ in table["rows"][0]["tokens"]]
    assert shown == [token.replace(" ", "␣") for token in HOSTILE[:3]] or len(shown) == 3
    assert table["tokens"] == "peaks on"


def test_without_activations_their_columns_are_left_out_and_why() -> None:
    info = replace(INFO, n_tokens=None, why_not="They were <not> asked for.")
    bare = LinkTable(info, "downstream", (SAME,))
    found = Links((bare, replace(bare, side="upstream")), (), ())
    summaries = SUMMARIES | {"here": SUMMARIES["<b>later"]}
    first, _ = payload(found, summaries, SELECTION)["tables"]
    assert [column["label"] for column in first["columns"]] == ["weight", "cos", "directions"]
    assert first["title"] == "Fed by here"
    html = caution(found)
    assert "Activations with here, &lt;b&gt;later: They were &lt;not&gt; asked for." in html
    assert "attention" in html and "<b>" not in html
    assert "Activations with" not in caution(Links((), (TABLE,), ()))
