"""A pasted text to tokens: refused if too long, never cut; whatever it holds, it is only text."""

import re
import sys
from collections.abc import Sequence

from featurestore.corpus import encode
from featurestore.errors import TextError
from featurestore.live.records import Limits, Tokens
from featurestore.live.weights import Loaded

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def read_text(text: str, loaded: Loaded, limits: Limits, special: bool = False) -> Tokens:
    """A text as a dictionary's model reads it, with a BOS in front if its build put one there.

    Special tokens written in it are plain text unless `special`.

    Raises:
        TextError: it is too long, or holds no token.
    """
    mended, n_lone = _LONE_SURROGATE.subn("\N{REPLACEMENT CHARACTER}", text)
    n_bytes = len(mended.encode())
    if n_bytes > limits.n_bytes:
        raise TextError(
            f"The text has {n_bytes:,} bytes; {limits.n_bytes:,} are taken. Nothing was cut: "
            "shorten it."
        )
    ids = encode(loaded.model.language_model.tokenizer, mended, special)
    if not ids:
        raise TextError("The text holds no token. Paste one.")
    check_fits(ids, loaded, limits.n_tokens)
    notes = ()
    if n_lone:
        notes = (f"{n_lone:,} halves of surrogate pairs, which are no text, are read as U+FFFD.",)
    texts = loaded.model.token_texts
    return Tokens(tuple(ids), tuple(texts[i] for i in ids), loaded.info.has_bos, notes)


def check_fits(ids: Sequence[int], loaded: Loaded, n_taken: int = sys.maxsize) -> None:
    """Raise TextError unless a dictionary's model can read the tokens, and they are few enough."""
    model, info = loaded.model.language_model, loaded.info
    readable = model.context_limit - int(info.has_bos)
    if len(ids) > min(n_taken, readable):
        limit = f"{n_taken:,} are taken"
        if readable < n_taken:
            after = " after its BOS" if info.has_bos else ""
            limit = f"model '{info.model_name}' reads {readable:,}{after}"
        raise TextError(f"The text has {len(ids):,} tokens; {limit}. Nothing was cut: shorten it.")
    if max(ids) >= model.d_vocab:
        raise TextError(
            f"The tokenizer knows a token {max(ids):,} that is in the text; model "
            f"'{info.model_name}' has {model.d_vocab:,} tokens. Take it out of the text."
        )
