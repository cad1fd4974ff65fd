import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import links
from app.feature_table import FIGURE_SPACE
from tests.pages.conftest import Open, texts
from tests.small_store import publish
from tests.synthetic_store import _planted, write_dictionary


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


def cells(test: AppTest) -> dict[int, dict[str, object]]:
    """The table's cells by feature and column."""
    (table,) = [c for c in test.get("bidi_component") if "descending" in c.proto.json]
    data = json.loads(table.proto.json)
    names = [column["name"] for column in data["columns"]]
    return {row["feature"]: dict(zip(names, row["cells"], strict=True)) for row in data["rows"]}


def test_effects_clusters_and_flags_are_in_the_table(open_page: Open) -> None:
    shown = cells(open_page(links.BROWSE, dictionary="planted"))
    kl, tip, random, above = shown[3]["ablation_kl"]
    assert float(kl) > float(random) and above == "6 of 6"
    assert "nats" in tip
    number, tip, name = shown[3]["cluster"]
    assert number == "0" and name and f'"{name.replace("␣", " ")}"' in tip
    assert shown[41]["cluster"][0] == "–" and "In no cluster" in shown[41]["cluster"][1]
    assert [word for word, _ in shown[111]["flags"]] == ["one dimension", "one token"]


def test_a_click_is_kept_if_the_next_comes_before_its_address(open_page: Open) -> None:
    test = open_page(links.BROWSE, dictionary="planted")
    first = dict(test.query_params)

    def click_at(address: dict[str, str], control: str, value: float) -> AppTest:
        test.query_params = dict(address)
        return test.number_input(key=control).set_value(value).run()

    second = dict(click_at(first, "kurtosis_high", 30.0).query_params)
    third = dict(click_at(first, "density_low", 0.0).query_params)
    assert (third["kurtosis"], third["density"]) == ("..30", "0..")
    fourth = click_at(second, "kurtosis_low", 1.0).query_params
    assert (fourth["kurtosis"], fourth["density"]) == ("1..30", "0..")
    test.query_params = dict(first)  # Back, as the browser tells it: without a click
    test.run()
    assert test.number_input(key="kurtosis_high").value is None
    assert "kurtosis" not in click_at(first, "density_low", 0.1).query_params


def test_a_list_is_sorted_and_filtered_by_effect_and_cluster(open_page: Open) -> None:
    test = open_page(links.BROWSE, dictionary="planted", sort="ablation_kl", cluster="1..1")
    assert "sorted by ablation KL, highest first" in texts(test)
    assert "cluster 1 " in texts(test)
    assert test.selectbox(key="cluster").value == 1
    found = [row["ablation_kl"] for row in cells(test).values()]
    assert all(row["cluster"][0] == "1" for row in cells(test).values())
    assert [float(kl[0]) for kl in found] == sorted((float(kl[0]) for kl in found), reverse=True)
    test = open_page(links.BROWSE, dictionary="planted", flags="one dimension,one token")
    assert set(listed(test)) == set(range(15, 120, 16))


def test_a_cluster_is_chosen_by_its_name(open_page: Open) -> None:
    test = open_page(links.BROWSE, dictionary="planted", kl_percentile="50..")
    assert test.number_input(key="kl_percentile_low").value == 50  # its group is the open one
    options = test.selectbox(key="cluster").options
    assert [option.split(" ", 1)[0] for option in options] == ["0", "1", "2"]
    assert "␣" in options[0] and options[0].endswith("features")
    test.selectbox(key="cluster").select(2).run()
    assert test.query_params["cluster"] == "2..2"
    assert test.query_params["kl_percentile"] == "50.."
    test.selectbox(key="cluster").set_value(None).run()
    assert "cluster" not in test.query_params
    test = open_page(links.BROWSE, dictionary="planted", cluster="77..77")
    assert "cluster 77" in texts(test) and "keeps none of 120 features" in texts(test)
    assert test.selectbox(key="cluster").placeholder == "77 to 77"


