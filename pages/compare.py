"""Compare: which dictionary says how much, and at which price?"""

import streamlit as st

from app import links
from app.compare.panels import open_scoreboard, plot, rows
from app.compare.table import in_browse
from app.compare.views import views

views()
shown = open_scoreboard()
pointed = plot(shown)
target = rows(shown)
if pointed is not None:
    target = links.BROWSE, in_browse(pointed)
if target is not None:
    page, params = target
    st.switch_page(page, query_params=params)
