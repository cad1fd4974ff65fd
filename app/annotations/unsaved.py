"""What a browser keeps that is not saved, as a component: the app itself knows nothing of it."""

from pathlib import Path
from urllib.parse import urlencode

import streamlit as st

from app import links, parts
from app.selection import Selection
from featurestore.records import Catalogue, FeatureQuery

HERE = Path(__file__).parent
_component = st.components.v2.component(
    "feature_browser_unsaved",
    css=parts.style(HERE / "unsaved.css"),
    js=parts.script(HERE / "drafts.js", HERE / "unsaved.js"),
)


def unsaved(known: Catalogue) -> None:
    """A link to each feature with a text that was typed here and not saved; nothing without any."""
    dictionaries = {
        info.content: [
            info.dictionary_id,
            f"feature?{urlencode({'dictionary': info.dictionary_id})}&feature=",
        ]
        for info in known.dictionaries
        if info.content
    }
    sent = _component(
        data={"dictionaries": dictionaries}, key="unsaved", on_open_change=lambda: None
    )
    if sent.open is not None:
        name, number = sent.open
        listed = Selection(FeatureQuery(str(name)))
        st.switch_page(links.FEATURE, query_params=links.feature(listed, int(number)))
