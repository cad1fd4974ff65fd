"""The pieces of Map: how it is coloured and searched, the map, its control, the list of a lasso."""

from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import urlencode

import numpy as np
import streamlit as st

from app import clusters, filters, links, markup, panels, session
from app.annotations.panels import label_list
from app.map import legend, summary, view, words
from app.map import session as maps
from app.map.chosen import MOST
from app.map.points import Points, mask
from app.markup import TEXT_PLACES
from app.selection import Selection
from app.token_text import typed
from featurestore.errors import AnnotationsError, FeatureStoreError, UnknownFeature
from featurestore.records import CONTEXT_PLACES, DictionaryInfo, FeatureQuery


@dataclass(frozen=True)
class Shown:
    """A map, and what of it is marked."""

    info: DictionaryInfo
    selection: Selection
    points: Points
    verdict: np.ndarray
    """Of each point, its place in VERDICTS."""
    found: tuple[int, ...] | None
    """Features that a search keeps; None without one."""


def open_map(info: DictionaryInfo, selection: Selection) -> Shown:
    """Fetch the map and hand it to the browser; without one it says why and ends the page."""
    found, part = maps.points(info.path, maps.key(info), info.dictionary_id)
    if not len(found):
        panels.note(
            f"No map was computed for '{info.dictionary_id}': passes.map = false in its recipe, or "
            "fewer than three of its features are alive. Set it to true and build again: "
            "python -m featurestore build RECIPE"
        )
        st.stop()
    verdict, said_part = _said(info)
    view.parts(part, said_part)
    return Shown(info, _marked(selection, found), found, verdict, _found(selection))


def _said(info: DictionaryInfo) -> tuple[np.ndarray, bytes]:
    try:
        return maps.said(info)
    except AnnotationsError as error:
        panels.note(str(error), "error")
        return maps.unsaid(info)


def _marked(selection: Selection, points: Points) -> Selection:
    """The selection with the URL's feature; without one, and told, if it is not on the map."""
    try:
        marked = session.read_feature(selection)
    except UnknownFeature as error:
        panels.note(str(error), "error")
        return selection
    if marked.feature is None or len(points.indices([marked.feature])):
        return marked
    panels.note(
        f"Feature {marked.feature} is not on the map: it is dead, has no length, or does not exist."
    )
    return selection


def _found(selection: Selection) -> tuple[int, ...] | None:
    query = maps.searched(selection)
    if not filters.is_filtered(query):
        return None
    try:
        return session.store().numbers(query)
    except FeatureStoreError as error:
        panels.note(str(error), "error")
        return None


def population(shown: Shown) -> None:
    """How many features the map holds."""
    info, points = shown.info, shown.points
    n_alive = session.store().features(FeatureQuery(info.dictionary_id), limit=0).n_kept
    st.html(words.population(info, len(points), len(points.clusters), n_alive))


def controls(shown: Shown) -> None:
    """What colours the points, and what is ringed."""
    selection, query = shown.selection, shown.selection.query
    by = maps.kind(query)
    known = [*maps.ROLES, *(one for one in maps.TEXTS if one not in CONTEXT_PLACES or one == by)]
    marked = "" if selection.feature is None else str(selection.feature)
    session.seed({"colour": selection.colour, "find_by": by, "marked": marked})
    session.seed({"find": typed(query.text if by in maps.TEXTS else query.token)})
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.segmented_control(
            "Colour by",
            legend.COLOURS,
            required=True,
            key="colour",
            format_func=legend.NAMES.__getitem__,
            on_change=maps.on_colour,
            args=(selection,),
        )
        st.text_input(
            "Find",
            key="find",
            placeholder='river or " river"',
            on_change=maps.on_find,
            args=(selection,),
            help="As in Browse: what matches is ringed, the rest is dimmed",
            width=170,
        )
        st.selectbox(
            "is what the feature",
            known,
            key="find_by",
            format_func=lambda one: f"has in its {TEXT_PLACES[one]}" if one in maps.TEXTS else one,
            on_change=maps.on_find,
            args=(selection,),
            width=240,
        )
        st.text_input(
            "Feature",
            key="marked",
            placeholder="number",
            on_change=maps.on_mark,
            args=(selection,),
            width=90,
        )
        _found_line(shown)


