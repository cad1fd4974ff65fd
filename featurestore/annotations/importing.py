"""Annotations from files that a person may have edited: first a plan, then all of it or nothing."""

import difflib
import json
import re
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from featurestore.annotations.drafts import cleaned
from featurestore.annotations.exchange import (
    COLUMNS,
    CONTENT_COLUMNS,
    EVIDENCE_COLUMNS,
    content_cells,
    tags_of,
    tags_text,
)
from featurestore.annotations.log import AnnotationLog
from featurestore.annotations.origin import origin
from featurestore.annotations.records import Content, Draft, Event, Verdict
from featurestore.annotations.rewriting import is_rewritten
from featurestore.errors import AnnotationError, TableError
from featurestore.records import DictionaryInfo
from featurestore.spreadsheet import MOST_ROWS, decoded, read_table

Outcome = Literal["bad", "unknown", "conflict", "change", "add", "rewritten", "unchanged"]
"""What becomes of a row, what needs a person first: not to be read; not of this store; the file is
not made from what is here; other words are here; nothing is; a spreadsheet wrote it anew; no
difference."""

OnConflict = Literal["refuse", "keep", "take"]
"""Where others have written: import nothing, leave what they wrote, or take the file's."""

_JSON_NAMES = {
    **{"layer": "dictionary", "index": "feature", "description": "label", "notes": "note"},
    "authorId": "author",
}
_JSON_KNOWN = {"modelId", "authorName", "typeName", "explanationModelName"}

_SHOWN = 5
"""Dictionaries named where none is like the one that is asked for."""


@dataclass(frozen=True)
class ImportRow:
    """What becomes of one row of a file."""

    place: str
    """Such as "row 3", as a spreadsheet counts them; "line 3" of JSON lines."""
    outcome: Outcome
    dictionary: str
    """Its id in this store, or what the file calls it."""
    feature: str
    """As the file writes it."""
    reason: str = ""
    """Why it is unknown, bad, in conflict or not taken as it is written."""
    before: Content = Content()
    after: Content = Content()
    digest: str = ""
    seen: int = 0
    """Revision of `before`; 0 for none."""


@dataclass(frozen=True)
class ImportPlan:
    """What an import would do."""

    name: str
    """Of the file."""
    rows: tuple[ImportRow, ...]
    """In the file's order."""
    ignored: tuple[str, ...] = ()
    """Columns that are not known here."""
    n_by_programs: int = 0
    """Rows of JSON that a program's explanation stands in, by their `explanationModelName`."""

    def counts(self) -> dict[Outcome, int]:
        """Number of rows of every outcome."""
        found = Counter(row.outcome for row in self.rows)
        return {outcome: found[outcome] for outcome in get_args(Outcome)}

    def of(self, *outcomes: Outcome) -> tuple[ImportRow, ...]:
        """Rows of these outcomes, in the file's order."""
        return tuple(row for row in self.rows if row.outcome in outcomes)

    def listed(self) -> list[ImportRow]:
        """Every row that is not unchanged, what needs a person first, then in the file's order."""
        first = {outcome: i for i, outcome in enumerate(get_args(Outcome))}
        rows = (row for row in self.rows if row.outcome != "unchanged")
        return sorted(rows, key=lambda row: first[row.outcome])

    def refusal(self, on_conflict: OnConflict) -> str:
        """Why nothing of it can be written; "" if it can."""
        refused: tuple[Outcome, ...] = ("bad", "unknown")
        if on_conflict == "refuse":
            refused = (*refused, "conflict")
        rows = [row for row in self.listed() if row.outcome in refused]
        if not rows:
            return ""
        counted = Counter(row.outcome for row in rows)
        counts = ", ".join(f"{n:,} {outcome}" for outcome, n in counted.items())
        first = rows[0]
        decided = "Keep conflicts as they are here, take them from the file, or correct"
        mend = decided if "conflict" in counted else "Correct"
        return (
            f"{self.name}: {counts}, so nothing can be imported. The first is {first.place}: "
            f"{first.reason} {mend} these rows or delete them."
        )


@dataclass(frozen=True)
class _Source:
    """A file's rows as texts by our names of the columns."""

    records: Iterable[tuple[int, dict[str, str]]]
    """Each with its number: of the row in a spreadsheet, of the line in JSON lines."""
    ignored: tuple[str, ...]
    is_spreadsheet: bool
    n_by_programs: int = 0


