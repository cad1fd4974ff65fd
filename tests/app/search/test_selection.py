import pytest

from app.search.selection import PLACES, SearchSelection, params, read
from featurestore.records import FeatureQuery, Flag

KNOWN = ("one", "two")
FULL = SearchSelection(
    find='" the" & <b>=?#',
    places=frozenset({"contexts", "annotations"}),
    is_regex=True,
    of="two",
    query=FeatureQuery(
        "",
        ranges=(("density", 1e-5, None),),
        flags=frozenset({Flag.DENSE}),
        verdicts=frozenset({"junk", "none"}),
        include_dead=True,
    ),
)


@pytest.mark.parametrize("selection", [SearchSelection(), SearchSelection("river"), FULL])
def test_a_selection_survives_the_url(selection: SearchSelection) -> None:
    written = params(selection)
    assert "find" in written  # what tells Search's links from the others
    assert read(written, KNOWN) == (selection, ())


def test_every_place_is_a_list_of_browse() -> None:
    lists = SearchSelection(" the").asked("one")
    assert tuple(lists) == PLACES
    assert lists["promotes"].query.token == lists["contexts"].query.text == " the"
    assert lists["peaks on"].query.role == "peaks on"
    assert lists["explanations"].query.within == "explanations"
    assert {one.query.dictionary_id for one in lists.values()} == {"one"}


def test_a_pattern_is_not_put_to_tokens() -> None:
    asked = SearchSelection("a.c", is_regex=True).asked("one")
    assert set(asked) == {"annotations", "explanations", "contexts"}
    assert all(one.query.is_regex for one in asked.values())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"of": "three"}, "of=three. Known: one, two"),
        ({"where": "contexts,nowhere"}, "where=nowhere. A link may say: annotations"),
        ({"regex": "yes"}, "regex=yes"),
        ({"find": "x" * 1001}, "1,001 characters"),
        ({"density": "a..b"}, "A range looks like"),
    ],
)
def test_a_bad_value_is_named(given: dict[str, str], said: str) -> None:
    _, problems = read(given, KNOWN)
    assert [said in problem for problem in problems] == [True]
