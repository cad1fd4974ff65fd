"""Browse: which features does this dictionary have, and which of them are of interest?"""

from dataclasses import replace

import streamlit as st

from app import filters, links, panels, session
from app.annotations.panels import export_list, label_list, listed
from app.feature_table import feature_table
from app.map.panels import chosen_line
from app.selection import PAGE_SIZE
from app.tracks.panels import list_tracks

info, selection = panels.dictionary()
filters.population(info)
filters.filter_row(selection)

query = selection.query
kept = session.store().features(query, PAGE_SIZE, PAGE_SIZE * (selection.page - 1))
last_page = filters.last_page(kept.n_kept)
if selection.page > last_page:
    panels.note(f"The link says page={selection.page}; the last page is {last_page}.", "error")
    selection = replace(selection, page=last_page)
    kept = session.store().features(query, PAGE_SIZE, PAGE_SIZE * (last_page - 1))

with st.container(horizontal=True, vertical_alignment="center", gap="small", key="count"):
    filters.kept_line(kept, query)
    chosen_line(selection)
    panels.go_to_number(selection)
    label_list(selection)
    list_tracks(info, query)
    export_list(info, query)

if kept.rows:
    opened = feature_table(listed(info, kept), selection, session.on_sort)
    if opened is not None:
        st.switch_page(links.FEATURE, query_params=links.feature(selection, opened))
    filters.page_numbers(kept.n_kept, selection.page, session.on_page)
else:
    filters.nothing_kept(kept, query)
