"""What a visitor is told of an error: to strangers no path of this machine, and never a trace.

What is left out stands in the log.
"""

import functools
import re
import secrets

import streamlit as st
from streamlit.logger import get_logger

from app import command_line, markup
from featurestore.errors import FeatureStoreError

LOG = get_logger("feature_browser")

_PATHS = (
    re.compile(r"(?<=')~?/(?:[^'\n]*/)?([^'/\n]+)/?(?=')"),
    re.compile(r"(?<![\w/.<~'-])~?/(?:[^\s'\"<>:;,()/]+/)*([^\s'\"<>:;,()/]+)/?"),
)
"""Between quotes, where they may hold spaces, and without."""
_SERVER = re.compile(r" at [^\s:]*[A-Za-z.][^\s:]*:[0-9]+")
"""Of a database, as annotations name it."""


def told(text: str) -> str:
    """A sentence as a page may show it: whole on one's own machine, else without its paths."""
    if not command_line.is_for_strangers():
        return text
    shown = without_places(text, str(command_line.store_folder()))
    if shown != text:
        _log(text)
    return shown


@functools.lru_cache(maxsize=256)
def _log(text: str) -> None:
    """Write it down once, however often a page is loaded."""
    LOG.warning("Shown without its paths: %r", text)  # quoted, so that it stays one line


def without_places(text: str, folder: str) -> str:
    """A sentence that names the store's folder "store", of any other path the last part alone."""
    text = text.replace(folder, "store")
    for path in _PATHS:
        text = path.sub(r"\1", text)
    return _SERVER.sub("", text)


def on_script_error(error: Exception) -> bool:
    """Tell of an error that no page expected; Streamlit has logged it whole just before.

    The visitor's code leads whoever reads the log to it. Returns that the error is told.
    """
    if isinstance(error, FeatureStoreError):
        st.html(markup.note(told(str(error)), "error"))
        return True
    code = secrets.token_hex(3)
    LOG.error("The error above was shown as %s", code)
    st.html(
        markup.note(
            f"This page could not be drawn. The log of the app tells why, under {code}. "
            "Load the page again; if that does not help, tell whoever runs the app.",
            "error",
        )
    )
    return True
