import math
import random
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from featurestore.explanations.example_tokens import ExampleTokens
from featurestore.explanations.scoring import (
    BEFORE,
    CONTROL_DRAWS,
    auc,
    grade,
    score_label,
    standard_error,
)
from featurestore.records import Example


def example(*tokens: str, peak: int = -1, context: int = 0) -> Example:
    return Example(
        context=context,
        document="a.txt",
        start=0,
        tokens=tokens,
        token_ids=tuple(range(len(tokens))),
        peak=peak % len(tokens),
        activation=1.0,
        activations={},
    )


def numbered(lists: Iterable[tuple[str, ...]], start: int = 0) -> list[Example]:
    return [example(*tokens, context=start + i) for i, tokens in enumerate(lists)]


def slow_auc(active: list[float], inactive: list[float]) -> float:
    pairs = [(a > b) + (a == b) / 2 for a in active for b in inactive]
    return math.fsum(pairs) / len(pairs)


@pytest.mark.parametrize(
    ("active", "inactive", "expected"),
    [
        ([1, 2], [0, 0], 1.0),
        ([0, 0], [0, 0], 0.5),
        ([0, 0], [1, 2], 0.0),
        ([2, 0], [1, 0], (1 + 1 + 0 + 0.5) / 4),
        ([2, 1, 0], [1, 0, 0, 0], (4 + 0.5 + 3 + 1.5) / 12),
    ],
)
def test_auc_by_hand(active: list[float], inactive: list[float], expected: float) -> None:
    assert auc(active, inactive) == expected


@pytest.mark.parametrize("seed", range(20))
def test_auc_is_scikit_learns_with_ties(seed: int) -> None:
    rng = random.Random(seed)
    active = [rng.randrange(4) for _ in range(rng.randrange(2, 60))]
    inactive = [rng.randrange(3) for _ in range(rng.randrange(2, 60))]
    truth = [1] * len(active) + [0] * len(inactive)
    assert auc(active, inactive) == pytest.approx(roc_auc_score(truth, active + inactive), abs=1e-9)
    assert auc(active, inactive) == pytest.approx(slow_auc(active, inactive), abs=1e-12)


def test_standard_error_is_hanley_and_mcneils() -> None:
    # Table II's example: A = 0.893, 51 abnormal and 58 normal images, SE 0.032
    assert standard_error(0.893, 51, 58) == pytest.approx(0.0321, abs=5e-4)
    # by hand: A = 1/2, so Q1 = 1/3 and Q2 = 1/3; (1/4 + 2 (1/12)) / 4
    assert standard_error(0.5, 2, 2) == pytest.approx(math.sqrt((1 / 4 + 2 / 12) / 4))
    assert [standard_error(a, 9, 5) for a in (0.0, 1.0)] == [0.0, 0.0]


def test_standard_error_is_near_the_spread_of_samples() -> None:
    rng = np.random.default_rng(0)
    found = [auc(rng.exponential(3, 40), rng.exponential(1, 30)) for _ in range(2000)]
    assert standard_error(0.75, 40, 30) == pytest.approx(np.std(found), rel=0.1)


RIVER = ExampleTokens((" river",), (), True)
FAR = (" x",) * BEFORE


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (example(" the", " river"), 2),
        (example(" river", " bank"), 1),
        (example(" the", " bank"), 0),
        (example(" river", *FAR), 1),  # the first of the tokens that count
        (example(" river", *FAR, " x"), 0),  # one too far
        (example(" the", " bank", " river", peak=1), 0),  # comes after
        (example(" river", peak=0), 2),
        (example("river"), 0),  # another token
    ],
)
def test_grades_of_a_token(one: Example, expected: int) -> None:
    assert grade(one, RIVER) == expected


NEW_YORK = ExampleTokens((), (" New York", "ing"), True)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (example(" in", " New", " York"), 2),
        (example(" in", " New", " Yorker"), 2),
        (example(" New", " York", " is"), 1),
        (example(" in", " New", " York", peak=1), 0),  # not whole yet
        (example(" go", "ing"), 2),
        (example(" going"), 2),
        (example(" going", *FAR), 1),
        (example(" going", *FAR, " x"), 0),
        (example(" New", " York", *FAR), 1),  # its last character counts, not its first
        (example(" going", ""), 1),
        (example(" new", " york"), 0),
    ],
)
def test_grades_of_a_text(one: Example, expected: int) -> None:
    assert grade(one, NEW_YORK) == expected


CUT_A = ("B", "<0xC3>", "<0xA4>", "cker")
CUT_HAN = (" ", "<0xE6>", "<0xBC>", "<0xA2>", "字")


