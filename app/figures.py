"""How every figure looks: colours, what lies around the plot, axes. No figure is made here.

Nothing names a colour of the page: backgrounds are transparent and greys are chosen to be read on
white and on near-black. Figures are made of dicts at once, since `update_layout` takes 10 ms.
"""

from typing import Any

ORANGE = "#ea8a2f"
TEAL = "#149b8f"
GREY = "#8a8a8a"
SIDES = (TEAL, ORANGE)
"""Colours of the first and the second of two dictionaries; style.css has them too."""
RULE = "rgba(138,138,138,.18)"
CONFIG = {
    "displaylogo": False,
    "modeBarButtons": [["toImage"]],
    "toImageButtonOptions": {"format": "svg"},
}
"""Plotly's own controls: only the one that saves the chart."""


def layout(height: int, margin: tuple[int, int, int, int], **more: object) -> dict[str, Any]:
    """What all layouts say, and `more`; the margin is left, right, top and bottom, in pixels."""
    return {
        "template": "none",  # the usual one is thrice the size of all else
        "height": height,
        "margin": dict(zip("lrtb", margin, strict=True)),
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hoverlabel": {"font": {"size": 11}},
        "dragmode": False,
        **more,
    }


def axis(title: str | None = None, **more: object) -> dict[str, Any]:
    """An axis that stays where it is, and `more` of it."""
    said = (
        {} if title is None else {"title": {"text": title, "font": {"size": 11.5}, "standoff": 5}}
    )
    return {
        "color": GREY,
        "tickfont": {"size": 10},
        "gridcolor": RULE,
        "fixedrange": True,
        "zeroline": False,
        "automargin": True,
        **said,
        **more,
    }


def legend(**more: object) -> dict[str, Any]:
    """Names in a row above the plot, and `more` of them."""
    place = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    return place | {"font": {"color": GREY, "size": 11}} | more
