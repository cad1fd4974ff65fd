"""What has been said of a dictionary's features, as its list filters and searches by."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal, TypeVar

from featurestore.annotations.explanations import ExplanationTable
from featurestore.annotations.log import AnnotationLog

MOST_KEPT = 16
"""Answers that are kept; one of 24,000 labels takes about 5 MB."""
LONGEST_KEPT_S = 3.0
"""Two saves on a server may come through in the order against their numbers, so the highest number
does not tell everything."""

Answer = TypeVar("Answer")


class Remarks:
    """What people and programs said, under the digest of a dictionary. Safe to share.

    Answers are kept until something is saved. Both methods raise AnnotationsError if the database
    cannot be read now.
    """

    def __init__(self, log: AnnotationLog, table: ExplanationTable) -> None:
        self._log = log
        self._table = table
        self._kept: OrderedDict[tuple[str, str], tuple[tuple[int, int], float, object]]
        self._kept = OrderedDict()

    def verdicts(self, digest: str) -> dict[int, str]:
        """The current verdict of every feature that has one."""
        return self._answer(
            ("verdicts", digest),
            lambda: {feature: str(one) for feature, one in self._log.verdicts(digest).items()},
        )

    def texts(
        self, digest: str, place: Literal["annotations", "explanations"]
    ) -> list[tuple[int, str, str]]:
        """Every (feature, part, text) that is not empty.

        A part of an annotation is "label", "note" or "tag"; one of an explanation "explanation".
        """
        if place == "annotations":
            return self._answer((place, digest), lambda: self._log.texts(digest))
        return self._answer(
            (place, digest),
            lambda: [(one, "explanation", label) for one, label in self._table.texts(digest)],
        )

    def _answer(self, key: tuple[str, str], ask: Callable[[], Answer]) -> Answer:
        """The answer that is kept, unless something has been saved since."""
        state, now = self._log.database.last_numbers(), time.monotonic()
        kept = self._kept.get(key)
        if kept and kept[0] == state and now - kept[1] < LONGEST_KEPT_S:
            return kept[2]
        answer = ask()
        self._kept[key] = state, now, answer
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return answer
