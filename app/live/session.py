"""Between Streamlit and what Live shows: URL, callbacks, the service, and answers kept a while.

As everywhere, a page reads its selection from the URL and a callback writes one back. Answers are
kept in the session's memory, so that another tab or order asks the model nothing anew; they go with
the session, and nothing that was pasted is written anywhere else.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np
import streamlit as st

from app import address, command_line, session
from app import selection as browse
from app.live import selection as selections
from app.live.meter import ALL, Meter
from app.live.selection import LiveSelection
from app.live.service import Runner, Service
from app.live.texts import TextMemory
from app.selection import Selection
from featurestore.errors import UnknownDictionary
from featurestore.live.records import Edit, Limits, TextActivations, Tokens
from featurestore.records import Catalogue, DictionaryInfo, FeatureQuery

ANSWERS = "answers of the model"
METER = "how often this visitor asks the model"
REFUSED = "texts that are too long to be kept"

MAX_ANSWERS = 48
"""Most answers that a session keeps."""

MAX_ANSWER_BYTES = 32 * 1024 * 1024
"""Most bytes of their arrays, unless the last answer alone has more. One of 512 tokens takes 16
bytes an activation: 200 kB a dictionary with 25 active features at a token, 12 MB with 1,500."""

_TURNS = threading.Semaphore(2)

Answer = TypeVar("Answer")


class Answers:
    """The answers used last, by key."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple, tuple[Any, dict[int, int]]] = OrderedDict()

    def get(self, key: tuple[Hashable, ...], make: Callable[[], Answer]) -> Answer:
        """An answer, made only if there is none under this key."""
        if key not in self._kept:
            answer = make()
            self._kept[key] = answer, {id(one): one.nbytes for one in _arrays(answer)}
        self._kept.move_to_end(key)
        while len(self._kept) > 1 and self._is_full():
            self._kept.popitem(last=False)
        return self._kept[key][0]

    def _is_full(self) -> bool:
        """Answers may share arrays, which count once."""
        sizes = {name: size for _, arrays in self._kept.values() for name, size in arrays.items()}
        return len(self._kept) > MAX_ANSWERS or sum(sizes.values()) > MAX_ANSWER_BYTES


def _arrays(answer: object) -> Iterator[np.ndarray]:
    if isinstance(answer, np.ndarray):
        yield answer
    elif isinstance(answer, tuple):
        for part in answer:
            yield from _arrays(part)
    elif is_dataclass(answer):
        for field in fields(answer):
            yield from _arrays(getattr(answer, field.name))


@st.cache_resource(show_spinner=False)
def _texts() -> TextMemory:
    return TextMemory()


@st.cache_resource(show_spinner=False)
def _service(folder: str, limits: Limits) -> Service:
    return Service(session.store(), limits)


@st.cache_resource(show_spinner=False)
def _meter(per_minute: int) -> Meter:
    return Meter(ALL * per_minute, "All visitors together")


def turn() -> threading.Semaphore:
    """What a run of the page holds while it draws, so that a crowd leaves the others some time."""
    return _TURNS


def limits() -> Limits:
    """How long a text may be."""
    given = command_line.options()
    return Limits(given.live_bytes, given.live_tokens)


def service() -> Service:
    """The models of this process."""
    return _service(str(session.store().folder), limits())


def infos(known: Catalogue, dictionary_ids: tuple[str, ...]) -> tuple[DictionaryInfo, ...]:
    """Some dictionaries, in the order asked for.

    Raises:
        UnknownDictionary: one has been deleted in the meantime.
    """
    by_id = {info.dictionary_id: info for info in known.dictionaries}
    for name in dictionary_ids:
        if name not in by_id:
            raise UnknownDictionary(f"'{name}' is not in the store any more. Choose another.")
    return tuple(by_id[name] for name in dictionary_ids)


def read(known: Catalogue) -> tuple[LiveSelection, tuple[str, ...]]:
    """The selection that the URL says, and what was wrong with it."""
    ids = tuple(info.dictionary_id for info in known.dictionaries)
    return selections.read(address.given(), ids, _texts())


def params(selection: LiveSelection) -> dict[str, str]:
    """Query parameters of what Live shows."""
    return selections.params(selection, _texts())


def go(selection: LiveSelection) -> None:
    """Callback: show this."""
    address.show(params(selection))


def now() -> LiveSelection:
    """The selection of the URL."""
    selection, _ = read(session.catalogue())
    return selection


def kept(key: tuple[Hashable, ...], make: Callable[[], Answer]) -> Answer:
    """An answer, made only if the session has none under this key."""
    return st.session_state.setdefault(ANSWERS, Answers()).get(key, make)


