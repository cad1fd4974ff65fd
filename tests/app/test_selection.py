import random
from dataclasses import replace

import pytest

from app import links
from app.selection import (
    Selection,
    filters,
    params,
    read,
    read_feature,
    with_filters,
)
from featurestore.errors import UnknownFeature
from featurestore.records import FeatureQuery, Flag

PLAIN = Selection(FeatureQuery("d"))
FULL = Selection(
    FeatureQuery(
        "d",
        ranges=(("density", 1e-5, None), ("kurtosis", -2.5, 1e30)),
        flags=frozenset({Flag.DENSE, Flag.NONFINITE}),
        include_dead=True,
        token='" the" & <b>=?#',
        role="peaks on",
        text='(?i)a "b"',
        within="annotations",
        is_regex=True,
        at_least=12,
        verdicts=frozenset({"junk", "none"}),
        sort="skewness",
        descending=False,
        seed=7,
        among=(0, 7, 8, 2**31 - 1),
    ),
    page=3,
    feature=17,
    tab="bands",
    bands="quantile",
    view="full",
    breaks=True,
    colour="density",
)


@pytest.mark.parametrize("selection", [PLAIN, FULL])
def test_a_selection_survives_the_url(selection: Selection) -> None:
    written = params(selection)
    again, problems = read(written, written["dictionary"])
    if "feature" in written:
        again = read_feature(written["feature"], again)
    assert again == selection
    assert problems == ()


def test_a_plain_selection_has_a_short_url() -> None:
    assert params(PLAIN) == {"dictionary": "d"}


def test_a_features_link_holds_its_list() -> None:
    feature = links.feature(FULL, 4)
    assert feature == links.browse(FULL) | {"feature": "4"}
    assert links.feature_url(PLAIN, 4) == "feature?dictionary=d&feature=4"


@pytest.mark.parametrize("selection", [PLAIN, replace(FULL, page=1)])
def test_a_selection_survives_the_controls(selection: Selection) -> None:
    assert with_filters(selection, filters(selection)) == selection


def test_an_edit_starts_at_the_first_page() -> None:
    edited = with_filters(FULL, filters(FULL) | {"token": " sea ", "role": None})
    assert (edited.page, edited.query.token, edited.query.role) == (1, "sea", "promotes")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("sort", "drop table", "A link may say: density, feature"),
        ("order", "up", "A link may say: desc, asc"),
        ("role", "<b>", "A link may say: promotes, suppresses, peaks on"),
        ("page", "0", "Showing page 1"),
        ("page", "1e3", "Showing page 1"),
        ("least", "0", "Taking 1"),
        ("density", "low", "A range looks like"),
        ("density", "nan..1", "A range looks like"),
        ("kurtosis", "1..inf", "A range looks like"),
        ("flags", "dead,odd", "A link may say: dead, dense, nonfinite"),
        ("tab", "x", "A link may say: top, bands, random, zero"),
        ("view", "x" * 10_000, "x…. A link may say: stacked, snippet, full"),
        ("colour", "red", "A link may say: cluster, density, verdict, effect, share"),
        ("among", "1.0", "names each once"),
        ("among", "1,2", "looks like 7.1.16"),
        ("among", ".".join("1" * 5001), "5,001 features; 5,000 fit"),
        ("token", "y" * 1001, "1,001 characters"),
    ],
)
def test_a_bad_value_says_what_is_known(name: str, value: str, said: str) -> None:
    selection, problems = read({name: value, "dictionary": "d"}, "d")
    assert len(problems) == 1
    assert problems[0].startswith(f"The link says {name}=")
    assert said in problems[0]
    assert len(problems[0]) < 500
    kept = replace(selection, query=replace(selection.query, flags=frozenset()))
    assert kept == PLAIN


@pytest.mark.parametrize("text", ["abc", "", "1.5", "1e99", "٣", "1_0", "nan", "--1"])
def test_a_feature_is_a_whole_number(text: str) -> None:
    with pytest.raises(UnknownFeature, match="whole number"):
        read_feature(text, PLAIN)


def test_no_url_is_too_wild() -> None:
    rng = random.Random(0)
    names = [*params(FULL), "feature", "other"]
    pieces = [*"09.-,+eE<>&%'\"\0\u202e ", "..", "nan", "inf", "dead", "density", "1e99", "٣" * 50]
    for _ in range(500):
        wild = {rng.choice(names): "".join(rng.choices(pieces, k=rng.randrange(9))) for _ in "abcd"}
        selection, problems = read(wild, "d")
        assert read(params(selection), "d") == (selection, ())
        assert all(len(problem) < 500 for problem in problems)


def test_whether_a_feature_exists_is_the_stores_word() -> None:
    assert read_feature(" -1 ", PLAIN).feature == -1
