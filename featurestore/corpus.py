"""Texts to contexts: fixed-length windows of tokens, numbered in a fixed order.

A document is tokenised whole and cut into contexts of `context_length` tokens, each opened by BOS
if `prepend_bos`. Context numbers follow the order of the documents, so they mean the same in every
run. The last context of a document is short: `n_valid` says how many of its tokens are real, and
everything behind is padding that no statistic may count.

The vocabulary can be a corpus too, each of its tokens a context: then the rows of the embedding
matrix count alike, where a text counts each as often as it writes the token.
"""

import hashlib
import logging
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int32
from transformers import PreTrainedTokenizerBase

from featurestore.config import CorpusConfig
from featurestore.documents import Document, find_files, read_documents
from featurestore.errors import CorpusError, RecipeError
from featurestore.inference import LanguageModel

logger = logging.getLogger(__name__)

_ROW = re.compile(r"#[0-9]+\Z")

FILES_TOLD = 8
"""Files that a message names."""


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

    def by_file(self) -> dict[str, tuple[int, int]]:
        """Number of documents and of valid tokens of each file, by name."""
        each = self.n_valid - int(self.has_bos)
        tokens = np.bincount(self.document, each, len(self.documents)).astype(np.int64)
        n_documents, n_tokens = Counter[str](), Counter[str]()
        for document, n in zip(self.documents, tokens.tolist(), strict=True):
            file = _ROW.sub("", document)
            n_documents[file] += 1
            n_tokens[file] += n
        return {file: (n, n_tokens[file]) for file, n in n_documents.items()}

    def digest(self) -> str:
        """SHA-256 of everything that contexts hold."""
        digest = hashlib.sha256("\0".join(self.documents).encode())
        for array in (self.tokens, self.n_valid, self.document, self.start):
            digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
        return digest.hexdigest()


def read_corpus(settings: CorpusConfig, model: LanguageModel) -> Corpus:
    """The contexts that a recipe asks for.

    Raises:
        BadInput: the texts cannot be read, or contexts are longer than the model reads.
    """
    if settings.context_length > model.context_limit:
        raise RecipeError(
            f"'corpus.context_length' is {settings.context_length}, but model '{model.name}' "
            f"reads at most {model.context_limit} tokens. Set 'context_length' under [corpus] to "
            "that or less."
        )
    if settings.vocabulary:
        return vocabulary_corpus(model.tokenizer, model.d_vocab, settings.prepend_bos)
    corpus = make_corpus(
        read_documents(settings),
        model.tokenizer,
        settings.context_length,
        settings.prepend_bos,
        settings.max_tokens,
        model.d_vocab,
    )
    if settings.files is not None and corpus.n_tokens == settings.max_tokens:
        logger.info(what_was_read(corpus, find_files(settings.files)))
    return corpus


def what_was_read(corpus: Corpus, files: Iterable[str]) -> str:
    """How much of each file is in a corpus that ended early, and of which there is nothing."""
    found = corpus.by_file()
    lines = [
        f"{file}: {n:,} document{'' if n == 1 else 's'}, {n_tokens:,} tokens"
        for file, (n, n_tokens) in found.items()
    ]
    missing = [file for file in files if file not in found]
    nothing = f"; nothing of {_first(missing, ', ')}" if missing else ""
    return f"max_tokens = {corpus.n_tokens:,} reached. Read of {_first(lines, '; ')}{nothing}"


def _first(names: list[str], between: str) -> str:
    more = len(names) - FILES_TOLD
    return between.join(names[:FILES_TOLD]) + (f" and {more:,} more files" if more > 0 else "")


def make_corpus(
    documents: Iterable[Document],
    tokenizer: PreTrainedTokenizerBase,
    context_length: int,
    prepend_bos: bool,
    max_tokens: int | None = None,
    d_vocab: int | None = None,
) -> Corpus:
    """Cut the documents, in the order given, into contexts; stop after `max_tokens` text tokens.

    Token ids of a document that is tokenised already are taken as they are, if a model with
    `d_vocab` tokens (the tokenizer's, if absent) can read them; only a BOS at their start goes
    where one is put there anyway.

    Raises:
        CorpusError: no text at all, an id that the model has not, or a BOS is asked for and the
            tokenizer has none.
    """
    bos = _bos(tokenizer, prepend_bos)
    padding = tokenizer.bos_token_id or 0
    d_vocab = d_vocab or len(tokenizer)
    names, parts = [], []
    n_left = max_tokens
    for document in documents:
        if n_left is not None and n_left <= 0:
            break
        ids = _ids(document, tokenizer, bos, d_vocab)[:n_left]
        n_left = None if n_left is None else n_left - len(ids)
        parts.append(_cut(ids, context_length, bos, padding))
        names.append(document.name)
    n_contexts = [len(n_valid) for _, n_valid in parts]
    if not sum(n_contexts):
        raise CorpusError("The corpus holds no text: every file or row is empty.")
    body = context_length - int(prepend_bos)
    return Corpus(
        tokens=np.concatenate([tokens for tokens, _ in parts]),
        n_valid=np.concatenate([n_valid for _, n_valid in parts]),
        documents=tuple(names),
        document=np.repeat(np.arange(len(names), dtype=np.int32), n_contexts),
        start=np.concatenate([np.arange(n, dtype=np.int32) * body for n in n_contexts]),
        has_bos=prepend_bos,
    )


def vocabulary_corpus(
    tokenizer: PreTrainedTokenizerBase, d_vocab: int, prepend_bos: bool
) -> Corpus:
    """Every token of the vocabulary, by id, as a context of its own: [BOS, t], or [t] without BOS.

    Special tokens are among them, since they are read too. Ids that the tokenizer does not know,
    with which models fill up their matrices, are not. `start` of a context is the token's id.

    Raises:
        CorpusError: a BOS is asked for and the tokenizer has none.
    """
    bos = _bos(tokenizer, prepend_bos)
    known = set(tokenizer.get_vocab().values())
    ids = np.array([i for i in range(d_vocab) if i in known], dtype=np.int32)
    columns = [ids] if bos is None else [np.full_like(ids, bos), ids]
    return Corpus(
        tokens=np.stack(columns, axis=1),
        n_valid=np.full_like(ids, len(columns)),
        documents=("vocabulary",),
        document=np.zeros_like(ids),
        start=ids,
        has_bos=prepend_bos,
    )


def _bos(tokenizer: PreTrainedTokenizerBase, prepend_bos: bool) -> int | None:
    """What contexts open with, if anything."""
    if prepend_bos and tokenizer.bos_token_id is None:
        raise CorpusError(
            "The tokenizer has no BOS token to prepend. Set 'prepend_bos = false' under [corpus]."
        )
    return tokenizer.bos_token_id if prepend_bos else None


def _ids(
    document: Document, tokenizer: PreTrainedTokenizerBase, bos: int | None, d_vocab: int
) -> Int32[np.ndarray, " n_ids"]:
    """Token ids of a document, without the BOS that each of its contexts gets."""
    if isinstance(document.text, str):
        return np.array(encode(tokenizer, document.text), dtype=np.int32)
    ids = document.text
    if ids and not 0 <= min(ids) <= max(ids) < d_vocab:
        wrong = next(i for i in ids if not 0 <= i < d_vocab)
        raise CorpusError(
            f"'{document.name}' holds the token id {wrong}; the model's are 0 to {d_vocab - 1}. "
            "Take what was tokenised for this model, or give the text."
        )
    has_own_bos = bos is not None and ids[:1] == (bos,)
    return np.array(ids[int(has_own_bos) :], dtype=np.int32)


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
