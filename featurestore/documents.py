"""Documents of a corpus, read one at a time: text files, rows of tables, Hugging Face data sets.

Files are taken in turn, a document of each, so that a corpus that ends after `max_tokens` has some
of all kinds. What is asked for no more is not read: such a corpus costs no more than its own
documents, however large the files are.
"""

import glob
import gzip
import hashlib
import json
import logging
import os
import re
import reprlib
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.config import CorpusConfig
from featurestore.errors import CorpusError

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset

logger = logging.getLogger(__name__)

LINES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
"""Endings of files with a JSON object on each line."""

EXPECTED = {
    None: "text, or a list of token ids",
    str: "text, as in the rows before",
    tuple: "a list of token ids, as in the rows before",
}
"""What a row may hold, by what was seen."""

IN_TURN = 64
"""Files that are open at once, each with some rows in memory."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Document:
    """One text, with the name that orders and splits it."""

    name: str
    text: str | tuple[int, ...]
    """The text, or the token ids of one that is tokenised already."""


def read_documents(settings: CorpusConfig) -> Iterator[Document]:
    """The documents of a corpus of files or of a data set, in their fixed order.

    Raises:
        CorpusError: nothing is there, or it cannot be read.
    """
    if settings.files is not None:
        return read_files(settings.files, settings.column)
    return read_dataset(settings)


def read_files(patterns: Iterable[str], column: str = "text") -> Iterator[Document]:
    """The documents of the files that match the patterns.

    A file of JSON lines or Parquet gives one for each row that is not null, from its `column`; any
    other file is one UTF-8 text. Names are paths below the folder that all files share, with
    `#row`, counted from 0, behind. Files come in an order that mixes them but is fixed, by a hash
    of their names, a document of each in turn; the rows of one as they stand in it. A file beyond
    the first `IN_TURN` takes its turn when one of them has come to its end.

    Raises:
        CorpusError: nothing matches, a file cannot be read, or a row holds neither text nor ids.
    """
    named = find_files(patterns)
    return _in_turn(_read(path, name, column) for name, path in named.items())


def find_files(patterns: Iterable[str]) -> dict[str, Path]:
    """The files that match the patterns, by their names, in their mixed order.

    Raises:
        CorpusError: nothing matches.
    """
    patterns = tuple(patterns)
    found = {p for pattern in patterns for p in glob.glob(pattern, recursive=True)}
    paths = {path for path in map(Path, map(os.path.abspath, found)) if path.is_file()}
    if not paths:
        folder = next((pattern for pattern in patterns if os.path.isdir(pattern)), None)
        hint = f" '{folder}' is a folder; its files are '{folder}/**/*'." if folder else ""
        raise CorpusError(
            f"No file matches {', '.join(patterns)}.{hint} Check 'corpus.files' in the recipe: "
            "patterns are relative to it, and '**' goes through subfolders."
        )
    root = os.path.commonpath([path.parent for path in paths])
    named = {path.relative_to(root).as_posix(): path for path in paths}
    mixed = sorted(named, key=lambda name: hashlib.sha256(name.encode()).digest())
    return {name: named[name] for name in mixed}


def _in_turn(files: Iterator[Iterator[Document]]) -> Iterator[Document]:
    """A document of each file in turn."""
    turn = deque(islice(files, IN_TURN))
    while turn:
        file = turn.popleft()
        document = next(file, None)
        if document is None:
            turn.extend(islice(files, 1))
            continue
        yield document
        turn.append(file)


def read_dataset(settings: CorpusConfig) -> Iterator[Document]:
    """The rows of a data set, in its own order: of the hub, streamed, or of a local folder.

    The folder is one of `save_to_disk` or holds data files. No code of a data set is run: the
    library has no way to.

    Raises:
        CorpusError: it cannot be reached or read, or has no such subset, split or column.
    """
    from datasets.exceptions import DatasetsError  # takes seconds, and few recipes need it

    where = f"Data set '{settings.dataset}'"
    is_local = Path(settings.dataset).is_dir()
    title = Path(settings.dataset).name if is_local else settings.dataset
    try:
        rows = _open_dataset(settings)
        columns = rows.column_names or list(next(iter(rows), {settings.column: None}))
        if settings.column not in columns:
            raise _no_column(where, settings.column, columns)
        values = (row[settings.column] for row in rows.select_columns([settings.column]))
        yield from _documents(enumerate(values), f"{title}/{settings.split}", where)
    except (OSError, ValueError, DatasetsError) as error:
        cure = "Check 'dataset', 'subset' and 'split' under [corpus]."
        if isinstance(error, ConnectionError):
            cure = (
                "There is no folder of this name, and the hub is not reached: check the network, "
                "and unset HF_HUB_OFFLINE if it is set. Without a network, fetch the files where "
                f"there is one (hf download --repo-type dataset {settings.dataset}) and give them "
                "as 'files'."
            )
        raise CorpusError(f"{where} could not be read. {cure} ({_first_line(error)})") from error


def _open_dataset(settings: CorpusConfig) -> "Dataset | IterableDataset":
    import datasets

    folder = Path(settings.dataset)
    if not (folder / "state.json").is_file() and not (folder / "dataset_dict.json").is_file():
        name, split = settings.subset, settings.split
        return datasets.load_dataset(settings.dataset, name=name, split=split, streaming=True)
    if settings.subset is not None:
        raise ValueError(f"it was written by save_to_disk and has no subset '{settings.subset}'")
    found = datasets.load_from_disk(str(folder))
    splits = found if isinstance(found, dict) else {str(found.split or settings.split): found}
    if settings.split not in splits:
        raise ValueError(f"it has no split '{settings.split}', but {', '.join(splits)}")
    return splits[settings.split].with_format(None)  # plain values, however it was saved


def _read(path: Path, name: str, column: str) -> Iterator[Document]:
    """The documents of one file."""
    if name.lower().endswith(LINES):
        yield from _documents(_lines(path, column), name, f"'{path}'")
    elif name.lower().endswith(".parquet"):
        yield from _documents(_parquet_rows(path, column), name, f"'{path}'")
    else:
        yield Document(name, _text(path))


def _documents(rows: Iterable[tuple[int, object]], name: str, where: str) -> Iterator[Document]:
    """A document for each numbered value that is not null; all are text, or all are ids."""
    kind: type | None = None
    n_null = 0
    try:
        for row, value in rows:
            if value is None:
                n_null += 1
                continue
            text = _text_or_ids(value)
            if text is None or kind not in (None, type(text)):
                raise CorpusError(
                    f"{where}, row {row}: found {reprlib.repr(value)}; expected {EXPECTED[kind]}."
                )
            kind = type(text)
            yield Document(f"{name}#{row}", text)
    finally:
        if n_null:
            logger.warning("%s: %d rows without a value were left out", where, n_null)


def _text_or_ids(value: object) -> str | tuple[int, ...] | None:
    """A value as a document holds it; None if it can be no document."""
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value)  # JSON may spell them
    if isinstance(value, list) and all(type(item) is int for item in value):
        return tuple(value)
    return None


def _lines(path: Path, column: str) -> Iterator[tuple[int, object]]:
    """Values of a file of JSON lines; an empty line is none."""
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    number, line = 0, b""
    try:
        with opened(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                found = json.loads(line.decode("utf-8"))
                if not isinstance(found, dict):
                    raise ValueError(f"found a {type(found).__name__}")
                if column not in found:
                    raise _no_column(f"'{path}', line {number}", column, list(found))
                yield number - 1, found[column]
    except (ValueError, RecursionError) as error:
        raise CorpusError(
            f"'{path}', line {number}, is no JSON object in UTF-8: {error}. It begins "
            f"{line[:60]!r}."
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise CorpusError(f"'{path}' cannot be read after line {number}: {error}.") from error


def _parquet_rows(path: Path, column: str) -> Iterator[tuple[int, object]]:
    """Values of a Parquet file's column."""
    row = 0
    try:
        with pq.ParquetFile(path) as file:
            columns = file.schema_arrow.names
            if column not in columns:
                raise _no_column(f"'{path}'", column, columns)
            for batch in file.iter_batches(batch_size=1024, columns=[column]):
                yield from enumerate(batch.column(0).to_pylist(), start=row)
                row += len(batch)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise CorpusError(
            f"Parquet file '{path}' cannot be read after row {row}: {_first_line(error)}."
        ) from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(f"Text file '{path}' is not UTF-8: {error}. Convert it first.") from error
    except OSError as error:
        raise CorpusError(f"Text file '{path}' cannot be read: {error.strerror}.") from error


def _no_column(where: str, column: str, columns: Iterable[str]) -> CorpusError:
    return CorpusError(
        f"{where} has no column '{column}'; it has: {', '.join(columns)}. Set 'column' under "
        "[corpus] to the one with text, or with lists of token ids."
    )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
