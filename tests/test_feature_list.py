import itertools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from featurestore.errors import StoreError
from featurestore.feature_list import COUNT, FEATURE_AT, PAGE, PLACE, _keys, exact_text, list_sql
from featurestore.records import (
    DENSE_ABOVE,
    NUMERIC_COLUMNS,
    ONE_DIMENSION_ABOVE,
    ONE_TOKEN_ABOVE,
    ONE_TOKEN_FROM,
    Feature,
    FeatureQuery,
    Flag,
)
from featurestore.store import Store
from tests.synthetic_store import RARE

RANGES = (
    (),
    (("density", 0.01, None),),
    (("max_activation", None, 6.0), ("feature", 10, 100)),
    (("skewness", 0.0, math.inf), ("n_active", 20, 20_000)),
    (("feature", 90, 10),),
    (("kl_percentile", 50, None), ("cluster", 1, 1)),
)
FLAGS = (
    (),
    (Flag.ONE_DIMENSION,),
    (Flag.ONE_TOKEN,),
    (Flag.DENSE,),
    (Flag.NONFINITE,),
    (Flag.DEAD,),
    (Flag.DENSE, Flag.NONFINITE),
)
TOKENS = (("", "promotes"), (" River ", "promotes"), ("one", "suppresses"), ("river", "peaks on"))


def value_of(feature: Feature, column: str) -> float | None:
    """A column of the table, wherever the record keeps it."""
    ablation, measures, weights = feature.ablation, feature.token_measures, feature.decoder_weights
    elsewhere = {
        "ablation_kl": ablation.kl,
        "kl_percentile": ablation.kl_percentile,
        "loss_effect": ablation.loss_effect,
        "nearest_cos": feature.nearest_cos,
        "cluster": feature.place and feature.place.cluster,
        "token_share": measures.share and measures.share.value,
        "token_entropy": measures.entropy,
        "n_unigrams": measures.n_unigrams,
        "unigram_cos": measures.unigram_cos and measures.unigram_cos.value,
        "dim_share": weights.dim_share,
        "reader_bias": weights.reader_bias,
        "reader_cos": weights.reader_cos,
    }
    return elsewhere[column] if column in elsewhere else getattr(feature, column)


def flags_of(feature: Feature) -> set[Flag]:
    return {
        flag
        for flag, is_so in {
            Flag.DEAD: feature.n_active == 0,
            Flag.DENSE: feature.density > DENSE_ABOVE,
            Flag.NONFINITE: feature.n_nonfinite > 0,
            Flag.ONE_DIMENSION: (value_of(feature, "dim_share") or 0) > ONE_DIMENSION_ABOVE,
            Flag.ONE_TOKEN: feature.n_active >= ONE_TOKEN_FROM
            and (value_of(feature, "token_share") or 0) > ONE_TOKEN_ABOVE,
        }.items()
        if is_so
    }


def is_kept(feature: Feature, query: FeatureQuery) -> bool:
    """What a query means, in plain Python."""
    if feature.is_dead and not query.include_dead and Flag.DEAD not in query.flags:
        return False
    if query.among and feature.feature not in query.among:
        return False
    if not query.flags <= flags_of(feature):
        return False
    for column, low, high in query.ranges:
        value = value_of(feature, column)
        if value is None or not (low or -math.inf) <= value <= (math.inf if high is None else high):
            return False
    if not query.token:
        return True
    texts = {
        "promotes": [lens.token for lens in feature.promoted],
        "suppresses": [lens.token for lens in feature.suppressed],
        "peaks on": [token for token, _ in feature.peak_tokens],
    }[query.role]
    return query.token.strip().lower() in [text.strip(" ").lower() for text in texts]


def plain_list(features: list[Feature], query: FeatureQuery) -> list[int]:
    def key(feature: Feature) -> tuple:
        value = value_of(feature, query.sort)
        is_untold = query.sort == "token_share" and feature.n_active < ONE_TOKEN_FROM
        if value is None or is_untold:
            return (1, 0, feature.feature)
        return (0, -value if query.descending else value, feature.feature)

    return [f.feature for f in sorted(features, key=key) if is_kept(f, query)]


def queries() -> list[FeatureQuery]:
    by_filter = [
        FeatureQuery("planted", ranges, frozenset(flags), dead, token, role, "n_active", True)
        for ranges, flags, dead, (token, role) in itertools.product(
            RANGES, FLAGS, (False, True), TOKENS
        )
    ]
    by_order = [
        FeatureQuery("planted", include_dead=dead, sort=sort, descending=descending)
        for sort, descending, dead in itertools.product(
            NUMERIC_COLUMNS, (True, False), (False, True)
        )
    ]
    by_number = [
        FeatureQuery("planted", include_dead=dead, token=token, among=among)
        for among in ((0,), (3, 5, 40, 500), tuple(range(0, 120, 2)), (2**31, 10**30), (-1, 0))
        for dead in (False, True)
        for token in ("", "river")
    ]
    return by_filter + by_order + by_number


