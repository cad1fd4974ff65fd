import json
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from streamlit.testing.v1 import AppTest

from app import command_line, links
from app.map.chosen import written
from featurestore.store import Store
from tests.pages.conftest import Open, texts
from tests.pair_store import write_pair_store
from tests.small_store import publish
from tests.synthetic_store import DEAD, NONFINITE, RIVER, SIGNED


def contexts(test: AppTest) -> dict:
    """What the token view was given."""
    return component(test, "groups")


def neighbours(test: AppTest) -> list[dict]:
    """The tables of neighbours."""
    return component(test, "tables").get("tables", [])


def component(test: AppTest, name: str) -> dict:
    """What the component was given whose data has this name."""
    given = [json.loads(c.proto.json) for c in test.get("bidi_component")]
    return next((data for data in given if name in data), {})


def test_the_page_of_a_planted_feature(open_page: Open) -> None:
    test = open_page(links.FEATURE, dictionary="planted", feature=str(RIVER))
    shown = texts(test)
    assert "␣river" in shown
    assert "promotes" in shown and "suppresses" in shown
    assert "not drawn" in shown
    assert component(test, "bars")["name"] == "40 bins of activation, 0.127 to 9.78"
    assert test.get("plotly_chart") == []  # it would be the longest wait of a first visit
    data = contexts(test)
    peaks = {data["tokens"][r["tokens"][r["peak"]]][0] for g in data["groups"] for r in g["rows"]}
    assert peaks == {" river"}
    assert len(data["groups"][0]["rows"]) == 20


@pytest.mark.parametrize("is_stranger", [True, False])
def test_strangers_are_not_told_where_weights_stand(
    open_page: Open, monkeypatch: pytest.MonkeyPatch, is_stranger: bool
) -> None:
    monkeypatch.setattr(command_line, "is_for_strangers", lambda: is_stranger)
    monkeypatch.setattr(Store, "weights_path", lambda self, info: "/home/ann/sae")
    shown = texts(open_page(links.FEATURE, dictionary="planted", feature=str(RIVER)))
    assert ("/home/ann/sae" in shown) is not is_stranger
    assert "digest of dictionary" in shown


def test_next_and_previous_follow_the_list(open_page: Open) -> None:
    test = open_page(links.FEATURE, dictionary="planted", feature="3", sort="feature", order="asc")
    assert "4 of 113," in texts(test)
    test.button(key="next").click().run()
    assert test.query_params["feature"] == "4"
    test.button(key="next").click().run()
    assert "Feature 6" in texts(test)  # 5 is dead
    test.button(key="previous").click().run()
    assert "Feature 4" in texts(test)
    assert test.query_params["sort"] == "feature"


def test_random_stays_in_the_list_and_never_shows_a_dead_one(open_page: Open) -> None:
    test = open_page(links.FEATURE, dictionary="planted", feature="3", density="0.13..", dead="1")
    seen = set()
    for _ in range(12):
        test.button(key="random").click().run()
        seen.add(test.query_params["feature"])
    assert seen <= {"3", "4", "74", "11", "9"}
    assert len(seen) > 1


def test_a_random_one_of_a_list_with_no_other_that_is_active_leads_nowhere(open_page: Open) -> None:
    """So that whoever types ahead is told, and nothing waits."""
    among = written((3, 5))
    test = open_page(links.FEATURE, dictionary="planted", feature="3", among=among, dead="1")
    stays = component(test, "stays")["stays"]
    test.button(key="random").click().run()
    assert test.query_params["feature"] == "3"
    assert component(test, "stays")["stays"] == stays + 1


def test_a_list_of_one_leads_to_no_random_other(open_page: Open) -> None:
    def disabled(**params: str) -> bool:
        test = open_page(links.FEATURE, dictionary="planted", feature="2", **params)
        return test.button(key="random").disabled

    assert not disabled()
    assert disabled(among="2")
    assert not disabled(among="1")  # where it is not itself in the list


@pytest.mark.parametrize(
    ("tab", "n_groups"), [("top", 1), ("bands", 5), ("random", 1), ("zero", 1)]
)
def test_only_the_open_tab_is_drawn(open_page: Open, tab: str, n_groups: int) -> None:
    test = open_page(links.FEATURE, dictionary="planted", feature="0", tab=tab, view="full")
    assert len(contexts(test)["groups"]) == n_groups
    assert contexts(test)["view"] == "full"


def test_bands_of_equal_count(open_page: Open) -> None:
    test = open_page(links.FEATURE, dictionary="planted", feature="0", tab="bands")
    test.segmented_control(key="bands").select("quantile").run()
    assert test.query_params["bands"] == "quantile"
    shares = [group["detail"] for group in contexts(test)["groups"]]
    assert all("20." in share or "19." in share for share in shares), shares


def test_a_dead_feature_says_so_and_keeps_its_lens(open_page: Open) -> None:
    test = open_page(links.FEATURE, dictionary="planted", feature=str(DEAD))
    shown = texts(test)
    assert "Dead: active on none of 12,480 tokens. Its density is below 2.40e-4" in shown
    assert "promotes" in shown
    assert "not in the list of 113" in shown
    assert contexts(test) == {}


