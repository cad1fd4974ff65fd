"""What is near a feature and where it stands, on its page: the rarely used folded away."""

from dataclasses import replace
from functools import partial

import streamlit as st

from app import geometry_markup, links, session
from app.markup import part
from app.neighbour_table import neighbour_table
from app.selection import Selection
from featurestore.chance import largest_by_chance
from featurestore.records import DictionaryInfo, Feature


def neighbours(info: DictionaryInfo, selection: Selection) -> None:
    """The nearest features, as links that keep the list."""
    found = session.store().neighbours(info.dictionary_id, selection.feature)
    if found.by_cosine or found.by_coactivation:
        chance = largest_by_chance(info.d_out, info.n_features - 1, False)
        neighbour_table(found, chance, selection, partial(_open, selection))
    else:
        st.html(part("Neighbours", "the store holds none of this feature"))


def _open(selection: Selection) -> None:
    """Callback of the table: the feature that was clicked."""
    session.go(replace(selection, feature=st.session_state["neighbours"].open))


def tokens(feature: Feature, info: DictionaryInfo) -> None:
    """What it has to do with single tokens."""
    found, n_active = feature.token_measures, feature.n_active
    with st.expander(geometry_markup.tokens_summary(found, n_active), key="token_measures"):
        measures = session.store().measures(info.dictionary_id)
        st.html(geometry_markup.tokens(found, n_active, measures))


def direction(feature: Feature, info: DictionaryInfo) -> None:
    """Its weights by dimension of the model."""
    found = feature.decoder_weights
    with st.expander(geometry_markup.direction_summary(found), key="direction"):
        st.html(geometry_markup.direction(found, info))


def place(feature: Feature, info: DictionaryInfo, selection: Selection) -> None:
    """Its cluster, and a link to the map."""
    cluster = None
    if feature.place and feature.place.cluster is not None:
        cluster = session.store().cluster(info.dictionary_id, feature.place.cluster)
    st.html(part("On the map") + geometry_markup.place(feature, cluster, info))
    if feature.place is not None:
        with st.container(key="on_map"):
            st.page_link(links.MAP, label="Show it there", query_params=links.on_map(selection))
