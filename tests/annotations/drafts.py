"""Drafts as tests write them, and a log in plain Python to hold the real one against."""

import itertools
from collections.abc import Iterable

from featurestore.annotations.records import Content, Draft, Event

DIGEST = "d" * 64
_UIDS = itertools.count()


def draft(feature: int = 7, seen: int = 0, label: str = "", **fields: object) -> Draft:
    """A draft of Ann's with a uid of its own, with these fields changed."""
    content = {k: fields.pop(k) for k in ("verdict", "note", "tags") if k in fields}
    usual = {
        "uid": f"uid {next(_UIDS)}",
        "author": "Ann",
        "digest": DIGEST,
        "dictionary_id": "sae",
        "content": Content(label=label, **content),
    }
    return Draft(feature=feature, seen=seen, **(usual | fields))


def poured(author: str, feature: int, i: int) -> Draft:
    """The i-th draft of an author who is alone with a feature."""
    return draft(
        feature, i, f"label {i}", note="n" * 2000, uid=f"{author} {feature} {i}", author=author
    )


def replayed(events: Iterable[Event]) -> dict[tuple[str, int], Event]:
    """What is current after these events, by the rule and without a database.

    It also checks every event's revision and whether it had to be a conflict.
    """
    current: dict[tuple[str, int], Event] = {}
    newest: dict[tuple[str, int], int] = {}
    for event in sorted(events, key=lambda event: event.number):
        key = event.digest, event.feature
        head = current.get(key)
        assert event.revision == newest.get(key, 0) + 1
        newest[key] = event.revision
        is_stale = event.seen != (head.revision if head else 0)
        says_the_same = event.content == (head.content if head else Content())
        assert event.is_conflict == (is_stale and not says_the_same)
        if not event.is_conflict:
            current[key] = event
    return current
