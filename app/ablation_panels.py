"""What a feature does and depends on, on its page."""

import streamlit as st

from app import ablation_markup, panels, session
from app.ablation_markup import why_not
from app.markup import part
from featurestore.records import DictionaryInfo, Feature


def ablation(feature: Feature, info: DictionaryInfo) -> None:
    """What becomes of the next token when the feature is removed, and why if that is not known."""
    if feature.ablation.n_ablated:
        st.html(ablation_markup.ablation(feature.ablation))
        return
    st.html(part("Ablation", "the next token once the feature is removed"))
    settings = ("n_ablated_top", "n_ablated_bands")
    panels.note(why_not(feature.is_dead, info, "ablation", *settings))


def dependences(feature: Feature, info: DictionaryInfo) -> None:
    """Which earlier tokens the peaks of its first top contexts depend on."""
    found = session.store().dependences(info.dictionary_id, feature.feature)
    if found:
        st.html(ablation_markup.dependences(found, info))
        return
    st.html(part("Depends on", "which earlier tokens"))
    panels.note(why_not(feature.is_dead, info, "dependence", "n_dependences"))
