import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from featurestore.errors import (
    DamagedStore,
    StoreError,
    StoreNotFound,
    UnknownDictionary,
    UnknownFeature,
)
from featurestore.records import Band, Example, FeatureQuery, Flag, Histogram, LensToken
from featurestore.store import Store
from tests.small_store import publish

QUERY = FeatureQuery("one")


def listed(small: Store, **changes: object) -> list[int]:
    return [row.feature for row in small.features(replace(QUERY, **changes)).rows]


# What each method answers, against the rows of small_store


def test_the_catalogue(small: Store) -> None:
    (info,) = small.catalogue().dictionaries
    assert (info.dictionary_id, info.run_id, info.n_features) == ("one", "run1", 5)
    assert (info.family, info.step, info.recipe) == (None, None, {"seed": 0})
    assert not info.is_transcoder
    assert info.tables["vocab"]["rows"] == 8
    assert small.catalogue().problems == ()
    assert small.dictionary("one") == info


def test_a_row_of_the_table(small: Store) -> None:
    page = small.features(QUERY, limit=2)
    assert (page.n_kept, page.n_features, page.matched_tokens) == (4, 5, ())
    row = page.rows[1]
    assert (row.feature, row.n_active, row.density, row.max_activation) == (0, 5, 0.05, 2.0)
    assert row.promoted == ("cat", "dog")
    assert row.peak_tokens == ((" cat", 2), (" Cat", 1), ("cat", 1))
    assert (row.histogram, row.logit_kurtosis, row.is_dead) == ((4, 1), 9.0, False)


def test_a_feature(small: Store) -> None:
    feature = small.feature("one", 0)
    assert feature.promoted == (LensToken("cat", 2.0), LensToken("dog", 1.0))
    assert feature.suppressed == (LensToken("\n", -1.0),)
    assert feature.histogram == Histogram(0.5, 2.0, (4, 1))
    assert feature.logit_histogram == Histogram(-1.0, 2.0, (1, 7))
    assert (feature.mean_activation, feature.skewness, feature.kurtosis) == (1.0, None, 3.0)


def test_a_dead_feature_has_no_numbers(small: Store) -> None:
    feature = small.feature("one", 3)
    assert feature.is_dead
    assert (feature.max_activation, feature.histogram, feature.promoted) == (None, None, ())


def test_bands_hold_their_examples(small: Store) -> None:
    half = 64 / 127
    first = Example(3, "a.txt", 0, ("cat", "dog", " cat"), (0, 3, 1), 2, 2.0, {0: 2 * half, 2: 2.0})
    second = Example(5, "b.txt", 8, ("\n", "\n"), (4, 4), 0, 0.5, {0: 0.5, 1: 1.0})
    assert small.bands("one", 0, "top") == (Band("top", 0, None, 2.0, 5, (first, second)),)
    high, low = small.bands("one", 0, "quantile")
    assert (high.n_band, high.n_sampled) == (3, 0)
    assert low.examples == (replace(second, peak=1, activation=1.0, activations={0: half, 1: 1.0}),)
    assert small.bands("one", 1, "top") == ()


def test_order_has_nulls_last_and_ties_by_feature(small: Store) -> None:
    assert listed(small) == [4, 0, 2, 1]  # density, and no dead one
    assert listed(small, descending=False) == [1, 0, 2, 4]
    assert listed(small, sort="skewness") == [2, 4, 1, 0]
    assert listed(small, sort="skewness", descending=False) == [1, 2, 4, 0]
    assert listed(small, sort="max_activation", include_dead=True) == [1, 4, 0, 2, 3]


def test_ranges_and_flags(small: Store) -> None:
    assert listed(small, ranges=(("max_activation", 2.0, 7.0),)) == [4, 0, 2]  # ends included
    assert listed(small, ranges=(("skewness", None, 0.5), ("feature", 2, None))) == [4, 2]
    assert listed(small, flags=frozenset({Flag.DEAD})) == [3]
    assert listed(small, flags=frozenset({Flag.DENSE, Flag.NONFINITE})) == [4]
    assert listed(small, include_dead=True) == [4, 0, 2, 1, 3]


@pytest.mark.parametrize(
    ("token", "matched", "promoted"),
    [
        ("cat", ("cat", " cat", " Cat"), [0, 1]),
        ("  CAT ", ("cat", " cat", " Cat"), [0, 1]),
        ('" cat"', (" cat",), [1]),
        ('" CAT"', (), []),
        ("ca", (), []),
        ('"', ('"',), []),
        ("%", ("%",), []),  # no pattern
        ("_", (), []),
        ("'; drop table vocab; --", ("'; drop table vocab; --",), [4]),
        ("\0", (), []),
        ("\ud800", (), []),  # half a surrogate pair is no text
        ("x" * 100_000, (), []),
    ],
)
def test_token_search(
    small: Store, token: str, matched: tuple[str, ...], promoted: list[int]
) -> None:
    page = small.features(replace(QUERY, token=token))
    assert page.matched_tokens == matched
    assert sorted(row.feature for row in page.rows) == promoted


def test_roles_of_a_token(small: Store) -> None:
    assert listed(small, token="dog", role="promotes") == [0]
    assert listed(small, token="dog", role="suppresses") == [2]
    assert listed(small, token="dog", role="peaks on") == [1]


# Questions that have no answer


def test_the_unknown_is_named_beside_what_there_is(own: Store) -> None:
    publish(own.folder, "two")
    for wrong in ("three", "", "../one", "one'; drop table features; --", "\0", "\ud800"):
        with pytest.raises(UnknownDictionary, match=r"It has: one, two\."):
            own.features(FeatureQuery(wrong))
    for wrong in (5, -1, 2**31, 2**63, 10**400):
        for method in (own.feature, lambda *key: own.bands(*key, "top")):
            with pytest.raises(UnknownFeature, match=r"in 'one': its features are 0 to 4\."):
                method("one", wrong)


@pytest.mark.parametrize(
    ("changes", "limit", "offset"),
    [
        ({}, -1, 0),
        ({}, 1, -1),
        ({}, 1, 10**30),
        ({"ranges": (("n_active", None, 10**400),)}, 1, 0),
        ({"ranges": (("n_active", "x' or '1", None),)}, 1, 0),
        ({"ranges": (("density", math.nan, None),)}, 1, 0),
        ({"ranges": (("density", 0.0, math.nan),)}, 1, 0),
    ],
)
def test_a_bad_question_is_not_blamed_on_the_file(
    small: Store, changes: dict, limit: int, offset: int
) -> None:
    with pytest.raises(StoreError) as caught:
        small.features(replace(QUERY, **changes), limit, offset)
    assert not isinstance(caught.value, DamagedStore)
    assert "Delete" not in str(caught.value)


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFound, match="Build one: python -m featurestore build"):
        Store(tmp_path).catalogue()
    (tmp_path / "dictionaries").mkdir()
    assert Store(tmp_path).catalogue().dictionaries == ()
    with pytest.raises(UnknownDictionary, match="It has: none"):
        Store(tmp_path).dictionary("one")


# The store while it changes


def test_threads_agree(own: Store) -> None:
    publish(own.folder, "two")

    def ask(i: int) -> tuple:
        query = FeatureQuery(("one", "two")[i % 2], token="cat" if i % 3 else "")
        page = own.features(query)
        return page, own.place(query, 0), own.bands(query.dictionary_id, 0, "top")

    alone = [ask(i) for i in range(6)]
    own.close()
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(ask, range(240)))
    assert all(answer == alone[i % 6] for i, answer in enumerate(together))
