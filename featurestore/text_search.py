"""Look for a text by RE2, inside DuckDB: in contexts, and in what was said of features.

RE2 takes time in proportion to the text, but a pattern of large repetitions multiplies it by
thousands; and DuckDB cannot be stopped inside a batch of 2,048 rows, which may then take a minute.
A regular expression is therefore tried on a few texts first.
"""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

from featurestore.dictionary_file import DictionaryFile, is_unicode
from featurestore.errors import StoreError, TooSlow
from featurestore.feature_list import exact_text
from featurestore.records import LONGEST_MATCH

PATTERN_LIMIT_S = 2.0
"""A question with a regular expression is stopped then: at the next batch, 0.2 s later or so."""

_SAMPLES = (8, 64, 512)
"""Texts to try, spread evenly: the slowest pattern that RE2 accepts takes 30 ms for one of them."""
_SLOW_S = 0.05
"""A sample that takes longer, twice, is enough: a batch would take four times as long and more."""

_READING_S = 0.3
"""Every statement reads the pattern anew: one that takes longer would not get through them all."""

_AROUND = 40
"""Characters of a snippet on each side of what matched."""

_TRY = "select count(*) filter (regexp_matches(text, ?)) from contexts where rowid % ? = 0"
_MATCHING = """
    select number from (select unnest(range(?)) as number, unnest(?::varchar[]) as text)
    where regexp_matches(text, ?) order by number
"""
_MARKED = r"""
    select text, regexp_replace(text, ?, ? || '\0' || ?) as marked
    from (select unnest(?::varchar[]) as text)
"""


class TextSearch:
    """One search in one file; what it asks shares one limit of time."""

    def __init__(self, file: DictionaryFile, text: str, is_regex: bool) -> None:
        """Refuse what cannot be searched for.

        Raises:
            StoreError: RE2 cannot read the regular expression, or only slowly.
        """
        self.pattern = _pattern(text, is_regex)
        self._file, self._text, self._is_regex = file, text, is_regex
        self._deadline = time.monotonic() + PATTERN_LIMIT_S
        reason = "half of a character is no text" if not is_unicode(text) else ""
        if is_regex and (reason or (reason := file.refusal(text))):
            raise StoreError(
                f"RE2 cannot read the regular expression '{_shown(text)}': {_shown(reason)}. "
                r"One that it can read: (?i)\bgreen (apple|pear)s?\b. Put a \ before a sign that "
                "is meant as such, or search for plain text."
            )
        if is_regex and time.monotonic() > self._deadline - PATTERN_LIMIT_S + _READING_S:
            raise self._too_slow()

    @property
    def is_possible(self) -> bool:
        """Whether any text can match: half a surrogate pair stands in none."""
        return is_unicode(self._text)

    def rows(self, statement: str, *parameters: object) -> list[dict[str, Any]]:
        """Ask the file, within the time that a regular expression has.

        Raises:
            StoreError: the time is over.
        """
        if not self._is_regex:
            return self._file.rows(statement, *parameters)
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise self._too_slow()
        try:
            return self._file.rows(statement, *parameters, limit_s=left_s)
        except TooSlow as error:
            raise self._too_slow() from error

    def try_on_contexts(self) -> None:
        """Raise StoreError if it would keep DuckDB in one batch of contexts for too long."""
        for step in self._steps(self._file.info.tables["contexts"]["rows"]):
            self._try(lambda step=step: self.rows(_TRY, self.pattern, step))

    def matching(self, texts: list[str]) -> list[int]:
        """The places, from 0, of the texts in which it is found."""
        for step in self._steps(len(texts)):
            self._try(lambda few=texts[::step]: self._matching(few))
        return self._matching(texts)

    def snippets(self, texts: list[str]) -> list[tuple[str, str, str]]:
        """Of texts that match: what first matches, with what stands before and after it."""
        letters = set().union(*texts)
        # Of characters for private use, of which no text has them all.
        mark = next(chr(code) for code in range(0xE000, 0x110000) if chr(code) not in letters)
        marked = self.rows(_MARKED, self.pattern, mark, mark, texts) if texts else []
        return [_snippet(*row["marked"].split(mark)) for row in marked]

    def _matching(self, texts: list[str]) -> list[int]:
        rows = self.rows(_MATCHING, len(texts), texts, self.pattern) if texts else []
        return [row["number"] for row in rows]

    def _steps(self, n: int) -> Iterator[int]:
        """How far apart the texts of each sample are; a plain text needs no trying."""
        if self._is_regex:
            yield from (n // size for size in _SAMPLES if size < n)

    def _try(self, ask: Callable[[], object]) -> None:
        for _ in range(2):  # the first time may have read from disk, or waited for other sessions
            started = time.monotonic(), time.process_time()
            ask()
            # Whichever is less: a busy machine is not the pattern's fault.
            if min(time.monotonic() - started[0], time.process_time() - started[1]) < _SLOW_S:
                return
        raise self._too_slow()

    def _too_slow(self) -> StoreError:
        return StoreError(
            f"The regular expression '{_shown(self._text)}' takes longer than "
            f"{PATTERN_LIMIT_S:g} s and was stopped. Smaller repetitions are faster, such as "
            r"\w{1,9} for .{1,900}, and plain text is fastest."
        )


def _pattern(text: str, is_regex: bool) -> str:
    if is_regex:
        return text
    exact = exact_text(text)
    return f"(?i){re.escape(text)}" if exact is None else re.escape(exact)


def _snippet(before: str, match: str, after: str) -> tuple[str, str, str]:
    is_whole = len(match) <= LONGEST_MATCH
    return before[-_AROUND:], match[:LONGEST_MATCH], after[:_AROUND] if is_whole else ""


def _shown(text: str) -> str:
    """A pattern for a message, which must be short and printable."""
    start = text[:200].encode("utf-8", "backslashreplace").decode("utf-8")
    return start if len(text) <= 200 else f"{start}..."
