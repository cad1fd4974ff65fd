"""Tracks: what became of each feature from checkpoint to checkpoint?"""

import streamlit as st

from app.compare.views import views
from app.tracks.detail import opened
from app.tracks.panels import listed, open_tracks, overview

views()
found = open_tracks()
overview(found)
with st.container(key="tracks_body"):
    left, right = st.columns([3, 2], gap="medium")
with left:
    listed(found)
with right:
    opened(found)
