"""The frame around every page: title, style, menu. `streamlit run app/main.py -- STORE` runs it."""

import sys
from pathlib import Path

import streamlit as st

ROOT = Path(__file__).parent.parent
if str(ROOT) not in sys.path:  # Streamlit puts only this file's folder there
    sys.path.insert(0, str(ROOT))

from app import address, command_line, links, panels, people, session  # noqa: E402
from featurestore.errors import Busy, FeatureStoreError  # noqa: E402

st.set_page_config(page_title="Feature Browser", page_icon=str(panels.ICON), layout="wide")
panels.style()
pages = [
    st.Page(links.BROWSE, title="Browse", url_path="browse", default=True),
    st.Page(links.FEATURE, title="Feature", url_path="feature"),
    st.Page(links.MAP, title="Map", url_path="map"),
    st.Page(links.COMPARE, title="Compare", url_path="compare"),
    st.Page(links.PAIR, title="Pair", url_path="pair", visibility="hidden"),
    st.Page(links.TRACKS, title="Tracks", url_path="tracks", visibility="hidden"),
    st.Page(links.SEARCH, title="Search", url_path="search"),
    st.Page(links.ANNOTATIONS, title="Annotations", url_path="annotations"),
]
menu = "visible" if command_line.is_live() else "hidden"
pages.append(st.Page(links.LIVE, title="Live", url_path="live", visibility=menu))
page = st.navigation(pages, position="top" if people.are_let_in() else "hidden")
people.door()
try:
    address.remember(page.title, session.ids)
    address.tell()
    page.run()
except Busy as error:
    panels.note(str(error), "error")
    st.button("Try again", key="again")
except FeatureStoreError as error:
    panels.note(str(error), "error")
