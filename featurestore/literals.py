"""A text that stands in whatever a regular expression matches.

DuckDB looks for a text several times faster than RE2 looks for most expressions, so what lacks the
text need not be shown to RE2 at all.

Python's parser would be no help: it is not public, reads some of RE2's expressions differently, and
warns of others. Here an expression is read only as far as it is made of what is listed below.
Whatever else there is in it, such as a flag or a named class, nothing is said of it.
"""

import re
from dataclasses import dataclass

_SHORTEST = 3
"""Characters; a shorter text stands in too many places to spare RE2 much."""

_CHARACTER = r"(?: [^\\^$.|?*+()\[\]{}] | \\ [!-/:-@\[-`{-~ ] )"
_OPTIONAL = r"(?: [*?] | \{ 0 (?: , [0-9]* )? \} ) \??"
_REPEATED = r"(?: \+ | \{ [1-9] [0-9]* (?: , [0-9]* )? \} ) \??"
_CLASS = r"\[ \^? \]? (?: [^\\\[\]] | \\. | \[ (?!:) )* \]"
_PART = re.compile(
    rf"""
      (?P<text> (?: {_CHARACTER} (?! {_OPTIONAL} | {_REPEATED} ) )* {_CHARACTER} (?! {_OPTIONAL} ) )
      (?: {_REPEATED} )?
    | (?P<opening> \( (?: \?: | (?! \? ) ) )
    | (?P<closing> \) ) (?: (?P<optional> {_OPTIONAL} ) | {_REPEATED} )?
    | (?P<choice> \| )
    | {_CHARACTER} {_OPTIONAL}
    | (?: [.^$] | \\ [AbBdDsSwWnrt] | {_CLASS} ) (?: {_OPTIONAL} | {_REPEATED} )?
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)

_WITHOUT_CASE = "(?i)"
_NOT_LOWER = re.compile(r"[^\x00-\x7f]|[sS]")
"""Without case RE2 takes the old long s for an s, which making a text lower-case leaves as it is.
No other sign that stays a stranger to a letter of ASCII then is one to RE2."""


@dataclass(frozen=True)
class Required:
    """What a text must hold to be matched."""

    text: str
    """Nothing if it is empty."""
    is_lower: bool
    """Whether it must be held once the text is made lower-case, as by DuckDB's `lower`."""


def required(pattern: str) -> Required:
    """What it is worth to look for before RE2 looks for a pattern."""
    if not pattern.startswith(_WITHOUT_CASE):
        return Required(required_literal(pattern), is_lower=False)
    rest = pattern.removeprefix(_WITHOUT_CASE)
    literal = required_literal(rest)
    is_all = literal == _ESCAPED.sub(r"\1", rest)
    longest = max(_NOT_LOWER.split(literal), key=len).lower()
    if is_all or len(longest) < _SHORTEST:  # RE2 finds a mere text sooner than `lower` is done
        return Required("", is_lower=False)
    return Required(longest, is_lower=True)


def required_literal(pattern: str) -> str:
    """The longest text that is surely in every match of RE2's, by case; '' if none is certain."""
    groups: list[list[str] | None] = [[]]  # open ones, with their texts; None if there is a choice
    place = 0
    while place < len(pattern):
        part = _PART.match(pattern, place)
        if part is None:
            return ""
        place = part.end()
        if part["opening"]:
            groups.append([])
        elif part["choice"]:
            groups[-1] = None
        elif part["closing"]:
            texts = groups.pop()
            if not groups:
                return ""
            if texts and groups[-1] is not None and not part["optional"]:
                groups[-1] += texts
        elif part["text"] and groups[-1] is not None:
            groups[-1].append(_ESCAPED.sub(r"\1", part["text"]))
    if len(groups) > 1:
        return ""
    longest = max(groups[0] or (), key=len, default="")
    return longest if len(longest) >= _SHORTEST else ""