def test_signed_and_nonfinite_features(open_page: Open) -> None:
    data = contexts(open_page(links.FEATURE, dictionary="planted", feature=str(SIGNED)))
    assert data["has_negative"]
    assert min(value for row in data["groups"][0]["rows"] for value in row["act"]) < 0
    test = open_page(links.FEATURE, dictionary="planted", feature=str(NONFINITE))
    assert "3 tokens gave NaN or infinity" in texts(test)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("abc", "No feature &#x27;abc&#x27; in &#x27;planted&#x27;: a feature is a whole number"),
        ("1e99", "a whole number"),
        ("-1", "its features are 0 to 119"),
        ("999999", "its features are 0 to 119"),
        ("99999999999", "its features are 0 to 119"),
        ("9" * 5000, "a whole number"),
    ],
)
def test_a_feature_that_does_not_exist(open_page: Open, asked: str, said: str) -> None:
    test = open_page(links.FEATURE, dictionary="planted", feature=asked)
    assert said in texts(test)
    assert "<h1" not in texts(test)
    test.text_input(key="number").input("7").run()
    assert "Feature 7" in texts(test)


def test_no_feature_chosen(open_page: Open) -> None:
    test = open_page(links.FEATURE, dictionary="planted")
    assert "No feature is chosen" in texts(test)
    test.button(key="random").click().run()
    assert "<h1" in texts(test)
    test = open_page(links.FEATURE, dictionary="planted", sort="max_activation")
    test.button(key="next").click().run()
    assert "1 of 113" in texts(test)
    empty = open_page(links.FEATURE, dictionary="planted", density="2..")
    assert empty.button(key="next").disabled


def test_another_dictionary_keeps_the_number_or_says_that_it_has_none(open_page: Open) -> None:
    test = open_page(links.FEATURE, dictionary="planted", feature="39")
    test.selectbox(key="dictionary").select("early").run()
    assert "Feature 39" in texts(test)
    test.selectbox(key="dictionary").select("hostile").run()
    assert "its features are 0 to 15" in texts(test)


@pytest.mark.parametrize("feature", [0, 7, 9, 12])
def test_hostile_tokens_leave_no_markup(open_page: Open, feature: int) -> None:
    shown = texts(open_page(links.FEATURE, dictionary="hostile", feature=str(feature)))
    assert "<script" not in shown
    assert "<img" not in shown
    assert "\u202e" not in shown


def test_causes_and_geometry_of_a_feature(open_page: Open) -> None:
    test = open_page(links.FEATURE, dictionary="planted", feature=str(RIVER), sort="feature")
    shown = texts(test)
    assert "falls when removed" in shown and "rises when removed" in shown
    assert "above 6 of 6 random draws" in shown and "removing it raises the loss by" in shown
    assert shown.count("without it the activation") > 6  # tokens deleted before the peaks
    assert ">one token</span>" in shown
    assert "Cluster 0, 32 features" in shown
    assert "of its activation: simple" in shown
    removed = [row["removed"] for row in contexts(test)["groups"][0]["rows"]]
    assert [bool(one) for one in removed] == [True] * 3 + [False] * 17
    assert removed[0]["facts"].startswith("KL 0.0")
    tables = neighbours(test)
    assert [len(table["rows"]) for table in tables] == [10, 10]
    assert all("&sort=feature" in row["href"] for table in tables for row in table["rows"])
    labels = [one.label for one in test.expander]
    assert "Single tokens: 87.2% on one, simple" in labels
    assert any(label.startswith("Direction: ") for label in labels)


def test_a_dead_feature_says_what_cannot_be_known(open_page: Open) -> None:
    test = open_page(links.FEATURE, dictionary="planted", feature=str(DEAD))
    shown = texts(test)
    assert ">dead</span>" in shown
    assert "never active on this corpus: there is no ablation" in shown
    assert "never active on this corpus: there is no dependence" in shown
    assert "no place on the map: it is never active" in shown
    assert [table["detail"] for table in neighbours(test)][1] == "no other is active where it is"


def test_a_store_without_causes_or_geometry(open_page: Open, tmp_path: Path) -> None:
    publish(tmp_path)
    for feature in (0, 3):
        test = open_page(links.FEATURE, tmp_path, dictionary="one", feature=str(feature))
        shown = texts(test)
        assert "there is no ablation" in shown or "store holds no ablation" in shown
        assert "there is no dependence" in shown or "store holds no dependence" in shown
        assert "the store holds none of this feature" in shown
        assert "no place on the map" in shown
        assert "None" not in shown and "nan" not in shown


def to_others(test: AppTest) -> dict[str, dict[str, list[str]]]:
    """Where the links to other dictionaries lead, by what they say."""
    linked = [one.proto for one in test.get("page_link") if one.proto.page == "pair"]
    return {one.label: parse_qs(one.query_string) for one in linked}


def test_the_ways_to_its_like_in_other_dictionaries(open_page: Open, tmp_path: Path) -> None:
    store = write_pair_store(tmp_path / "store")
    test = open_page(links.FEATURE, store, dictionary="late", feature="2")
    assert to_others(test) == {
        "early": {"other": ["early"], "dictionary": ["late"], "feature": ["2"]}
    }
    assert "In other dictionaries" in texts(test)
    (store / "pairs" / "run1--run2.duckdb").unlink()
    test = open_page(links.FEATURE, store, dictionary="late", feature="2")
    assert to_others(test) == {} and "In other dictionaries" not in texts(test)


def test_eight_others_are_named_and_ids_are_not_markdown(open_page: Open, tmp_path: Path) -> None:
    store = write_pair_store(tmp_path / "store")
    pair = (store / "pairs" / "run1--run2.duckdb").read_bytes()
    for n in range(10):
        publish(store, f"x[{n}](y)", f"run9{n}")
        (store / "pairs" / f"run1--run9{n}.duckdb").write_bytes(pair)
    found = to_others(open_page(links.FEATURE, store, dictionary="early", feature="2"))
    assert list(found)[:2] == ["late", r"x\[0\]\(y\)"]
    assert len(found) == 9
    assert found["and 3 more"]["other"] == ["x[7](y)"]
