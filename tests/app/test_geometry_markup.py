from dataclasses import replace
from pathlib import Path

import pytest

from app import geometry_markup
from app.token_text import alone
from featurestore.detail_records import (
    Cluster,
    DecoderWeights,
    Measure,
    NearToken,
    Place,
    TokenMeasures,
)
from featurestore.records import DictionaryInfo, Feature
from featurestore.store import Store
from tests.html_texts import Texts
from tests.synthetic_store import DEAD, HOSTILE, RIVER

FOUND = TokenMeasures(
    share=NearToken(" river", 0.832),
    entropy=0.693,
    n_unigrams=2,
    unigrams=(NearToken(" river", 3.0), NearToken(" lake", 1.0)),
    unigram_cos=NearToken(" river", 0.41),
    unigram_cos_raw=0.52,
    lookup_cos=NearToken(" sea", 0.99),
    embeddings=(NearToken(" river", 0.29), NearToken(" bank", 0.2)),
)
UNKNOWN = TokenMeasures(None, None, None, (), None, None, None, ())
MEASURES = {
    "unigram_cos": Measure(0.4, 100, 0.27, 1000),
    "unigram_cos_p95": Measure(0.6, 100, 0.31, 1000),
    "embedding_cos": Measure(0.4, 100, 0.27, 1000),
    "embedding_cos_p95": Measure(0.6, 100, 0.31, 1000),
}
WEIGHTS = DecoderWeights(((21, -0.9), (3, 0.3)), 0.81, -0.5, None)


@pytest.fixture(scope="module")
def store(synthetic_store: Path) -> Store:
    opened = Store(synthetic_store)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def info(store: Store) -> DictionaryInfo:
    return store.dictionary("planted")


@pytest.fixture
def feature(store: Store) -> Feature:
    return store.feature("planted", RIVER)


def tokens(found: TokenMeasures, n_active: int = 20) -> str:
    return Texts(geometry_markup.tokens(found, n_active, MEASURES)).text


def summary(found: TokenMeasures, n_active: int = 20) -> str:
    return geometry_markup.tokens_summary(found, n_active)


def test_a_feature_of_one_token() -> None:
    shown = tokens(FOUND)
    assert "␣river 83.2% of its activation: simple (bound 50%)" in shown
    assert "entropy 0.693 nats, as of 2.00 tokens" in shown
    assert "active on 2 tokens, strongest ␣river3.00 ␣lake1.00" in shown
    assert "cos 0.410 · random 0.270: above 95% of them (0.310) raw 0.520" in shown
    assert "cos 0.290 · random 0.270: not above 95% of them (0.310)" in shown
    assert "then ␣bank0.200" in shown
    assert "lookup row␣sea cos 0.990" in shown  # without a control of its own
    assert summary(FOUND) == "Single tokens: 83.2% on one, simple"


def test_a_share_at_the_threshold_is_not_simple() -> None:
    half = replace(FOUND, share=NearToken("a", 0.5))
    assert "not simple" in tokens(half)
    assert "not simple" in summary(half)


def test_active_on_few_tokens_it_is_neither_simple_nor_not() -> None:
    for share in (FOUND, replace(FOUND, share=NearToken("a", 0.5))):
        assert "simple" not in tokens(share, 19) + summary(share, 19)
    assert "of its activation: active on too few tokens to tell (19, below 20)" in tokens(FOUND, 19)
    assert summary(FOUND, 19) == ("Single tokens: 83.2% on one, active on too few tokens to tell")


def test_what_is_not_known_says_why() -> None:
    shown = tokens(UNKNOWN)
    assert "never active" in shown
    assert "contexts which open with a BOS" in shown
    assert "a direction in the residual stream" in shown
    assert "lookup" not in shown
    assert "active on no token alone" in tokens(replace(FOUND, n_unigrams=0, unigrams=()))
    assert "its direction has no length" in tokens(replace(FOUND, unigram_cos=None))
    assert summary(UNKNOWN) == "Single tokens"
    assert "entropy 0 nats, as of 1.00 tokens" in tokens(replace(FOUND, entropy=-0.0))


def test_a_direction_along_one_dimension(info: DictionaryInfo) -> None:
    shown = Texts(geometry_markup.direction(WEIGHTS, info)).text
    assert "21−0.900" in shown
    assert "81.0% of the squared length: one dimension" in shown
    assert "1.56% if all weighed the same" in shown  # of 64
    assert "reader bias−0.500" in shown
    assert "one of them has no length" in shown
    assert geometry_markup.direction_summary(WEIGHTS) == (
        "Direction: 81.0% on dimension 21, one dimension"
    )
    across = replace(info, hook_name_out="elsewhere")
    assert "different spaces" in geometry_markup.direction(WEIGHTS, across)
    known = replace(WEIGHTS, reader_cos=0.71, dim_share=0.1)
    assert "cos 0.710" in Texts(geometry_markup.direction(known, info)).text
    assert "not one dimension" in geometry_markup.direction(known, info)


def test_a_direction_without_length(info: DictionaryInfo) -> None:
    none = DecoderWeights((), None, 0.0, None)
    assert "no length" in geometry_markup.direction_summary(none)
    assert "reader bias" in geometry_markup.direction(none, info)


def test_the_place_on_the_map(feature: Feature, info: DictionaryInfo, store: Store) -> None:
    cluster = Cluster(4, 38, 0.0, 0.0, (NearToken(" sea", 0.5),))
    shown = Texts(geometry_markup.place(feature, cluster, info)).text
    assert shown == "Cluster 4, 38 features, which promote ␣sea50.0%"
    nowhere = replace(feature, place=Place(0.0, 0.0, None))
    assert "In no cluster" in geometry_markup.place(nowhere, None, info)
    dead = store.feature("planted", DEAD)
    assert "no place on the map: it is never active" in geometry_markup.place(dead, None, info)
    off = replace(info, recipe={"passes": {"map": False}})
    assert "passes.map = false" in geometry_markup.place(dead, None, off)


@pytest.mark.parametrize("token", HOSTILE)
def test_hostile_tokens_stay_text(token: str, feature: Feature, info: DictionaryInfo) -> None:
    near = NearToken(token, 0.9)
    found = TokenMeasures(near, 1.0, 1, (near,), near, 0.5, near, (near, near))
    shown = Texts(geometry_markup.tokens(found, 20, MEASURES))
    assert shown.tags == {*"dl dt dd span i small br".split()}
    assert shown.text.count(alone(token)) >= 6
    assert token not in summary(found) or token == ""
    cluster = Cluster(0, 1, 0.0, 0.0, (near,))
    assert Texts(geometry_markup.place(feature, cluster, info)).tags == {"div", "span", "i"}
