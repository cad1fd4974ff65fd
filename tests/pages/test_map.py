import base64
import json
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app import links
from app.map import session as maps
from app.map.chosen import written
from featurestore.errors import AnnotationsError
from featurestore.records import DictionaryInfo, FeatureQuery
from featurestore.store import Store
from tests.pages.conftest import Open, texts
from tests.small_store import publish


def drawn(test: AppTest) -> dict:
    """What the map was told to draw."""
    (data,) = [
        json.loads(one.proto.json)
        for one in test.get("bidi_component")
        if '"legend"' in one.proto.json
    ]
    return data


def marked(test: AppTest, name: str, store: Path, dictionary_id: str) -> set[int]:
    """The features that a mask of the map stands for."""
    opened = Store(store)
    features = [point.feature for point in opened.map(dictionary_id).points]
    opened.close()
    packed = np.frombuffer(base64.b64decode(drawn(test)[name]), np.uint8)
    bits = np.unpackbits(packed, bitorder="little", count=len(features))
    return {feature for feature, bit in zip(features, bits, strict=True) if bit}


def button(test: AppTest, label: str) -> None:
    next(one for one in test.button if one.label == label).click().run()


def test_the_map_stands_beside_its_control(open_page: Open) -> None:
    test = open_page(links.MAP, dictionary="planted")
    said = texts(test)
    assert "113 of 120 features" in said
    assert "7 dead ones left out" in said
    assert "UMAP draws clusters in noise too" in said
    assert "113 random directions" in said
    assert "trustworthiness" in said
    assert drawn(test)["colour"] == "cluster"
    assert drawn(test)["marked"] == -1
    assert drawn(test)["found"] == drawn(test)["chosen"] == ""


@pytest.mark.parametrize("colour", ["density", "verdict", "effect", "share"])
def test_a_colour_is_in_the_url(open_page: Open, colour: str) -> None:
    test = open_page(links.MAP, dictionary="planted", colour=colour)
    assert drawn(test)["colour"] == colour
    test = open_page(links.MAP, dictionary="planted", token="river")
    test.segmented_control(key="colour").select(colour).run()
    assert test.query_params == {"dictionary": "planted", "token": "river", "colour": colour}


def test_a_search_means_what_it_means_in_browse(open_page: Open, synthetic_store: Path) -> None:
    test = open_page(links.MAP, dictionary="planted")
    test.text_input(key="find").input("river").run()
    assert test.query_params["token"] == "river"
    opened = Store(synthetic_store)
    found = opened.numbers(FeatureQuery("planted", token="river"))
    listed = opened.features(FeatureQuery("planted", token="river"), limit=1000).rows
    opened.close()
    assert found == tuple(sorted(row.feature for row in listed))
    assert f"{len(found)} found" in texts(test)
    assert marked(test, "found", synthetic_store, "planted") == set(found)
    test.selectbox(key="find_by").select("peaks on").run()
    assert test.query_params["role"] == "peaks on"
    button(test, "Clear")
    assert "ringed" not in texts(test)
    assert test.query_params == {"dictionary": "planted"}


def test_labels_are_searched_as_in_browse(open_page: Open) -> None:
    test = open_page(links.MAP, dictionary="planted", text="no such label", within="annotations")
    assert "0 found" in texts(test)
    assert test.selectbox(key="find_by").value == "annotations"
    assert test.text_input(key="find").value == "no such label"


def test_filters_without_a_box_here_are_said(open_page: Open) -> None:
    asked = {"text": "e", "within": "sampled", "least": "3", "density": "0.01.."}
    test = open_page(links.MAP, dictionary="planted", **asked)
    assert "in at least 3" in texts(test) and "density ≥ 0.0100" in texts(test)
    test.text_input(key="find").input("a").run()
    assert "in at least 3" in texts(test)
    button(test, "Clear")
    assert "in at least" not in texts(test)


def test_a_feature_is_marked_by_its_number(open_page: Open) -> None:
    test = open_page(links.MAP, dictionary="planted", feature="12")
    assert drawn(test)["marked"] == 12
    assert test.text_input(key="marked").value == "12"
    test.text_input(key="marked").input("13").run()
    assert drawn(test)["marked"] == 13
    test.text_input(key="marked").input("").run()
    assert "feature" not in test.query_params


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        ("5", "Feature 5 is not on the map"),
        ("999", "Feature 999 is not on the map"),
        ("x<b>", "a feature is a whole number"),
    ],
)
def test_a_feature_without_a_place_is_told(open_page: Open, feature: str, said: str) -> None:
    test = open_page(links.MAP, dictionary="planted", feature=feature)
    assert said in texts(test)
    assert "<b>" not in texts(test).replace("</b>", "")
    assert drawn(test)["marked"] == -1


def test_a_list_has_a_summary_and_leads_on(open_page: Open, synthetic_store: Path) -> None:
    among = (0, 3, 5, 12, 500)
    test = open_page(links.MAP, dictionary="planted", among=written(among), colour="density")
    said = texts(test)
    assert "5 features, 2 not on the map" in said
    assert "mean density" in said
    assert "Promoted most" in said
    assert marked(test, "chosen", synthetic_store, "planted") == {0, 3, 12}
    button(test, "Clear list")
    assert "among" not in test.query_params
    assert "Press Lasso" in texts(test)


def test_browse_says_that_its_list_was_chosen(open_page: Open) -> None:
    test = open_page(links.BROWSE, dictionary="planted", among=written((0, 3, 12)))
    assert "3 of 120 features" in texts(test)
    assert "only 3 chosen on the map" in texts(test)
    button(test, "Clear")
    assert test.query_params == {"dictionary": "planted"}


def test_a_list_is_of_one_dictionary(open_page: Open) -> None:
    test = open_page(links.MAP, dictionary="planted", among="1.1", colour="share")
    test.selectbox(key="dictionary").select("early").run()
    assert test.query_params == {"dictionary": "early", "colour": "share"}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("colour", "<b>", "A link may say: cluster, density"),
        ("among", "1,2", "looks like 7.1.16"),
        ("among", "1.0", "names each once"),
    ],
)
def test_bad_values_are_told(open_page: Open, name: str, value: str, said: str) -> None:
    test = open_page(links.MAP, **{"dictionary": "planted", name: value})
    assert said in texts(test)
    assert "fb-error" in texts(test)
    assert drawn(test)["map"].startswith("planted ")


def test_a_search_that_fails_leaves_the_map(open_page: Open) -> None:
    test = open_page(links.MAP, dictionary="planted", text="(", regex="1")
    assert "fb-error" in texts(test)
    assert drawn(test)["found"] == ""


def test_annotations_that_cannot_be_read_leave_the_map(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(info: DictionaryInfo) -> None:
        raise AnnotationsError("The server is gone.")

    monkeypatch.setattr(maps, "said", gone)
    test = open_page(links.MAP, dictionary="planted", colour="verdict")
    assert "The server is gone." in texts(test)
    assert drawn(test)["legend"]["missing"] == "no verdict: 113"


def test_a_dictionary_without_a_map_says_so(open_page: Open, tmp_path: Path) -> None:
    publish(tmp_path)
    test = open_page(links.MAP, tmp_path)
    assert "No map was computed" in texts(test)
    assert "passes.map = false" in texts(test)
