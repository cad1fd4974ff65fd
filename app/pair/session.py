"""Between Streamlit and the page of two dictionaries: the URL, the callbacks, rows of its lists."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import streamlit as st

from app import address, session
from app.pair import selection as selections
from app.pair.rows import Row
from app.pair.selection import PairSelection
from app.selection import PAGE_SIZE
from featurestore.pair_records import Match, MatchPage
from featurestore.records import Catalogue

TABLE = "matches"


@dataclass(frozen=True)
class Place:
    """Where two features stand in the list, from 1, and what stands before and after them."""

    place: int | None
    n: int
    previous: PairSelection | None = None
    following: PairSelection | None = None


def read(known: Catalogue) -> tuple[PairSelection, tuple[str, ...]]:
    """The selection that the URL says, and what was wrong with it."""
    return selections.read(address.given(), known.dictionaries, session.store().pairs.compared())


def go(selection: PairSelection) -> None:
    """Callback: show this."""
    address.show(selections.params(selection))


def on_picker(name: str) -> None:
    """Callback of a picker; who picks the other dictionary has the two change places."""
    now, picked = _now(), session.picked(st.session_state[name])
    both = {"dictionary": now.dictionary, "other": now.other}
    if picked == both[name]:
        address.keep()
    elif picked in both.values():
        go(now.of(now.other, now.dictionary))
    else:
        go(now.of(**both | {name: picked}))


def on_swap() -> None:
    """Callback: the two change places."""
    go(_now().swapped())


def on_list() -> None:
    """Callback of the choice of a list."""
    go(_now().listing(st.session_state["list"]))


def on_below() -> None:
    """Callback of the bound; without one it is what it was."""
    now, bound = _now(), st.session_state["below"]
    go(replace(now, below=now.below if bound is None else float(bound), page=1))


def on_sort() -> None:
    """Callback of a heading: highest first, in turn if it is sorted by already; numbers rising."""
    now, column = _now(), st.session_state[TABLE].sort
    descending = not now.descending if column == now.by else column != "feature"
    go(replace(now, by=column, descending=descending, page=1))


def on_page(key: str) -> None:
    """Callback of the page numbers."""
    go(replace(_now(), page=st.session_state[key]))


def on_shown(key: str) -> None:
    """Callback of a token view's buttons, which change both views."""
    shown = st.session_state[key].shown
    go(replace(_now(), view=shown["view"], breaks=shown["breaks"]))


def matches(selection: PairSelection, limit: int, offset: int) -> MatchPage:
    """Rows of the list that is shown."""
    order = {"sort": selection.by, "descending": selection.descending}
    return session.store().pairs.matches(
        *selection.sides, **selection.asked(), **order, limit=limit, offset=offset
    )


def rows(mine: str, theirs: str, found: Iterable[Match]) -> tuple[Row, ...]:
    """What tables say of each match of a feature of `mine`."""
    found = tuple(found)
    summaries = session.store().summaries
    near = summaries(mine, {one.feature for one in found})
    far = summaries(theirs, {one.other for one in found if one.other is not None})
    return tuple(Row(one, near.get(one.feature), far.get(one.other)) for one in found)


def all_rows(selection: PairSelection) -> Callable[[], tuple[Row, ...]]:
    """A function that fetches the whole list, for an export that may never be asked for."""

    def fetch() -> tuple[Row, ...]:
        step, fetched = session.EXPORTED_AT_ONCE, []
        while len(fetched) % step == 0:
            found = matches(selection, step, len(fetched)).rows
            if not found:
                break
            fetched += rows(*selection.sides, found)
        return tuple(fetched)

    return fetch


def count(selection: PairSelection) -> int:
    """How long the list is that is shown."""
    return matches(selection, 0, 0).n_kept


def place(selection: PairSelection) -> Place:
    """Where the features that are open stand in the page of the list that they came from."""
    start = max(0, selection.first_row - 1)  # and one row of the page before
    page = matches(selection, PAGE_SIZE + 2, start)
    reached = [
        replace(selection.opened(match), page=at // PAGE_SIZE + 1)
        for at, match in enumerate(page.rows, start)
    ]
    pairs = [(one.feature, one.beside) for one in reached]
    if (selection.feature, selection.beside) not in pairs:
        return Place(None, page.n_kept)
    at = pairs.index((selection.feature, selection.beside))
    previous = reached[at - 1] if at else None
    following = reached[at + 1] if at + 1 < len(reached) else None
    return Place(start + at + 1, page.n_kept, previous, following)


def _now() -> PairSelection:
    selection, _ = read(session.catalogue())
    return selection
