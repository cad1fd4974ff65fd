"""Whether a spreadsheet, and nobody else, changed a cell. Pure.

A spreadsheet that is not told otherwise reads 007 as 7, 1e5 as 100000 and March 1 as a day of this
year, and saves what it shows. Such a cell is no edit.
"""

import itertools
import math
import re
from collections.abc import Iterator

_SHOWN = 1e-9
"""Relative: a spreadsheet shows ten digits of a number."""
_SHOWN_WITH_EXPONENT = 5e-3

_LONGEST_VALUE = 64
"""Characters; what is longer is no number and no date."""

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")  # tabs, too: LibreOffice drops them all
_NUMBER = re.compile(r"(?:\d+[.,]?\d*|[.,]\d+)(?:e[+-]?\d+)?")
_WITH_COMMAS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d*)?")
_WITH_POINTS = re.compile(r"\d{1,3}(?:\.\d{3})+(?:,\d*)?")
_FRACTION = re.compile(r"(\d+) (\d+)/([1-9]\d*)")

_TIME = re.compile(r"(?:^|[\st])(\d\d?)(?::(\d\d))?(?::(\d\d)(?:\.\d+)?)?\s*([ap]m)?$")
_NO_DATE = re.compile(r"[^\w\s.,/-]|_")
_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august"),
    *("september", "october", "november", "december"),
)

Date = tuple[int | None, int, int]
"""Year without its century, or None; month; day."""


def is_rewritten(stored: str, found: str) -> bool:
    """Whether a spreadsheet makes the found text of the stored one.

    It does if they differ in line ends, outer spaces or control characters alone, or are the same
    number, truth value, date or time written in two ways. A date without a year is that of any
    year, and whether 3/5 is in March or in May nobody knows.
    """
    one, other = _trimmed(stored), _trimmed(found)
    if one == other:
        return True
    if max(len(one), len(other)) > _LONGEST_VALUE:
        return False
    one, other = one.casefold(), other.casefold()
    if one in ("true", "false"):
        return one == other
    return _is_same_number(one, other) or _is_same_moment(one, other)


def _trimmed(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub("", text).strip().strip("\ufeff")


def _is_same_number(stored: str, found: str) -> bool:
    shown = _SHOWN_WITH_EXPONENT if "e" in found else _SHOWN
    pairs = itertools.product(_numbers(stored), _numbers(found))
    return any(math.isclose(one, other, rel_tol=shown) for one, other in pairs)


def _numbers(text: str) -> Iterator[float]:
    """What a text is as a number: 1.234 has a decimal point or one between thousands."""
    is_negative = text.startswith(("-", "(")) or text.endswith("-")
    factor = (-1 if is_negative else 1) * (0.01 if text.endswith("%") else 1)
    text = text.strip("+-()%$€£¥ \u00a0")
    if _NUMBER.fullmatch(text):
        yield factor * float(text.replace(",", "."))
    if _WITH_COMMAS.fullmatch(text):
        yield factor * float(text.replace(",", ""))
    if _WITH_POINTS.fullmatch(text):
        yield factor * float(text.replace(".", "").replace(",", "."))
    if fraction := _FRACTION.fullmatch(text):
        whole, numerator, denominator = map(int, fraction.groups())
        yield factor * (whole + numerator / denominator)


def _is_same_moment(stored: str, found: str) -> bool:
    return any(
        seconds == other_seconds and _is_same_date(date, other_date)
        for (date, seconds), (other_date, other_seconds) in itertools.product(
            _moments(stored), _moments(found)
        )
    )


def _is_same_date(one: Date | None, other: Date | None) -> bool:
    if one is None or other is None:
        return one is other
    has_years = one[0] is not None and other[0] is not None
    return one[1:] == other[1:] and (not has_years or one[0] == other[0])


def _moments(text: str) -> Iterator[tuple[Date | None, int | None]]:
    """What a text is as a date, a time (seconds after midnight) or both."""
    seconds = None
    clock = _TIME.search(text)
    if clock and (clock[2] or clock[4]):
        hours, minutes, rest = (int(part or 0) for part in clock.groups()[:3])
        if clock[4]:
            hours = hours % 12 + (12 if clock[4] == "pm" else 0)
        seconds = (hours * 60 + minutes) * 60 + rest
        text = text[: clock.start()]
        if not text:
            yield None, seconds
    for date in _dates(text):
        yield date, seconds


def _dates(text: str) -> Iterator[Date]:
    """Every date that two or three parts of a text can be, in whatever order."""
    parts = re.findall(r"\d+|[^\W\d_]+", text)
    if len(parts) not in (2, 3) or _NO_DATE.search(text):
        return
    for years, months, days in itertools.permutations([*parts, ""][:3]):
        year, month, day = _year(years), _month(months), _small(days)
        if years and not days:
            day = 1  # April 2020 is its first day
        if month and 1 <= day <= 31 and (year is not None or not years):
            yield year, month, day


def _year(text: str) -> int | None:
    return int(text) % 100 if text.isdecimal() and len(text) in (2, 4) else None


def _month(text: str) -> int:
    """1 to 12, or 0 for what is no month."""
    if text.isdecimal():
        return _small(text) if _small(text) <= 12 else 0
    names = [number for number, name in enumerate(_MONTHS, 1) if name.startswith(text)]
    return names[0] if len(text) >= 3 and names else 0


def _small(text: str) -> int:
    """A number of one or two digits; 0 for anything else."""
    return int(text) if text.isdecimal() and len(text) <= 2 else 0
