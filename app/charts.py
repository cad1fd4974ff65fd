"""Records to Plotly figures. Pure, and the one home of plotly.

Nothing here names a colour of the page: backgrounds are transparent and greys are chosen to be
read on white and on near-black.
"""

import math

import plotly.graph_objects as go

from app.numerals import short
from featurestore.records import Histogram

ORANGE = "#ea8a2f"
GREY = "#8a8a8a"
HEIGHT = 118
CONFIG = {
    "displaylogo": False,
    "modeBarButtons": [["toImage"]],
    "toImageButtonOptions": {"format": "svg"},
}
"""Plotly's own controls: only the one that saves the chart."""


def activation_histogram(histogram: Histogram) -> go.Figure:
    """Counts of non-zero activations; zeros are told beside the chart."""
    return _histogram(histogram, "activation", "tokens")


def logit_histogram(histogram: Histogram) -> go.Figure:
    """Counts of the vocabulary's logits under a direction."""
    return _histogram(histogram, "logit", "vocabulary tokens")


def _histogram(histogram: Histogram, quantity: str, counted: str) -> go.Figure:
    """Bars on a logarithmic scale, so that a bin of one is seen beside a bin of a million."""
    n = len(histogram.counts)
    width = (histogram.high - histogram.low) / n or 1.0
    edges = [histogram.low + width * i for i in range(n + 1)]
    bounds = [f"{short(low)} to {short(high)}" for low, high in zip(edges, edges[1:], strict=False)]
    bars = {
        "type": "bar",
        "x": [edge + width / 2 for edge in edges[:-1]],
        "y": list(histogram.counts),
        "width": width,
        "customdata": bounds,
        "marker": {"color": ORANGE, "line": {"width": 0}},
        "hovertemplate": f"{quantity} %{{customdata}}<br>%{{y:,}} {counted}<extra></extra>",
    }
    axis = {"color": GREY, "tickfont": {"size": 10}, "fixedrange": True, "zeroline": False}
    across = {"showgrid": False, "ticks": "outside", "ticklen": 3, "nticks": 6}
    up = {"type": "log", "gridcolor": "rgba(138,138,138,.22)", "dtick": 1}
    layout = {
        "template": "none",  # the usual one is thrice the size of all else
        "height": HEIGHT,
        "margin": {"l": 4, "r": 4, "t": 6, "b": 18},
        "bargap": 0.04,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hoverlabel": {"font": {"size": 11}},
        "xaxis": {**axis, **across, "automargin": True},
        "yaxis": {**axis, **up, "automargin": True, "exponentformat": "power"}
        | {"range": _log_range(histogram.counts)},
        "showlegend": False,
    }
    return go.Figure({"data": [bars], "layout": layout})  # at once: update_layout takes 10 ms


def _log_range(counts: tuple[int, ...]) -> list[float]:
    """From a little under one, so that a bin of one has a height, to a little over the highest."""
    return [-0.3, math.log10(max(*counts, 2)) * 1.05]
