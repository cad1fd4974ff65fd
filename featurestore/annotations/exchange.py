"""Annotations as files for spreadsheets and other programs; `importing` reads them back."""

import csv
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from featurestore.annotations.evidence import N_CONTEXTS, Evidence
from featurestore.annotations.log import AnnotationLog
from featurestore.annotations.records import Content, Event
from featurestore.errors import AnnotationError
from featurestore.records import DictionaryInfo
from featurestore.spreadsheet import as_json, table_csv

CONTENT_COLUMNS = ("verdict", "label", "note", "tags")
COLUMNS = ("dictionary", "feature", *CONTENT_COLUMNS, "author", "at", "revision", "digest")
EVIDENCE_COLUMNS = (
    *("density", "n_active", "max_activation", "promotes", "suppresses", "peaks_on"),
    *(f"context_{i}" for i in range(1, N_CONTEXTS + 1)),
)

_NAMES = ("dictionary", "digest")
"""Columns that other tables are joined on. What a spreadsheet makes of an id such as mar-2 is of no
matter to an import: the digest decides."""


def events_of(
    log: AnnotationLog, digest: str | None = None, features: Iterable[int] | None = None
) -> tuple[Event, ...]:
    """Current annotations that say something: all, one dictionary's, or some features' of it."""
    if digest is None or features is None:
        return log.all_current(None if digest is None else [digest])
    current = log.current(digest, features)
    return tuple(event for _, event in sorted(current.items()) if not event.content.is_empty)


def export_csv(
    events: Iterable[Event],
    evidence: Callable[[Event], Evidence | None] | None = None,
    bom: bool = True,
) -> bytes:
    """Annotations as a table of COLUMNS, followed by EVIDENCE_COLUMNS if evidence is given.

    `table_csv` says how a text is written. Tokens are JSON arrays, times are UTC.
    """
    header = COLUMNS if evidence is None else (*COLUMNS, *EVIDENCE_COLUMNS)
    lines = (
        _cells(event) + ([] if evidence is None else _evidence_cells(evidence(event)))
        for event in events
    )
    return table_csv(header, lines, bom, _NAMES)


def export_jsonl(events: Iterable[Event], dictionaries: Iterable[DictionaryInfo] = ()) -> bytes:
    """Annotations as JSON, one object a line, in the shape of Neuronpedia's explanations.

    Its `layer` is our dictionary; its `modelId` is null where no dictionary given has the digest.
    """
    models = {info.content: info.model_name for info in dictionaries}
    rows = (
        {
            "modelId": models.get(event.digest),
            "layer": event.dictionary_id,
            "index": str(event.feature),
            "description": event.content.label,
            "authorId": event.author,
            "notes": event.content.note,
            "typeName": "human",
            "explanationModelName": None,
            "verdict": event.content.verdict,
            "tags": event.content.tags,
            "at": event.at,
            "revision": event.revision,
            "digest": event.digest,
        }
        for event in events
    )
    # In ASCII: some readers take U+2028 and its like for the end of a line.
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def content_cells(content: Content) -> dict[str, str]:
    """What an annotation says as texts, one for each of CONTENT_COLUMNS."""
    return {
        "verdict": content.verdict or "",
        "label": content.label,
        "note": content.note,
        "tags": tags_text(content.tags),
    }


def tags_text(tags: Iterable[str]) -> str:
    """Tags in one cell: a; b. One that holds ; or " is quoted, with its own quotes doubled."""
    return "; ".join(
        '"' + tag.replace('"', '""') + '"' if ";" in tag or '"' in tag else tag for tag in tags
    )


def tags_of(text: str) -> tuple[str, ...]:
    """The tags in a cell; spaces around them do not count.

    Raises:
        AnnotationError: a quote is not closed.
    """
    line = " ".join(text.splitlines()).strip()
    try:
        tags = next(csv.reader([line], delimiter=";", skipinitialspace=True, strict=True), [])
    except csv.Error:
        raise AnnotationError(
            f"The tags cannot be told apart, for an open quote: {text!r}. Write them as a; b, and "
            'one that holds ; or " between quotes, with "" for each of its own.'
        ) from None
    return tuple(tag for tag in map(str.strip, tags) if tag)


def _cells(event: Event) -> list[Any]:
    return [
        event.dictionary_id,
        event.feature,
        *content_cells(event.content).values(),
        event.author,
        datetime.fromisoformat(event.at),  # a time as it is, not a text to be marked
        event.revision,
        event.digest,
    ]


def _evidence_cells(found: Evidence | None) -> list[Any]:
    if found is None:
        return [None] * len(EVIDENCE_COLUMNS)
    tokens = (found.promotes, found.suppresses, found.peaks_on)
    contexts = [*found.contexts, *[""] * N_CONTEXTS][:N_CONTEXTS]
    numbers = (found.density, found.n_active, found.max_activation)
    return [*numbers, *map(as_json, tokens), *contexts]
