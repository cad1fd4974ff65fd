import re

import numpy as np
import pytest

from app.live.effects_markup import continuations, edit_words, next_tokens
from featurestore.live.records import Continuation, Edit, Intervention, NextToken

HOSTILE = "<img src=x onerror=alert(1)>"


def test_an_edit_in_words() -> None:
    assert "<b>topk 416</b> switched off everywhere" in edit_words(
        Edit("topk", 416, "ablate"), "ab"
    )
    shown = edit_words(Edit("topk", 1, "scale", 2.5, (0, 2)), ["a", "b", HOSTILE])
    assert "multiplied by 2.5 at" in shown
    assert "&lt;img" in shown
    assert "<img" not in shown
    many = edit_words(Edit("topk", 1, "clamp", -8.0, tuple(range(9))), ["a"] * 8)
    assert "set to \u22128 at" in many
    assert "and 2 more and position 8, beyond this text" in many
    outside = edit_words(Edit("topk", 1, "ablate", 0.0, (9,)), ["a"] * 8)
    assert "switched off at position 9, beyond this text" in outside


def test_the_next_token_before_and_after() -> None:
    tokens = (
        NextToken(HOSTILE, 0.5, 0.25),
        NextToken(" b", 0.00001, 0.1),
        NextToken("c", 0.1, 0.1),
    )
    control = np.array([[9.0, 0.1], [9.0, 0.3]])
    shown = next_tokens(Intervention(np.array([0.0, 0.4]), control, 3, 1, tokens, ()), " in")
    assert (
        "after \u2423in \u00b7 KL 0.400 nats \u00b7 random 0.200 \u00b7 3 activations changed"
        in shown
    )
    assert "<img" not in shown
    assert "width:100.0%" in shown  # the likeliest fills its bar
    assert "width:50.0%" in shown
    assert "\u221225.0 pt" in shown
    assert "+10.0 pt" in shown
    assert 'fb-muted" title="0.0">0.0 pt<' in shown  # no change has no direction
    assert "&lt;0.01%" in shown


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0.0%"),
        (0.00009, "&lt;0.01%"),
        (0.0004, "0.04%"),
        (0.5, "50.0%"),
        (0.9996, "&gt;99.9%"),
        (1.0, "100.0%"),
    ],
)
def test_a_probability_is_all_only_if_it_is(share: float, text: str) -> None:
    found = Intervention(np.zeros(1), np.zeros((1, 1)), 0, 0, (NextToken("a", share, 0.5),), ())
    assert f">{text}<" in next_tokens(found, "in")


def test_continuations_are_marked_from_where_they_part() -> None:
    found = (
        Continuation("greedy", ("a", "b", HOSTILE), ("a", "c\n")),
        Continuation("sampled", (), ()),
    )
    shown = continuations(found, seed=7)
    assert "<img" not in shown
    before, after = shown.split("fb-passage")[1:3]
    assert before.index("<mark>") > before.index(">a<")
    assert "c\u21b5\n" in after
    assert "seed 7" in shown
    assert shown.count("nothing") == 2


def test_continuations_show_characters_as_contexts_do() -> None:
    before = (" m", "<0xC3>", "<0xBC>", "de", " <0xC3>")
    shown = continuations((Continuation("greedy", before, (" m", "<0xC3>", "<0xA4>")),), seed=7)
    first, second = shown.split("fb-passage")[1:]
    text = re.sub("<[^>]*>", "", first.replace("\n", ""))
    assert ">ü<" in first and ">·<" in first and " mü·de &lt;0xC3&gt;" in text
    assert ">ä<" in second
    assert 'title="&quot;&lt;0xC3&gt;&quot;">ü<' in first  # tips name bytes


@pytest.mark.parametrize(
    ("after", "text"),
    [(0.5, "0.0 pt"), (0.50004, "0.0 pt"), (0.49983, "\u22120.02 pt"), (0.502, "+0.2 pt")],
)
def test_a_small_change_is_not_none(after: float, text: str) -> None:
    found = Intervention(np.zeros(1), np.zeros((1, 1)), 0, 0, (NextToken("a", 0.5, after),), ())
    assert f">{text}</td>" in next_tokens(found, "in")
