"""What became of features, as Plotly figures. Pure."""

from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby

import plotly.graph_objects as go

from app.figures import GREY, RULE, TEAL, axis, layout, legend
from app.numerals import short
from app.tracks import words
from featurestore.track_records import Change, Spread

HEIGHT = 168
SMALL = 236
_FAINT = "rgba(138,138,138,.42)"
_BAND = "rgba(20,155,143,.16)"


def changes(found: Sequence[Change | None], steps: Sequence[str], died: str) -> go.Figure:
    """Features that went on and that were born, upwards; those that died, downwards.

    `died` says what that means.
    """
    pairs = list(zip(steps, steps[1:], strict=False))
    told = [
        "" if change is None else words.change_tip(change, *map(escape, pair), died)
        for change, pair in zip(found, pairs, strict=True)
    ]
    bars = (
        ("went on", [c and c.n_continued for c in found], {"color": _FAINT}),
        ("born", [c and c.n_born for c in found], {"color": TEAL}),
        (
            "died",
            [c and -c.n_died for c in found],
            {"color": GREY, "pattern": {"shape": "/", "size": 5, "solidity": 0.35}},
        ),
    )
    traces = [
        {
            "type": "bar",
            "name": name,
            "x": list(range(1, len(steps))),
            "y": values,
            "marker": look | {"line": {"width": 0}},
            "customdata": told,
            "hovertemplate": "%{customdata}<extra></extra>",
        }
        for name, values, look in bars
    ]
    around = _layout(steps) | {"barmode": "relative", "bargap": 0.35}
    return go.Figure({"data": traces, "layout": around})


def drift(found: Sequence[Change | None], steps: Sequence[str], died: str) -> go.Figure:
    """1 - mean likeness of what went on."""
    pairs = zip(steps, steps[1:], strict=False)
    told = [
        "" if change is None else words.change_tip(change, *map(escape, pair), died)
        for change, pair in zip(found, pairs, strict=True)
    ]
    values = [None if change is None else change.drift for change in found]
    line = _line(range(1, len(steps)), values, told)
    around = _layout(steps)
    around["yaxis"] |= {"rangemode": "tozero"}
    return go.Figure({"data": [line], "layout": around | {"showlegend": False}})


def spread(found: Sequence[Spread], steps: Sequence[str]) -> go.Figure:
    """Median and the middle 80% of what the last step holds of each step's features."""
    x, y = _outline(found)
    band = {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "fill": "toself",
        "fillcolor": _BAND,
        "line": {"width": 0},
        "hoverinfo": "skip",
    }
    told = [words.spread_tip(one, escape(step)) for one, step in zip(found, steps, strict=False)]
    medians = [one.median if one.n else None for one in found]
    around = _layout(steps) | {"showlegend": False}
    around["yaxis"] |= {"range": [min([0.0, *(one.low for one in found if one.n)]), 1.02]}
    return go.Figure({"data": [band, _line(range(len(found)), medians, told)], "layout": around})


def _outline(found: Sequence[Spread]) -> tuple[list[int | None], list[float | None]]:
    """A closed line around the middle 80%, for each run of steps that have one."""
    x: list[int | None] = []
    y: list[float | None] = []
    for is_known, run in groupby(range(len(found)), lambda place: found[place].n > 0):
        if is_known:
            places = list(run)
            x += [*places, *reversed(places), None]
            y += [found[place].high for place in places]
            y += [*(found[place].low for place in reversed(places)), None]
    return x, y


def _line(x: Iterable[int], y: list[float | None], told: list[str]) -> dict:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": list(x),
        "y": y,
        "line": {"color": TEAL, "width": 1.75},
        "marker": {"color": TEAL, "size": 5.5},
        "customdata": told,
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def track(
    rows: Sequence[tuple[str, Sequence[float | None]]], steps: Sequence[str], chosen: int
) -> go.Figure:
    """Small charts one above the other, on one axis of steps; a rule marks the chosen one."""
    traces, axes = [], {}
    height = 1 / len(rows)
    for number, (name, values) in enumerate(rows):
        suffix = "" if number == 0 else str(number + 1)
        told = [
            f"{escape(step)}<br>{name} {short(value)}"
            for step, value in zip(steps, values, strict=True)
        ]
        traces.append(_line(range(len(steps)), list(values), told) | {"yaxis": f"y{suffix}"})
        top = 1 - number * height
        axes[f"yaxis{suffix}"] = _axis() | {
            "domain": [top - height * 0.78, top - height * 0.14],
            "rangemode": "tozero",
            "nticks": 3,
            "automargin": False,
        }
    around = _layout(steps) | axes | {"height": SMALL, "showlegend": False}
    around["margin"] = {"l": 44, "r": 10, "t": 2, "b": 20}
    around["xaxis"] |= {"anchor": f"y{len(rows) if len(rows) > 1 else ''}"}
    around["annotations"] = [
        {"text": name, "x": 0, "y": 1 - number * height, "xref": "paper", "yref": "paper"}
        | {"xanchor": "left", "yanchor": "top", "showarrow": False}
        | {"font": {"color": GREY, "size": 11}}
        for number, (name, _) in enumerate(rows)
    ]
    around["shapes"] = [
        {"type": "line", "x0": chosen, "x1": chosen, "y0": 0, "y1": 1, "yref": "paper"}
        | {"line": {"color": RULE, "width": 1}, "layer": "below"}
    ]
    return go.Figure({"data": traces, "layout": around})


def _axis() -> dict:
    return axis(zeroline=True, zerolinecolor=RULE)


def _layout(steps: Sequence[str]) -> dict:
    ticks = {"tickvals": list(range(len(steps))), "ticktext": [_cut(step) for step in steps]}
    across = {"showgrid": False, "range": [-0.5, len(steps) - 0.5], "zeroline": False}
    return layout(
        HEIGHT,
        (4, 6, 8, 4),
        xaxis=_axis() | ticks | across,
        yaxis=_axis() | {"nticks": 5, "tickformat": ","},
        legend=legend(font={"color": GREY, "size": 10.5}, entrywidth=48, itemwidth=30),
    )


def _cut(name: str) -> str:
    """A tick: the end of a long name, which tells it from the others."""
    return escape(name if len(name) <= 12 else f"…{name[-11:]}")
