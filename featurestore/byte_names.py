"""Tokens that hold part of a letter: reading the names of their bytes, <0xC3>. Pure.

A byte-level tokenizer may cut ö into two tokens, <0xC3> and <0xB6>, and a token may begin or end
with such bytes. Names are of bytes from 80 on, since those below are text by themselves. A name is
read within one token; where a tokenizer has a token of these very characters, it is read as a byte
all the same. `vocabulary` writes the names at a build, by itself: it counts among the code that a
build is made by, and this does not.
"""

import codecs
import re
from collections.abc import Iterable

_PIECES = re.compile("(<0x([89A-F][0-9A-F])>|[^<]+|<)")


def pieces(token: str) -> list[tuple[str, str]]:
    """A token's parts in order: a text and "", or a byte's name and its number as two digits."""
    return _PIECES.findall(token) if "<0x" in token else [(token, "")]


def as_bytes(token: str) -> bytes:
    """The bytes that a token stands for: those that it names, the rest of it in UTF-8."""
    return b"".join(
        bytes.fromhex(byte) if byte else text_bytes(text) for text, byte in pieces(token)
    )


def text_bytes(text: str) -> bytes:
    """A text in UTF-8, in which nothing is a name; a lone surrogate is let through."""
    return text.encode("utf-8", errors="surrogatepass")


def as_text(data: bytes) -> str:
    """Bytes as text; those that are no UTF-8 by their names."""
    return data.decode("utf-8", errors="name_bytes")


def joined(tokens: Iterable[str]) -> str:
    """Tokens as one text, cut letters whole; bytes that make up no letter keep their names."""
    return as_text(b"".join(map(as_bytes, tokens)))


def _name_bytes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    bad = error.object[error.start : error.end]
    return "".join(f"<0x{byte:02X}>" for byte in bad), error.end


codecs.register_error("name_bytes", _name_bytes)
