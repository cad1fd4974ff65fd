from dataclasses import replace

import pytest

from app.pair.selection import BELOW, PairSelection, chosen, params, read
from featurestore.pair_records import Match
from featurestore.records import DictionaryInfo
from tests.app.compare.made_up import INFO

BOTH = PairSelection("one", "two")


def info(name: str, **facts: object) -> DictionaryInfo:
    return replace(INFO, dictionary_id=name, **facts)


def match(feature: int, other: int | None) -> Match:
    return Match(feature, 0, other, 0.5, False, None, None, None)


@pytest.mark.parametrize(
    "selection",
    [
        BOTH,
        replace(BOTH, shown="only", by="jaccard", descending=False, below=0.123456789, page=3),
        replace(BOTH, shown="nearest", feature=0, beside=7, view="full", breaks=True),
    ],
)
def test_a_selection_survives_its_link(selection: PairSelection) -> None:
    assert read(params(selection), (), ()) == (selection, ())
    assert list(params(selection))[:2] == ["other", "dictionary"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("list", "all", "A link may say: matched, only, only_other, nearest"),
        ("by", "density", "A link may say: cosine, correlation, jaccard, n_both, feature"),
        ("order", "up", "A link may say: desc, asc"),
        ("below", "nan", "from -1 to 1"),
        ("below", "high", "from -1 to 1"),
        ("feature", "1.5", "whole number"),
        ("beside", "x", "whole number"),
        ("page", "0", "Pages are 1"),
    ],
)
def test_bad_values_are_told_and_left_out(name: str, value: str, said: str) -> None:
    selection, (problem,) = read(params(BOTH) | {name: value}, (), ())
    assert selection == BOTH
    assert said in problem


def test_which_list_is_asked_for() -> None:
    assert BOTH.asked() == {"kind": "matched", "below": None}
    assert replace(BOTH, shown="nearest").asked() == {"kind": "nearest", "below": None}
    only = BOTH.listing("only_other")
    assert (only.asked(), only.sides) == ({"kind": "nearest", "below": BELOW}, ("two", "one"))
    assert not only.descending  # what is least like anything comes first


def test_a_row_opens_both_features_on_their_own_sides() -> None:
    assert BOTH.opened(match(1, 2)) == replace(BOTH, feature=1, beside=2)
    other = replace(BOTH, shown="only_other")
    assert other.opened(match(1, 2)) == replace(other, feature=2, beside=1)
    assert other.opened(match(1, 2), "one") == replace(other, feature=1, beside=2)
    assert BOTH.opened(match(1, None)).is_open and not BOTH.is_open


def test_places_are_changed_with_all_that_is_open() -> None:
    turned = replace(BOTH, shown="only", feature=1, beside=2, page=3).swapped()
    assert turned == PairSelection("two", "one", shown="only_other", feature=2, beside=1)
    assert turned.swapped().swapped() == turned


def test_what_is_not_named_is_chosen() -> None:
    infos = (
        info("a", family="f"),
        info("b", d_out=9),
        info("c"),
        info("d", family="f"),
        info("e", family="f"),
    )

    def pair(dictionary: str, other: str, *compared: str) -> tuple[str, str]:
        return chosen(dictionary, other, infos, frozenset(map(frozenset, compared)))

    assert pair("c", "x") == ("c", "x")  # whether it exists is not the question here
    assert pair("", "") == ("d", "e")
    assert pair("", "", "ac") == ("a", "c")
    assert pair("", "", "ac", "ad") == ("a", "d")
    assert pair("c", "") == ("c", "d")  # not b, whose directions are longer
    assert pair("", "c") == ("d", "c")
    assert pair("b", "", "bc") == ("b", "c")
    assert pair("nobody", "") == ("nobody", "a")
    assert pair("", "nobody") == ("a", "nobody")
    assert chosen("", "", infos[:1], frozenset()) == ("a", "")
    assert chosen("", "", (), frozenset()) == ("", "")