def test_hostile_tokens_name_clusters(open_page: Open) -> None:
    test = open_page(links.BROWSE, dictionary="hostile", cluster="0..0")
    assert "<script>" not in texts(test) and "<img" not in texts(test)
    names = [cell["cluster"][2] for cell in cells(test).values()]
    assert names and not {"\u202e", "\u200b", "\0"} & set("".join(names))


def test_a_store_without_effects_and_map(open_page: Open, tmp_path: Path) -> None:
    publish(tmp_path)
    test = open_page(links.BROWSE, tmp_path, dead="1")
    shown = cells(test)
    assert shown
    assert {row["cluster"][0] for row in shown.values()} == {"–"}
    assert {row["ablation_kl"][0] for row in shown.values()} == {"–"}
    assert "cluster" not in [one.key for one in test.selectbox]


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
        ("sort", "nothing", "sort=nothing. A link may say: density"),
        ("page", "99", "page=99; the last page is 3"),
        ("page", "abc", "page=abc"),
        ("density", "1e99..x", "A range looks like"),
        ("flags", "odd", "flags=odd. A link may say: dead, dense, nonfinite"),
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


def by_chance(test: AppTest) -> tuple[float, float]:
    """Percentages of sampled contexts, and of features."""
    said = r">(?:by chance )?(?:&lt;)?([\d.]+)% of (?:sampled contexts|features)<"
    return tuple(map(float, re.findall(said, texts(test))))


def test_a_text_in_sampled_contexts_counts_them(open_page: Open) -> None:
    """Of the sampled contexts of each feature so many match; fewer than `least` are left out."""
    url = {"dictionary": "planted", "text": "river", "within": "sampled", "sort": "match"}
    test = open_page(links.BROWSE, **url)
    reasons = [row["match"][0][0] for row in cells(test).values()]
    counts = [int(reason.partition(" of ")[0].lstrip(FIGURE_SPACE)) for reason in reasons]
    assert counts == sorted(counts, reverse=True)
    assert all(re.fullmatch(r"\u2007?\d+ of \d+ contexts?", reason) for reason in reasons)
    of_each = max(int(re.search(r"of (\d+)", reason)[1]) for reason in reasons)
    of_contexts, of_features = by_chance(test)
    assert of_features == pytest.approx(100 - 100 * (1 - of_contexts / 100) ** of_each, abs=0.1)
    assert re.search(
        rf"\d+ of {of_each}( or more)? happen by chance to fewer than 1 feature", texts(test)
    )
    n_all = len(listed(test))
    test.number_input(key="least").set_value(counts[0]).run()
    assert test.query_params["least"] == str(counts[0])
    assert 0 < len(listed(test)) == counts.count(counts[0]) < n_all
    assert by_chance(test)[0] == of_contexts and by_chance(test)[1] < of_features
    test = open_page(links.BROWSE, **url | {"within": "documents", "text": "no such document"})
    assert "by chance" not in texts(test)


@pytest.mark.parametrize(
    ("manifest", "is_control"),
    [
        ({"kind": "random"}, True),
        ({"kind": "random", "hook_name": "blocks.1.hook_resid_post"}, False),
        ({"kind": "random", "digests": {"corpus": "another"}}, False),
        ({"kind": "random", "recipe": {"passes": {"n_top": 24, "n_random": 21}}}, False),
        ({"kind": "sae"}, False),
    ],
)
def test_a_search_stands_beside_random_directions(
    open_page: Open, synthetic_store: Path, tmp_path: Path, manifest: dict, is_control: bool
) -> None:
    store = shutil.copytree(synthetic_store, tmp_path / "store")
    drawn = _planted("drawn", 40, 3)
    write_dictionary(store, replace(drawn, manifest=manifest))
    searched = {"text": "river", "within": "sampled", "least": "9"}
    there = texts(open_page(links.BROWSE, store, dictionary="drawn", **searched))
    assert "random directions" not in there
    (found,) = re.findall(r"(\d+) of 40 features", there)
    assert 0 < int(found) < 40
    for more in ({}, {"among": "0-30"}, {"verdict": "none"}):
        test = open_page(links.BROWSE, store, dictionary="planted", **searched, **more)
        said = f"random directions {found} of 40<"
        assert (said in texts(test)) is is_control
        assert ("random directions" in texts(test)) is is_control