def read_import(
    data: bytes, name: str, log: AnnotationLog, dictionaries: Iterable[DictionaryInfo]
) -> ImportPlan:
    """What importing a file would do; nothing is written.

    Args:
        data: a table with the columns `feature` and `digest` or `dictionary`, and those of
            CONTENT_COLUMNS that are to be changed; or JSON lines of the same.
        name: what messages call the file.
        log: what is there already.
        dictionaries: those of the store.

    Raises:
        TableError: the file is no such table. A row that cannot be taken raises nothing.
    """
    source = _read_json(data, name) if data.lstrip(b"\xef\xbb\xbf \r\n").startswith(b"{") else None
    source = source or _read_csv(data, name)
    judge = _Judge(log, tuple(dictionaries), source.is_spreadsheet)
    rows = tuple(judge.row(number, cells) for number, cells in source.records)
    return ImportPlan(name, rows, source.ignored, source.n_by_programs)


def apply(
    plan: ImportPlan, log: AnnotationLog, author: str, on_conflict: OnConflict = "refuse"
) -> int:
    """Write a plan, all of it or nothing; the number of annotations written.

    Raises:
        TableError: rows are bad or unknown, or in conflict and that is refused.
        AnnotationsError: somebody has saved one of the features since the plan was made.
    """
    if refusal := plan.refusal(on_conflict):
        raise TableError(refusal)
    wanted: tuple[Outcome, ...] = ("add", "change")
    rows = plan.of(*wanted, "conflict") if on_conflict == "take" else plan.of(*wanted)
    log.append_all([_draft(row, author) for row in rows])
    return len(rows)


class _Judge:
    """Decides row by row, and remembers what it has seen."""

    def __init__(
        self, log: AnnotationLog, dictionaries: tuple[DictionaryInfo, ...], is_spreadsheet: bool
    ) -> None:
        self._log = log
        self._by_digest = {info.content: info for info in dictionaries if info.content}
        self._by_id = {info.dictionary_id: info for info in dictionaries}
        self._is_spreadsheet = is_spreadsheet
        self._current: dict[str, dict[int, Event]] = {}
        self._places: dict[tuple[str, int], str] = {}

    def row(self, number: int, cells: dict[str, str]) -> ImportRow:
        """What becomes of a row."""
        place = f"{'row' if self._is_spreadsheet else 'line'} {number}"
        written = cells.get("feature", "").strip()
        row = ImportRow(place, "bad", cells.get("dictionary", ""), written)
        try:
            info = self._dictionary(cells)
            row = replace(row, dictionary=info.dictionary_id, digest=info.content)
            feature = _feature(written, info)
        except _Unknown as unknown:
            return replace(row, outcome="unknown", reason=str(unknown))
        earlier = self._places.setdefault((info.content, feature), place)
        if earlier != place:
            reason = f"{earlier.capitalize()} is of this feature, too: keep one of the two."
            return replace(row, reason=reason)
        event = self._event(info.content, feature)
        if event is not None:
            row = replace(row, before=event.content, seen=event.revision)
        try:
            return self._compared(replace(row, feature=str(feature)), cells, event)
        except AnnotationError as error:
            return replace(row, reason=str(error))

    def _dictionary(self, cells: dict[str, str]) -> DictionaryInfo:
        """The dictionary of a row: by its digest, or by its id if there is none."""
        digest, dictionary_id = cells.get("digest", "").strip(), cells.get("dictionary", "").strip()
        info = self._by_id.get(dictionary_id)
        if digest:
            if info is not None and info.content == digest:
                return info  # of several with the same weights, the one that is named
            if digest not in self._by_digest:
                raise _Unknown(
                    f"No dictionary of this store has the digest '{digest[:12]}…', which the file "
                    f"calls '{dictionary_id}': the weights are others, or not in this store."
                )
            return self._by_digest[digest]
        if info is None:
            raise _Unknown(
                f"No dictionary '{dictionary_id}' in this store. {self._near(dictionary_id)}"
            )
        if not info.content:
            raise _Unknown(f"'{dictionary_id}' was built without a digest: build it again.")
        return info

    def _near(self, dictionary_id: str) -> str:
        """The dictionaries that may be meant; a row has no room for all of many."""
        close = difflib.get_close_matches(dictionary_id, self._by_id)
        if close:
            return f"Did you mean {' or '.join(close)}?"
        known = list(self._by_id)
        more = f" and {len(known) - _SHOWN:,} more" if len(known) > _SHOWN else ""
        return f"It has: {', '.join(known[:_SHOWN]) or 'none'}{more}."

    def _event(self, digest: str, feature: int) -> Event | None:
        if digest not in self._current:
            self._current[digest] = self._log.current(digest)
        return self._current[digest].get(feature)

    def _compared(self, row: ImportRow, cells: dict[str, str], event: Event | None) -> ImportRow:
        """A row beside what is there.

        Raises:
            AnnotationError: a cell cannot be taken.
        """
        made_from = origin(cells)
        stored = content_cells(row.before)
        edited = {
            name: cells[name]
            for name in CONTENT_COLUMNS
            if cells.get(name, stored[name]) != stored[name]
        }
        if not edited:
            return replace(row, outcome="unchanged", after=row.before)
        after = _content(row, edited)
        kept = [
            name
            for name, cell in edited.items()
            if self._is_spreadsheet and name != "verdict"
            if getattr(after, name) != getattr(row.before, name)
            if is_rewritten(stored[name], cell)
        ]
        after = replace(after, **{name: getattr(row.before, name) for name in kept})
        row = replace(row, after=after)
        if kept:
            row = replace(row, reason=f"Only written otherwise, so not taken: {', '.join(kept)}.")
        if after == row.before:
            return replace(row, outcome="rewritten" if kept else "unchanged")
        if event is not None and made_from and not made_from.is_of(event, self._is_spreadsheet):
            reason = f"{made_from.beside(event)} {row.reason}".strip()
            return replace(row, outcome="conflict", reason=reason)
        return replace(row, outcome="add" if row.before.is_empty else "change")


