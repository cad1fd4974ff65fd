from app.compare import charts


def mark(name: str, x: float, y: float = 0.5, kind: str = "sae") -> charts.Mark:
    return charts.Mark(name, kind, x, y, "told")


def test_points_by_kind_over_a_logarithmic_axis() -> None:
    marks = [mark("a", 3), mark("b", 40, 0.9, "pca"), mark("c", 300, 0.2)]
    figure = charts.tradeoff(marks, [(3, 0.5), (40, 0.9)], ("L0", "y"))
    front, pca, sae = figure.data
    assert (list(front.x), list(front.y)) == ([3, 40], [0.5, 0.9])
    assert (pca.name, list(pca.x), list(pca.text)) == ("pca", [40], ["b"])
    assert (sae.name, list(sae.x), list(sae.y)) == ("sae", [3, 300], [0.5, 0.2])
    assert [point[0] for point in sae.customdata] == ["a", "c"]
    assert pca.marker.symbol != sae.marker.symbol  # colour is not the only sign
    assert figure.layout.xaxis.type == "log" and not figure.layout.shapes
    (line,) = charts.tradeoff(marks, [], ("L0", "KL ratio"), level=1).layout.shapes
    assert (line.y0, line.y1) == (1, 1)
    assert list(figure.layout.xaxis.tickvals) == [2, 5, 10, 20, 50, 100, 200, 500]


def test_names_do_not_cover_each_other() -> None:
    crowd = [mark(f"dictionary-{i}", 10 + 0.01 * i) for i in range(12)]
    figure = charts.tradeoff([*crowd, mark("far", 1000)], [], ("L0", "y"))
    (points,) = figure.data[1:]
    named = [text for text in points.text if text]
    assert 1 <= len(named) - 1 < len(crowd)
    assert points.text[-1] == "far"
    assert points.textposition[-1] == "middle left"  # on the right it would stick out
    assert [point[0] for point in points.customdata][:2] == ["dictionary-0", "dictionary-1"]


def test_an_axis_has_three_numbers_among_the_values() -> None:
    for low, high in ((8, 33.8), (20, 30), (19.28, 24.35), (24.01, 24.3), (0.3, 0.5), (1, 9000)):
        figure = charts.tradeoff([mark("a", low), mark("b", high)], [], ("L0", "y"))
        ticks = figure.layout.xaxis.tickvals
        assert sum(low <= tick <= high for tick in ticks) >= 3
        assert len(ticks) == len(set(ticks))
        assert sum(low <= tick <= high for tick in ticks) < 15


def test_points_without_a_name_are_counted() -> None:
    crowd = [mark(f"dictionary-{i}", 10 + 0.01 * i) for i in range(12)]
    (points,) = charts.tradeoff(crowd, [], ("L0", "y")).data[1:]
    assert charts.unnamed(crowd) == list(points.text).count("") > 0
    assert charts.unnamed([mark("a", 3), mark("b", 300)]) == 0


def test_names_on_the_plot_are_escaped() -> None:
    figure = charts.tradeoff([mark("<b>x</b>", 2, kind="<i>")], [], ("L0", "y"))
    points = figure.data[1]
    assert points.text[0] == points.customdata[0][1] == "&lt;b&gt;x&lt;/b&gt;"
    assert points.name == "&lt;i&gt;"
    assert points.customdata[0][0] == "<b>x</b>"


def test_tokens_and_two_lines_on_logarithmic_axes() -> None:
    dots = [charts.Dot(3, 0.2, '"<i>"', "told"), charts.Dot(900, 2.0, '"a"', "<b>")]
    figure = charts.losses(dots, [(8.0, 1.0, "one")], [(8.0, 0.5, "other")], ("x", "y"))
    cloud, decoded, control = figure.data
    assert (list(cloud.x), list(cloud.y)) == ([3, 900], [0.2, 2.0])
    assert [list(each) for each in cloud.customdata] == [
        ["&quot;&lt;i&gt;&quot;", "told"],
        ["&quot;a&quot;", "&lt;b&gt;"],
    ]
    assert (decoded.name, list(decoded.y)) == ("KL decoded", [1.0])
    assert (control.name, list(control.y)) == ("KL random", [0.5])
    assert decoded.line.dash != control.line.dash  # colour is not the only sign
    assert (figure.layout.xaxis.type, figure.layout.yaxis.type) == ("log", "log")
