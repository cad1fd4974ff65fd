"""The log of annotations: what was saved, what of it is current, and what an undo would restore.

Every event of a feature has a revision, from 1. Two that are saved at the same moment cannot get
the same one: the database refuses the second, which starts again and then sees the first.
"""

import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, Row, func, insert, or_, select, true

from featurestore.annotations.agreement import kappa
from featurestore.annotations.database import ANNOTATIONS, EVENTS, Database, Overtaken
from featurestore.annotations.drafts import cleaned, one_line
from featurestore.annotations.records import (
    LONGEST_AUTHOR,
    Agreement,
    Content,
    Draft,
    Event,
    Verdict,
)
from featurestore.annotations.undoing import Undoable, check, undoable
from featurestore.errors import AnnotationError, AnnotationsError

_TRIES = 50
"""A save that is overtaken so often is given up; each time, another one has come through."""
_MANY = 1000
"""So many values at most are named in one statement; SQLite takes 32,766."""
_SHOWN = 5
"""Features named in a message."""

Saved = TypeVar("Saved")

_SAYS_SOMETHING = or_(
    ANNOTATIONS.c.verdict.is_not(None),
    ANNOTATIONS.c.label != "",
    ANNOTATIONS.c.note != "",
    ANNOTATIONS.c.tags != "[]",
)
_PLAIN = [name for name in EVENTS.c.keys() if name not in {f.name for f in fields(Content)}]
"""What an event and its row call the same: the columns before those of the content."""
_SAME = ("author", "digest", "feature", "content", "kind", "about")
"""What a draft that is saved once more has in common with what was saved."""


