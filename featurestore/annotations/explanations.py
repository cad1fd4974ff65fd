"""What programs say of features, as imported from files: labels with their scores."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, exists, insert, select

from featurestore.annotations.database import EXPLANATIONS, Database
from featurestore.annotations.drafts import check_text
from featurestore.annotations.records import Explanation
from featurestore.errors import AnnotationError

_MANY = 1000
"""So many features at most are named in one statement."""

_LATER = EXPLANATIONS.alias("later")
_COLUMNS = [EXPLANATIONS.c[field.name] for field in fields(Explanation)]
_NEWEST = (
    select(*_COLUMNS)
    .where(
        ~exists().where(
            _LATER.c.digest == EXPLANATIONS.c.digest,
            _LATER.c.feature == EXPLANATIONS.c.feature,
            _LATER.c.method == EXPLANATIONS.c.method,
            _LATER.c.explainer == EXPLANATIONS.c.explainer,
            _LATER.c.number > EXPLANATIONS.c.number,
        )
    )
    .order_by(EXPLANATIONS.c.number)
)
_TEXTS = ("digest", "dictionary_id", "label", "method", "explainer")


class ExplanationTable:
    """The explanations in one database, of which the newest count. Safe to share between threads.

    An explanation takes the place of an earlier one of its feature, method and explainer; the
    earlier one stays in the database. Every method raises AnnotationsError if the database cannot
    be read or written to now.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def add_all(self, explanations: Iterable[Explanation]) -> int:
        """Save all or none; their number. Those without a time get that of now.

        Raises:
            AnnotationError: a text or a score cannot be kept.
        """
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        rows = [{**asdict(one), "at": one.at or now} for one in map(_checked, explanations)]
        if rows:
            with self.database.writing() as connection:
                connection.execute(insert(EXPLANATIONS), rows)
        return len(rows)

    def unknown(self, explanations: Iterable[Explanation]) -> list[Explanation]:
        """Those that would change what counts: the last of each feature, method and explainer, but
        for what is said here already, whenever that was.
        """
        last = {(e.digest, e.feature, e.method, e.explainer): e for e in explanations}
        here = {replace(one, at="") for one in self.all({one.digest for one in last.values()})}
        return [one for one in last.values() if replace(one, at="") not in here]

    def of(
        self, digest: str, features: Iterable[int] | None = None
    ) -> dict[int, tuple[Explanation, ...]]:
        """The newest explanations of each of these features, or of all, that has any."""
        wanted = None if features is None else set(features)
        where = [EXPLANATIONS.c.digest == digest]
        if wanted is not None and len(wanted) <= _MANY:
            where.append(EXPLANATIONS.c.feature.in_(wanted))
        found = defaultdict(list)
        for one in self._newest(*where):
            if wanted is None or one.feature in wanted:
                found[one.feature].append(one)
        return {feature: tuple(some) for feature, some in found.items()}

    def all(self, digests: Iterable[str] | None = None) -> tuple[Explanation, ...]:
        """The newest explanations, by dictionary_id and feature."""
        where = [] if digests is None else [EXPLANATIONS.c.digest.in_(list(digests))]
        newest = self._newest(*where)
        return tuple(sorted(newest, key=lambda one: (one.dictionary_id, one.feature, one.digest)))

    def texts(self, digest: str) -> list[tuple[int, str]]:
        """Every newest label that is not empty, with its feature."""
        query = _NEWEST.with_only_columns(EXPLANATIONS.c.feature, EXPLANATIONS.c.label)
        query = query.where(EXPLANATIONS.c.digest == digest, EXPLANATIONS.c.label != "")
        with self.database.reading() as connection:
            return [(feature, label) for feature, label in connection.execute(query).all()]

    def _newest(self, *where: ColumnElement[bool]) -> list[Explanation]:
        with self.database.reading() as connection:
            rows = connection.execute(_NEWEST.where(*where)).all()
            return [Explanation(**row._mapping) for row in rows]


def _checked(one: Explanation) -> Explanation:
    if not one.digest:
        raise AnnotationError(
            f"'{one.dictionary_id}' was built without a digest, by an older version: build it "
            "again to keep explanations of its features."
        )
    for name in _TEXTS:
        check_text(f"{name} of feature {one.feature}", getattr(one, name))
    if one.score is not None and not math.isfinite(one.score):
        raise AnnotationError(
            f"The score of feature {one.feature} is {one.score}: allowed is a number, or none."
        )
    return one
