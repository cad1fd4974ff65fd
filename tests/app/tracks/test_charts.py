import math

from app.tracks import charts
from featurestore.track_records import Change, Spread

STEPS = ("<b>1</b>", "2", "3")
NONE = Spread(0, math.nan, math.nan, math.nan)


def test_bars_of_what_went_on_was_born_and_died() -> None:
    figure = charts.changes([Change(4, 5, 3, 0.1), None], STEPS, "turned")
    assert [list(trace.y) for trace in figure.data] == [[3, None], [2, None], [-1, None]]
    assert list(figure.data[0].x) == [1, 2]
    tip = figure.data[0].customdata[0]
    assert "&lt;b&gt;1&lt;/b&gt; → 2" in tip and "1 of 4 died" in tip


def test_drift_has_a_gap_where_nothing_was_compared() -> None:
    figure = charts.drift([Change(4, 5, 3, 0.1), None], STEPS, "turned")
    assert list(figure.data[0].y) == [0.1, None]


def test_the_band_is_broken_at_a_gap() -> None:
    one = Spread(4, 0.1, 0.5, 0.9)
    band, median = charts.spread([one, NONE, one, one], ("a", "b", "c", "d", "e")).data
    assert list(band.x) == [0, 0, None, 2, 3, 3, 2, None]
    assert list(band.y) == [0.9, 0.1, None, 0.9, 0.9, 0.1, 0.1, None]
    assert list(median.y) == [0.5, None, 0.5, 0.5]
    assert "n 4" in median.customdata[0]


def test_small_charts_share_their_steps() -> None:
    figure = charts.track([("cosine", [1.0, None, 0.5]), ("max", [2.0, 3.0, 4.0])], STEPS, 2)
    assert [trace.yaxis for trace in figure.data] == ["y", "y2"]
    assert figure.layout.shapes[0].x0 == 2
    assert figure.layout.xaxis.ticktext[0] == "&lt;b&gt;1&lt;/b&gt;"