class AnnotationLog:
    """What people said of features, in one database. Safe to share between threads.

    Every method raises AnnotationsError if the database cannot be read or written to now.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def append(self, draft: Draft) -> Event:
        """Save a draft; it is on disk when this returns.

        If its author had not seen what is current, the event is a conflict: kept, but not current,
        unless it says just what is current already. A draft that was saved is not saved again: its
        event comes back.

        Raises:
            AnnotationError: the draft cannot be kept, or its uid is that of another.
        """
        draft = cleaned(draft)
        return self._save(lambda connection: _append(connection, [draft]))[0]

    def append_all(self, drafts: Iterable[Draft]) -> tuple[Event, ...]:
        """Save all drafts or none, in their order; a later one may have seen an earlier.

        Raises:
            AnnotationError: a draft cannot be kept, or its uid is that of another.
            AnnotationsError: some have not seen what is current; nothing was saved.
        """
        tidy = [cleaned(draft) for draft in drafts]

        def save(connection: Connection) -> tuple[Event, ...]:
            events = _append(connection, tidy)
            if stale := [event for event in events if event.is_conflict]:
                shown = ", ".join(f"{e.feature} of '{e.dictionary_id}'" for e in stale[:_SHOWN])
                more = f" and {len(stale) - _SHOWN:,} more" if len(stale) > _SHOWN else ""
                raise AnnotationsError(
                    f"{len(stale):,} of {len(events):,} features have been changed since they were "
                    f"read: feature {shown}{more}. Nothing was saved; look at them again first."
                )
            return events

        return self._save(save)

    def undo(
        self, uid: str, author: str, digest: str, dictionary_id: str, feature: int, seen: int
    ) -> Event:
        """Save what the annotation said before; undoing again goes further back.

        Raises:
            AnnotationError: there is nothing to undo, somebody else said what is in force, or a
                conflict is to be decided first.
            AnnotationsError: the annotation was changed since revision `seen`.
        """

        def save(connection: Connection) -> Event:
            saved = _saved(connection, [uid]).get(uid)
            if saved is not None:
                content, about = saved.content, saved.about
            else:
                accepted = _accepted(connection, digest, feature)
                head = accepted[-1] if accepted else None
                if head is not None and head.revision != seen:
                    raise AnnotationsError(
                        f"Feature {feature} of '{dictionary_id}' was changed by {head.author} "
                        f"since you looked (revision {head.revision}, you saw {seen}). Nothing was "
                        "undone: look at it again first."
                    )
                found = check(
                    undoable(accepted),
                    one_line("author", author, LONGEST_AUTHOR),
                    bool(_open_conflicts(connection, digest, feature)),
                    f"Feature {feature} of '{dictionary_id}'",
                )
                content, about = found.content, found.about
            draft = Draft(uid, author, digest, dictionary_id, feature, seen, content, "undo", about)
            event = _append(connection, [cleaned(draft)])[0]
            if event.is_conflict:  # changed since the look above, which now finds it
                raise Overtaken(f"Feature {feature} of '{dictionary_id}' is being changed.")
            return event

        return self._save(save)

    def undone(self, digest: str, feature: int) -> Undoable | None:
        """What an undo would take back and restore; None: nothing to undo."""
        with self.database.reading() as connection:
            return undoable(_accepted(connection, digest, feature))

    def current(self, digest: str, features: Iterable[int] | None = None) -> dict[int, Event]:
        """The current event of each of these features, or of all, that was ever annotated.

        It may say nothing any more; its revision is what the next draft has to have seen.
        """
        with self.database.reading() as connection:
            return _current(connection, digest, features)

    def all_current(self, digests: Iterable[str] | None = None) -> tuple[Event, ...]:
        """Every current annotation that says something, by dictionary_id and feature."""
        query = select(ANNOTATIONS).where(_SAYS_SOMETHING)
        if digests is not None:
            query = query.where(ANNOTATIONS.c.digest.in_(list(digests)))
        with self.database.reading() as connection:
            events = [_event(row) for row in connection.execute(query).all()]
        return tuple(sorted(events, key=lambda e: (e.dictionary_id, e.feature, e.digest)))

    def history(self, digest: str, feature: int) -> tuple[Event, ...]:
        """Everything that was saved of a feature, oldest first, conflicts included."""
        query = select(EVENTS).where(EVENTS.c.digest == digest, EVENTS.c.feature == feature)
        with self.database.reading() as connection:
            rows = connection.execute(query.order_by(EVENTS.c.revision))
            return tuple(_event(row) for row in rows)

    def conflicts(self, digest: str | None = None, feature: int | None = None) -> tuple[Event, ...]:
        """Conflicts that nobody has settled, oldest first."""
        with self.database.reading() as connection:
            return _open_conflicts(connection, digest, feature)

    def counts(self, digest: str) -> dict[Verdict | None, int]:
        """Number of current annotations that say something, by their verdict."""
        verdict = ANNOTATIONS.c.verdict
        query = select(verdict, func.count()).where(ANNOTATIONS.c.digest == digest, _SAYS_SOMETHING)
        with self.database.reading() as connection:
            counted = connection.execute(query.group_by(verdict)).all()
        return {_verdict(said): n for said, n in counted}

    def verdicts(self, digest: str) -> dict[int, Verdict]:
        """The current verdict of every feature that has one."""
        query = select(ANNOTATIONS.c.feature, ANNOTATIONS.c.verdict).where(
            ANNOTATIONS.c.digest == digest
        )
        with self.database.reading() as connection:
            rows = connection.execute(query).all()
        return {feature: Verdict(said) for feature, said in rows if said is not None}

    def texts(self, digest: str) -> list[tuple[int, str, str]]:
        """Every current (feature, "label" | "note" | "tag", text) that is not empty."""
        columns = (ANNOTATIONS.c[name] for name in ("feature", "label", "note", "tags"))
        query = select(*columns).where(ANNOTATIONS.c.digest == digest)
        with self.database.reading() as connection:
            rows = connection.execute(query).all()
        found = []
        for feature, label, note, tags in rows:
            if label:
                found.append((feature, "label", label))
            if note:
                found.append((feature, "note", note))
            found += [(feature, "tag", tag) for tag in _tags(tags)]
        return found

    def agreement(self, digest: str | None = None) -> tuple[Agreement, ...]:
        """How far every two authors agree, by name, on one dictionary or on all.

        An author's opinion of a feature is the verdict that they typed last, also where it became
        a conflict: it is their word all the same. An undo restores somebody's word without giving
        one, and takes back what its author had typed since. Who settles a conflict judges between
        two others, and a file that is imported may hold anybody's work: both count for nobody.
        Authors see each other's annotations, so they agree more than they would blindly.
        """
        columns = ("author", "digest", "feature", "revision", "kind", "about", "verdict")
        query = select(*(EVENTS.c[name] for name in columns)).order_by(EVENTS.c.number)
        query = query.where(EVENTS.c.kind.in_(["edit", "undo"]))
        if digest is not None:
            query = query.where(EVENTS.c.digest == digest)
        typed: dict[str, dict] = defaultdict(lambda: defaultdict(list))
        with self.database.reading() as connection:
            rows = connection.execute(query).all()
        for author, content, feature, revision, kind, about, verdict in rows:
            mine = typed[author][content, feature]
            if kind == "edit":
                mine.append((revision, verdict))
            while kind == "undo" and mine and mine[-1][0] > about:
                mine.pop()
        opinions = {
            author: {key: mine[-1][1] for key, mine in said.items() if mine and mine[-1][1]}
            for author, said in sorted(typed.items())
        }
        return tuple(
            _agreement(pair, opinions[pair[0]], opinions[pair[1]])
            for pair in itertools.combinations([a for a in opinions if opinions[a]], 2)
        )

    def _save(self, work: Callable[[Connection], Saved]) -> Saved:
        """Do something in one transaction; from its start if it was overtaken."""
        for _ in range(_TRIES - 1):
            with suppress(Overtaken), self.database.writing() as connection:
                return work(connection)
        with self.database.writing() as connection:
            return work(connection)


def _append(connection: Connection, drafts: Sequence[Draft]) -> tuple[Event, ...]:
    """Add the drafts that are not there yet; the events of all."""
    events = _saved(connection, [draft.uid for draft in drafts])
    features: dict[str, set[int]] = defaultdict(set)
    for draft in drafts:
        features[draft.digest].add(draft.feature)
    # In this order: an event that somebody adds between the two is then met by the constraint.
    newest = {d: _revisions(connection, d, wanted) for d, wanted in features.items()}
    heads = {d: _current(connection, d, wanted) for d, wanted in features.items()}
    at = datetime.now(UTC).isoformat(timespec="microseconds")
    added = []
    for draft in drafts:
        if (saved := events.get(draft.uid)) is not None:
            if any(getattr(saved, name) != getattr(draft, name) for name in _SAME):
                raise AnnotationError(
                    f"The uid '{draft.uid}' is that of another draft, saved at {saved.at}: give "
                    "every draft one of its own."
                )
            continue
        head = heads[draft.digest].get(draft.feature)
        seen, content = (head.revision, head.content) if head else (0, Content())
        is_conflict = draft.seen != seen and draft.content != content
        revision = newest[draft.digest].get(draft.feature, 0) + 1
        event = Event(**vars(draft), revision=revision, at=at, is_conflict=is_conflict)
        newest[draft.digest][draft.feature] = revision
        if not is_conflict:
            heads[draft.digest][draft.feature] = event
        events[draft.uid] = event
        added.append(event)
    if added:
        query = insert(EVENTS).returning(EVENTS.c.number, sort_by_parameter_order=True)
        numbers = connection.scalars(query, [_values(event) for event in added])
        for event, number in zip(added, numbers, strict=True):
            events[event.uid] = replace(event, number=number)
    return tuple(events[draft.uid] for draft in drafts)


def _saved(connection: Connection, uids: Sequence[str]) -> dict[str, Event]:
    """Those of the drafts that were saved before, by uid."""
    events = {}
    for start in range(0, len(uids), _MANY):
        query = select(EVENTS).where(EVENTS.c.uid.in_(uids[start : start + _MANY]))
        events |= {row.uid: _event(row) for row in connection.execute(query).all()}
    return events


def _current(
    connection: Connection, digest: str, features: Iterable[int] | None
) -> dict[int, Event]:
    wanted = None if features is None else set(features)
    query = select(ANNOTATIONS).where(
        ANNOTATIONS.c.digest == digest, _among(ANNOTATIONS.c.feature, wanted)
    )
    rows = connection.execute(query).all()
    return {row.feature: _event(row) for row in rows if wanted is None or row.feature in wanted}


def _revisions(connection: Connection, digest: str, features: set[int]) -> dict[int, int]:
    """The newest revision of each feature, that of a conflict included."""
    query = (
        select(EVENTS.c.feature, func.max(EVENTS.c.revision))
        .where(EVENTS.c.digest == digest, _among(EVENTS.c.feature, features))
        .group_by(EVENTS.c.feature)
    )
    return {feature: revision for feature, revision in connection.execute(query).all()}


def _among(column: ColumnElement, values: set[int] | None) -> ColumnElement[bool]:
    """Narrows a query to these values, unless they are too many to be named."""
    return true() if values is None or len(values) > _MANY else column.in_(values)


def _open_conflicts(
    connection: Connection, digest: str | None, feature: int | None
) -> tuple[Event, ...]:
    settling = EVENTS.alias("settling")
    is_settled = (
        select(settling.c.number)
        .where(
            settling.c.digest == EVENTS.c.digest,
            settling.c.feature == EVENTS.c.feature,
            settling.c.revision > EVENTS.c.revision,
            settling.c.kind == "settle",
            settling.c.about == EVENTS.c.revision,
            ~settling.c.is_conflict,
        )
        .exists()
    )
    query = select(EVENTS).where(EVENTS.c.is_conflict, ~is_settled)
    if digest is not None:
        query = query.where(EVENTS.c.digest == digest)
    if feature is not None:
        query = query.where(EVENTS.c.feature == feature)
    events = [_event(row) for row in connection.execute(query).all()]
    return tuple(sorted(events, key=lambda event: event.number))


def _accepted(connection: Connection, digest: str, feature: int) -> tuple[Event, ...]:
    """What was saved of a feature and was no conflict, oldest first."""
    query = select(EVENTS).where(
        EVENTS.c.digest == digest, EVENTS.c.feature == feature, ~EVENTS.c.is_conflict
    )
    rows = connection.execute(query.order_by(EVENTS.c.revision)).all()
    return tuple(map(_event, rows))


def _event(row: Row) -> Event:
    *plain, verdict, label, note, tags = row
    content = Content(_verdict(verdict), label, note, _tags(tags))
    return Event(content=content, **dict(zip(_PLAIN, plain, strict=True)))


def _values(event: Event) -> dict[str, object]:
    """What an event's row holds; the database gives it its number."""
    values = {name: getattr(event, name) for name in _PLAIN if name != "number"}
    content = event.content
    tags = json.dumps(content.tags, ensure_ascii=False)
    return values | vars(content) | {"tags": tags}


@lru_cache(maxsize=4096)
def _tags(stored: str) -> tuple[str, ...]:
    return tuple(json.loads(stored))


def _verdict(stored: str | None) -> Verdict | None:
    return None if stored is None else Verdict(stored)


def _agreement(
    authors: tuple[str, str], first: dict[tuple, str], second: dict[tuple, str]
) -> Agreement:
    pairs = [(verdict, second[key]) for key, verdict in first.items() if key in second]
    return Agreement(authors, len(pairs), sum(one == other for one, other in pairs), kappa(pairs))
