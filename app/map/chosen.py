"""A list of features as a short text for a URL. Pure.

Numbers rise, so each is written as its difference from the one before, in base 36, with dots
between: (7, 8, 50) is "7.1.16".
"""

import re
from collections.abc import Iterable

MOST = 5_000
"""Features in a list: a link to so many among 100,000 is about 13 kB long."""

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_LARGEST = 2**31
_FORM = re.compile(r"[0-9a-z]{1,6}(\.[0-9a-z]{1,6})*")


class ListError(ValueError):
    """A text that is no list of features; the message says why, and how one looks."""


def written(features: Iterable[int]) -> str:
    """Rising numbers as text; empty for none."""
    steps, last = [], 0
    for feature in features:
        steps.append(_base36(feature - last))
        last = feature
    return ".".join(steps)


def read(text: str) -> tuple[int, ...]:
    """The numbers that `written` was given.

    Raises:
        ListError: the text is none of `written`'s, or too long.
    """
    if not text:
        return ()
    n_features = text.count(".") + 1
    if n_features > MOST:
        raise ListError(f"It names {n_features:,} features; {MOST:,} fit into a list.")
    if not _FORM.fullmatch(text):
        raise ListError("A list of features looks like 7.1.16, as the map writes it.")
    features, last = [], 0
    for step in text.split("."):
        last += int(step, 36)
        features.append(last)
    if last >= _LARGEST or any(a == b for a, b in zip(features, features[1:], strict=False)):
        raise ListError("A list of features names each once, below two billion.")
    return tuple(features)


def _base36(number: int) -> str:
    digits = ""
    while number or not digits:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits
