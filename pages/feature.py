"""Feature: what does this direction respond to, and what does it do to the output?"""

import streamlit as st

from app import ablation_panels, feature_panels, feed_panels, geometry_panels, panels
from app.annotations.panels import annotation
from app.pair.others import others
from app.tracks.strip import strip

with st.container(key="above"):  # a note more or less in it keeps the editor, and keys, in place
    info, chosen = panels.dictionary()
    selection, feature = feature_panels.open_feature(chosen)
    feature_panels.header(selection, feature)
    strip(info, selection)

with st.container(key="body"):
    left, right = st.columns([1, 2], gap="medium")
with right:  # before the left side, whose charts take the browser longer
    feature_panels.contexts(feature, info, selection)
    ablation_panels.ablation(feature, info)
    ablation_panels.dependences(feature, info)
    feed_panels.feeds(info, selection)
with left:
    annotation(info, selection)
    feature_panels.activity(feature, info)
    feature_panels.logits(feature)
    geometry_panels.neighbours(info, selection)
    others(info, selection)
    geometry_panels.place(feature, info, selection)
    geometry_panels.tokens(feature, info)
    geometry_panels.direction(feature, info)
    feature_panels.logit_histogram(feature)
    feature_panels.provenance(info)
