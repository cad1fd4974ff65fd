"""Records to Plotly figures. Pure; plotly is at home here and in `tracks/charts`.

Nothing here names a colour of the page: backgrounds are transparent and greys are chosen to be
read on white and on near-black.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import plotly.graph_objects as go

from app.numerals import short
from featurestore.pair_records import Side

ORANGE = "#ea8a2f"
TEAL = "#149b8f"
GREY = "#8a8a8a"
TALL = 300
_PLANE = (620, 210)
"""Pixels that a tall chart surely has, by which its labels are kept apart."""
CONFIG = {
    "displaylogo": False,
    "modeBarButtons": [["toImage"]],
    "toImageButtonOptions": {"format": "svg"},
}
"""Plotly's own controls: only the one that saves the chart."""

_LOOKS = {
    "sae": (TEAL, "circle"),
    "topk": (ORANGE, "square"),
    "jumprelu": ("#6d78e8", "diamond"),
    "gated": ("#c95fc4", "triangle-up"),
    "tokenized": ("#8a9a1c", "star"),
    "transcoder": ("#dc4b4b", "pentagon"),
    "pca": (GREY, "circle-open"),
    "ica": (GREY, "square-open"),
    "neurons": (GREY, "diamond-open"),
    "identity": (GREY, "triangle-up-open"),
    "random": (GREY, "x-thin-open"),
}
"""Colour and shape of a kind of dictionary: baselines are grey and hollow."""
_OTHER = ("#a0743c", "hexagon")


SIDES = ("#149b8f", ORANGE)
"""Colours of the first and the second of two dictionaries; style.css has them too."""


@dataclass(frozen=True)
class Mark:
    """A dictionary on the plot; texts may hold anything."""

    name: str
    kind: str
    x: float
    y: float
    told: str
    """What a tip says below the name."""


def tradeoff(
    marks: Sequence[Mark], front: Sequence[tuple[float, float]], titles: tuple[str, str]
) -> go.Figure:
    """Points by kind over a logarithmic x; `front` is the line that none lies beyond.

    A point's custom data begin with its name.
    """
    sides = _label_sides(marks)
    traces: list[dict] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [x for x, _ in front],
            "y": [y for _, y in front],
            "line": {"color": "rgba(138,138,138,.55)", "width": 1, "shape": "hv", "dash": "dot"},
            "name": "front",
            "hoverinfo": "skip",
            "showlegend": len(front) > 1,
        }
    ]
    for kind in sorted({mark.kind for mark in marks}):
        chosen = [pair for pair in zip(marks, sides, strict=True) if pair[0].kind == kind]
        traces.append(_points(kind, chosen))
    return go.Figure({"data": traces, "layout": _plane([mark.x for mark in marks], titles)})


@dataclass(frozen=True)
class Dot:
    """A token on the plot; texts may hold anything."""

    x: float
    y: float
    name: str
    told: str


Line = Sequence[tuple[float, float, str]]
"""Points with what a tip says of each."""


def losses(dots: Sequence[Dot], decoded: Line, random: Line, titles: tuple[str, str]) -> go.Figure:
    """Tokens as dots, and two lines through them, on logarithmic axes."""
    cloud = {
        "type": "scatter",
        "mode": "markers",
        "name": "tokens",
        "x": [dot.x for dot in dots],
        "y": [dot.y for dot in dots],
        "customdata": [[escape(dot.name), escape(dot.told)] for dot in dots],
        "marker": {"color": "rgba(20,155,143,.3)", "size": 5, "line": {"width": 0}},
        "hovertemplate": "<b>%{customdata[0]}</b><br>%{customdata[1]}<extra></extra>",
    }
    lines = [_line("KL decoded", decoded, TEAL, "solid"), _line("KL random", random, GREY, "dash")]
    plane = _plane([dot.x for dot in dots] + [x for x, _, _ in decoded], titles)
    plane["yaxis"] |= {"type": "log", "exponentformat": "power", "dtick": 1}
    return go.Figure({"data": [cloud, *lines], "layout": plane})


def _line(name: str, points: Line, colour: str, dash: str) -> dict:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": [x for x, _, _ in points],
        "y": [y for _, y, _ in points],
        "customdata": [escape(told) for _, _, told in points],
        "line": {"color": colour, "width": 2, "dash": dash},
        "marker": {"color": colour, "size": 6},
        "hovertemplate": f"<b>{name}</b><br>%{{customdata}}<extra></extra>",
    }


def _points(kind: str, chosen: list[tuple[Mark, str]]) -> dict:
    """Points of one kind; a label without a side is left to the tip."""
    colour, symbol = _LOOKS.get(kind, _OTHER)
    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": escape(kind),
        "x": [mark.x for mark, _ in chosen],
        "y": [mark.y for mark, _ in chosen],
        "text": [escape(mark.name) if side else "" for mark, side in chosen],
        "textposition": [side or "top center" for _, side in chosen],
        "textfont": {"color": GREY, "size": 10.5},
        "cliponaxis": False,
        "customdata": [[mark.name, escape(mark.name), escape(mark.told)] for mark, _ in chosen],
        "marker": {"color": colour, "symbol": symbol, "size": 9}
        | {"line": {"color": colour, "width": 1.5}},
        "hovertemplate": "<b>%{customdata[1]}</b><br>%{customdata[2]}<extra></extra>",
    }


