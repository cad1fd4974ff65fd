"""Histograms of a feature as Plotly figures. Pure."""

import math

import plotly.graph_objects as go

from app.figures import ORANGE, axis, layout
from app.numerals import short
from featurestore.records import Histogram

HEIGHT = 118


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
    across = axis(showgrid=False, ticks="outside", ticklen=3, nticks=6)
    up = axis(type="log", dtick=1, exponentformat="power", range=_log_range(histogram.counts))
    around = layout(HEIGHT, (4, 4, 6, 18), xaxis=across, yaxis=up, bargap=0.04, showlegend=False)
    return go.Figure({"data": [bars], "layout": around})


def _log_range(counts: tuple[int, ...]) -> list[float]:
    """From a little under one, so that a bin of one has a height, to a little over the highest."""
    return [-0.3, math.log10(max(*counts, 2)) * 1.05]
