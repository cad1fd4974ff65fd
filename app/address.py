"""The query string of the address bar: the whole state of what is shown, and who keeps it right.

A page reads it by `given`, a callback writes it by `show`, and `remember` knows what each page was
left with.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlencode

import streamlit as st

_bar = st.components.v2.component(
    "feature_browser_address",
    js=(Path(__file__).parent / "address.js").read_text(encoding="utf-8"),
)

LAST = "last parameters of each page, with each dictionary"
FOCUS = "dictionary that is looked at"
PAGE = "page that is shown"
SENT = "parameters sent to the browser by clicks in a row, the last of them what is shown"
TOLD = "how often the address bar was told what is shown"
IS_SENT = "whether a click of this run sent any"

_SHARED = {"Annotations": ("Browse", "Annotations")}
"""Pages that open on what another was left with, if that was later."""
_OWN = {
    "Live": "dictionaries",
    "Search": "find",
    "Pair": "other",
    "Tracks": "tracked",
    "Compare": "by",
}
"""Pages whose parameters are not those of a list, by the one that is always there; the first in
this order, since Pair may say `by` too."""
_CARRY = ("Search", "Tracks", "Compare")
"""Of these, those that are of many dictionaries, and name the one that was looked at last."""

MAX_SENT = 8
"""Clicks faster than the browser learns of their addresses that are known to be so."""


def remember(page: str, ids: Callable[[], Sequence[str]]) -> None:
    """Note what a page, by its name in the menu, is asked to show; `ids` are all dictionaries.

    One that is entered without parameters shows what it was left with. The picker stays as it was
    on the page before: a page of one dictionary shows what it was left with of that; or all of it;
    or, if none was looked at yet, the first. Annotations shows the list of Browse, if that was
    looked at later.
    """
    if not st.session_state.pop(IS_SENT, False):  # a link, Back, Reload: the browser is right
        st.session_state.pop(SENT, None)
    last = st.session_state.setdefault(LAST, {})
    st.session_state[PAGE] = page
    if is_step_back():
        return
    shown = st.query_params.to_dict() or _entry(page, ids)
    named = _dictionaries(shown)
    if named and st.session_state.get(FOCUS) not in named:
        st.session_state[FOCUS] = named[0]
    key = page, "" if page in _OWN else shown.get("dictionary", "")
    last.pop(key, None)  # the page looked at last stands last
    last[key] = shown


def _entry(page: str, ids: Callable[[], Sequence[str]]) -> dict[str, str]:
    """What a page shows that is entered without parameters."""
    known, focus = ids(), st.session_state.get(FOCUS)
    carried = {"dictionary": focus} if focus in known else {}
    shown = focus if focus in known else next(iter(known), "")
    if page not in _OWN:
        return _left(_SHARED.get(page, (page,)), shown) or ({"dictionary": shown} if shown else {})
    left = _left((page,))
    if page in _CARRY:
        return {_OWN[page]: ""} | left | carried
    return left or ({_OWN[page]: shown} if page == "Live" else {_OWN[page]: ""} | carried)


def _left(pages: Sequence[str], dictionary: str | None = None) -> dict[str, str]:
    """What the one of these that was looked at last was left with: of this dictionary, or any."""
    left = [
        params
        for (page, of), params in st.session_state.get(LAST, {}).items()
        if page in pages and dictionary in (None, of)
    ]
    return left[-1] if left else {}


def _dictionaries(params: dict[str, str]) -> list[str]:
    """Those that a page's parameters name: none of a search, for one."""
    named = [params.get("dictionary", ""), params.get("other", "")]
    return [one for one in (*named, *params.get("dictionaries", "").split(",")) if one]


def is_step_back() -> bool:
    """Whether Back led to or from a page with parameters of its own, and its first step left the
    other page's parameters.
    """
    owner = next((page for page, name in _OWN.items() if name in st.query_params), None)
    page = st.session_state.get(PAGE)
    return bool(st.query_params) and owner != (page if page in _OWN else None)


def is_untold() -> bool:
    """Whether the address bar does not say what is shown."""
    return is_step_back() or not st.query_params


def given() -> dict[str, str]:
    """The parameters of the page that is shown: the URL's, or those that it was left with.

    The browser sends its address with each click. A second click within the time that the first
    one's answer takes comes with an old one, and would undo the first: what was sent counts then.
    """
    told = st.query_params.to_dict()
    sent = st.session_state.get(SENT, ())
    if told in sent:
        return sent[-1]
    left = _left((st.session_state.get(PAGE, ""),)) if is_untold() else {}
    return left or told


def show(params: dict[str, str]) -> None:
    """Callback: show this."""
    sent = st.session_state.get(SENT) or (st.query_params.to_dict(),)
    st.session_state[SENT] = (*sent, params)[-MAX_SENT:]
    st.session_state[IS_SENT] = True
    st.query_params.from_dict(params)


def keep() -> None:
    """Callback of a click that leads nowhere: its address may be of before the last one."""
    shown = given()
    if shown != st.query_params.to_dict():
        show(shown)


def tell() -> None:
    """Make the address bar say what is shown, where it does not.

    It is drawn in any case: one piece more or less would move, and so draw anew, all below it.
    """
    search = f"?{urlencode(given())}" if is_untold() else None
    n_told = st.session_state.get(TOLD, 0) + (search is not None)
    st.session_state[TOLD] = n_told
    # The number, because the script runs for new data only: two pages may say the same.
    _bar(data={"search": search, "told": n_told}, key="address")
