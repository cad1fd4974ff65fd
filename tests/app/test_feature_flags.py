from dataclasses import replace
from pathlib import Path

import pytest

from app.feature_flags import chips, of_feature, of_row
from featurestore.detail_records import DecoderWeights, NearToken, TokenMeasures
from featurestore.records import ONE_TOKEN_FROM, Feature, Flag
from featurestore.store import Store
from tests.app.test_feature_table import ROW
from tests.html_texts import Texts
from tests.synthetic_store import DEAD, DENSE, HOSTILE, NONFINITE, RIVER

UNKNOWN = TokenMeasures(None, None, None, (), None, None, None, ())
WEIGHTS = DecoderWeights(((21, -0.9), (3, 0.3)), 0.81, -0.5, None)


@pytest.fixture(scope="module")
def store(synthetic_store: Path) -> Store:
    opened = Store(synthetic_store)
    yield opened
    opened.close()


@pytest.fixture
def feature(store: Store) -> Feature:
    return store.feature("planted", RIVER)


def test_flags_say_their_thresholds(store: Store, feature: Feature) -> None:
    told = of_feature(feature)[Flag.ONE_TOKEN]
    assert "of its activation is on" in told and "river" in told and "above 50%" in told
    assert "of tokens, above 10%" in of_feature(store.feature("planted", DENSE))[Flag.DENSE]
    assert of_feature(store.feature("planted", DEAD)).keys() == {Flag.DEAD}
    assert "3 tokens" in of_feature(store.feature("planted", NONFINITE))[Flag.NONFINITE]
    one = of_feature(replace(feature, decoder_weights=WEIGHTS))[Flag.ONE_DIMENSION]
    assert (
        one == "81.0% of its direction's squared length is on dimension 21 of the model, above 50%"
    )
    assert Flag.ONE_TOKEN not in of_feature(replace(feature, n_active=ONE_TOKEN_FROM - 1))
    assert Flag.ONE_TOKEN in of_feature(replace(feature, n_active=ONE_TOKEN_FROM))
    plain = replace(feature, token_measures=UNKNOWN, decoder_weights=DecoderWeights((), 0.5, 0, 0))
    assert chips(plain) == ""


def test_a_row_knows_less() -> None:
    assert of_row(ROW) == {
        Flag.DENSE: "active on 50.0% of tokens, above 10%",
        Flag.NONFINITE: "NaN or infinity on 1 tokens, which count in no other number",
        Flag.ONE_TOKEN: "62.5% of its activation is on one token, above 50%",
    }
    dead = replace(ROW, n_active=0, density=0.0, n_nonfinite=0, token_share=None, dim_share=None)
    assert list(of_row(dead)) == [Flag.DEAD]


@pytest.mark.parametrize("token", HOSTILE)
def test_hostile_tokens_stay_text(token: str, feature: Feature) -> None:
    found = replace(UNKNOWN, share=NearToken(token, 0.9))
    assert Texts(chips(replace(feature, token_measures=found))).tags == {"span"}
