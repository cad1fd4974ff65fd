"""Texts to contexts: fixed-length windows of tokens, numbered in a fixed order.

A document is tokenised whole and cut into contexts of `context_length` tokens, each opened by BOS
if `prepend_bos`. Context numbers follow the order of the documents, so they mean the same in every
run. The last context of a document is short: `n_valid` says how many of its tokens are real, and
everything behind is padding that no statistic may count.
"""

import glob
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int32
from transformers import PreTrainedTokenizerBase

from featurestore.errors import CorpusError


@dataclass(frozen=True)
class Document:
    """One text, with the name that orders and splits it."""

    name: str
    text: str


@dataclass(frozen=True)
class Corpus:
    """Contexts of a run, in their final order."""

    tokens: Int32[np.ndarray, "n_contexts pos"]
    """Token ids; what padding holds does not matter, because nothing looks back at it."""
    n_valid: Int32[np.ndarray, " n_contexts"]
    """Number of real tokens (BOS included) at the start of each context."""
    documents: tuple[str, ...]
    """Names of the documents."""
    document: Int32[np.ndarray, " n_contexts"]
    """Which document each context was cut from."""
    start: Int32[np.ndarray, " n_contexts"]
    """Where in that document its first text token stands, in tokens."""
    has_bos: bool
    """Whether position 0 is a BOS that was put there, and so no part of the text."""

    def is_valid(self, rows: slice) -> Bool[np.ndarray, "batch pos"]:
        """Which tokens of some contexts count: neither padding nor a BOS that was put there."""
        positions = np.arange(self.tokens.shape[1])
        valid = positions[None, :] < self.n_valid[rows, None]
        valid[:, : int(self.has_bos)] = False
        return valid

    @property
    def n_tokens(self) -> int:
        """Number of valid tokens: the denominator of every density."""
        return int(self.n_valid.sum(dtype=np.int64)) - len(self.n_valid) * int(self.has_bos)

    @property
    def token_mask(self) -> str:
        """The rule behind `is_valid`, in words."""
        return "padding and the BOS at position 0 left out" if self.has_bos else "padding left out"

    def digest(self) -> str:
        """SHA-256 of everything that contexts hold."""
        digest = hashlib.sha256("\0".join(self.documents).encode())
        for array in (self.tokens, self.n_valid, self.document, self.start):
            digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
        return digest.hexdigest()


def read_documents(patterns: Iterable[str]) -> list[Document]:
    """The UTF-8 text files that match the patterns, in an order that mixes them but is fixed.

    A document's name is its path below the folder that all of them share.

    Raises:
        CorpusError: nothing matches, or a file is no UTF-8 text.
    """
    patterns = tuple(patterns)
    found = {p for pattern in patterns for p in glob.glob(pattern, recursive=True)}
    paths = {path for path in map(Path, map(os.path.abspath, found)) if path.is_file()}
    if not paths:
        raise CorpusError(
            f"No file matches {', '.join(patterns)}. Check 'corpus.files' in the recipe: patterns "
            "are relative to it, and '**' goes through subfolders."
        )
    root = os.path.commonpath([path.parent for path in paths])
    documents = [Document(path.relative_to(root).as_posix(), _read(path)) for path in paths]
    return sorted(documents, key=lambda d: hashlib.sha256(d.name.encode()).digest())


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(f"Text file '{path}' is not UTF-8: {error}. Convert it first.") from error
    except OSError as error:
        raise CorpusError(f"Text file '{path}' cannot be read: {error.strerror}.") from error


def make_corpus(
    documents: Iterable[Document],
    tokenizer: PreTrainedTokenizerBase,
    context_length: int,
    prepend_bos: bool,
    max_tokens: int | None = None,
) -> Corpus:
    """Cut the documents, in the order given, into contexts; stop after `max_tokens` text tokens.

    Raises:
        CorpusError: no text at all, or a BOS is asked for and the tokenizer has none.
    """
    bos = tokenizer.bos_token_id
    if prepend_bos and bos is None:
        raise CorpusError(
            "The tokenizer has no BOS token to prepend. Set 'prepend_bos = false' under [corpus]."
        )
    body = context_length - int(prepend_bos)
    names, rows, n_valid, document_of, starts = [], [], [], [], []
    n_left = max_tokens
    for document in documents:
        if n_left is not None and n_left <= 0:
            break
        ids = encode(tokenizer, document.text)[:n_left]
        n_left = None if n_left is None else n_left - len(ids)
        for start in range(0, len(ids), body):
            row = ([bos] if prepend_bos else []) + ids[start : start + body]
            n_valid.append(len(row))
            rows.append(row + [bos or 0] * (context_length - len(row)))
            document_of.append(len(names))
            starts.append(start)
        names.append(document.name)
    if not rows:
        raise CorpusError("The corpus holds no text: every file is empty.")
    return Corpus(
        tokens=np.array(rows, dtype=np.int32).reshape(-1, context_length),
        n_valid=np.array(n_valid, dtype=np.int32),
        documents=tuple(names),
        document=np.array(document_of, dtype=np.int32),
        start=np.array(starts, dtype=np.int32),
        has_bos=prepend_bos,
    )


def encode(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Token ids of a text; special tokens written in it are plain text, not control tokens."""
    return tokenizer.encode(
        text, add_special_tokens=False, split_special_tokens=True, verbose=False
    )
