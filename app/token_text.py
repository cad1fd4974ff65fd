"""Tokens as text that can be looked at: control characters as glyphs, HTML escaped. Pure.

A token may hold anything. What leaves here is either plain text for `textContent`, or HTML in
which every token has been escaped.
"""

import json
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from html import escape
from itertools import takewhile
from typing import Any

from app.numerals import exact, percent, short
from featurestore.byte_names import pieces
from featurestore.detail_records import AblatedContext
from featurestore.records import Band, Example, LensToken, Sampler

LONGEST_SHOWN = 120
"""Characters of a token that are shown in running text."""

LONGEST_CHIP = 24

_GLYPHS = {"\n": "↵", "\t": "⇥", "\r": "⟦CR⟧", "\0": "⟦NUL⟧", "\x1b": "⟦ESC⟧"}

_AT_ENDS = re.compile(r"(?<![^\n\t\r]) +| +(?![^\n\t\r])")
"""Spaces that begin or end a token or one of its lines, which nobody could count."""

_JOINER = re.compile(r"(?<=[^\x00-\x7f])[\u200c\u200d](?=[^\x00-\x7f])")
"""Without it some scripts are misspelled, and signs of several parts fall apart."""

_HIDDEN = {"Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn"}
"""Unicode categories that draw nothing or move what stands around them."""


def visible(token: str) -> str:
    """A token as it stands in running text: nothing invisible, nothing that reorders."""
    return _shown(token)


def label_text(text: str) -> str:
    """What somebody wrote, likewise, with the joiners that its script needs."""
    return _shown(text, {found.start() for found in _JOINER.finditer(text)})


def _shown(text: str, kept: Collection[int] = ()) -> str:
    """`kept`: positions of characters that stay as they are."""
    cut = enumerate(text[:LONGEST_SHOWN])
    shown = "".join(one if at in kept else _glyph(one) for at, one in cut)
    if shown and unicodedata.combining(shown[0]):
        shown = f"◌{shown}"
    if len(text) > LONGEST_SHOWN:
        return f"{shown}… ({len(text):,} characters)"
    return shown or "∅"


def alone(token: str) -> str:
    """A token standing by itself: its outer spaces and those of a line shown, cut to a chip."""
    shown = visible(_AT_ENDS.sub(lambda run: _spaces(len(run[0])), token))
    return shown if len(shown) <= LONGEST_CHIP else f"{shown[: LONGEST_CHIP - 1]}…"


def typed(text: str) -> str:
    """A searched text as its box shows it, where a line break could not stand."""
    return text.replace("\n", "↵").replace("\t", "⇥")


def meant(text: str) -> str:
    """The text to search for when a token is typed as it is shown: ↵, ⇥, ␣ or ␣×7 in it.

    Whoever writes ␣ wants that very token, so the text is quoted.
    """
    spaced = re.sub("␣(?:×([0-9]{1,3}))?", lambda found: " " * int(found[1] or 1), text)
    if spaced != text and not (len(text) > 2 and text[0] == text[-1] == '"'):
        spaced = f'"{spaced}"'
    return spaced.replace("↵", "\n").replace("⇥", "\t")


def quoted(token: str) -> str:
    """A token between quotes with every unusual character spelled out, for a tip."""
    text = token if len(token) <= 2 * LONGEST_SHOWN else f"{token[: 2 * LONGEST_SHOWN]}…"
    plain = json.dumps(text, ensure_ascii=False)
    return "".join(c if _glyph(c) == c else f"\\u{{{ord(c):x}}}" for c in plain)


def chip(token: str, count: int | None = None) -> str:
    """A token as a small HTML label."""
    label = f'<span class="fb-chip" title="{escape(quoted(token))}">{escape(alone(token))}</span>'
    if count is None:
        return label
    return f'<span class="fb-counted">{label}<i class="fb-times">×{count}</i></span>'


def chips(tokens: Iterable[tuple[str, int | None]], most: int | None = None) -> str:
    """Labels in a row, the first of them; how many are left out is said."""
    given = tuple(tokens)
    shown = [chip(*token) for token in given[:most]]
    if n_left := len(given) - len(shown):
        shown.append(f'<span class="fb-muted">and {n_left} more</span>')
    return f'<div class="fb-chips">{" ".join(shown)}</div>'


def lens_tables(
    promoted: tuple[LensToken, ...], suppressed: tuple[LensToken, ...], largest: float
) -> str:
    """Logit-lens tokens side by side, with bars as long as |logit| / largest."""
    lists = _lens("promotes", promoted, largest) + _lens("suppresses", suppressed, largest)
    return f'<div class="fb-lenses">{lists}</div>'


def _lens(role: str, tokens: tuple[LensToken, ...], largest: float) -> str:
    rows = "".join(
        f'<li><span class="fb-bar" style="width:{100 * abs(one.logit) / (largest or 1):.0f}%">'
        f'</span><span class="fb-token" title="{escape(quoted(one.token))}">'
        f'{escape(alone(one.token))}</span><span class="fb-number" title="{exact(one.logit)}">'
        f"{_signed(one.logit)}</span></li>"
        for one in tokens
    )
    return f'<div class="fb-lens fb-{role}"><h4>{role}</h4><ol>{rows}</ol></div>'


