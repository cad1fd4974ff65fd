"""Map: which features lie together, and is it more than what noise would show?"""

import streamlit as st

from app import links, panels
from app.map.panels import (
    chosen_list,
    control,
    controls,
    export_points,
    open_map,
    population,
    the_map,
)

info, chosen = panels.dictionary()
shown = open_map(info, chosen)
with st.container(horizontal=True, vertical_alignment="center", gap="small", key="count"):
    population(shown)
    export_points(shown)
controls(shown)
with st.container(key="map_body"):
    left, right = st.columns([3, 1], gap="medium")
with left:
    opened = the_map(shown)
with right:
    chosen_list(shown)
    control(shown)
if opened is not None:
    st.switch_page(links.FEATURE, query_params=links.feature(shown.selection, opened))
