"""What two dictionaries have in common, as a Plotly figure. Pure."""

from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go

from app.figures import GREY, SIDES, axis, layout
from app.numerals import short
from featurestore.pair_records import Side

HEIGHT = 170


def overlap(sides: Sequence[Side], is_absolute: bool) -> go.Figure:
    """Largest cosines of two dictionaries' features as shares, with what chance would give."""
    outlines = [_outline(*one) for one in zip(sides, SIDES, ("solid", "dot"), strict=True)]
    known = [x for trace in outlines for x, y in zip(trace["x"], trace["y"], strict=True) if y]
    low = 0.0 if is_absolute else min([0.0, *known])
    across = axis("largest cosine", showgrid=False, ticks="outside", ticklen=3)
    across["range"] = [low - 0.01, 1.01]
    up = axis("features", tickformat=".0%", rangemode="tozero", nticks=5)
    around = layout(
        HEIGHT,
        (4, 8, 22, 4),
        hovermode="x",
        showlegend=False,
        xaxis=across,
        yaxis=up,
        **_by_chance(sides),
    )
    return go.Figure({"data": outlines, "layout": around})


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
