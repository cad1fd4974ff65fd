"""Between Streamlit and the map: the columns of a map kept for all sessions, and the callbacks.

As everywhere, a page reads its selection from the URL and a callback writes one back.
"""

from dataclasses import replace

import numpy as np
import streamlit as st

from app import address, session
from app.map.chosen import MOST
from app.map.points import Points, Said, columns, points_part, said_part
from app.map.view import KEY
from app.selection import Selection, params
from app.token_text import meant
from featurestore.records import CONTEXT_PLACES, DictionaryInfo, FeatureQuery, TokenRole

ROLES: tuple[TokenRole, ...] = ("promotes", "suppresses", "peaks on")
TEXTS = ("annotations", "explanations", *CONTEXT_PLACES)

MOST_KEPT = 4
"""Maps that are kept; one of 100,000 features takes about 10 MB, and half of it once more as the
bytes that are sent."""
SAID_KEPT_S = 3.0
"""How long what was said is believed to be complete: see `Remarks`."""


def key(info: DictionaryInfo) -> str:
    """What the browser knows a map by."""
    return f"{info.dictionary_id} {info.run_id} {info.built_at}"


@st.cache_resource(show_spinner="Reading the map …", max_entries=MOST_KEPT)
def points(path: str, map_key: str, dictionary_id: str) -> tuple[Points, bytes]:
    """The map of a file, and the same as the browser gets it."""
    found = columns(session.store().map(dictionary_id))
    return found, points_part(found, map_key)


def said(info: DictionaryInfo) -> tuple[np.ndarray, bytes]:
    """The verdict of each point, and what is said of the features as the browser gets it.

    Raises:
        AnnotationsError: it cannot be read now.
    """
    state = session.annotations().log.database.last_numbers()
    return _said(info.path, key(info), info.dictionary_id, info.content, state)


def unsaid(info: DictionaryInfo) -> tuple[np.ndarray, bytes]:
    """The same where nothing can be read."""
    placed, _ = points(info.path, key(info), info.dictionary_id)
    return said_part(placed, Said(), key(info))


@st.cache_resource(show_spinner=False, max_entries=MOST_KEPT, ttl=SAID_KEPT_S)
def _said(
    path: str, map_key: str, dictionary_id: str, digest: str, state: tuple[int, int]
) -> tuple[np.ndarray, bytes]:
    remarks = session.remarks()
    people = remarks.texts(digest, "annotations")
    programs = remarks.texts(digest, "explanations")
    found = Said(
        remarks.verdicts(digest),
        {feature: text for feature, part, text in people if part == "label"},
        {feature: text for feature, _, text in programs},
    )
    placed, _ = points(path, map_key, dictionary_id)
    return said_part(placed, found, map_key)


def searched(selection: Selection) -> FeatureQuery:
    """What is ringed on the map: the list without the features that were chosen one by one."""
    return replace(selection.query, among=())


def chosen(selection: Selection) -> Selection:
    """The list of the features that were chosen one by one, and nothing else."""
    query = FeatureQuery(selection.query.dictionary_id, among=selection.query.among)
    return Selection(query, colour=selection.colour)


def kind(query: FeatureQuery) -> str:
    """What the box searches by: a token's role, or where a text stands."""
    is_text = not query.token and (query.text or query.within != "contexts")
    return query.within if is_text else query.role


def on_colour(selection: Selection) -> None:
    """Callback of the choice of a colouring."""
    session.go(replace(selection, colour=st.session_state["colour"]))


def on_find(selection: Selection) -> None:
    """Callback of the box and its kind: a search of the same words as in Browse."""
    text, by = meant(st.session_state["find"].strip()), st.session_state["find_by"]
    plain = FeatureQuery("")
    search = {"token": "", "role": plain.role, "text": "", "within": plain.within}
    search |= {"token": text, "role": by} if by in ROLES else {"text": text, "within": by}
    session.go(selection.listing(**search))


def on_mark(selection: Selection) -> None:
    """Callback of the box for a feature's number; whether it is one, the page says."""
    text = st.session_state["marked"].strip()
    values = params(replace(selection, feature=None)) | ({"feature": text} if text else {})
    address.show(values)


def on_lasso(selection: Selection) -> None:
    """Callback of the lasso: what is inside is the list now. A browser may send anything."""
    given = st.session_state[KEY].lasso
    inside = {one for one in given if isinstance(one, int) and 0 <= one < 2**31}
    if len(inside) <= MOST:
        session.go(selection.listing(among=tuple(sorted(inside))))