@pytest.mark.parametrize(
    ("quoted", "one", "expected"),
    [
        ("ä", example(*CUT_A, peak=2), 2),  # the token that completes it
        ("ä", example(*CUT_A, peak=1), 2),  # and the one where it begins
        ("ä", example("B", "<0xC3>", "<0xB6>", peak=1), 0),  # ö
        ("ä", example("B", "<0xC3>", peak=1), 0),  # nothing follows
        ("ä", example(*CUT_A), 1),
        ("ä", example("<0xC3>", "<0xA4>", *FAR), 1),  # its last byte counts, not its first
        ("ä", example("<0xC3>", "<0xA4>", *FAR, " x"), 0),
        ("ä", example("B", "<0xC3>", "<0xB6>", peak=2), 0),  # ö
        ("ä", example("<0xA4>", "<0xC3>", "x"), 0),
        ("ä", example("Bä"), 2),
        ("Bäck", example(*CUT_A), 2),  # through plain and cut tokens
        ("Bäck", example(*CUT_A, peak=2), 0),
        ("ck", example(*CUT_A), 2),
        ("漢", example(*CUT_HAN, peak=1), 2),
        ("漢", example(*CUT_HAN, peak=2), 2),
        ("漢字", example(*CUT_HAN, peak=3), 0),
        ("漢", example(*CUT_HAN, peak=3), 2),
        ("漢", example(*CUT_HAN), 1),
        (" 漢字", example(*CUT_HAN), 2),
        ("漢字", example(" <0xE6><0xBC>", "<0xA2>字"), 2),
        ("C3", example(*CUT_A, peak=2), 0),  # a name is no text
        ("<0xC3><0xA4>", example(*CUT_A, peak=2), 0),
        ("<0xC3>", example("<", "0x", "C3", ">"), 2),  # a text about names
        ("<0xC3>", example(" <0xC3>"), 0),  # read as a byte, whatever the tokenizer meant
    ],
)
def test_grades_of_a_text_where_letters_are_cut(quoted: str, one: Example, expected: int) -> None:
    assert grade(one, ExampleTokens((), (quoted,), True)) == expected


def test_a_label_scores_on_cut_letters() -> None:
    active = [example(*CUT_A, peak=2), example(*CUT_A, peak=3, context=1), example("x", context=2)]
    inactive = numbered([("B", "o", "cker"), (*CUT_A[:2], "<0xB6>")], start=10)
    found = score_label('the letter "ä"', active, inactive)
    assert found.examples == ExampleTokens((), ("ä",), True)
    assert found.auc == (2 + 2 + 0.5 + 0.5) / 6  # grades 2, 1, 0 and 0, 0


def old_grade(one: Example, texts: tuple[str, ...]) -> int:
    """Of plain text, letter by letter."""
    ends, at = [], 0
    for token in one.tokens[: one.peak + 1]:
        at += len(token)
        ends.append(at)
    text = "".join(one.tokens[: one.peak + 1])
    last = max((text.rfind(part) + len(part) - 1 for part in texts if part in text), default=-1)
    place = next((i for i, end in enumerate(ends) if last < end), None) if last >= 0 else None
    if place is None:
        return 0
    return 2 if place == one.peak else int(place >= one.peak - BEFORE)


@pytest.mark.parametrize("seed", range(50))
def test_plain_texts_are_graded_letter_by_letter(seed: int) -> None:
    rng = random.Random(seed)
    alphabet = ["", "a", "ab", " a", "ba", "é", "漢a", "<", "<0x", "😀"]
    tokens = rng.choices(alphabet, k=rng.randrange(1, 30))
    texts = tuple("".join(rng.choices(alphabet[1:], k=2)) for _ in range(2))
    one = example(*tokens, peak=rng.randrange(len(tokens)))
    assert grade(one, ExampleTokens((), texts, True)) == old_grade(one, texts)


def test_a_token_and_a_text_together() -> None:
    both = ExampleTokens((" river",), ("ing",), True)
    assert [grade(one, both) for one in (example(" river", " x"), example(" x", " going"))] == [
        1,
        2,
    ]


FILLERS = [" a", " b", " c", " d", " e", " f"]


def text(rng: random.Random) -> tuple[str, ...]:
    return tuple(rng.choice(FILLERS) for _ in range(12))


@pytest.fixture
def contexts() -> tuple[list[Example], list[Example]]:
    rng = random.Random(0)
    active = numbered([(*text(rng), " river") for _ in range(40)])
    return active, numbered([text(rng) for _ in range(30)], start=100)


