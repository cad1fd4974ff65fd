"""The token view: contexts with each token shaded by its activation, drawn in the browser.

The script draws what `token_text.payload` says, reports a change of view, and needs no build step.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import streamlit as st

from app import parts, token_text
from app.numerals import short
from featurestore.detail_records import AblatedContext
from featurestore.records import Band, Feature

HERE = Path(__file__).parent
_component = st.components.v2.component(
    "feature_browser_token_view",
    css=parts.style(parts.TIP, HERE / "token_view.css"),
    js=parts.script(HERE / "token_view.js"),
)


def token_view(
    bands: tuple[Band, ...],
    feature: Feature,
    n_tokens: int,
    view: str,
    breaks: bool,
    on_shown: Callable[[], None],
    is_live: bool = False,
    ablated: Iterable[AblatedContext] = (),
    key: str = "tokens",
) -> int | None:
    """Draw contexts; `on_shown` runs when the user picks another view.

    In those that are `ablated`, tokens are underlined by what removing the feature does to them.

    Returns the context that was just sent to Live, which `is_live` allows.
    """
    ends = (feature.max_activation or 0.0, feature.min_activation or 0.0)
    scale = max(abs(end) for end in ends)
    counts = (feature.n_active, feature.n_contexts_active, n_tokens)
    removed = {one.context: one for one in ablated}
    data = token_text.payload(bands, *counts, scale, removed) | {
        "feature": feature.feature,
        "scale_text": short(scale),
        "has_negative": min(ends) < 0,
        "view": view,
        "breaks": breaks,
        "is_live": is_live,
    }
    result = _component(data=data, key=key, on_shown_change=on_shown, on_live_change=lambda: None)
    return result.live
