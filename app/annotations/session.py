"""Between Streamlit and the annotations: what is shown of a feature, and the callbacks that save.

A callback answers to the page only after the database has. What could not be saved stays in the
editor, with the reason.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from app import people, session
from app.annotations import words
from app.annotations.editor import KEY, Clash, Editing, heading_name
from app.exports import Explained, Said
from app.failures import told
from app.feature_table import Listed
from app.selection import Selection
from featurestore.annotations.exchange import tags_of, tags_text
from featurestore.annotations.log import AnnotationLog
from featurestore.annotations.records import Content, Draft, Event, Verdict
from featurestore.errors import (
    AnnotationError,
    AnnotationsError,
    FeatureStoreError,
    UnknownFeature,
)
from featurestore.records import DictionaryInfo, FeaturePage

DONE = "annotations that this session saved"
ANSWERED = "uid of what was dealt with last"
PROBLEM = "why an annotation was not saved"
SAVED = "annotation that this session saved last"
CAME = "from which feature Enter or Next led to each, by its list"

_MOST_DONE = 50


def log() -> AnnotationLog:
    """What people said of the features of this store."""
    return session.annotations().log


def listed(info: DictionaryInfo, kept: FeaturePage) -> Listed:
    """A page of a list with what was said of its features.

    Raises:
        AnnotationsError: they cannot be read now.
    """
    numbers = [row.feature for row in kept.rows]
    said = {n: event.content for n, event in log().current(info.content, numbers).items()}
    explained = session.annotations().explanations.of(info.content, numbers)
    return Listed(kept.rows, said, explained, kept.found)


def said_of_all(info: DictionaryInfo) -> Callable[[], tuple[Said, Explained]]:
    """A function that fetches what is said of every feature, for an export.

    It raises AnnotationsError if that cannot be read then.
    """
    opened, explanations = log(), session.annotations().explanations

    def fetch() -> tuple[Said, Explained]:
        current = opened.current(info.content)
        said = {feature: event.content for feature, event in current.items()}
        return said, explanations.of(info.content)

    return fetch


def editing(info: DictionaryInfo, feature: int) -> tuple[Editing, tuple[Event, ...]]:
    """What the editor shows of a feature, and the feature's history.

    Where a save has just failed, the editor stays even if nothing can be read.

    Raises:
        AnnotationsError: annotations cannot be read now.
    """
    key = editor_key(info, feature)
    problem = st.session_state.pop(PROBLEM, "")
    done = tuple(st.session_state.get(DONE, ()))
    shown = Editing(
        key,
        feature,
        heading_name(info.dictionary_id, feature),
        problem=told(problem),
        answered=st.session_state.get(ANSWERED, ""),
        stays=session.n_stays(),
        done=done,
        author=people.person() or "",
    )
    try:
        history = log().history(info.content, feature)
        open_ones = log().conflicts(info.content, feature)
        undone = log().undone(info.content, feature)
    except AnnotationsError:
        if not shown.problem:
            raise
        return shown, ()
    accepted = [event for event in history if not event.is_conflict]
    head = accepted[-1] if accepted else None
    by = undone.author if undone else ""
    shown = replace(
        shown,
        seen=head.revision if head else 0,
        content=head.content if head else Content(),
        saved=words.saved(head, by),
        by=by,
        clashes=tuple(clash(event, accepted) for event in open_ones),
    )
    return shown, history


def editor_key(info: DictionaryInfo, feature: int) -> str:
    """Of a feature among all that a browser may hold drafts of."""
    return f"{info.content} {feature}"


def clash(event: Event, accepted: Sequence[Event]) -> Clash:
    """A conflict as the editor tells it; `accepted` is the history without conflicts."""
    head = accepted[-1] if accepted else None
    before = [one for one in accepted if one.revision < event.revision]
    said = words.conflict(event, before[-1] if before else None, head)
    current = words.content(head.content if head else Content())
    return Clash(event.revision, said, current, words.content(event.content))


def on_save(info: DictionaryInfo, selection: Selection) -> None:
    """Callback: keep what the editor holds, and go on to the next feature if that is asked for."""
    sent = st.session_state[KEY].save
    saved = _try(info, sent, lambda given: log().append(_draft(info, given)))
    if saved and sent.get("next") is True and not saved.is_conflict:
        go_on(replace(selection, feature=saved.feature))


def on_next(selection: Selection) -> None:
    """Callback of Enter where nothing was changed."""
    go_on(replace(selection, feature=_asked(st.session_state[KEY].next, "feature")))


def on_open(selection: Selection) -> None:
    """Callback: another feature, of which the browser keeps something."""
    session.go(replace(selection, feature=_asked(st.session_state[KEY].open, "wanted")))


def _asked(sent: Mapping[str, Any], name: str) -> int:
    st.session_state[ANSWERED] = _text(sent, "uid")
    return _whole(sent, name)


def on_undo(info: DictionaryInfo) -> None:
    """Callback: back to what was saved before."""
    _try(
        info,
        st.session_state[KEY].undo,
        lambda given: log().undo(
            _text(given, "uid"),
            _text(given, "author"),
            info.content,
            info.dictionary_id,
            _whole(given, "feature"),
            _whole(given, "seen"),
        ),
    )


def on_settle(info: DictionaryInfo) -> None:
    """Callback: decide a conflict for what is in force, or for the other."""

    def settle(given: Mapping[str, Any]) -> Event:
        feature, about = _whole(given, "feature"), _whole(given, "revision")
        history = {event.revision: event for event in log().history(info.content, feature)}
        if about not in history:
            raise AnnotationError(f"Feature {feature} has no revision {about} to decide about.")
        seen = _whole(given, "seen")
        chosen = about if given.get("taken") is True else seen
        kept = history[chosen].content if chosen in history else Content()
        draft = replace(_draft(info, {**given, **_fields(kept)}), kind="settle", about=about)
        return log().append(draft)

    _try(info, st.session_state[KEY].settle, settle)


def on_seed() -> None:
    """Callback of the seed of a random order."""
    selection, _ = session.read()
    session.go(selection.listing(seed=int(st.session_state["seed"])))


def go_on(selection: Selection) -> None:
    """Callback of Next, and where Enter leads: the one after this in the list as it is now.

    The way back is kept, since a queue loses what got a verdict.
    """
    try:
        following = session.store().place(selection.query, selection.feature).next
    except FeatureStoreError:
        return session.stay()  # the page, which is drawn next, meets the same error and tells it
    if following is None:
        st.toast("That was the last one of the list.")
        return session.stay()
    came = st.session_state.setdefault(CAME, {})
    came[selection.query, following] = selection.feature
    if len(came) > _MOST_DONE:
        del came[next(iter(came))]
    session.go(replace(selection, feature=following))


def came_from(selection: Selection) -> int | None:
    """The feature from which Enter or Next led to this one, if one did."""
    return st.session_state.get(CAME, {}).get((selection.query, selection.feature))


def just_saved(info: DictionaryInfo, selection: Selection) -> Event | None:
    """What was saved last, if it was of the feature that one came from."""
    event = st.session_state.get(SAVED)
    is_it = event and (event.digest, event.feature) == (info.content, came_from(selection))
    return event if is_it else None


def _try(
    info: DictionaryInfo, sent: Mapping[str, Any], save: Callable[[Mapping[str, Any]], Event]
) -> Event | None:
    """Save what a browser sent, by whoever it is by, and note what came of it for the page that is
    drawn next.
    """
    st.session_state[ANSWERED] = sent.get("uid", "")
    try:
        if sent.get("key") != editor_key(info, _whole(sent, "feature")):
            raise AnnotationError(
                f"Not saved: it was sent as another dictionary than '{info.dictionary_id}' was "
                "shown. It is kept in this browser: go back there and save it again."
            )
        event = save({**sent, "author": people.author(_text(sent, "author"))})
    except FeatureStoreError as error:
        st.session_state[PROBLEM] = str(error)
        return None
    st.session_state[SAVED] = event
    done = st.session_state.setdefault(DONE, [])
    done.append((event.uid, 0 if event.is_conflict else event.revision))
    del done[:-_MOST_DONE]
    return event


def _draft(info: DictionaryInfo, given: Mapping[str, Any]) -> Draft:
    """What a browser sent, which may be anything."""
    feature = _whole(given, "feature")
    if not 0 <= feature < info.n_features:
        raise UnknownFeature(f"No feature {feature} in '{info.dictionary_id}'.")
    verdict = given.get("verdict")
    known = [one.value for one in Verdict]
    if verdict is not None and verdict not in known:
        raise AnnotationError(f"No verdict {verdict!r}. Known: {', '.join(known)}.")
    tags = tags_of(_text(given, "tags"))
    content = Content(
        Verdict(verdict) if verdict else None, _text(given, "label"), _text(given, "note"), tags
    )
    return Draft(
        uid=_text(given, "uid"),
        author=_text(given, "author"),
        digest=info.content,
        dictionary_id=info.dictionary_id,
        feature=feature,
        seen=_whole(given, "seen"),
        content=content,
    )


def _fields(content: Content) -> dict[str, Any]:
    return {
        "verdict": content.verdict,
        "label": content.label,
        "note": content.note,
        "tags": tags_text(content.tags),
    }


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str):
        raise AnnotationError(f"'{name}' is {value!r}; a text is needed. Reload the page.")
    return value


def _whole(given: Mapping[str, Any], name: str) -> int:
    value = given.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise AnnotationError(f"'{name}' is {value!r}; a whole number is needed. Reload the page.")
    return value
