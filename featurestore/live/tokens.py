"""A pasted text to tokens: refused if too long, never cut; whatever it holds, it is only text."""

import re

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
    _check_length(len(ids), loaded, limits)
    notes = ()
    if n_lone:
        notes = (f"{n_lone:,} halves of surrogate pairs, which are no text, are read as U+FFFD.",)
    texts = loaded.model.token_texts
    return Tokens(tuple(ids), tuple(texts[i] for i in ids), loaded.info.has_bos, notes)


def _check_length(n_tokens: int, loaded: Loaded, limits: Limits) -> None:
    readable = loaded.model.language_model.context_limit - int(loaded.info.has_bos)
    if n_tokens <= min(limits.n_tokens, readable):
        return
    limit = f"{limits.n_tokens:,} are taken"
    if readable < limits.n_tokens:
        after = " after its BOS" if loaded.info.has_bos else ""
        limit = f"model '{loaded.info.model_name}' reads {readable:,}{after}"
    raise TextError(f"The text has {n_tokens:,} tokens; {limit}. Nothing was cut: shorten it.")
