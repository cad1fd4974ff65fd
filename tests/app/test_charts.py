import math

import pytest

from app import charts
from featurestore.records import Histogram


@pytest.mark.parametrize("make", [charts.activation_histogram, charts.logit_histogram])
def test_bars_stand_in_the_middle_of_their_bins(make: type) -> None:
    figure = make(Histogram(-1.0, 3.0, (4, 0, 1, 900)))
    (bars,) = figure.data
    assert list(bars.x) == [-0.5, 0.5, 1.5, 2.5]
    assert list(bars.y) == [4, 0, 1, 900]
    assert bars.customdata[0] == "−1.00 to 0"
    assert figure.layout.yaxis.range[1] > math.log10(900)
    assert figure.layout.paper_bgcolor == "rgba(0,0,0,0)"  # so that both themes show through


@pytest.mark.parametrize("counts", [(0,), (5,)])
def test_a_histogram_of_one_value_has_a_width(counts: tuple[int, ...]) -> None:
    figure = charts.activation_histogram(Histogram(2.0, 2.0, counts))
    assert figure.data[0].width == 1.0