def test_a_right_label_a_wrong_one_and_one_that_is_the_wrong_way_round(
    contexts: tuple[list[Example], list[Example]],
) -> None:
    active, inactive = contexts
    right = score_label('the word " river"', active, inactive)
    assert (right.auc, right.se, right.reason) == (1.0, 0.0, "")
    assert (right.n_active, right.n_inactive) == (40, 30)
    assert right.examples == ExampleTokens((" river",), (), True)
    assert right.control_n == CONTROL_DRAWS >= 20
    assert right.control_auc == pytest.approx(0.5, abs=0.15)

    assert score_label("zebra 'zebra'", active, inactive).auc == 0.5  # none has it
    wrong = score_label('the letter " a"', active, inactive)
    assert wrong.auc < 0.5 and wrong.se > 0
    assert score_label("river", inactive, active).auc == 0.0
    assert score_label("river", active, inactive) == replace(
        right, examples=ExampleTokens((" river",), (), False)
    )


def test_the_control_never_draws_what_the_label_names() -> None:
    active = numbered([(" a", " river"), (" a", " riverside"), (" a", " river")])
    inactive = numbered([(" a", " a"), (" a", " a")], start=10)
    # " a" is all that is left, and every silent context has it at its peak
    found = score_label('" river", "rivers"', active, inactive)
    assert found.examples.texts == ("rivers",)
    assert (found.auc, found.control_auc, found.control_n) == (1.0, 0.0, CONTROL_DRAWS)
    alone = score_label('" a" " river" "rivers"', active, inactive)
    assert (alone.control_auc, alone.control_n) == (None, 0)


def test_the_control_draws_by_frequency() -> None:
    # " a" is 9 of 10 tokens that can be drawn and stands at no peak; " b" at every active one
    filler = (" a",) * 9
    active = numbered([(*filler, " x", " b")] * 5)
    inactive = numbered([(*filler, " b", " x")] * 5, start=10)
    control = score_label('" x"', active, inactive).control_auc
    # " a" is within reach of all peaks: 0.5; " b" gives 1. So (0.9 * 0.5 + 0.1 * 1) on average.
    assert control == pytest.approx(0.55, abs=0.07)


def test_the_seed_decides_on_the_control(contexts: tuple[list[Example], list[Example]]) -> None:
    one, same, other = (score_label("' river'", *contexts, seed) for seed in (1, 1, 2))
    assert one == same
    assert other.auc == one.auc and other.control_auc != one.control_auc


@pytest.mark.parametrize(
    ("label", "n_active", "n_inactive", "reason"),
    [
        ("' river'", 1, 30, "1 active context is held out; 2 are needed."),
        ("' river'", 40, 0, "0 silent contexts are held out; 2 are needed. Raise passes.n_zero"),
        ("zebra", 40, 30, "It names no token"),
        ("", 40, 30, "It names no token"),
        ("with in the", 40, 30, "It names no token"),
    ],
)
def test_no_score_without_contexts_or_tokens(
    contexts: tuple[list[Example], list[Example]],
    label: str,
    n_active: int,
    n_inactive: int,
    reason: str,
) -> None:
    active, inactive = contexts
    found = score_label(label, active[:n_active], inactive[:n_inactive])
    assert (found.auc, found.se, found.control_auc, found.control_n) == (None, None, None, 0)
    assert (found.n_active, found.n_inactive) == (n_active, n_inactive)
    assert found.reason.startswith(reason)


def test_a_label_without_a_token_is_told_what_counts(
    contexts: tuple[list[Example], list[Example]],
) -> None:
    active, inactive = contexts
    assert {" a", " b"} < {token for one in (*active, *inactive) for token in one.tokens}
    reason = score_label("a before b", active, inactive).reason
    assert (
        "one or two letters and function words" in reason
        and "between quotes any token or text" in reason
    )
    assert score_label('" a"', active, inactive).reason == ""


@pytest.mark.parametrize(
    "label", ["'\0'", '"\ud800"', "`<script>`", '"' + "x" * 1998 + '"', "'%s'"]
)
def test_hostile_labels_score(label: str, contexts: tuple[list[Example], list[Example]]) -> None:
    assert score_label(label, *contexts).auc == 0.5


def test_it_needs_neither_torch_nor_duckdb() -> None:
    code = (
        "import sys, featurestore.explanations.scoring, featurestore.explanations.bundle; "
        "print(*({'torch', 'duckdb', 'sqlalchemy', 'streamlit'} & sys.modules.keys()))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
