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
    names, parts = [], []
    n_left = max_tokens
    for document in documents:
        if n_left is not None and n_left <= 0:
            break
        ids = np.array(encode(tokenizer, document.text)[:n_left], dtype=np.int32)
        n_left = None if n_left is None else n_left - len(ids)
        parts.append(_cut(ids, context_length, bos if prepend_bos else None, bos or 0))
        names.append(document.name)
    n_contexts = [len(n_valid) for _, n_valid in parts]
    if not sum(n_contexts):
        raise CorpusError("The corpus holds no text: every file is empty.")
    body = context_length - int(prepend_bos)
    return Corpus(
        tokens=np.concatenate([tokens for tokens, _ in parts]),
        n_valid=np.concatenate([n_valid for _, n_valid in parts]),
        documents=tuple(names),
        document=np.repeat(np.arange(len(names), dtype=np.int32), n_contexts),
        start=np.concatenate([np.arange(n, dtype=np.int32) * body for n in n_contexts]),
        has_bos=prepend_bos,
    )


def _cut(
    ids: Int32[np.ndarray, " n_ids"], context_length: int, bos: int | None, padding: int
) -> tuple[Int32[np.ndarray, "n_contexts pos"], Int32[np.ndarray, " n_contexts"]]:
    """Contexts of one document, and how many real tokens each opens with."""
    n_special = int(bos is not None)
    body = context_length - n_special
    n_contexts = -(-len(ids) // body)
    text = np.full(n_contexts * body, padding, dtype=np.int32)
    text[: len(ids)] = ids
    tokens = np.full((n_contexts, context_length), bos or 0, dtype=np.int32)
    tokens[:, n_special:] = text.reshape(n_contexts, body)
    n_valid = np.full(n_contexts, context_length, dtype=np.int32)
    if n_contexts:
        n_valid[-1] = len(ids) - (n_contexts - 1) * body + n_special
    return tokens, n_valid


def encode(tokenizer: PreTrainedTokenizerBase, text: str, special: bool = False) -> list[int]:
    """Token ids of a text; special tokens written in it are plain text unless `special`."""
    return tokenizer.encode(
        text, add_special_tokens=False, split_special_tokens=not special, verbose=False
    )
