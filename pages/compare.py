"""Compare: which dictionary says how much, and at which price?"""

import streamlit as st

from app import links
from app.compare.panels import open_scoreboard, plot, rows
from app.compare.table import in_browse

shown = open_scoreboard()
pointed = plot(shown)
opened = rows(shown) or pointed
if opened is not None:
    st.switch_page(links.BROWSE, query_params=in_browse(opened))
