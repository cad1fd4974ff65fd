"""Two features side by side, part by part: numbers, tokens, contexts, what is near each."""

from dataclasses import replace
from functools import partial

import streamlit as st

from app import feature_table, links, markup, panels, session, token_text
from app.annotations import session as annotations
from app.annotations import words as said
from app.numerals import short
from app.pair import rows, words
from app.pair import session as pairs
from app.pair.panels import Opened
from app.pair.selection import PairSelection
from app.selection import Selection
from app.token_view import token_view
from app.tracks import session as tracks
from featurestore.annotations.records import Event
from featurestore.errors import AnnotationsError, UnknownFeature
from featurestore.pair_records import Match
from featurestore.records import DictionaryInfo, Feature, FeatureQuery

CONTEXTS = 5
_LENS = 5
_PEAKS = 8

Both = tuple[Feature | None, Feature | None]


def side_by_side(opened: Opened) -> PairSelection | None:
    """Both features; returns the selection with another pair that was just clicked."""
    opened = _with_best(opened)
    selection = opened.selection
    both = _features(opened)
    listed = _matches(selection, both)
    match = _between(selection, listed)
    _header(opened, match)
    heads = _events(opened, both)
    label = partial(_label, heads=heads, match=match)
    for part in (_name, *([label] if any(heads) else []), _tokens, _lenses, _contexts):
        for at, column in enumerate(st.columns(2, gap="medium")):
            with column:
                if both[at] is not None:
                    part(opened, both[at], at)
                elif part is _name:
                    _nobody(opened, at)
    return _near(opened, listed)


def _with_best(opened: Opened) -> Opened:
    """A feature that is asked for alone stands beside its nearest."""
    selection = opened.selection
    if None not in (selection.feature, selection.beside):
        return opened
    number = selection.beside if selection.feature is None else selection.feature
    mine, theirs = selection.dictionary, selection.other
    if selection.feature is None:
        mine, theirs = theirs, mine
    try:
        stored = session.store().pairs.nearest(mine, number, theirs)
    except UnknownFeature:
        return opened  # told where it would stand
    found = [one for one in stored if one.other is not None]
    if not found:
        return opened
    return replace(opened, selection=selection.opened(found[0], mine))


def _features(opened: Opened) -> Both:
    """Those that the URL names; one that does not exist is told."""

    def feature(info: DictionaryInfo, number: int | None) -> Feature | None:
        if number is None:
            return None
        try:
            return session.store().feature(info.dictionary_id, number)
        except UnknownFeature as error:
            panels.note(str(error), "error")
            return None

    selection, (one, other) = opened.selection, opened.dictionaries
    return feature(one, selection.feature), feature(other, selection.beside)


def _matches(selection: PairSelection, both: Both) -> tuple[tuple[Match, ...], ...]:
    """What is stored of each of the two: its nearest, and its match."""
    ids = (selection.dictionary, selection.other)
    return tuple(
        () if of is None else session.store().pairs.nearest(mine, of.feature, theirs)
        for of, mine, theirs in zip(both, ids, ids[::-1], strict=True)
    )


def _between(selection: PairSelection, listed: tuple[tuple[Match, ...], ...]) -> Match | None:
    """What is known of the two together, from whichever side it is stored."""
    found = [one for one in listed[0] if one.other == selection.beside is not None]
    found += [one for one in listed[1] if one.other == selection.feature is not None]
    return found[0] if found else None


def _header(opened: Opened, match: Match | None) -> None:
    selection = opened.selection
    at = pairs.place(selection)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="header"):
        _step("‹ Previous", "previous", at.previous)
        _step("Next ›", "following", at.following)
        name = words.names(selection)[selection.shown].replace("\\", "")
        where = f"{name}: {at.place:,} of {at.n:,}" if at.place else ""
        numbers = [str(n) for n in (selection.feature, selection.beside) if n is not None]
        title = markup.heading(f"Feature {' beside '.join(numbers)}", where)
        st.html(title, width="stretch")
        st.button("Back to the list", key="to_list", on_click=pairs.go, args=(selection.closed(),))
    if match is not None:
        st.html(words.relation(match, opened.info))
    elif None not in (selection.feature, selection.beside):
        panels.note(
            "No numbers of these two: stored are each feature's three nearest and its match."
        )


def _step(label: str, key: str, target: PairSelection | None) -> None:
    is_none = target is None
    st.button(label, key=key, disabled=is_none, on_click=pairs.go, args=(target,))


