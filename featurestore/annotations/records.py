"""What people say of features: plain frozen records, free of SQLAlchemy and Streamlit.

Annotations are kept by the content digest of a dictionary's weights and a feature's number, so
building the dictionary again keeps them. What is saved is never changed: a log of events, of which
the current annotation of a feature is the last that was not a conflict.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal


class Verdict(StrEnum):
    """What a person thinks of a feature."""

    MONOSEMANTIC = "monosemantic"
    UNSURE = "unsure"
    POLYSEMANTIC = "polysemantic"
    JUNK = "junk"


URL_VARIABLE = "FEATURESTORE_ANNOTATIONS_URL"
"""In the environment: the URL of the database, if it is not the SQLite file in the store."""

NO_VERDICT = "none"
"""Stands in filters for features without a verdict."""

LONGEST_LABEL = 300
LONGEST_NOTE = 10_000
"""In characters; a spreadsheet's cell holds 32,767."""
LONGEST_TAG = 60
MOST_TAGS = 20
LONGEST_AUTHOR = 80

EventKind = Literal["edit", "undo", "settle", "import"]
"""How an annotation came about: typed; an earlier one restored; a conflict decided; from a file."""


@dataclass(frozen=True)
class Content:
    """What an annotation says."""

    verdict: Verdict | None = None
    label: str = ""
    note: str = ""
    tags: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing: the feature is as good as not annotated."""
        return self == Content()


@dataclass(frozen=True)
class Draft:
    """What somebody wants to save of a feature."""

    uid: str
    """Made up by whoever saves; saving the same draft twice is saving it once."""
    author: str
    digest: str
    """SHA-256 of the dictionary's content: DictionaryInfo.content."""
    dictionary_id: str
    """What the dictionary is called where it was annotated."""
    feature: int
    seen: int
    """Revision of the annotation that the author saw; 0 for none."""
    content: Content
    kind: EventKind = "edit"
    about: int | None = None
    """Revision that an undo restores (0: none) or that of the conflict that is settled."""


@dataclass(frozen=True)
class Event(Draft):
    """What was saved."""

    number: int = 0
    """Order in the whole log."""
    revision: int = 0
    """Order among the events of the feature, from 1."""
    at: str = ""
    """UTC, ISO 8601, to the microsecond."""
    is_conflict: bool = False
    """Whether somebody else had saved since `seen`: kept in the history, but not current."""


def when(at: str) -> str:
    """The moment of an event to the minute."""
    return datetime.fromisoformat(at).strftime("%Y-%m-%d %H:%M UTC")


@dataclass(frozen=True)
class Agreement:
    """How far two authors agree on the verdicts of features that both have judged."""

    authors: tuple[str, str]
    n: int
    n_agreed: int
    kappa: float | None
    """Cohen's; None where it is 0/0: no feature, or both always gave one and the same verdict."""


@dataclass(frozen=True)
class Explanation:
    """A label that a program gave a feature, and how well it scored. Not a person's."""

    digest: str
    dictionary_id: str
    feature: int
    label: str
    method: str
    """How label or score came about, as the file says it: 'detection', 'fuzz', ..."""
    explainer: str = ""
    """The program or model that wrote it."""
    score: float | None = None
    n: int | None = None
    """Number of contexts that the score rests on."""
    at: str = ""
    """When it was imported: UTC, ISO 8601."""
