"""What went wrong with the database of annotations, in a sentence that says what to do."""

import sqlite3

from sqlalchemy.exc import (
    DBAPIError,
    IntegrityError,
    OperationalError,
    SQLAlchemyError,
    TimeoutError,
)

_FAULTS = {
    "SQLITE_BUSY": ("is held by another program for more than {patience} s", "Wait a moment"),
    "SQLITE_FULL": ("cannot grow: the database or disk is full", "Free space there"),
    "SQLITE_IOERR": (
        "cannot be read or written: its disk is full or fails",
        "Free space there or check the disk",
    ),
    "SQLITE_READONLY": ("may not be written to", "Let this program write to it and its folder"),
    "SQLITE_CANTOPEN": (
        "cannot be opened: its folder is missing, or this program may not write there",
        "Make the folder, or let this program write to it,",
    ),
    "SQLITE_NOTADB": ("is not a database, or damaged", "Move the file away or put a copy back"),
    "SQLITE_CORRUPT": ("is damaged", "Move the file away or put a copy back"),
    "08": ("cannot be reached ({reason})", "See that the server runs and the address is right"),
    "57P": ("is shutting down or starting", "Wait a moment"),
    "42501": ("may not be used so by this user", "Give the user the right to do so"),
    "25006": ("may not be written to", "Use a server that takes writes"),
    "53100": ("cannot grow: no space left on the server's disk", "Free space there"),
    "53": ("has no memory or connections left on its server", "Wait a moment"),
    "55P03": ("is held by another program for more than {patience} s", "Wait a moment"),
}
"""By the start of SQLite's name of an error or of an SQLSTATE, longest first: what, and a cure."""

_UNKNOWN = ("gave an error ({reason})", "Mend that")

_LOST = ("08", "57P")
"""The connection ended, perhaps after the server had saved and before it could say so."""
_OVERTAKEN = ("40001", "40P01")
"""SQLSTATEs of two transactions that got into each other's way; one of them was undone."""


def is_overtaken(error: SQLAlchemyError) -> bool:
    """Whether somebody else saved the same at the same moment: trying again will do."""
    return isinstance(error, IntegrityError) or _code(error) in _OVERTAKEN


def sentence(
    error: SQLAlchemyError, place: str, patience: float, secret: str, is_writing: bool
) -> str:
    """What happened, what became of the text, and what to do.

    Args:
        error: what SQLAlchemy raised.
        place: what the database is called, without its password.
        patience: seconds that the program waited for others.
        secret: a password, left out of what a server says; or "".
        is_writing: whether something was to be saved.
    """
    code = _code(error)
    if is_overtaken(error):
        what, cure = "is being saved to by others, at the same feature", "Wait a moment"
    else:
        fits = [start for start in _FAULTS if code.startswith(start)]
        what, cure = _FAULTS[max(fits, key=len)] if fits else _UNKNOWN
    reason = _reason(error)
    if secret:
        reason = reason.replace(secret, "***")
    what = what.format(patience=f"{patience:g}", reason=reason)
    if not is_writing:
        return f"{place} {what}. {cure} and load the page again."
    if code.startswith(_LOST):
        return f"{place} {what}. The text is still in the box. {cure} and save it again."
    return (
        f"{place} {what}. Nothing was saved, and the text is still in the box. {cure} and save it "
        "again."
    )


def _code(error: SQLAlchemyError) -> str:
    """SQLite's name of an error, or PostgreSQL's code; "" for what has none."""
    if isinstance(error, TimeoutError):
        return "53"  # every connection that this program may have is in use
    if not isinstance(error, DBAPIError):
        return ""
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorname", "")
    code = getattr(error.orig, "sqlstate", None)
    return code or ("08" if isinstance(error, OperationalError) else "")


def _reason(error: SQLAlchemyError) -> str:
    """What the database itself said; of several attempts to reach it, why the last failed."""
    said = str(getattr(error, "orig", None) or type(error).__name__).splitlines()
    attempts = [line for line in said if "failed: " in line]
    return attempts[-1].rpartition("failed: ")[2] if attempts else said[0]
