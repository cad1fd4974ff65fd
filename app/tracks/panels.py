"""The pieces of the page about training: what is followed and how, the charts, the list."""

from collections.abc import Iterable
from functools import partial

import streamlit as st

from app import figures, filters, links, markup, panels, session
from app.map.chosen import ListError
from app.selection import PAGE_SIZE
from app.tracks import charts, rows, table, words
from app.tracks import selection as selections
from app.tracks import session as tracking
from app.tracks.rows import Followed
from app.tracks.selection import TrackSelection
from featurestore.checkpoints import can_follow_numbers, read_checkpoints
from featurestore.errors import FeatureStoreError
from featurestore.records import DictionaryInfo, FeatureQuery, FeatureSummary

_SELECTORS = {**panels.TO_SEARCH, "?": ".fb-tell"}
_BOUNDS = {
    "tau": ("Goes on: τ ≥", "A feature goes on to the next step at this likeness or more"),
    "high": ("Learned ≥", "Learned: a likeness to the next step of this or more"),
    "low": ("Lost <", "Lost: a likeness to the next step below this, after it was learned"),
}
_TALL = {"config": figures.CONFIG, "theme": None}


def open_tracks() -> Followed:
    """The controls, and what became of features; with nothing to follow the page ends."""
    known = tracking.known()
    selection, problems = tracking.read(known)
    _choice(selection, known)
    for problem in (*problems, *(one.reason for one in session.catalogue().problems)):
        panels.note(problem, "error")
    infos = tuple(known[one] for one in selection.tracked)
    if len(infos) < 2:
        if known:
            names = selections.families(known.values())
            panels.note(words.nothing_to_follow(selection, names, len(known)))
        elif not session.catalogue().problems:
            panels.say_empty()
        st.stop()
    checkpoints = read_checkpoints(infos, tracking.beside)
    found = tracking.followed(infos, checkpoints, selection)
    _how(found)
    for remark in words.remarks(found, str(session.store().folder)):
        panels.note(remark)
    if not found.is_measured:
        st.stop()
    return found


def _choice(selection: TrackSelection, known: dict[str, DictionaryInfo]) -> None:
    names = selections.families(known.values())
    session.seed({"track_family": selection.family or None, "tracked": list(selection.tracked)})
    labels = {one: markup.dictionary_label(info) for one, info in known.items()}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="tracking"):
        st.selectbox(
            "Family",
            names,
            index=None,
            key="track_family",
            placeholder="chosen one by one" if names else "none",
            on_change=tracking.on_family,
            width=170,
        )
        st.multiselect(
            "Dictionaries, in the order of training",
            list(labels),
            key="tracked",
            format_func=lambda one: one if one in selection.tracked else labels[one],
            placeholder="Choose two or more",
            filter_mode="contains",
            select_all=False,  # or Enter takes all that match what is typed
            max_selections=selections.MAX_TRACKED,
            on_change=tracking.on_tracked,
            width="stretch",
        )
        panels.keyboard(words.WORDS, words.KEYS, _SELECTORS)


def _how(found: Followed) -> None:
    """How features are followed, the bounds, and what is shown."""
    selection = found.selection
    bounds = {f"track_{name}": getattr(selection, name) for name in _BOUNDS}
    session.seed({"track_mode": found.mode, "track_measure": selection.measure} | bounds)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="track_how"):
        st.segmented_control(
            "Follow features",
            words.MODES,
            required=True,
            key="track_mode",
            format_func=words.MODES.__getitem__,
            disabled=not can_follow_numbers(found.infos),
            help=words.WHEN_BY_NUMBER,
            on_change=tracking.on_control,
            args=("mode",),
        )
        st.segmented_control(
            "Likeness",
            words.MEASURES,
            required=True,
            key="track_measure",
            on_change=tracking.on_control,
            args=("measure",),
        )
        for name, (label, tip) in _BOUNDS.items():
            st.slider(
                label,
                0.0,
                1.0,
                step=0.01,
                key=f"track_{name}",
                help=tip,
                on_change=tracking.on_control,
                args=(name,),
                width=112,
            )
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="count"):
        st.html(words.summary(found))
        make = partial(rows.steps_csv, found)
        panels.export("steps.csv", make, "The numbers of the charts: a line a step")


