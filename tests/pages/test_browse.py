import json

import pytest
from streamlit.testing.v1 import AppTest

from app import links
from tests.pages.conftest import Open, texts


def listed(test: AppTest) -> list[int]:
    """The features in the table."""
    (table,) = [c for c in test.get("bidi_component") if "descending" in c.proto.json]
    return [row["feature"] for row in json.loads(table.proto.json)["rows"]]


def test_the_first_page_leaves_dead_ones_out(open_page: Open) -> None:
    test = open_page(links.BROWSE, dictionary="planted")
    assert "113 of 120 features" in texts(test)
    assert "sorted by density, highest first" in texts(test)
    assert len(listed(test)) == 50
    assert listed(test)[:2] == [4, 3]


def test_the_url_filters_sorts_and_pages(open_page: Open) -> None:
    test = open_page(links.BROWSE, dictionary="planted", sort="feature", order="asc", page="3")
    assert listed(test)[-1] == 119
    test = open_page(links.BROWSE, dictionary="planted", token="River", role="peaks on")
    assert 0 in listed(test)
    assert test.text_input(key="token").value == "River"
    test = open_page(links.BROWSE, dictionary="planted", density="0.5..", max_activation="..6")
    assert listed(test) == [3]
    assert test.number_input(key="density_low").value == 0.5
    test = open_page(links.BROWSE, dictionary="planted", flags="nonfinite")
    assert listed(test) == [6]
    test = open_page(links.BROWSE, dictionary="planted", flags="dead")
    assert 5 in listed(test)


def test_an_edit_is_in_the_url_at_once(open_page: Open) -> None:
    test = open_page(links.BROWSE, dictionary="planted", page="2")
    test.text_input(key="token").input("river").run()
    assert test.query_params["token"] == "river"
    assert "page" not in test.query_params
    test.number_input(key="kurtosis_high").set_value(30.0).run()
    assert test.query_params["kurtosis"] == "..30"
    test.checkbox(key="dead").check().run()
    assert test.query_params["dead"] == "1"
    test.selectbox(key="sort").select("skewness").run()
    assert "sorted by skewness" in texts(test)
    clear = next(button for button in test.button if button.label == "Clear")
    clear.click().run()
    assert test.query_params == {"dictionary": "planted", "sort": "skewness"}
    assert test.text_input(key="token").value == ""


def test_the_filter_stays_in_another_dictionary(open_page: Open) -> None:
    test = open_page(links.BROWSE, dictionary="planted", token="river")
    test.selectbox(key="dictionary").select("early").run()
    assert test.query_params == {"dictionary": "early", "token": "river"}


def test_an_empty_list_says_why(open_page: Open) -> None:
    test = open_page(links.BROWSE, dictionary="planted", token="<b>nowhere")
    assert "No single token of the vocabulary is &#x27;&lt;b&gt;nowhere&#x27;" in texts(test)
    test = open_page(links.BROWSE, dictionary="planted", density="2..")
    assert "keeps none of 120 features" in texts(test)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("sort", "nothing", "sort=nothing. Known: density"),
        ("page", "99", "page=99; the last page is 3"),
        ("page", "abc", "page=abc"),
        ("density", "1e99..x", "A range looks like"),
        ("flags", "odd", "flags=odd. Known: dead, dense, nonfinite"),
    ],
)
def test_a_bad_url_value_is_named(open_page: Open, name: str, value: str, said: str) -> None:
    test = open_page(links.BROWSE, **{"dictionary": "planted", name: value})
    assert said in texts(test)
    assert listed(test)


def test_go_to_a_feature(open_page: Open) -> None:
    test = open_page(links.BROWSE, dictionary="planted", token="river")
    test.text_input(key="number").input("17").run()
    assert "Feature 17" in texts(test)
    assert test.query_params == {
        "dictionary": "planted",
        "token": "river",
        "feature": "17",
    }


def test_a_page_entered_by_the_menu_is_as_it_was_left(open_page: Open) -> None:
    test = open_page(links.BROWSE, dictionary="planted", token="river")
    test.switch_page(str(links.FEATURE)).run()
    test.query_params.clear()
    test.switch_page(str(links.BROWSE)).run()
    assert test.text_input(key="token").value == "river"
