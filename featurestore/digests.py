"""Digests of files and of tables: two runs are the same if and only if these are."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(folder: Path, pattern: str = "*") -> str:
    """SHA-256 over the names and bytes of a folder's files, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob(pattern) if p.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{file_digest(path)}\n".encode())
    return digest.hexdigest()


class TableDigest:
    """A SHA-256 of a table's values that does not depend on how they are stored, and their number.

    Every column feeds hashes of its own (validity, list lengths, values), so the digest is the same
    for any size of batches. Floats count bit by bit: -0.0 is not 0.0, and a NaN equals itself.
    """

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._columns: list[list] = [[] for _ in names]
        self.n_rows = 0

    def update(self, batch: pa.RecordBatch) -> None:
        """Take in the rows that come next."""
        if batch.num_rows == 0:
            return  # an empty table may come as one empty batch or as none
        self.n_rows += batch.num_rows
        for hashes, column in zip(self._columns, batch.columns, strict=True):
            for i, piece in enumerate(_pieces(column)):
                if i == len(hashes):
                    hashes.append(hashlib.sha256())
                hashes[i].update(piece)

    def hexdigest(self) -> str:
        """The digest of all rows so far."""
        total = hashlib.sha256()
        for name, hashes in zip(self._names, self._columns, strict=True):
            total.update(name.encode() + b"\0")
            for piece_hash in hashes:
                total.update(piece_hash.digest())
        return total.hexdigest()


def table_digest(batches: pa.RecordBatchReader) -> tuple[int, str]:
    """Number of rows and `TableDigest` of a whole table."""
    digest = TableDigest(batches.schema.names)
    for batch in batches:
        digest.update(batch)
    return digest.n_rows, digest.hexdigest()


def _pieces(column: pa.Array) -> list[bytes]:
    """The bytes that stand for a column's values: validity, then lengths, then values."""
    valid = [np.asarray(pc.is_valid(column)).tobytes()]
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        lengths = pc.fill_null(pc.list_value_length(column), -1).cast(pa.int64())
        return [*valid, np.asarray(lengths).tobytes(), *_pieces(pc.list_flatten(column))]
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        lengths = pc.fill_null(pc.binary_length(column), 0).cast(pa.int64())
        return [*valid, np.asarray(lengths).tobytes(), _text_bytes(column)]
    filled = pc.fill_null(column, pa.scalar(0, pa.int8()).cast(column.type))
    return [*valid, np.asarray(filled).tobytes()]


def _text_bytes(column: pa.Array) -> bytes:
    """All texts of a column, one after the other, in UTF-8."""
    joined = pc.fill_null(column, "").cast(pa.large_binary())
    _, offsets, data = joined.buffers()
    ends = np.frombuffer(offsets, dtype=np.int64)[joined.offset : joined.offset + len(joined) + 1]
    return b"" if data is None else data[int(ends[0]) : int(ends[-1])].to_pybytes()