def overview(found: Followed) -> None:
    """What went on, was born and died; how far it drifted; what the last step holds of it.

    Of all features, whichever are listed.
    """
    _, names = found.steps
    measure = found.selection.measure
    whose, died = words.whose(found), words.died(found)
    left, middle, right = st.columns(3, gap="medium")
    with left:
        at = f"τ {found.selection.tau:.2f} · died: {died}"
        st.html(markup.part("Features", f"{at}{whose}"))
        st.plotly_chart(charts.changes(found.tracks.changes, names, died), key="changes", **_TALL)
    with middle:
        st.html(markup.part("Drift", f"1 − mean {measure} of what went on{whose}"))
        st.plotly_chart(charts.drift(found.tracks.changes, names, died), key="drift", **_TALL)
    with right:
        st.html(markup.part("Held by the last", f"{measure}: median and middle 80%{whose}"))
        st.plotly_chart(charts.spread(found.spread, names), key="spread", **_TALL)


def listed(found: Followed) -> None:
    """The list of tracks: which, in which order, a page of it."""
    selection = found.selection
    session.seed({"track_kept": selection.kept})
    counts = {name: int(mask.sum()) for name, mask in found.masks.items()}
    active = _activities(found.infos)
    order = rows.ordered(found, active)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="track_list"):
        st.segmented_control(
            "Tracks",
            words.LISTS,
            required=True,
            key="track_kept",
            format_func=lambda name: f"{words.LISTS[name]} {counts[name]:,}",
            on_change=tracking.on_control,
            args=("kept",),
            label_visibility="collapsed",
        )
        panels.export("tracks.csv", partial(rows.tracks_csv, found, order), "All of this list")
    _among(found)
    st.html(words.listed(found))
    n_pages = filters.last_page(len(order))
    page = min(selection.page, n_pages)
    if page < selection.page:
        panels.note(f"The link says page={selection.page}; the last page is {n_pages}.", "error")
    shown = order[PAGE_SIZE * (page - 1) : PAGE_SIZE * page]
    if not len(shown):
        panels.note("No track is like that. Move a bound, or show all.")
        return
    opened = found.find(*selection.feature) if selection.feature else None
    drawn = table.track_rows(found, shown, _summaries(found, shown), active, opened)
    table.draw(drawn, table.KEY, tracking.on_sort, tracking.on_open)
    filters.page_numbers(len(order), page, tracking.on_page)


def _among(found: Followed) -> None:
    """Of which features tracks are listed, if not of all, and how many of these last."""
    if found.selection.among is None:
        return
    name, _ = found.selection.among
    active = _activities((found.infos[found.checkpoints.ids.index(name)],))
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="among"):
        st.html(words.among(found, active[0] if active else None), width="content")
        st.button("Show all", type="tertiary", on_click=tracking.on_all)


def list_tracks(info: DictionaryInfo, query: FeatureQuery) -> None:
    """A button from a list of features to their tracks; none where a dictionary is alone."""
    if len(selections.members(tracking.known(), info.family or "")) < 2:
        return
    if st.button(
        "Over training",
        key="list_tracks",
        type="tertiary",
        icon=":material/timeline:",
        help="The tracks of these features through the checkpoints of their family",
    ):
        try:
            st.switch_page(links.TRACKS, query_params=tracking.list_link(info, query))
        except ListError as error:
            st.toast(str(error))


def _activities(infos: Iterable[DictionaryInfo]) -> rows.Activities:
    try:
        return tuple(map(tracking.activity, infos))
    except FeatureStoreError as error:
        panels.note(str(error), "error")
        return None


def _summaries(found: Followed, shown: rows.Order) -> dict[tuple[str, int], FeatureSummary]:
    """Of the features at the last steps of some tracks: a question a dictionary."""
    store, last = session.store(), found.tracks.last[shown]
    summaries = {}
    for step in sorted(set(last.tolist())):
        name = found.checkpoints.ids[step]
        numbers = found.last_feature[shown[last == step]].tolist()
        for number, summary in store.summaries(name, numbers).items():
            summaries[name, number] = summary
    return summaries
