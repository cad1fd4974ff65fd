"""How well does a label predict where a feature is active? A score that needs no model. Pure.

A label is scored by the tokens that it names (`example_tokens`), on contexts that were held out.
Each context has one position that decides, the sampled one, and gets a grade:

    2   an example token, or the last letter of an example text, stands at that position
    1   none there, but one within the BEFORE tokens before it
    0   neither

Nothing after the position counts: the model had not read it yet. Only a letter that the tokenizer
cuts counts from its first byte on, since pages show it whole there. Grades instead of counts,
because a feature is active on a token or because of a recent one, and a token that is frequent in a
long context says nothing of this position.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from math import sqrt

import numpy as np

from featurestore.byte_names import as_bytes, text_bytes
from featurestore.explanations.example_tokens import ExampleTokens, example_tokens
from featurestore.records import Example

BEFORE = 8
"""Tokens before the sampled one that count as its context."""
CONTROL_DRAWS = 50
_MOST_BYTES = 4
"""Of a letter in UTF-8."""
FEWEST = 2
"""Contexts needed on either side."""


@dataclass(frozen=True)
class LabelScore:
    """How far the tokens that a label names tell a feature's active contexts from silent ones."""

    auc: float | None
    """Chance that an active context has a higher grade than a silent one, ties counted half: 1
    perfect, 0.5 no better than chance, 0 always the wrong way round. None: see `reason`."""
    se: float | None
    """Standard error of `auc`, see `standard_error`; None without one."""
    n_active: int
    n_inactive: int
    examples: ExampleTokens
    """What the label was taken to name."""
    control_auc: float | None
    """Mean AUC of as many random tokens, drawn by how frequent they are in the same contexts, never
    those of the label; None where there are none to draw, or no `auc`."""
    control_n: int
    """Number of draws behind `control_auc`."""
    seed: int
    """That drew these."""
    reason: str = ""
    """Why there is no `auc`, in a sentence."""


def score_label(
    label: str, active: Iterable[Example], inactive: Iterable[Example], seed: int = 0
) -> LabelScore:
    """Score a label on held-out examples, for instance those of `Split.held_out`.

    `seed` (0 or more) draws the control. Each example counts as one independent context.
    """
    active, inactive = tuple(active), tuple(inactive)
    contexts = {e.context: e.tokens for e in (*active, *inactive)}
    counts = Counter(token for tokens in contexts.values() for token in tokens)
    examples = example_tokens(label, counts)
    reason = _reason(examples, len(active), len(inactive))
    if reason:
        return LabelScore(None, None, len(active), len(inactive), examples, None, 0, seed, reason)
    found = auc([grade(e, examples) for e in active], [grade(e, examples) for e in inactive])
    control = _control(examples, counts, active, inactive, seed)
    return LabelScore(
        found,
        standard_error(found, len(active), len(inactive)),
        len(active),
        len(inactive),
        examples,
        sum(control) / len(control) if control else None,
        len(control),
        seed,
    )


def grade(example: Example, examples: ExampleTokens) -> int:
    """2, 1 or 0: whether the tokens named stand at the sampled position, before it, or neither."""
    tokens, peak = example.tokens, example.peak
    named = set(examples.tokens)
    if tokens[peak] in named:
        return 2
    first = max(0, peak - BEFORE)
    is_before = not named.isdisjoint(tokens[first:peak])
    if not examples.texts:
        return int(is_before)
    read = [as_bytes(token) for token in tokens[: peak + 1]]
    text = b"".join(read) + _rest_of_letter(tokens[peak + 1 :])
    parts = map(text_bytes, examples.texts)
    end = max((text.rfind(part) + len(part) for part in parts if part in text), default=0)
    if end > sum(map(len, read[:peak])):
        return 2
    return int(is_before or end > sum(map(len, read[:first])))


def _rest_of_letter(tokens: Iterable[str]) -> bytes:
    """The bytes at the front of these tokens that go on with a letter: 10xxxxxx in UTF-8."""
    following = b"".join(map(as_bytes, islice(tokens, _MOST_BYTES - 1)))
    return bytes(takewhile(lambda byte: byte & 0xC0 == 0x80, following))


def auc(active: Sequence[float], inactive: Sequence[float]) -> float:
    """P(active > inactive) + P(tie) / 2 over all pairs (Mann-Whitney), in float64.

    Both must hold something, and no NaN.
    """
    below = np.sort(np.asarray(inactive, dtype=np.float64))
    wins = np.searchsorted(below, active, side="left")
    wins_and_ties = np.searchsorted(below, active, side="right")
    return float((wins + wins_and_ties).sum() / (2 * len(active) * len(inactive)))


def standard_error(found: float, n_active: int, n_inactive: int) -> float:
    """Standard error of an AUC A after Hanley & McNeil (Radiology 143, 1982), float64.

        sqrt((A (1 - A) + (n_active - 1)(Q1 - A²) + (n_inactive - 1)(Q2 - A²))
             / (n_active n_inactive)),    Q1 = A / (2 - A),    Q2 = 2 A² / (1 + A)

    It supposes independent contexts and scores without ties, and is 0 at A = 0 and A = 1 however
    few the contexts: read it beside n.
    """
    q1, q2 = found / (2 - found), 2 * found**2 / (1 + found)
    variance = found * (1 - found)
    variance += (n_active - 1) * (q1 - found**2) + (n_inactive - 1) * (q2 - found**2)
    return sqrt(max(variance, 0.0) / (n_active * n_inactive))


def _reason(examples: ExampleTokens, n_active: int, n_inactive: int) -> str:
    """Why there is no score; empty if there is one."""
    for n, kind in ((n_active, "active"), (n_inactive, "silent")):
        if n < FEWEST:
            held_out = "context is" if n == 1 else "contexts are"
            cure = "" if kind == "active" else " Raise passes.n_zero of the recipe and build again."
            return f"{n} {kind} {held_out} held out; {FEWEST} are needed.{cure}"
    if not examples.n:
        return (
            "It names no token: nothing stands between quotes, and no word that is counted is a "
            "token of the held-out contexts. Not counted are words of one or two letters and "
            "function words such as for, the, with; between quotes any token or text is."
        )
    return ""


def _control(
    examples: ExampleTokens,
    counts: Counter[str],
    active: tuple[Example, ...],
    inactive: tuple[Example, ...],
    seed: int,
) -> list[float]:
    """AUCs of random tokens, as many as the label names, or as many as there are."""
    named = set(examples.tokens)
    parts = [text_bytes(text) for text in examples.texts]
    others = [
        token
        for token in sorted(counts)
        if token not in named and not any(part in as_bytes(token) for part in parts)
    ]
    if not others:
        return []
    # Exponential times at the rate of its frequency: the first n to come are a weighted draw
    # without replacement (Efraimidis & Spirakis 2006).
    n = min(examples.n, len(others))
    times = np.random.default_rng(seed).exponential(size=(CONTROL_DRAWS, len(others)))
    first = np.argpartition(times / [counts[token] for token in others], n - 1, axis=1)[:, :n]
    found = []
    for row in first:
        drawn = ExampleTokens(tuple(others[i] for i in row), (), False)
        found.append(auc([grade(e, drawn) for e in active], [grade(e, drawn) for e in inactive]))
    return found
