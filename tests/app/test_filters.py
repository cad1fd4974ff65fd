from unittest.mock import Mock

import pytest

from app.filters import _FOLDED, _SHOWN, few_draws, is_filtered
from app.selection import RANGES
from featurestore.records import DictionaryInfo, FeatureQuery


def test_every_range_has_one_control() -> None:
    folded = [column for columns in _FOLDED.values() for column in columns]
    assert sorted([*_SHOWN, *folded, "cluster"]) == sorted(RANGES)


def test_chosen_features_are_a_filter() -> None:
    assert is_filtered(FeatureQuery("d", among=(1, 2)))
    assert not is_filtered(FeatureQuery("d", sort="random", seed=4))


@pytest.mark.parametrize(
    ("passes", "said"),
    [
        ((1, 0, 1), "At most 1 random draw a feature: with 1, up to 1 in 2 features"),
        ((4, 4, 2), "At most 16 random draws a feature: with 16, up to 1 in 17 features"),
        ((4, 6, 2), ""),
        ((4, 4, 0), ""),
    ],
)
def test_few_draws_are_told(passes: tuple[int, int, int], said: str) -> None:
    """The top one of n + 1 that are alike is any of them: 1 in n + 1."""
    names = ("n_ablated_top", "n_ablated_bands", "n_control_draws")
    info = Mock(spec=DictionaryInfo, recipe={"passes": dict(zip(names, passes, strict=True))})
    found = few_draws(info)
    assert found.startswith(said)
    assert bool(found) == bool(said)
    assert few_draws(Mock(spec=DictionaryInfo, recipe={})) == ""