def _found_line(shown: Shown) -> None:
    """How many a search found, by what else than the boxes say, and the way back."""
    if shown.found is None:
        return
    on_map, query = len(shown.points.indices(shown.found)), shown.selection.query
    parts = [f"{len(shown.found):,} found", *clusters.words(query), *words.besides(query)]
    if shown.found:
        parts.append(f"{on_map:,} on the map, ringed")
    plain = FeatureQuery(shown.info.dictionary_id, among=query.among)
    st.html(markup.line(parts))
    st.button(
        "Clear", type="tertiary", on_click=session.go, args=(replace(shown.selection, query=plain),)
    )


def the_map(shown: Shown) -> int | None:
    """Draw the map; returns the feature that was just clicked."""
    points, selection, info = shown.points, shown.selection, shown.info
    colour = selection.colour
    listed = urlencode(links.browse(selection))
    data = {
        "map": maps.key(info),
        "colour": colour,
        "legend": legend.legend(points, colour, shown.verdict),
        "found": "" if shown.found is None else mask(points, shown.found),
        "chosen": mask(points, selection.query.among) if selection.query.among else "",
        "marked": -1 if selection.feature is None else selection.feature,
        "label": f"Map of {len(points):,} features in {len(points.clusters):,} clusters. Arrows "
        "move it, + and - zoom, Enter opens the feature in the middle.",
        "caption": f"{info.dictionary_id} · {len(points):,} features · coloured by "
        f"{legend.NAMES[colour]} · run {info.run_id}",
        "file": f"{info.dictionary_id}-map.png",
        "most": MOST,
        "href": f"feature?{listed}&feature=",
    }
    return view.map_view(data, partial(maps.on_lasso, selection))


def control(shown: Shown) -> None:
    """The same layout of random directions, and what was measured of both."""
    n = len(shown.points.control_place)
    st.html(
        markup.part("Control", f"{n:,} random directions") + markup.note(words.CONTROL, "plain")
    )
    if n:
        view.control_view({"map": maps.key(shown.info), "marked": -1, "label": "Random directions"})
    st.html(words.measures(shown.points.measures) or markup.note("Nothing was measured.", "plain"))


def chosen_list(shown: Shown) -> None:
    """What the lasso holds, and where it leads."""
    chosen = maps.chosen(shown.selection)
    among = chosen.query.among
    if not among:
        st.html(
            markup.part("List")
            + markup.note(
                "Press Lasso, or hold Shift, and draw around points: they become a list with its "
                "own link, which Browse and Annotations can open.",
                "plain",
            )
        )
        return
    found = summary.summary(shown.points, among, shown.verdict)
    elsewhere = f", {found.n_elsewhere:,} not on the map" if found.n_elsewhere else ""
    st.html(markup.part("List", f"{len(among):,} features{elsewhere}"))
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="chosen"):
        if st.button("Open in Browse", type="primary", key="open_list"):
            st.switch_page(links.BROWSE, query_params=links.browse(chosen))
        label_list(chosen)
        name = f"{shown.info.dictionary_id}-map-list.csv"
        panels.export(name, partial(summary.points_csv, shown.points, among), "Places of the list")
        st.html(words.link(links.on_map(shown.selection)), width="content")
        st.button(
            "Clear list",
            type="tertiary",
            on_click=session.go,
            args=(shown.selection.listing(among=()),),
        )
    st.html(words.summary(found))


def export_points(shown: Shown) -> None:
    """Every point as CSV."""
    name = f"{shown.info.dictionary_id}-map.csv"
    panels.export(name, partial(summary.points_csv, shown.points), "Places and clusters of all")


def chosen_line(selection: Selection) -> None:
    """In Browse: that the list holds chosen features only, and the way back to where they lie."""
    n = len(selection.query.among)
    if n:
        st.html(
            markup.line([(f"only {n:,} chosen on the map", "Clear shows all features again")]),
            width="content",
        )
        st.page_link(links.MAP, label="Show on the map", query_params=links.on_map(selection))