def test_every_query_gives_the_list_that_plain_python_gives(synthetic_store: Path) -> None:
    store = Store(synthetic_store)
    features = [store.feature("planted", i) for i in range(120)]
    assert {flag for f in features for flag in flags_of(f)} == set(Flag)
    rare = features[RARE]
    assert 0 < rare.n_active < ONE_TOKEN_FROM
    assert rare.token_measures.share.value > ONE_TOKEN_ABOVE and not flags_of(rare)
    n_kept = set()
    for query in queries():
        expected = plain_list(features, query)
        page = store.features(query, limit=1000)
        assert [row.feature for row in page.rows] == expected, query
        assert (page.n_kept, page.n_features) == (len(expected), 120)
        assert store.numbers(query) == tuple(sorted(expected))
        n_kept.add(len(expected))
    assert {0, 120} < n_kept and len(n_kept) > 10  # the queries do tell features apart
    store.close()


def test_place_agrees_with_the_list(synthetic_store: Path) -> None:
    store = Store(synthetic_store)
    for query in queries()[::7]:
        kept = [row.feature for row in store.features(query, limit=1000).rows]
        for feature in (*kept[:2], *kept[-2:], *kept[len(kept) // 2 :][:1]):
            place, found = kept.index(feature), store.place(query, feature)
            assert (found.place, found.n_kept) == (place, len(kept))
            assert found.previous == (kept[place - 1] if place else None)
            assert found.next == (kept[place + 1] if place + 1 < len(kept) else None)
        for feature in {0, 5, 119, 120, -1, 10**30} - set(kept):
            found = store.place(query, feature)
            assert (found.place, found.previous) == (None, None)
            assert found.next == (kept[0] if kept else None)
    store.close()


def match(store: Store, feature: Feature, query: FeatureQuery) -> float | None:
    """How well a feature matches a search, in plain Python; None if it does not."""
    token = query.token.strip().lower()
    if query.token and query.role == "peaks on":
        counts = [n for text, n in feature.peak_tokens if text.strip(" ").lower() == token]
        return sum(counts) or None
    if query.token:
        lens = feature.promoted if query.role == "promotes" else feature.suppressed
        logits = [abs(one.logit) for one in lens if one.token.strip(" ").lower() == token]
        return max(logits, default=None)
    bands = store.bands("planted", feature.feature, "top")
    texts = ["".join(example.tokens) for band in bands for example in band.examples]
    return sum(query.text in text.lower() for text in texts) or None


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize(
    "search",
    [
        {"token": "river"},
        {"token": "river", "role": "suppresses"},
        {"token": "river", "role": "peaks on"},
        {"text": "river in the"},
        {"token": "the", "role": "peaks on", "text": "bank"},
    ],
)
def test_the_best_match_comes_first(
    synthetic_store: Path, search: dict[str, str], descending: bool
) -> None:
    store = Store(synthetic_store)
    query = FeatureQuery("planted", sort="match", descending=descending, **search)
    kept = [row.feature for row in store.features(query, limit=1000).rows]
    found = {i: match(store, store.feature("planted", i), query) for i in kept}
    assert len(set(found.values())) > 1
    assert None not in found.values()
    sign = -1 if descending else 1
    assert kept == sorted(kept, key=lambda feature: (sign * found[feature], feature))
    for before, feature, after in zip([None, *kept], kept, [*kept[1:], None], strict=False):
        place = store.place(query, feature)
        assert (place.previous, place.next) == (before, after)
    store.close()


def test_without_a_search_all_match_alike(synthetic_store: Path) -> None:
    store = Store(synthetic_store)
    query = FeatureQuery("planted", sort="match", include_dead=True)
    assert [row.feature for row in store.features(query, limit=1000).rows] == list(range(120))
    store.close()


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("sort", ["max_activation", "decoder_norm", "feature"])
def test_a_walk_by_next_and_previous_is_the_list(
    synthetic_store: Path, sort: str, descending: bool
) -> None:
    """Through nulls (dead features have no maximum) and ties (all norms are 1)."""
    store = Store(synthetic_store)
    query = FeatureQuery("early", include_dead=True, sort=sort, descending=descending)
    kept = [row.feature for row in store.features(query, limit=1000).rows]
    places = [store.place(query, feature) for feature in kept]
    assert [place.place for place in places] == list(range(40))
    assert [place.previous for place in places] == [None, *kept[:-1]]
    assert [place.next for place in places] == [*kept[1:], None]
    store.close()


def test_pages_join_without_gap_or_overlap(synthetic_store: Path) -> None:
    store = Store(synthetic_store)
    query = FeatureQuery("planted", include_dead=True, sort="decoder_norm")  # all equal
    pages = [store.features(query, limit=7, offset=i).rows for i in range(0, 126, 7)]
    assert [row.feature for page in pages for row in page] == list(range(120))
    assert store.features(query, limit=7, offset=1000).rows == ()
    store.close()


def test_feature_at_reaches_every_kept_feature_equally(synthetic_store: Path) -> None:
    store = Store(synthetic_store)
    query = FeatureQuery("planted", ranges=(("n_active", 600, None),))
    kept = sorted(row.feature for row in store.features(query, limit=1000).rows)
    assert 1 < len(kept) < 100
    drawn = [store.feature_at(query, number) for number in range(3 * len(kept))]
    assert drawn == kept * 3
    assert store.feature_at(query, 10**40) in kept
    assert store.feature_at(FeatureQuery("planted", ranges=(("feature", 9, 1),)), 3) is None
    store.close()


# Random order


def mixed(feature: int, seed: int) -> int:
    """The place of a feature in a shuffle, in plain integers."""
    before, inside = _keys(seed)
    x = feature ^ before
    x = (x ^ x >> 16) * 0x7FEB352D % 2**32
    x = (x + inside) % 2**32
    x = (x ^ x >> 15) * 0x846CA68B % 2**32
    return x ^ x >> 16


@pytest.mark.parametrize("seed", [0, 1, -1, 10**30])
def test_a_shuffle_is_the_one_that_plain_integers_give(synthetic_store: Path, seed: int) -> None:
    store = Store(synthetic_store)
    query = FeatureQuery("planted", include_dead=True, sort="random", seed=seed)
    expected = sorted(range(120), key=lambda feature: -mixed(feature, seed))
    assert [row.feature for row in store.features(query, limit=1000).rows] == expected
    pages = [store.features(query, limit=7, offset=i).rows for i in range(0, 126, 7)]
    assert [row.feature for page in pages for row in page] == expected
    places = [store.place(query, feature) for feature in expected]
    assert [place.next for place in places] == [*expected[1:], None]
    backwards = store.features(replace(query, descending=False), limit=1000).rows
    assert [row.feature for row in backwards] == expected[::-1]
    assert store.feature_at(query, 7) == 7
    store.close()


def test_a_shuffle_of_a_kept_few_is_the_order_of_all(synthetic_store: Path) -> None:
    store = Store(synthetic_store)
    query = FeatureQuery("planted", sort="random", seed=3, ranges=(("n_active", 600, None),))
    rows = store.features(replace(query, token="river"), limit=1000).rows
    everywhere = [row.feature for row in store.features(query, limit=1000).rows]
    assert [row.feature for row in rows] == [
        f for f in everywhere if f in {r.feature for r in rows}
    ]
    assert everywhere == sorted(everywhere, key=lambda feature: -mixed(feature, 3))
    store.close()


def test_shuffles_have_no_ties_and_differ() -> None:
    features = range(100_000)
    shuffles = [[mixed(feature, seed) for feature in features] for seed in range(3)]
    assert all(len(set(shuffle)) == len(features) for shuffle in shuffles)
    ranks = np.argsort(shuffles, axis=1)
    correlations = np.corrcoef([*ranks, features])
    assert np.abs(correlations - np.eye(4)).max() < 0.02  # 6 standard deviations
    # the first hundred of a list are spread over all features, whatever the list
    assert 0.3 < np.mean(np.argsort(shuffles[0])[:100]) / len(features) < 0.7


@pytest.mark.parametrize(
    "query",
    [
        FeatureQuery("x", sort="feature; drop table features"),
        FeatureQuery("x", sort="promoted"),
        FeatureQuery("x", ranges=(("1=1 or density", 0, 1),)),
        FeatureQuery("x", token="a", role="feature in (select 1)"),
    ],
)
def test_only_known_columns_and_roles(query: FeatureQuery) -> None:
    with pytest.raises(StoreError, match=r"Columns: feature, density|Known: promotes"):
        list_sql(query, [1])


def test_what_a_user_typed_is_bound_never_spliced() -> None:
    query = FeatureQuery("x", (("density", "' or 1=1", "; drop"),), token="'; drop")
    sql = list_sql(query, [7])
    assert sql.parameters == ("' or 1=1", "; drop", [7])
    for statement in (COUNT, PAGE, PLACE, FEATURE_AT):
        assert "drop" not in sql.fill(statement) and "1=1" not in sql.fill(statement)


@pytest.mark.parametrize(
    ("text", "exact"),
    [('" river"', " river"), ('"a" or "b"', 'a" or "b'), ("river", None), ('"', None)]
    + [(quotes, None) for quotes in ('""', '"""', '""""')],
)
def test_a_text_between_quotes_is_meant_exactly(text: str, exact: str | None) -> None:
    assert exact_text(text) == exact
