"""The map in the browser: points by WebGL that can be moved, pointed at, opened and lassoed.

What a file decides is sent as bytes, once: an element that stays the same is not sent again. What
changes with a click is a few kilobytes of JSON.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from app.parts import script, style

HERE = Path(__file__).parent
KEY = "map"
"""Where the component's triggers stand in the session."""

_parts = st.components.v2.component(
    "feature_browser_map_parts", js=(HERE / "parts.js").read_text(encoding="utf-8")
)
_map = st.components.v2.component(
    "feature_browser_map",
    css=style(HERE / "map.css"),
    js=script(
        *(
            HERE / f"{part}.js"
            for part in ("renderer", "picking", "map", "drawing", "camera", "gestures")
        )
    ),
)
_STYLE = (HERE / "page.css").read_text(encoding="utf-8")


def parts(points: bytes, said: bytes) -> None:
    """Hand the parts of a map to the browser; whatever draws them names them by their key."""
    st.html(f"<style>{_STYLE}</style>")
    with st.container(key="map_parts"):
        _parts(data=points, key="map_points")
        _parts(data=said, key="map_said")


def map_view(data: dict[str, Any], on_lasso: Callable[[], None]) -> int | None:
    """Draw the map; returns the feature that was just clicked.

    `on_lasso` reads `st.session_state[KEY].lasso`, the features inside it.
    """
    result = _map(
        data=data | {"control": False},
        key=KEY,
        on_lasso_change=on_lasso,
        on_open_change=lambda: None,
    )
    return result.open


def control_view(data: dict[str, Any]) -> None:
    """Draw the random directions, small."""
    _map(
        data=data | {"control": True},
        key="control",
        on_lasso_change=_nothing,
        on_open_change=_nothing,
    )


def _nothing() -> None:
    """Callback of what cannot be clicked."""
