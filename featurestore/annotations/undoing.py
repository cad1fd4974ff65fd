"""What an undo takes back and restores, and whose right it is. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from featurestore.annotations.records import Content, Event
from featurestore.errors import AnnotationError


@dataclass(frozen=True)
class Undoable:
    """What an undo would do."""

    author: str
    """Who said what is in force: nobody else may take it back."""
    content: Content
    """What was saved before."""
    about: int
    """Its revision; 0 for none."""


def undoable(accepted: Sequence[Event]) -> Undoable | None:
    """What an undo of a feature would do; None: nothing to undo.

    Args:
        accepted: the feature's events that are no conflicts, oldest first.
    """
    if not accepted or (accepted[-1].kind == "undo" and accepted[-1].about == 0):
        return None
    by_revision = {event.revision: event for event in accepted}
    head = said = accepted[-1]
    while said.kind == "undo" and said.about in by_revision:
        said = by_revision[said.about]  # an undo says nothing itself: it restores what others said
    before = head.about if head.kind == "undo" else head.revision
    earlier = [event for event in accepted if event.revision < before]
    if not earlier:
        return Undoable(said.author, Content(), 0)
    return Undoable(said.author, earlier[-1].content, earlier[-1].revision)


def check(found: Undoable | None, author: str, has_conflict: bool, which: str) -> Undoable:
    """What an undo does, if this author may.

    Raises:
        AnnotationError: there is nothing to undo, somebody else said what is in force, or there
            are two texts to decide between.
    """
    if found is None:
        raise AnnotationError(f"{which}: nothing to undo.")
    if has_conflict:
        raise AnnotationError(
            f"{which} has a conflict, so nothing was undone: decide first which of the two texts "
            "is to be in force."
        )
    if found.author != author:
        raise AnnotationError(
            f"{which}: {found.author} saved what is in force, and nobody undoes what others saved. "
            "To change it, write over it and save: the history keeps both."
        )
    return found
