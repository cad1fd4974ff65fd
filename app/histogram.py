"""Counts as bars: what a histogram shows, worked out here, drawn by `histogram.js`.

A component of a few kB, not a Plotly figure: on a first visit Plotly alone takes the browser longer
than the rest of a feature's page (docs/performance.md).
"""

import math
from pathlib import Path
from typing import Any

import streamlit as st

from app import parts
from app.numerals import short
from featurestore.records import Histogram

HERE = Path(__file__).parent
_component = st.components.v2.component(
    "feature_browser_histogram",
    css=parts.style(HERE / "histogram.css"),
    js=(HERE / "histogram.js").read_text(encoding="utf-8"),
)

MOST_TICKS = 6
_FOOT = -0.3
"""log10 of the count at the foot of the bars: a little under one, so that a bin of one is seen."""
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def histogram(counted: Histogram, quantity: str, unit: str, key: str) -> None:
    """Draw counts of values; `quantity` is what is binned, `unit` what is counted."""
    _component(data=payload(counted, quantity, unit), key=key)


def payload(counted: Histogram, quantity: str, unit: str) -> dict[str, Any]:
    """What the script draws: places from 0 to 1, heights on a logarithmic scale, and texts."""
    low, width = counted.low, _width(counted)
    n_bins = len(counted.counts)
    top = math.log10(max(*counted.counts, 2)) * 1.05
    bounds = [(low + width * i, low + width * (i + 1)) for i in range(n_bins)]
    return {
        "name": f"{n_bins} bins of {quantity}, {short(low)} to {short(low + width * n_bins)}",
        "file": f"{quantity}-histogram.svg",
        "bars": [_height(count, top) for count in counted.counts],
        "tips": [
            f"{quantity} {short(start)} to {short(end)}: {count:,} {unit}"
            for (start, end), count in zip(bounds, counted.counts, strict=True)
        ],
        "across": [
            [(value - low) / (width * n_bins), _tick(value)]
            for value in _round_values(low, low + width * n_bins)
        ],
        "up": [
            [(power - _FOOT) / (top - _FOOT), _power(power)] for power in range(math.floor(top) + 1)
        ],
    }


def _width(counted: Histogram) -> float:
    """Of a bin; 1 where all values are the same."""
    return (counted.high - counted.low) / len(counted.counts) or 1.0


def _height(count: int, top: float) -> float:
    return (math.log10(count) - _FOOT) / (top - _FOOT) if count else 0.0


def _round_values(low: float, high: float) -> list[float]:
    """At most MOST_TICKS multiples of 1, 2 or 5 times a power of ten, within the bounds."""
    power = 10.0 ** math.floor(math.log10((high - low) / MOST_TICKS))
    steps = (factor * power for factor in (1, 2, 5, 10, 20))
    step = next(s for s in steps if math.floor(high / s) - math.ceil(low / s) < MOST_TICKS)
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _tick(value: float) -> str:
    return f"{value:.6g}".replace("e-0", "e-").replace("-", "−")


def _power(power: int) -> str:
    return ("1", "10")[power] if power < 2 else f"10{str(power).translate(_RAISED)}"
