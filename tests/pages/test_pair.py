import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import links
from featurestore.annotations.database import Database, default_url
from featurestore.annotations.log import AnnotationLog
from featurestore.annotations.records import Content, Draft, Verdict
from tests.pages.conftest import Open, texts
from tests.pair_store import HOSTILE, write_pair_store
from tests.small_store import publish

BOTH = {"other": "late", "dictionary": "early"}


@pytest.fixture(scope="module")
def pair_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pair_store(tmp_path_factory.mktemp("pair"))


def tables(test: AppTest) -> list[dict]:
    """What tables were told to draw."""
    found = [json.loads(one.proto.json) for one in test.get("bidi_component") if one.proto.json]
    return [data for data in found if "columns" in data]


def listed(test: AppTest) -> list[tuple[int, str]]:
    """Features and those beside them, of the only table."""
    (data,) = tables(test)
    at = [column["name"] for column in data["columns"]].index("other")
    return [(row["feature"], row["cells"][at][0]) for row in data["rows"]]


def test_the_first_pair_there_is(open_page: Open, pair_store: Path) -> None:
    test = open_page(links.PAIR, pair_store)
    assert test.selectbox(key="dictionary").value == "early"
    assert test.selectbox(key="other").value == "late"
    options = test.selectbox(key="other").options
    assert [one for one in options if "not compared" in one][0].startswith("apart")
    said = texts(test)
    assert "0.537" in said and "0.562" in said and "0.400" in said and "25.0%" in said
    assert "4 matched one to one (assignment)" in said and "mean cosine 0.487" in said
    assert "opposite directions count as unlike" in said and "keep their sign" in said
    assert "activations on 100 tokens" in said
    assert "fb-note" not in said
    assert len(test.get("plotly_chart")) == 1
    assert listed(test) == [(0, "2"), (2, "4"), (4, "0"), (1, "1")]


def test_lists_are_in_the_url(open_page: Open, pair_store: Path) -> None:
    test = open_page(links.PAIR, pair_store, **BOTH, list="only")
    assert listed(test) == [(1, "2"), (4, "0")]  # however well they may be matched
    test = open_page(links.PAIR, pair_store, **BOTH, list="only_other", order="asc")
    assert listed(test) == [(0, "4"), (1, "0")]
    test = open_page(links.PAIR, pair_store, **BOTH, list="nearest", by="correlation")
    assert listed(test) == [(2, "4"), (0, "2"), (4, "0"), (1, "2"), (3, "–")]
    test = open_page(links.PAIR, pair_store, **BOTH, list="only", below="0.25")
    assert listed(test) == [(4, "0")]


def test_controls_write_the_url(open_page: Open, pair_store: Path) -> None:
    test = open_page(links.PAIR, pair_store, **BOTH, page="1")
    control = test.segmented_control(key="list")
    assert control.options == [
        *("Matched · 4", "early: below 0.6 · 2", "late: below 0.6 · 2"),
        "All, with nearest · 5",
    ]
    control.select("only").run()
    assert test.query_params == BOTH | {"list": "only", "order": "asc"}
    assert listed(test) == [(4, "0"), (1, "2")]
    test.number_input(key="below").set_value(0.25).run()
    assert test.query_params["below"] == "0.25"
    test.button(key="swap").click().run()
    assert (test.query_params["dictionary"], test.query_params["list"]) == ("late", "only_other")
    assert listed(test) == [(4, "0")]
    test.selectbox(key="dictionary").select("early").run()  # which the other was
    assert (test.query_params["dictionary"], test.query_params["other"]) == ("early", "late")


def test_two_features_side_by_side(open_page: Open, pair_store: Path) -> None:
    test = open_page(links.PAIR, pair_store, **BOTH, feature="0", beside="2")
    said = texts(test)
    assert "Feature 0 beside 2" in said and "Matched: 1 of 4" in said
    assert "cosine <b>0.950</b>" in said and "correlation <b>0.800</b>" in said
    assert "tokens with both <b>4</b>" in said and ">matched<" in said
    assert HOSTILE not in said and "&lt;img" in said
    mine, theirs = tables(test)
    assert [row["feature"] for row in mine["rows"]] == [2, 1]
    assert [row["feature"] for row in theirs["rows"]] == [0]
    assert mine["rows"][1]["href"] == "pair?other=late&dictionary=early&feature=0&beside=1"
    assert test.button(key="previous").disabled
    test.button(key="following").click().run()
    assert "Feature 2 beside 4" in texts(test)
    test.button(key="to_list").click().run()
    assert test.query_params == BOTH
    assert len(listed(test)) == 4


@pytest.mark.parametrize(
    ("alone", "said"),
    [({"feature": "0"}, "Feature 0 beside 2"), ({"beside": "4"}, "Feature 2 beside 4")],
)
def test_a_feature_alone_stands_beside_its_nearest(
    open_page: Open, pair_store: Path, alone: dict[str, str], said: str
) -> None:
    test = open_page(links.PAIR, pair_store, **BOTH, **alone)
    assert said in texts(test) and ">matched<" in texts(test)


