import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from streamlit.testing.v1 import AppTest

from app import links
from tests.pages.conftest import Open, texts


def hits(test: AppTest) -> dict[tuple[str, int], list[str]]:
    """Why each feature is found, by dictionary and feature."""
    found = {}
    for one in test.get("bidi_component"):
        data = json.loads(one.proto.json)
        for row in data.get("rows", []):
            names = [column["name"] for column in data["columns"]]
            reasons = row["cells"][names.index("match")]
            query = parse_qs(urlsplit(row["href"]).query)
            found[query["dictionary"][0], row["feature"]] = [reason[0] for reason in reasons]
    return found


def test_nothing_is_asked_at_first(open_page: Open) -> None:
    test = open_page(links.SEARCH)
    assert "Type a token" in texts(test)
    assert hits(test) == {}


def test_every_hit_says_why(open_page: Open) -> None:
    test = open_page(links.SEARCH, find="river", of="planted")
    found = hits(test)
    assert found
    assert all(found.values())
    whys = {re.sub(r"^.\d* of \d+ contexts?$", "n", one) for why in found.values() for one in why}
    assert whys == {"promotes", "suppresses", "peaks on", "n", ""}


def test_hits_show_effect_and_cluster(open_page: Open) -> None:
    test = open_page(links.SEARCH, find="river", of="planted", where="peaks on")
    found = [json.loads(one.proto.json) for one in test.get("bidi_component")]
    (table,) = [data for data in found if "rows" in data]
    names = [column["name"] for column in table["columns"]]
    assert {"ablation_kl", "cluster"} <= set(names)
    assert not any(column["sort"] for column in table["columns"])
    clusters = [row["cells"][names.index("cluster")] for row in table["rows"]]
    assert any(len(one) == 3 and one[2] for one in clusters)  # named


def test_places_and_filters_narrow_it(open_page: Open) -> None:
    wide = hits(open_page(links.SEARCH, find="river", of="planted", where="peaks on"))
    assert {one for why in wide.values() for one in why} == {"peaks on"}
    narrow = open_page(links.SEARCH, find="river", of="planted", where="peaks on", density="0.1..")
    assert ("planted", 0) not in hits(narrow)  # rare
    assert ("planted", 4) in hits(narrow)


def test_the_controls_are_in_the_url(open_page: Open) -> None:
    test = open_page(links.SEARCH)
    test.text_input(key="find").input("␣river").run()
    assert test.query_params["find"] == '" river"'
    test.checkbox(key="find_regex").check().run()
    assert test.query_params["regex"] == "1"
    test.selectbox(key="of").select("early").run()
    assert test.query_params["of"] == "early"


@pytest.mark.parametrize(("find", "said"), [("(", "("), ("zzzzz-nowhere", "dictionaries has it")])
def test_a_bad_pattern_or_nothing_is_told(open_page: Open, find: str, said: str) -> None:
    test = open_page(links.SEARCH, find=find, regex="1")
    assert said in texts(test)
    assert hits(test) == {}


def test_one_dictionary_that_has_nothing_is_named(open_page: Open) -> None:
    said = texts(open_page(links.SEARCH, find="zzzzz-nowhere", of="early"))
    assert "early does not have it. Fewer letters" in said
    said = texts(open_page(links.SEARCH, find="RIVER", of="early", regex="1"))
    assert "early does not have it. In a regex capitals count; with (?i)" in said
    assert hits(open_page(links.SEARCH, find="(?i)RIVER", of="early", regex="1"))


def test_contexts_stand_beside_chance_as_in_browse(open_page: Open) -> None:
    said = re.compile(r">by chance (\S+% of features)<")
    asked = {"dictionary": "planted", "text": "river", "within": "contexts"}
    beside = re.compile(r">(\S+% of features)<")
    in_browse = beside.findall(texts(open_page(links.BROWSE, **asked)))
    in_search = said.findall(texts(open_page(links.SEARCH, find="river", of="planted")))
    assert in_search == in_browse and len(in_search) == 1
    elsewhere = open_page(links.SEARCH, find="river", of="planted", where="promotes")
    assert hits(elsewhere) and not said.search(texts(elsewhere))
