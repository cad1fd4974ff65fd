import math

import pytest

from app import histogram
from featurestore.records import Histogram


def test_bars_stand_on_a_logarithmic_scale_from_a_little_under_one() -> None:
    data = histogram.payload(Histogram(-1.0, 3.0, (4, 0, 1, 900)), "logit", "vocabulary tokens")
    top = math.log10(900) * 1.05
    heights = [(math.log10(n) + 0.3) / (top + 0.3) if n else 0 for n in (4, 0, 1, 900)]
    assert data["bars"] == pytest.approx(heights)
    assert 0 < data["bars"][2] < data["bars"][3] < 1
    assert data["tips"][0] == "logit −1.00 to 0: 4 vocabulary tokens"
    assert data["tips"][3] == "logit 2.00 to 3.00: 900 vocabulary tokens"
    assert data["name"] == "4 bins of logit, −1.00 to 3.00"
    assert [text for _, text in data["up"]] == ["1", "10", "10²", "10³"]
    assert data["up"][0][0] == data["bars"][2]  # the line of one is as high as a bin of one


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (-1.0, 3.0, ["−1", "0", "1", "2", "3"]),
        (0.521, 6.71, ["1", "2", "3", "4", "5", "6"]),
        (0.0, 1e-7, ["0", "2e−8", "4e−8", "6e−8", "8e−8", "1e−7"]),
        (1030.0, 1031.0, ["1030", "1030.2", "1030.4", "1030.6", "1030.8", "1031"]),
    ],
)
def test_ticks_are_round(low: float, high: float, shown: list[str]) -> None:
    across = histogram.payload(Histogram(low, high, (1, 2, 3)), "activation", "tokens")["across"]
    assert [text for _, text in across] == shown
    assert [low + place * (high - low) for place, _ in across] == pytest.approx(
        [float(text.replace("−", "-")) for text in shown]
    )


@pytest.mark.parametrize("counts", [(0,), (5,)])
def test_a_histogram_of_one_value_has_a_width(counts: tuple[int, ...]) -> None:
    data = histogram.payload(Histogram(2.0, 2.0, counts), "activation", "tokens")
    assert data["tips"] == [f"activation 2.00 to 3.00: {counts[0]} tokens"]
    assert [text for _, text in data["across"]] == ["2", "2.2", "2.4", "2.6", "2.8", "3"]