def _plane(across: Sequence[float], titles: tuple[str, str]) -> dict:
    ticks = _round_numbers(across)
    line = {"color": GREY, "fixedrange": True, "zeroline": False, "automargin": True}
    line |= {"tickfont": {"size": 10}, "gridcolor": "rgba(138,138,138,.16)"}
    x, y = ({"text": title, "font": {"size": 11.5}, "standoff": 6} for title in titles)
    return {
        "template": "none",
        "height": TALL,
        "margin": {"l": 4, "r": 16, "t": 30, "b": 4},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hoverlabel": {"font": {"size": 11}},
        "dragmode": False,
        "hovermode": "closest",
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
        | {"font": {"color": GREY, "size": 11}},
        "xaxis": line | {"title": x, "type": "log", "tickvals": ticks, "ticktext": ticks},
        "yaxis": line | {"title": y, "nticks": 7},
    }


def _round_numbers(values: Sequence[float]) -> list[float]:
    """1, 2 and 5 times powers of ten, from just below the values to just above."""
    powers = [math.floor(math.log10(value)) for value in values] or [0]
    steps = [m * 10.0**p for p in range(min(powers), max(powers) + 2) for m in (1, 2, 5)]
    low, high = min(values, default=1), max(values, default=1)
    return [float(f"{step:g}") for step in steps if low / 2.5 <= step <= high * 2.5]


def _label_sides(marks: Sequence[Mark]) -> list[str]:
    """For each mark the side on which its name meets no other; "" if there is none."""
    if not marks:
        return []
    across = _scaled([math.log10(mark.x) for mark in marks], _PLANE[0])
    up = _scaled([mark.y for mark in marks], _PLANE[1])
    taken = [(x - 6, x + 6, y - 6, y + 6) for x, y in zip(across, up, strict=True)]
    sides = []
    for x, y, mark in zip(across, up, marks, strict=True):
        side, box = next(
            (
                (side, box)
                for side, box in _boxes(x, y, 6 * len(mark.name))
                if -30 < box[0] and box[1] < _PLANE[0] + 20
                if not any(_overlap(box, other) for other in taken)
            ),
            ("", None),
        )
        sides.append(side)
        if box:
            taken.append(box)
    return sides


def _scaled(values: list[float], size: float) -> list[float]:
    low, high = min(values), max(values)
    return [(value - low) / ((high - low) or 1) * size for value in values]


def _boxes(x: float, y: float, width: float) -> Iterable[tuple[str, tuple[float, ...]]]:
    """Left, right, bottom and top of a name on each side of a point, away from its marker."""
    yield "middle right", (x + 7, x + 7 + width, y - 6, y + 6)
    yield "middle left", (x - 7 - width, x - 7, y - 6, y + 6)
    yield "top center", (x - width / 2, x + width / 2, y + 7, y + 19)
    yield "bottom center", (x - width / 2, x + width / 2, y - 19, y - 7)


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]


def overlap(sides: Sequence[Side], is_absolute: bool) -> go.Figure:
    """Largest cosines of two dictionaries' features as shares, with what chance would give."""
    outlines = [_outline(*one) for one in zip(sides, SIDES, ("solid", "dot"), strict=True)]
    known = [x for trace in outlines for x, y in zip(trace["x"], trace["y"], strict=True) if y]
    low = 0.0 if is_absolute else min([0.0, *known])
    line = {"color": GREY, "fixedrange": True, "zeroline": False, "automargin": True}
    line |= {"tickfont": {"size": 10}}
    title = {"font": {"size": 11.5}, "standoff": 4}
    layout = {
        "template": "none",
        "height": 170,
        "margin": {"l": 4, "r": 8, "t": 22, "b": 4},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hoverlabel": {"font": {"size": 11}},
        "dragmode": False,
        "hovermode": "x",
        "showlegend": False,
        "xaxis": line
        | {"title": title | {"text": "largest cosine"}, "range": [low - 0.01, 1.01]}
        | {"showgrid": False, "ticks": "outside", "ticklen": 3},
        "yaxis": line
        | {"title": title | {"text": "features"}, "tickformat": ".0%", "rangemode": "tozero"}
        | {"gridcolor": "rgba(138,138,138,.16)", "nticks": 5},
        **_by_chance(sides),
    }
    return go.Figure({"data": outlines, "layout": layout})


def _outline(side: Side, colour: str, dash: str) -> dict:
    """A histogram's outline over bins from -1 to 1, lightly filled; its last bin ends at 1."""
    n_bins = len(side.histogram)
    middles = [-1 + 2 * (i + 0.5) / n_bins for i in range(n_bins)]
    shares = [count / (side.n or 1) for count in side.histogram]
    told = [
        f"{count:,} of {escape(side.dictionary_id)}<br>{short(x - 1 / n_bins)} to "
        f"{short(x + 1 / n_bins)}"
        for x, count in zip(middles, side.histogram, strict=True)
    ]
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [*middles, 1.0],
        "y": [*shares, shares[-1]],
        "customdata": [*told, told[-1]],
        "line": {"color": colour, "width": 1.8, "shape": "hvh", "dash": dash},
        "fill": "tozeroy",
        "fillcolor": f"rgba({red},{green},{blue},.12)",
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _by_chance(sides: Sequence[Side]) -> dict:
    """A vertical line at each side's floor; one word, where both would stand on each other."""
    floors = [(one.floor, colour) for one, colour in zip(sides, SIDES, strict=True)]
    known = [(floor, colour) for floor, colour in floors if floor is not None]
    shapes = [
        {"type": "line", "yref": "paper", "x0": floor, "x1": floor, "y0": 0, "y1": 1}
        | {"line": {"color": colour, "width": 1.2, "dash": dash}}
        for (floor, colour), dash in zip(known, ("dash", "dot"), strict=False)
    ]
    if not known:
        return {"shapes": shapes}
    at = max(floor for floor, _ in known)
    word = {"x": at, "y": 1, "yref": "paper", "text": "by chance", "showarrow": False}
    word |= {"xanchor": "center", "yanchor": "bottom", "font": {"color": GREY, "size": 10.5}}
    return {"shapes": shapes, "annotations": [word]}
