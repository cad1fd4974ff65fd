"""Numbers of dictionaries and of tokens as Plotly figures. Pure."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import plotly.graph_objects as go

from app.figures import GREY, ORANGE, TEAL, axis, layout, legend

HEIGHT = 300
_PLANE = (620, 210)
"""Pixels that a chart surely has, by which its labels are kept apart."""
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
_TICKS = (
    (1, 2, 5),
    (1, 1.5, 2, 3, 5, 7),
    (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9),
    tuple(part / 10 for part in range(10, 100)),
)
"""What a logarithmic axis names of each power of ten, the coarsest first."""
_LEAST_TICKS = 3


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
    marks: Sequence[Mark],
    front: Sequence[tuple[float, float]],
    titles: tuple[str, str],
    level: float | None = None,
) -> go.Figure:
    """Points by kind over a logarithmic x; `front` is the line that none lies beyond, `level` a
    value of y with a meaning, drawn across.

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
    figure = go.Figure({"data": traces, "layout": _plane([mark.x for mark in marks], titles)})
    if level is not None:
        figure.add_hline(level, line={"color": "rgba(138,138,138,.8)", "width": 1})
    return figure


def unnamed(marks: Sequence[Mark]) -> int:
    """How many points of a plot have no room for their name."""
    return _label_sides(marks).count("")


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
    return layout(
        HEIGHT,
        (4, 16, 30, 4),
        hovermode="closest",
        legend=legend(),
        xaxis=axis(titles[0], type="log", tickvals=ticks, ticktext=ticks),
        yaxis=axis(titles[1], nticks=7),
    )


def _round_numbers(values: Sequence[float]) -> list[float]:
    """Times powers of ten from just below the values to just above: so many that three are among
    the values, where these are not all alike.
    """
    powers = [math.floor(math.log10(value)) for value in values] or [0]
    low, high = min(values, default=1), max(values, default=1)
    ticks: list[float] = []
    for parts in _TICKS:
        steps = [m * 10.0**p for p in range(min(powers) - 1, max(powers) + 2) for m in parts]
        ticks = [float(f"{step:g}") for step in steps if low / 2.5 <= step <= high * 2.5]
        if sum(low <= tick <= high for tick in ticks) >= _LEAST_TICKS:
            return ticks
    return [float(f"{each:.4g}") for each in (low, math.sqrt(low * high), high)]


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
