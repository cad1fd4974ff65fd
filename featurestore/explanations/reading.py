"""Read a file of explanations that a program wrote: CSV or JSON lines, all of it or nothing.

A column goes by our name or by Neuronpedia's; others are not read:

    dictionary  layer                   id of a dictionary of the store
    digest                              or the digest of its content, which then decides
    feature     index                   number from 0
    label       description             up to LONGEST_EXPLANATION characters
    method      typeName                how label or score came about
    explainer   explanationModelName    program or model that wrote it; may be absent
    score                               a finite number; may be absent
    n                                   number of contexts behind the score; may be absent

Neuronpedia's `modelId` is not compared: models go by many names.
"""

import json
import re
from collections.abc import Iterable, Iterator
from math import isfinite
from typing import Any

from featurestore.annotations.records import LONGEST_AUTHOR, Explanation
from featurestore.errors import TableError
from featurestore.records import DictionaryInfo
from featurestore.spreadsheet import MOST_ROWS, decoded, plain_of_program, read_table

LONGEST_EXPLANATION = 2_000
"""Characters of a label; programs write at greater length than people."""
LONGEST_NAME = LONGEST_AUTHOR
"""Characters of a method's or an explainer's name."""
LARGEST_COUNT = 2**31 - 1
MOST_FAULTS = 10
"""Bad lines that a message lists."""

