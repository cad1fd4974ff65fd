"""Annotations: what is labelled, what comes next, and how does it leave and come back?"""

import streamlit as st

from app import command_line, panels, people, session
from app.annotations import files, views
from app.annotations.panels import READ_ONLY
from app.annotations.unsaved import unsaved

info, selection = panels.dictionary()
known = session.catalogue()
if command_line.is_read_only():
    panels.note(READ_ONLY)
else:
    people.name_tag()
    views.queue(info, selection)
    unsaved(known)
views.conflicts(known)
views.progress(known, selection)
views.agreement()
files.export(info, selection, known)
if not command_line.is_read_only():
    left, right = st.container(key="imports").columns(2, gap="medium")
    with left:
        files.import_annotations(known)
    with right:
        files.import_explanations(known)
