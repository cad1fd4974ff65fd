"""Where each page stands, and its link: one function per page.

A feature's parameters contain those of its list. So Back, whose first step in Streamlit lands on
the old page with the new parameters, shows the very list that was left.
"""

from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

from app.selection import Selection, params

PAGES = Path(__file__).parent.parent / "pages"
BROWSE = PAGES / "browse.py"
FEATURE = PAGES / "feature.py"
MAP = PAGES / "map.py"
COMPARE = PAGES / "compare.py"
PAIR = PAGES / "pair.py"
TRACKS = PAGES / "tracks.py"
SEARCH = PAGES / "search.py"
ANNOTATIONS = PAGES / "annotations.py"
LIVE = PAGES / "live.py"


def browse(selection: Selection) -> dict[str, str]:
    """Query parameters of the list."""
    return params(replace(selection, feature=None))


def feature(selection: Selection, number: int) -> dict[str, str]:
    """Query parameters of a feature, reached from a list."""
    return params(replace(selection, feature=number))


def feature_url(selection: Selection, number: int) -> str:
    """A feature's address, relative to the page that holds the link."""
    return f"feature?{urlencode(feature(selection, number))}"


def on_map(selection: Selection) -> dict[str, str]:
    """Query parameters of the map; a feature that is open is marked on it."""
    return params(selection)


def live(dictionary_id: str, number: int, context: int | None = None) -> dict[str, str]:
    """Query parameters of Live, reached from a feature: with a stored context, or with no text."""
    shown = {} if context is None else {"context": str(context)}
    return {"dictionaries": dictionary_id, **shown, "open": f"{dictionary_id}:{number}"}