_NAMES = {
    "dictionary": ("dictionary", "layer"),
    "digest": ("digest",),
    "feature": ("feature", "index"),
    "label": ("label", "description"),
    "method": ("method", "typeName"),
    "explainer": ("explainer", "explanationModelName"),
    "score": ("score",),
    "n": ("n",),
}
_WHOLE = re.compile(r"[0-9]{1,15}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)
_UNKEEPABLE = re.compile("[\0\ud800-\udfff]")
"""What no database keeps: NUL, and half a pair of surrogates."""


class _Fault(Exception):
    """A field that cannot be taken."""

    def __init__(self, field: str, found: object, expected: str) -> None:
        shown = repr(found) if found is not None else "nothing"
        shown = shown if len(shown) <= 80 else f"{shown[:80]}…"
        super().__init__(f"{field}: found {shown}, expected {expected}")


def read_explanations(
    data: bytes,
    name: str,
    known: Iterable[DictionaryInfo],
    method: str = "",
    explainer: str = "",
) -> tuple[Explanation, ...]:
    """Every explanation of a file, in its order; `at` is left to whoever saves them.

    Args:
        data: JSON lines if the first character is `{`, else CSV as `read_table` takes it.
        name: what messages call the file.
        known: the store's dictionaries; an explanation of any other is refused.
        method: for rows that give none.
        explainer: likewise.

    Raises:
        TableError: it is a JSON array, or something cannot be read; it lists the first bad lines. A
            feature twice with one method and explainer is bad, too: which would count?
    """
    text = decoded(data, name)
    if text.lstrip().startswith("["):
        raise TableError(
            f"{name} is a JSON array; JSON lines are read: one object a line. "
            f"Make them: jq -c '.[]' {name} > lines.jsonl"
        )
    is_json = text.lstrip().startswith("{")
    dictionaries = _Dictionaries(known)
    found: dict[tuple[str, int, str, str], tuple[int, Explanation]] = {}
    faults = []
    place = "line" if is_json else "row"  # as a spreadsheet counts rows
    for number, row in _json_rows(text) if is_json else _csv_rows(data, name):
        try:
            one = _explanation(_object(row), dictionaries, method, explainer)
            key = one.digest, one.feature, one.method, one.explainer
            first, _ = found.setdefault(key, (number, one))
            if first != number:
                expected = f"each feature once for a method and explainer; {place} {first} has it"
                raise _Fault("feature", one.feature, expected)
        except _Fault as fault:
            faults.append(f"{place} {number}, {fault}")
    if faults:
        more = len(faults) - MOST_FAULTS
        listed = "\n  ".join(faults[:MOST_FAULTS]) + (f"\n  and {more:,} more" if more > 0 else "")
        raise TableError(f"{name}: nothing was taken. Bad {place}s: {len(faults):,}.\n  {listed}")
    return tuple(one for _, one in found.values())


class _Dictionaries:
    """The store's dictionaries by id and by digest."""

    def __init__(self, known: Iterable[DictionaryInfo]) -> None:
        self.by_id = {info.dictionary_id: info for info in known}
        self._by_digest: dict[str, DictionaryInfo] = {}
        for info in self.by_id.values():
            self._by_digest.setdefault(info.content, info)

    def of(self, row: dict[str, Any]) -> DictionaryInfo:
        """The one that a row is about, which has a digest."""
        name, digest = _text(row, "dictionary"), _text(row, "digest")
        named = self.by_id.get(name)
        if digest:
            if named and named.content == digest:
                return named
            if digest not in self._by_digest:
                raise _Fault("digest", digest, "that of a dictionary of the store")
            return self._by_digest[digest]
        if named is None:
            ids = list(self.by_id)
            more = f" and {len(ids) - 8:,} more" if len(ids) > 8 else ""
            listed = ", ".join(ids[:8]) + more if ids else "none"
            raise _Fault("dictionary", name or None, f"one of the store, which has {listed}")
        if not named.content:
            raise _Fault("dictionary", name, "one with a digest of its weights; build it again")
        return named


def _csv_rows(data: bytes, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    table = read_table(data, name, plain_of_program)
    for field in ("dictionary", "feature", "label"):
        names = _NAMES[field] + (_NAMES["digest"] if field == "dictionary" else ())
        if not set(names) & set(table.header):
            expected = " or ".join(f"'{name}'" for name in names)
            header = ", ".join(map(repr, table.header))[:300]
            raise TableError(f"{name} has no column {expected}. Its columns: {header}.")
    return table.records()


def _json_rows(text: str) -> Iterator[tuple[int, object]]:
    """Every line's number, from 1, and its value; a text where that is no JSON."""
    for line, part in enumerate(text.split("\n"), start=1):
        if not part.strip():
            continue
        if line > MOST_ROWS:
            raise TableError(f"More than {MOST_ROWS:,} lines. Split the file.")
        try:
            yield line, json.loads(part)
        except (ValueError, RecursionError):
            yield line, part


def _object(row: object) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise _Fault("the line", row, "an object of JSON in {}")
    return row


def _explanation(
    row: dict[str, Any], dictionaries: _Dictionaries, method: str, explainer: str
) -> Explanation:
    info = dictionaries.of(row)
    feature = _whole(row, "feature")
    if feature is None or feature >= info.n_features:
        expected = f"0 to {info.n_features - 1}, the features of '{info.dictionary_id}'"
        raise _Fault("feature", feature, expected)
    label = _text(row, "label", LONGEST_EXPLANATION)
    if not label:
        raise _Fault("label", None, "text")
    method = _text(row, "method") or method
    if not method:
        raise _Fault("method", None, "text, in the file or by --method")
    return Explanation(
        digest=info.content,
        dictionary_id=info.dictionary_id,
        feature=feature,
        label=label,
        method=method,
        explainer=_text(row, "explainer") or explainer,
        score=_score(row),
        n=_whole(row, "n"),
    )


def _cell(row: dict[str, Any], field: str) -> Any:  # noqa: ANN401
    """What a row has under a field's names; None for an empty cell, too."""
    found = (row[name] for name in _NAMES[field] if row.get(name) not in (None, ""))
    return next(found, None)


def _text(row: dict[str, Any], field: str, longest: int = LONGEST_NAME) -> str:
    """A text as one line without outer white space; empty if there is none."""
    found = _cell(row, field)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise _Fault(field, found, "text")
    text = " ".join(found.splitlines()).strip()
    if len(text) > longest:
        expected = f"at most {longest:,} characters, not {len(text):,}"
        raise _Fault(field, text, expected)
    if unkeepable := _UNKEEPABLE.search(text):
        raise _Fault(field, unkeepable[0], "text of whole characters")
    return text


def _whole(row: dict[str, Any], field: str) -> int | None:
    found = _cell(row, field)
    if found is None:
        return None
    is_whole = isinstance(found, int) and not isinstance(found, bool)
    if is_whole or (isinstance(found, str) and _WHOLE.fullmatch(found.strip())):
        number = int(found)
        if 0 <= number <= LARGEST_COUNT:
            return number
    raise _Fault(field, found, f"a whole number, 0 to {LARGEST_COUNT:,}")


def _score(row: dict[str, Any]) -> float | None:
    found = _cell(row, "score")
    if found is None:
        return None
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    if is_number or (isinstance(found, str) and _NUMBER.fullmatch(found.strip())):
        try:
            score = float(found)
        except OverflowError:  # a whole number beyond what a float holds
            score = float("inf")
        if isfinite(score):
            return score
    raise _Fault("score", found, "a finite number such as 0.5")