class _Unknown(Exception):
    """A row is of a dictionary or feature that is not in this store."""


def _content(row: ImportRow, edited: dict[str, str]) -> Content:
    """What is there with some cells in its place, as it would be saved.

    Raises:
        AnnotationError: a cell cannot be taken.
    """
    said: dict[str, Any] = dict(edited)
    if "verdict" in said:
        said["verdict"] = _verdict(said["verdict"])
    if "tags" in said:
        said["tags"] = tags_of(said["tags"])
    whole = replace(row, after=replace(row.before, **said))
    return cleaned(_draft(whole, author="whoever imports")).content


def _feature(text: str, info: DictionaryInfo) -> int:
    if not re.fullmatch("[0-9]{1,9}", text):
        raise _Unknown(
            f"'{text}' is not the number of a feature: digits alone are, so 12 and 1234, not "
            "12.0 or 1,234."
        )
    if int(text) >= info.n_features:
        raise _Unknown(
            f"'{info.dictionary_id}' has no feature {int(text)}: they are 0 to "
            f"{info.n_features - 1}."
        )
    return int(text)


def _verdict(text: str) -> Verdict | None:
    word = text.strip().casefold()
    if word and word not in list(Verdict):
        raise AnnotationError(
            f"The verdict is '{text}': allowed are {', '.join(Verdict)}, or nothing."
        )
    return Verdict(word) if word else None


def _draft(row: ImportRow, author: str) -> Draft:
    return Draft(
        uid=uuid.uuid4().hex,
        author=author,
        digest=row.digest,
        dictionary_id=row.dictionary,
        feature=int(row.feature),
        seen=row.seen,
        content=row.after,
        kind="import",
    )


def _read_csv(data: bytes, name: str) -> _Source:
    table = read_table(data, name)
    if "feature" not in table.header or not {"digest", "dictionary"} & set(table.header):
        raise TableError(
            f"{name} has the columns {', '.join(table.header)[:300]}. It needs 'feature', and "
            "'digest' or 'dictionary'; export annotations to see all columns."
        )
    ignored = [name for name in table.header if name not in (*COLUMNS, *EVIDENCE_COLUMNS, "")]
    records = (row for row in table.records() if any(row[1].values()))
    return _Source(records, tuple(ignored), is_spreadsheet=True)


def _read_json(data: bytes, name: str) -> _Source:
    rows = []
    for line, text in enumerate(decoded(data, name).split("\n"), 1):
        if not text.strip():
            continue
        if len(rows) == MOST_ROWS:
            raise TableError(f"{name} has more than {MOST_ROWS:,} rows. Split it.")
        rows.append((line, _json_cells(text, f"{name}, line {line}")))
    ignored = {key for _, cells in rows for key in cells} - {*COLUMNS, *_JSON_KNOWN}
    n_by_programs = sum(bool(cells.get("explanationModelName")) for _, cells in rows)
    return _Source(rows, tuple(sorted(ignored)), False, n_by_programs)


def _json_cells(text: str, where: str) -> dict[str, str]:
    """An object of JSON as texts by our names; what is no text of ours is written as JSON."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise TableError(f"{where}: it is no object of JSON in {{}}, one of which is on each line.")
    return {_JSON_NAMES.get(key, key): _json_cell(value) for key, value in found.items()}


def _json_cell(value: object) -> str:
    if isinstance(value, list) and all(isinstance(tag, str) for tag in value):
        return tags_text(value)
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value)