def ask(key: tuple[Hashable, ...], request: Callable[[Runner], Answer]) -> Answer:
    """An answer of the model, asked for only if the session has none under this key.

    Raises:
        Busy: this visitor, or all together, have asked too often, or too many wait.
    """

    def asked() -> Answer:
        n = command_line.options().live_requests
        st.session_state.setdefault(METER, Meter(n, "A visitor")).take()
        _meter(n).take()
        return service().run(request)

    return kept(key, asked)


def activations(infos: tuple[DictionaryInfo, ...], tokens: Tokens) -> tuple[TextActivations, ...]:
    """Of some dictionaries on a text."""
    names = tuple(info.dictionary_id for info in infos)
    runs = tuple(info.run_id for info in infos)
    return ask(("activations", runs, tokens), lambda runner: runner.activations(names, tokens))


def on_dictionaries() -> None:
    """Callback of the picker."""
    ids = dict.fromkeys(map(session.picked, st.session_state["live_dictionaries"]))
    go(selections.choosing(now(), tuple(ids)))


def on_text(boxes: dict[str, str]) -> None:
    """Callback of the text boxes, by key the field that each stands for.

    All are read, whichever was changed: Streamlit breaks a callback off where the next change comes
    in at once, never runs it again, and would blank the first box. Of another first text nothing is
    chosen yet. One over the limit of bytes stays in its box and in no link.
    """
    selection = now()
    refused = st.session_state.setdefault(REFUSED, {})
    for key, field in boxes.items():
        text = st.session_state[key]
        refused.pop(key, None)
        if len(text.encode(errors="replace")) > limits().n_bytes:
            refused[key] = text
        elif text != getattr(selection, field):
            selection = selection.listing(**{field: text})
            selection = without_tokens(selection) if field == "text" else selection
    go(selection)


def refused(key: str) -> str | None:
    """The text of a box that is too long to be run."""
    return st.session_state.get(REFUSED, {}).get(key)


def without_tokens(selection: LiveSelection) -> LiveSelection:
    """The selection with no token chosen: those of another text are others.

    Edits stay where they are, and say at which token that is now: at no place they would act
    everywhere, and two texts that differ in a word could not be compared.
    """
    by = "max" if selection.by == "at" else selection.by
    return replace(selection, tokens=(), by=by)


def on_value(key: str, field: str) -> None:
    """Callback of a control whose value is a field of the selection."""
    go(now().listing(**{field: st.session_state[key]}))


def on_tab(labels: dict[str, str]) -> None:
    """Callback of the tabs; `labels` says which tab a label stands for."""
    go(now().listing(tab=labels[st.session_state["live_tab"]]))


def on_filter(key: str) -> None:
    """Callback of a filter: its value, and no other, goes into the URL."""
    selection = now()
    listed = Selection(selection.query)
    values = browse.filters(listed) | {key: st.session_state[key], "dead": True}
    go(selection.listing(query=browse.with_filters(listed, values).query))


def on_clear() -> None:
    """Callback: keep every feature."""
    selection = now()
    plain = FeatureQuery(selection.query.dictionary_id, include_dead=True)
    go(selection.listing(query=plain))


def on_page(key: str) -> None:
    """Callback of the page numbers."""
    go(replace(now(), page=st.session_state[key]))


def on_sort(key: str) -> None:
    """Callback of a heading of the features."""
    go(now().listing(by=st.session_state[key].sort))


def on_contrast(key: str) -> None:
    """Callback of a heading of the contrast."""
    go(now().listing(contrast_by=st.session_state[key].sort))


def on_tokens(key: str) -> None:
    """Callback of a click on a token of the first text."""
    chosen = st.session_state[key].tokens["selected"][0]
    selection = now()
    by = selection.by
    if chosen and not selection.tokens:
        by = "at"
    elif not chosen and by == "at":
        by = "max"
    go(selection.listing(tokens=tuple(chosen), by=by))


def on_feature(key: str) -> None:
    """Callback of a row of features: open it, or close it again."""
    found = feature_of(st.session_state[key].open)
    selection = now()
    go(replace(selection, feature=None if found == selection.feature else found))


def on_layer(key: str) -> None:
    """Callback of a row of dictionaries: its features alone."""
    go(now().listing(of=st.session_state[key].open, tab="features"))


def feature_of(key: str) -> tuple[str, int]:
    """The feature that a row stands for, by its key."""
    name, _, number = key.rpartition("/")
    return name, int(number)


def with_edit(selection: LiveSelection, edit: Edit) -> None:
    """Callback: intervene on a feature, and see what it does."""
    go(replace(selections.with_edit(selection, edit), tab="intervene"))


def without_edit(selection: LiveSelection, edit: Edit) -> None:
    """Callback: let a feature be."""
    go(selections.without_edit(selection, edit))
