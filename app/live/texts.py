"""Texts too long for a URL: remembered in this process, under keys that nobody can guess.

What is pasted may be private. It is never written to disk or logged; a link that holds a key shows
the text to whoever has the link, as one that holds the text does, until the process forgets it.
"""

import base64
import hashlib
import re
import secrets
from collections import OrderedDict
from threading import Lock
from urllib.parse import quote

URL_CHARACTERS = 1500
"""Longest text that a URL holds, percent-encoded."""

MAX_TEXTS = 256
"""Most texts remembered."""

MAX_REMEMBERED_BYTES = 16 * 1024 * 1024
"""Most bytes of UTF-8 remembered."""

_SECRET = secrets.token_bytes(32)
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def well_formed(text: str) -> str:
    """The text with U+FFFD for every lone surrogate, which no encoding can write."""
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


class TextMemory:
    """The texts used last, by key. Threads may share it."""

    def __init__(self) -> None:
        self._texts: OrderedDict[str, bytes] = OrderedDict()
        self._n_bytes = 0
        self._lock = Lock()

    @staticmethod
    def in_url(text: str) -> bool:
        """Whether a text is short enough to stand in a URL itself."""
        if len(text) > URL_CHARACTERS:
            return False
        return len(quote(well_formed(text), safe="")) <= URL_CHARACTERS

    def key(self, text: str) -> str:
        """Remember a text; its key, the same for the same text as long as the process lives."""
        content = well_formed(text).encode()
        digest = hashlib.blake2b(content, digest_size=9, key=_SECRET).digest()
        key = base64.urlsafe_b64encode(digest).decode()
        with self._lock:
            if key not in self._texts:
                self._texts[key] = content
                self._n_bytes += len(content)
            self._texts.move_to_end(key)
            while len(self._texts) > MAX_TEXTS or self._n_bytes > MAX_REMEMBERED_BYTES:
                _, forgotten = self._texts.popitem(last=False)
                self._n_bytes -= len(forgotten)
        return key

    def text(self, key: str) -> str | None:
        """The text of a key; None if it was never remembered here, or is forgotten."""
        with self._lock:
            content = self._texts.get(key)
            if content is None:
                return None
            self._texts.move_to_end(key)
        return content.decode()
