"""Which save a row of a file was made from, and whether that is in force here. Pure.

Revisions count the saves of one feature in one database, so in two databases the same number is of
two saves. Whose it is and when it was tell them apart: no two saves of an author share a
microsecond.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from featurestore.annotations.records import Event, when
from featurestore.annotations.rewriting import is_rewritten
from featurestore.errors import AnnotationError

_SHOWN = 40
"""Characters of a time that is none."""


@dataclass(frozen=True)
class Origin:
    """What a row says of the save that it was made from."""

    revision: int
    author: str
    """"" where the file does not say."""
    at: str
    """Likewise."""

    def is_of(self, event: Event, is_spreadsheet: bool) -> bool:
        """Whether it is this save, also where a spreadsheet wrote the author anew."""
        return (
            self.revision == event.revision
            and (
                self.author == event.author
                or (is_spreadsheet and is_rewritten(event.author, self.author))
            )
            and _moment(self.at) == _moment(event.at)
        )

    def beside(self, event: Event) -> str:
        """It and what is here instead, in words."""
        here = f"here is {event.revision}, saved by {event.author} on {when(event.at)}."
        if not (self.author and self.at):
            return f"The file has revision {self.revision} and not whose and when it was; {here}"
        moment = _moment(self.at)
        at = when(moment.isoformat()) if moment else f"'{self.at[:_SHOWN]}'"
        return f"The file has revision {self.revision}, saved by {self.author} on {at}; {here}"


def origin(cells: Mapping[str, str]) -> Origin | None:
    """What a row says of it; None where it names no revision.

    Raises:
        AnnotationError: the revision is no whole number.
    """
    text = cells.get("revision", "").strip()
    if not text:
        return None
    if not re.fullmatch("[0-9]{1,9}", text):
        raise AnnotationError(
            f"The revision is '{text}': it is a whole number, or left empty to import whatever "
            "others have written since."
        )
    return Origin(int(text), cells.get("author", "").strip(), cells.get("at", "").strip())


def _moment(text: str) -> datetime | None:
    """A time, that of UTC where it does not say; None for a text that is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