def test_an_unknown_feature_alone_is_told(open_page: Open, pair_store: Path) -> None:
    test = open_page(links.PAIR, pair_store, **BOTH, feature="77")
    assert "No feature 77 in &#x27;early&#x27;" in texts(test)


@pytest.mark.parametrize("named", ["dictionary", "other"])
def test_a_dictionary_that_is_not_there_is_named(
    open_page: Open, pair_store: Path, named: str
) -> None:
    test = open_page(links.PAIR, pair_store, **{named: "nope"})
    assert "No dictionary &#x27;nope&#x27;" in texts(test)


def test_two_that_were_not_put_beside_each_other(open_page: Open, pair_store: Path) -> None:
    test = open_page(links.PAIR, pair_store, **BOTH, feature="2", beside="2")
    assert "No numbers of these two" in texts(test)
    test = open_page(links.PAIR, pair_store, **BOTH, feature="3")
    assert "Its direction has no length" in texts(test)
    assert "dead: active on none of 100 tokens" in texts(test)


def test_a_label_is_suggested_and_not_saved(open_page: Open, tmp_path: Path) -> None:
    store = write_pair_store(tmp_path)
    database = Database(default_url(store))
    log = AnnotationLog(database)
    label = f"**{HOSTILE}**"
    said = Content(Verdict.MONOSEMANTIC, label)
    log.append(Draft("1", "Ann", "digest of early", "early", 0, 0, said))
    log.append(Draft("2", "Ann", "digest of early", "early", 4, 0, said))
    test = open_page(links.PAIR, store, **BOTH, feature="0", beside="2")
    assert "at cosine 0.950, to copy" in texts(test)
    assert "monosemantic" in texts(test) and HOSTILE not in texts(test)
    assert [one.value for one in test.code] == [label]
    assert len(log.all_current()) == 2
    far = open_page(links.PAIR, store, **BOTH, feature="4", beside="0")  # a cosine of 0.2
    assert [one.value for one in far.code] == []
    assert "nobody has said anything of it" in texts(far)
    database.close()


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"other": "apart"}, "match early apart --store"),
        ({"other": "wide"}, "they have no cosines"),
        ({"other": "early"}, "given twice"),
        ({"other": "<b>"}, "&lt;b&gt;&#x27; in this store. It has: apart, early"),
        ({"list": "<b>"}, "A link may say: matched, only, only_other, nearest"),
        ({"by": "<b>"}, "A link may say: cosine"),
        ({"below": "2"}, "A cosine is from -1 to 1"),
        ({"page": "9"}, "the last page is 1"),
        ({"feature": "<b>"}, "A feature is a whole number"),
        ({"feature": "77", "beside": "0"}, "77"),
    ],
)
def test_what_cannot_be_shown_says_why(
    open_page: Open, pair_store: Path, params: dict[str, str], said: str
) -> None:
    test = open_page(links.PAIR, pair_store, **BOTH | params)
    assert said in texts(test)
    assert "<b>'" not in texts(test)


def test_a_damaged_pair_says_which(open_page: Open, tmp_path: Path) -> None:
    store = write_pair_store(tmp_path)
    path = store / "pairs" / "run1--run2.duckdb"
    path.write_bytes(b"nothing")
    for page in (links.PAIR, links.COMPARE):
        assert str(path) in texts(open_page(page, store))


def test_cautions(open_page: Open, tmp_path: Path) -> None:
    store = write_pair_store(tmp_path, is_same_model=False, is_absolute=True, n_tokens=None)
    test = open_page(links.PAIR, store)
    said = texts(test)
    assert "the basis may have drifted" in said
    assert "cosines are absolute values" in said
    assert "match early late --activations --store" in said
    names = [column["name"] for column in tables(test)[0]["columns"]]
    assert "cosine" in names and "correlation" not in names


def test_stores_without_a_pair(open_page: Open, tmp_path: Path) -> None:
    (tmp_path / "dictionaries").mkdir()
    assert "holds no dictionary yet" in texts(open_page(links.PAIR, tmp_path))
    publish(tmp_path, "one", "run1")
    assert "A pair needs two dictionaries" in texts(open_page(links.PAIR, tmp_path))
    publish(tmp_path, "two", "run2")
    assert "match one two --store" in texts(open_page(links.PAIR, tmp_path))


def test_the_scoreboard_leads_to_a_pair(open_page: Open, pair_store: Path) -> None:
    test = open_page(links.COMPARE, pair_store)
    rows = {row["id"]: row for row in tables(test)[0]["rows"]}
    family, pairs = rows["early"]["cells"][-2:]
    assert family[0] == "0.537" and "late: 0.537, by chance 0.400" in family[1]
    assert pairs == ["1", "Compared with 1. Opens it beside late"]
    assert rows["early"]["pair"] == "pair?other=late&dictionary=early"
    family, pairs = rows["apart"]["cells"][-2:]
    assert family[0] == pairs[0] == "–" and "no family" in family[1]
    assert "python -m featurestore match apart" in pairs[1]
    assert rows["apart"]["pair"] == ""