def payload(
    bands: tuple[Band, ...],
    n_active: int,
    n_contexts: int,
    n_tokens: int,
    scale: float,
    ablated: Mapping[int, AblatedContext] | None = None,
) -> dict[str, Any]:
    """What the token view draws: each distinct token once, activations sparse.

    The feature is active on `n_active` of `n_tokens` tokens, in `n_contexts` contexts. `scale` is
    its largest |activation|, so that one shade means one value everywhere. `ablated` are contexts
    on which it was removed, by number.
    """
    ablated = ablated or {}
    tokens: dict[tuple[str, str], int] = {}
    groups = [
        {
            "title": _title(band),
            "detail": _detail(band, n_active, n_contexts, n_tokens),
            "rows": [_row(one, tokens, ablated.get(one.context)) for one in band.examples],
        }
        for band in bands
    ]
    effects = [effect for one in ablated.values() for effect in one.effects.values()]
    largest = max(map(abs, effects), default=0.0)
    return {
        "tokens": [entry(*token) for token in tokens],
        "groups": groups,
        "scale": scale,
        "effect_scale": largest,
        "effect_text": short(largest),
    }


def entry(token: str, spelled: str | None = None) -> list[str | None]:
    """A token raw, as shown and as quoted; the raw one alone where all three are the same.

    `spelled` is what it shows instead of its own text, as `spell` gives it.
    """
    shown, tip = visible(token if spelled is None else spelled), quoted(token)
    is_plain = shown == token and tip == json.dumps(token, ensure_ascii=False)
    return [token] if is_plain else [token, shown, tip]


def spell(tokens: Sequence[str]) -> list[str]:
    """Tokens as running text: where several hold the bytes of one character, the first shows it.

    The others show a middle dot for theirs, as in Kö·chin, where ö is <0xC3> and <0xB6>. Bytes that
    make up no character stay as they are.
    """
    if not any("<0x" in token for token in tokens):  # nearly all contexts of English
        return list(tokens)
    parts = [(at, part) for at, token in enumerate(tokens) for part in pieces(token)]
    spelled = [""] * len(tokens)
    i = 0
    while i < len(parts):
        at, (text, byte) = parts[i]
        character, n = _character(parts[i : i + 4]) if byte else ("", 0)
        spelled[at] += character if n else text
        for later in dict.fromkeys(place for place, _ in parts[i + 1 : i + n]):
            spelled[later] += "·" if later != at else ""
        i += max(n, 1)
    return spelled


def _character(parts: Iterable[tuple[int, tuple[str, str]]]) -> tuple[str, int]:
    """The character that bytes begin with, and how many of them it is; n is 0 if it is none."""
    data = bytes(int(byte, 16) for byte in takewhile(bool, (byte for _, (_, byte) in parts)))
    for n in range(2, len(data) + 1):
        with suppress(UnicodeDecodeError):
            text = data[:n].decode("utf-8")
            return (text, n) if len(text) == 1 else ("", 0)
    return "", 0


def _row(
    example: Example, tokens: dict[tuple[str, str], int], ablated: AblatedContext | None
) -> dict[str, Any]:
    places = sorted(example.activations)
    scale = max((abs(value) for value in example.activations.values()), default=0.0)
    return {
        "document": visible(example.document),
        "context": example.context,
        "start": example.start,
        "peak": example.peak,
        "activation": short(example.activation),
        "exact": exact(example.activation),
        "step": scale / 254,  # stored to 1/127 of the largest, so off by half of that at most
        "tokens": [
            tokens.setdefault(token, len(tokens))
            for token in zip(example.tokens, spell(example.tokens), strict=True)
        ],
        "pos": places,
        "act": [example.activations[pos] for pos in places],
        "removed": ablated and _removed(ablated),
    }


def _removed(one: AblatedContext) -> dict[str, Any]:
    """What removing the feature does: an effect stands under the token that it is on, the next."""
    facts = f"KL {short(one.kl)} nats" if one.kl is not None else "no next token where it is active"
    if one.control_kl is not None:
        facts += f" · random {short(one.control_kl)}"
    return {
        "pos": [pos + 1 for pos in one.effects],
        "effect": list(one.effects.values()),
        "kl": "" if one.kl is None else f"KL {short(one.kl)}",
        "facts": facts,
        "n": _tokens(one.n_effects),
    }


def _title(band: Band) -> str:
    names: dict[Sampler, str] = {
        "top": "Highest activations",
        "random": "Random among active tokens",
        "zero": "Random among inactive tokens",
    }
    if band.sampler in names:
        return names[band.sampler]
    return f"{short(band.low)} to {short(band.high)}"


def _detail(band: Band, n_active: int, n_contexts: int, n_tokens: int) -> str:
    shown = f"{band.n_sampled} shown"
    if band.sampler == "zero":
        share = percent(band.n_band / n_tokens) if n_tokens else "–"
        return f"{shown} of {_tokens(band.n_band)} with activation 0 · {share} of all"
    if band.sampler == "top":
        return f"{shown} of {n_contexts:,} contexts · highest token of each, repeats left out"
    if band.sampler == "random":
        return f"{shown} of {n_active:,} active tokens"
    share = percent(band.n_band / n_active) if n_active else "–"
    return f"{shown} of {_tokens(band.n_band)} · {share} of active ones"


def _tokens(count: int) -> str:
    return f"{count:,} token{'' if count == 1 else 's'}"


def _glyph(character: str) -> str:
    if character in _GLYPHS:
        return _GLYPHS[character]
    category = unicodedata.category(character)
    if category in _HIDDEN or (category == "Zs" and character != " "):
        return f"⟦U+{ord(character):04X}⟧"
    return character


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _spaces(n: int) -> str:
    return "␣" * n if n <= 4 else f"␣×{n}"
