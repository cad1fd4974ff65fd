"""What components share: pieces of scripts and styles, put together to one of each.

A component stands in a shadow root of its own, where the page's style does not reach.
"""

from pathlib import Path

_HERE = Path(__file__).parent
_MAKE = _HERE / "make.js"

KEYS_JS = _HERE / "keys.js"
"""What Ctrl, Alt and Meta make of a key."""
HEADINGS_JS = _HERE / "headings.js"
"""Headings that sort, and which clicks on a row count."""
HEADINGS = _HERE / "headings.css"
"""Their looks, and those of rows that open something."""
NUMBERS = _HERE / "numbers.css"
"""A table of numbers, in a frame that scrolls."""
CHIPS = _HERE / "chips.css"
"""Tokens in a row, each on a ground of its own."""
TIP = _HERE / "tip.css"
"""A box of words at the mouse, over a token."""


def script(*files: Path) -> str:
    """One module of the files, and before them what makes elements."""
    return _read(_MAKE, *files)


def style(*files: Path) -> str:
    """One sheet of the files; a later one prevails."""
    return _read(*files)


def _read(*files: Path) -> str:
    return "\n".join(file.read_text(encoding="utf-8") for file in files)
