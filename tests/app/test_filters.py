from app.filters import _FOLDED, _SHOWN, is_filtered
from app.selection import RANGES
from featurestore.records import FeatureQuery


def test_every_range_has_one_control() -> None:
    folded = [column for columns in _FOLDED.values() for column in columns]
    assert sorted([*_SHOWN, *folded, "cluster"]) == sorted(RANGES)


def test_chosen_features_are_a_filter() -> None:
    assert is_filtered(FeatureQuery("d", among=(1, 2)))
    assert not is_filtered(FeatureQuery("d", sort="random", seed=4))
