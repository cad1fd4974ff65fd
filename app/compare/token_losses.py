"""What a dictionary's vectors cost at each token, against how often the token stands in the corpus.

Pure. Means over tokens are weighted by how often each stands in the sample.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from app import markup, token_text
from app.numerals import percent, short
from featurestore.detail_records import SubstitutedToken

DRAWN_AT_MOST = 2000
"""Points that a browser draws without delay: of the tokens that stand most often in the sample."""

COSTLIEST = 10
"""Tokens that are named."""


@dataclass(frozen=True)
class FrequencyBin:
    """Tokens about as frequent as each other: `low` to less than `high` times in the corpus."""

    low: int
    high: int
    n_tokens: int
    """Different tokens."""
    n: int
    """Times that they stand in the sample."""
    kl: float
    control_kl: float

    @property
    def middle(self) -> float:
        """On a logarithmic scale."""
        return math.sqrt(self.low * self.high)


def by_frequency(tokens: Iterable[SubstitutedToken]) -> tuple[FrequencyBin, ...]:
    """Bins of 1 to 3, 4 to 15, 16 to 63 times and so on, in which there are tokens.

    Tokens that count nowhere in the corpus are in none.
    """
    found = defaultdict(list)
    for token in tokens:
        if token.n_corpus:
            found[(token.n_corpus.bit_length() - 1) // 2].append(token)
    return tuple(_bin(power, found[power]) for power in sorted(found))


def _bin(power: int, tokens: list[SubstitutedToken]) -> FrequencyBin:
    n = sum(token.n for token in tokens)
    return FrequencyBin(
        4**power,
        4 ** (power + 1),
        len(tokens),
        n,
        math.fsum(token.n * token.kl for token in tokens) / n,
        math.fsum(token.n * token.control_kl for token in tokens) / n,
    )


def drawn(tokens: Iterable[SubstitutedToken]) -> tuple[SubstitutedToken, ...]:
    """Those that have a place on a logarithmic plane, the most frequent in the sample first."""
    placed = [token for token in tokens if token.n_corpus and token.kl > 0]
    return tuple(sorted(placed, key=lambda token: -token.n)[:DRAWN_AT_MOST])


def costliest(tokens: Iterable[SubstitutedToken]) -> tuple[tuple[SubstitutedToken, float], ...]:
    """Tokens on which most is lost in all, with their shares of the sum of KL."""
    tokens = tuple(tokens)
    total = math.fsum(token.n * token.kl for token in tokens)
    if not total:
        return ()
    ordered = sorted(tokens, key=lambda token: -token.n * token.kl)
    return tuple((token, token.n * token.kl / total) for token in ordered[:COSTLIEST])


def told(token: SubstitutedToken) -> str:
    """What a tip says of a token, below it."""
    error = "" if token.kl_se is None else f" ± {short(token.kl_se)}"
    return (
        f"KL {short(token.kl)}{error} nats, random {short(token.control_kl)}, over {token.n:,} of "
        f"{token.n_corpus:,} in the corpus"
    )


def told_of_bin(one: FrequencyBin) -> str:
    """What a tip says of a point of a line."""
    times = f"{one.low:,} to {one.high - 1:,} times in the corpus"
    ratio = f", ratio {short(one.kl / one.control_kl)}" if one.control_kl else ""
    return (
        f"KL {short(one.kl)} nats, random {short(one.control_kl)}{ratio}: {one.n_tokens:,} tokens "
        f"that stand {times}, {one.n:,} in the sample"
    )


def summary(tokens: tuple[SubstitutedToken, ...]) -> str:
    """How many tokens there are, and how many have a place."""
    n_shown = len(drawn(tokens))
    n = sum(token.n for token in tokens)
    in_all = (
        f"{len(tokens):,} different tokens, {n:,} in all",
        "Of the tokens that are scored; the last one of a context has no next token to lose",
    )
    parts: list[str | tuple[str, str]] = [in_all]
    if n_shown < len(tokens):
        why = "The most frequent of the sample on which anything is lost; lines are over all"
        parts.append((f"{n_shown:,} are drawn", why))
    return markup.line(parts)


def costliest_chips(tokens: tuple[SubstitutedToken, ...]) -> str:
    """The tokens on which most is lost, as labels with shares; "" if nothing is lost."""
    found = costliest(tokens)
    if not found:
        return ""
    detail = "share of the sum of KL over the sample"
    labels = " ".join(
        f'<span class="fb-counted" title="{escape(told(token))}">'
        f'{token_text.chip(token.token)}<i class="fb-times">{escape(percent(share))}</i></span>'
        for token, share in found
    )
    return markup.part("Most is lost on", detail) + f'<div class="fb-chips">{labels}</div>'
