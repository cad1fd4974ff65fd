"""A component's script, put together from files: each is a part of one module."""

from pathlib import Path

_MAKE = Path(__file__).parent / "make.js"


def joined(*parts: Path) -> str:
    """The parts, and before them what makes elements."""
    return "\n".join(part.read_text(encoding="utf-8") for part in (_MAKE, *parts))