def _name(opened: Opened, of: Feature, at: int) -> None:
    """Which feature it is, and the way to its page."""
    info = opened.dictionaries[at]
    key = f"named-{at}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=key):
        name = words.side(info.dictionary_id, at)
        st.html(f'<div class="fb-named">{name} <b>{of.feature}</b></div>', width="stretch")
        if track := tracks.link(info, of.feature):
            st.page_link(links.TRACKS, label="Its track", query_params=track)
        listed = Selection(FeatureQuery(info.dictionary_id))
        st.page_link(
            links.FEATURE, label="Open its page", query_params=links.feature(listed, of.feature)
        )
    if of.is_dead:
        st.html(markup.line([f"dead: active on none of {info.n_tokens:,} tokens"]))
        return
    tip = f"{of.n_active:,} of {info.n_tokens:,} tokens"
    facts = [(f"density {short(of.density)}", tip), (f"max {short(of.max_activation)}", "")]
    st.html(markup.line([*facts, f"{of.n_active:,} active tokens"]))


def _nobody(opened: Opened, at: int) -> None:
    selection = opened.selection
    if (selection.feature, selection.beside)[at] is None:
        name = opened.dictionaries[at].dictionary_id
        panels.note(f"No feature of {name} is known beside it.")


def _events(opened: Opened, both: Both) -> tuple[Event | None, Event | None]:
    """What people said of each, if it can be read."""
    try:
        log = annotations.log()
        found = [
            None if of is None else log.current(info.content, [of.feature]).get(of.feature)
            for of, info in zip(both, opened.dictionaries, strict=True)
        ]
    except AnnotationsError as error:
        panels.note(str(error), "error")
        return None, None
    return tuple(None if one is None or one.content.is_empty else one for one in found)


def _label(
    opened: Opened,
    of: Feature,
    at: int,
    heads: tuple[Event | None, Event | None],
    match: Match | None,
) -> None:
    """What people say of it; where they say nothing, the other's label to be copied."""
    if heads[at] is not None:
        st.html(said.in_force(heads[at]))
        return
    suggested = heads[1 - at].content.label if heads[1 - at] is not None else ""
    is_near = match is not None and (match.cosine or 0) >= opened.selection.below
    if not (suggested and is_near):
        st.html(markup.line(["nobody has said anything of it"]))
        return
    st.html(
        markup.line(
            [
                (
                    f"no label; that of its neighbour, at cosine {short(match.cosine)}, to copy",
                    "Nothing is saved: look at the contexts, and write it on the feature's page",
                )
            ]
        )
    )
    st.code(suggested, language=None, wrap_lines=True)


def _tokens(opened: Opened, of: Feature, at: int) -> None:
    if of.peak_tokens:
        n_top = sum(count for _, count in of.peak_tokens)
        st.html(
            markup.part("Peaks on", f"in its {n_top} highest contexts")
            + token_text.chips(of.peak_tokens, _PEAKS)
        )


def _lenses(opened: Opened, of: Feature, at: int) -> None:
    promoted, suppressed = of.promoted[:_LENS], of.suppressed[:_LENS]
    largest = max((abs(one.logit) for one in (*promoted, *suppressed)), default=1.0)
    st.html(
        markup.part("Logit lens", "centred over the vocabulary")
        + token_text.lens_tables(promoted, suppressed, largest)
    )


def _contexts(opened: Opened, of: Feature, at: int) -> None:
    """Its highest contexts, as on its page."""
    info, selection = opened.dictionaries[at], opened.selection
    bands = session.store().bands(info.dictionary_id, of.feature, "top")
    bands = tuple(replace(band, examples=band.examples[:CONTEXTS]) for band in bands)
    if not any(band.examples for band in bands):
        return
    key = f"tokens-{at}"
    token_view(
        bands,
        of,
        info.n_tokens,
        selection.view,
        selection.breaks,
        partial(pairs.on_shown, key),
        key=key,
    )


def _near(opened: Opened, listed: tuple[tuple[Match, ...], ...]) -> PairSelection | None:
    """Each one's nearest in the other dictionary; returns what a click on one selects."""
    names, target = [one.dictionary_id for one in opened.dictionaries], None
    for at, column in enumerate(st.columns(2, gap="medium")):
        if listed[at]:
            with column:
                st.html(
                    markup.part(f"Nearest in {names[1 - at]}", words.stored(opened.dictionaries))
                )
                target = _near_table(opened, names[at], names[1 - at], listed[at]) or target
    return target


def _near_table(
    opened: Opened, mine: str, theirs: str, listed: tuple[Match, ...]
) -> PairSelection | None:
    known = [one for one in listed if one.other is not None]
    if not known:
        panels.note(f"{words.NO_LENGTH}.")
        return None
    selection, is_compared = opened.selection, opened.info.n_tokens is not None
    found = pairs.rows(mine, theirs, known)
    data = rows.nearest_payload(found, selection, mine, is_compared)
    clicked = feature_table.draw(data, f"nearest in {theirs}")
    match = next((one for one in known if one.other == clicked), None)
    return None if match is None else selection.opened(match, mine)
