from app.pair import charts
from featurestore.pair_records import Side


def side(name: str, counts: dict[float, int], floor: float | None) -> Side:
    """Counts by the lower end of their bin."""
    histogram = [0] * 40
    for low, count in counts.items():
        histogram[round((low + 1) * 20)] = count
    n = sum(histogram)
    return Side(name, "run", "here", n, n, 0.5, 0.1, floor, tuple(histogram))


def test_two_outlines_as_shares_with_chance() -> None:
    sides = [side("<one>", {0.5: 3, 0.95: 1}, 0.2), side("two", {0.5: 8}, 0.3)]
    figure = charts.overlap(sides, is_absolute=False)
    one, two = figure.data
    shares = dict(zip([round(x, 3) for x in one.x], one.y, strict=True))
    assert (shares[0.525], shares[0.975], shares[1.0]) == (0.75, 0.25, 0.25)
    assert max(two.y) == 1.0
    assert one.customdata[30] == "3 of &lt;one&gt;<br>0.500 to 0.550"
    assert one.line.color != two.line.color and one.line.dash != two.line.dash
    assert [shape.x0 for shape in figure.layout.shapes] == [0.2, 0.3]
    assert figure.layout.annotations[0].text == "by chance"
    assert figure.layout.xaxis.range[0] == -0.01


def test_outlines_of_nothing_and_of_opposites() -> None:
    sides = [side("one", {}, None), side("two", {-0.5: 2}, None)]
    figure = charts.overlap(sides, is_absolute=False)
    assert max(figure.data[0].y) == 0
    assert figure.layout.xaxis.range[0] < -0.48
    assert len(figure.layout.shapes) == len(figure.layout.annotations) == 0
