"""The text of every token, byte-exact where it is text and visible where it is not."""

import codecs
import re
from collections.abc import Iterable

import numpy as np
from transformers import PreTrainedTokenizerBase
from transformers.convert_slow_tokenizer import bytes_to_unicode


def _show_bytes(error: UnicodeError) -> tuple[str, int]:
    """Write bytes that are no UTF-8 as <0xE2>."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    bad = error.object[error.start : error.end]
    return "".join(f"<0x{byte:02X}>" for byte in bad), error.end


codecs.register_error("show_bytes", _show_bytes)

_BYTE_OF = {character: byte for byte, character in bytes_to_unicode().items()}


def token_texts(tokenizer: PreTrainedTokenizerBase, d_vocab: int) -> list[str]:
    """Texts of the token ids 0 to d_vocab - 1; an id that the tokenizer lacks as <|id 50300|>."""
    is_byte_level = _is_byte_level(tokenizer)
    as_they_are = {*tokenizer.all_special_ids, *tokenizer.get_added_vocab().values()}
    pieces = tokenizer.convert_ids_to_tokens(list(range(min(d_vocab, len(tokenizer)))))
    texts = []
    for token_id in range(d_vocab):
        piece = pieces[token_id] if token_id < len(pieces) else None
        if piece is None:
            texts.append(f"<|id {token_id}|>")
        elif token_id in as_they_are:
            texts.append(piece)
        elif is_byte_level:
            texts.append(_from_byte_level(piece))
        else:
            texts.append(_from_sentencepiece(piece))
    return texts


def context_texts(tokenizer: PreTrainedTokenizerBase, contexts: Iterable[np.ndarray]) -> list[str]:
    """The text of each context, decoded whole: so a character of several tokens comes out right.

    Special tokens stay in it, ids that the tokenizer lacks do not, and bytes that are no UTF-8,
    at a cut above all, are U+FFFD.
    """
    return [
        tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        for tokens in contexts
    ]


def _is_byte_level(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether pieces spell bytes, as GPT-2's do, and not characters, as SentencePiece's."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    return backend is not None and "ByteLevel" in str(backend.decoder)


def _from_byte_level(piece: str) -> str:
    if not all(character in _BYTE_OF for character in piece):
        return piece
    return bytes(_BYTE_OF[character] for character in piece).decode("utf-8", errors="show_bytes")


def _from_sentencepiece(piece: str) -> str:
    byte = re.fullmatch("<0x([0-9A-F]{2})>", piece)
    if byte:
        return bytes.fromhex(byte.group(1)).decode("utf-8", errors="show_bytes")
    return piece.replace("\u2581", " ")
