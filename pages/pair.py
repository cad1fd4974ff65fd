"""Pair: what do two dictionaries have in common, and what has only one of them?"""

import streamlit as st

from app import links
from app.compare.views import views
from app.pair.beside import side_by_side
from app.pair.panels import features, open_pair, summary
from app.pair.selection import params

views()
opened = open_pair()
if opened.selection.is_open:
    target = side_by_side(opened)
else:
    summary(opened)
    target = features(opened)
if target is not None:
    st.switch_page(links.PAIR, query_params=params(target))
