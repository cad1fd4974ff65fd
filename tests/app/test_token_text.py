from dataclasses import replace

import pytest

from app.token_text import (
    alone,
    chip,
    chips,
    label_text,
    lens_tables,
    meant,
    payload,
    quoted,
    spell,
    typed,
    visible,
)
from featurestore.detail_records import AblatedContext
from featurestore.records import Band, Example, LensToken
from tests.html_texts import Texts
from tests.synthetic_store import HOSTILE


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (" river", " river"),
        ("\n", "↵"),
        ("\r\n\t", "⟦CR⟧↵⇥"),
        ("\0", "⟦NUL⟧"),
        ("\x07", "⟦U+0007⟧"),
        ("\u202eabc", "⟦U+202E⟧abc"),
        ("\u200b", "⟦U+200B⟧"),
        ("\u00a0", "⟦U+00A0⟧"),
        ("\U000e0041", "⟦U+E0041⟧"),
        ("\u0301", "◌\u0301"),
        ("<0xE2>", "<0xE2>"),
        ("\ufffd", "\ufffd"),
        ("😀 é 漢", "😀 é 漢"),
        ("", "∅"),
        ("x" * 5000, "x" * 120 + "… (5,000 characters)"),
    ],
)
def test_running_text_hides_nothing(token: str, shown: str) -> None:
    assert visible(token) == shown


def test_a_label_keeps_the_joiners_of_its_script() -> None:
    family, persian = "\U0001f469\u200d\U0001f467", "\u0645\u06cc\u200c\u062e"
    assert label_text(f"{family} {persian}") == f"{family} {persian}"
    assert visible(persian) == "\u0645\u06cc⟦U+200C⟧\u062e"
    hidden = "ju\u200dnk \u202e\u0645"  # a joiner that joins nothing is as hidden as others
    assert label_text(hidden) == visible(hidden) == "ju⟦U+200D⟧nk ⟦U+202E⟧\u0645"
    assert label_text("\u0645" * 121) == f"{chr(0x645) * 120}… (121 characters)"
    assert label_text("") == "∅"


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (" a ", "␣a␣"),
        ("   ", "␣␣␣"),
        (" " * 9, "␣×9"),
        ("a  b", "a  b"),
        ("\n" + " " * 8 + "\n", "↵␣×8↵"),
        ("\t b \n  c", "⇥␣b␣↵␣␣c"),
        ("y" * 99, "y" * 23 + "…"),
        ("", "∅"),
    ],
)
def test_a_token_alone_shows_its_spaces(token: str, shown: str) -> None:
    assert alone(token) == shown


def test_quoted_spells_out_the_unusual() -> None:
    assert quoted(' "a"\n\u202e') == r'" \"a\"\n\u{202e}"'


@pytest.mark.parametrize("token", HOSTILE)
def test_html_holds_tokens_as_text(token: str) -> None:
    made = Texts(chip(token))
    assert made.tags == {"span"}
    assert made.text == alone(token)
    lens = (LensToken(token, -1.25),)
    table = Texts(lens_tables(lens, lens, 2.0))
    assert table.tags == {"div", "h4", "ol", "li", "span"}
    assert alone(token) in table.text
    assert "−1.25" in table.text


@pytest.mark.parametrize(
    ("shown", "searched"),
    [
        ("river", "river"),
        ('" river"', '" river"'),
        ("␣river", '" river"'),
        ('"␣river"', '" river"'),
        ("␣", '" "'),
        ("↵␣×7", '"\n       "'),
        ("⇥", "\t"),
    ],
)
def test_a_token_is_found_as_it_is_shown(shown: str, searched: str) -> None:
    assert meant(shown) == searched
    assert meant(typed(searched)) == searched


def _example(tokens: tuple[str, ...], activations: dict[int, float], peak: int) -> Example:
    ids = tuple(range(len(tokens)))
    return Example(3, "a/b", 48, tokens, ids, peak, activations[peak], activations)


@pytest.mark.parametrize(
    ("tokens", "spelled"),
    [
        (["K", "<0xC3>", "<0xB6>", "chin"], ["K", "ö", "·", "chin"]),
        ([" <0xE6><0xBC>", "<0xA2>字"], [" 漢", "·字"]),
        (["<0xF0>", "<0x9F>", "<0x98>", "<0x80>"], ["😀", "·", "·", "·"]),
        (["<0xC3><0xB6>", "x"], ["ö", "x"]),
        (["<0xC3>", "x", "<0xB6>"], ["<0xC3>", "x", "<0xB6>"]),
        (["<0xC3>"], ["<0xC3>"]),
        (["<0xC3>", "<0xC3>", "<0xB6>"], ["<0xC3>", "ö", "·"]),
        (["<0x41>", "<0x42>"], ["<0x41>", "<0x42>"]),
        (["a<b", "<", "<0xc3>", ""], ["a<b", "<", "<0xc3>", ""]),
        ([], []),
    ],
)
def test_bytes_of_a_character_show_it(tokens: list[str], spelled: list[str]) -> None:
    assert spell(tokens) == spelled


def test_payload_shows_a_character_and_tells_its_bytes() -> None:
    tokens = ("<0xC3>", "<0xB6>", "<0xC3>", "x")
    band = Band("top", 0, None, 2.5, 1, (_example(tokens, {1: 2.5}, 1),))
    made = payload((band,), 1, 1, 4, 2.5)
    assert made["tokens"] == [
        ["<0xC3>", "ö", '"<0xC3>"'],
        ["<0xB6>", "·", '"<0xB6>"'],
        ["<0xC3>"],
        ["x"],
    ]
    assert made["groups"][0]["rows"][0]["tokens"] == [0, 1, 2, 3]


def test_payload_names_each_token_once() -> None:
    example = _example((" a", "\n", " a"), {0: 2.0, 2: -1.0}, 0)
    band = Band("interval", 0, 1.0, 2.5, 4, (example, example))
    data = payload((band,), n_active=8, n_contexts=3, n_tokens=100, scale=2.0)
    assert data["tokens"] == [[" a"], ["\n", "↵", r'"\n"']]
    (group,) = data["groups"]
    assert group["title"] == "1.00 to 2.50"
    assert group["detail"] == "2 shown of 4 tokens · 50.0% of active ones"
    assert group["rows"][0]["tokens"] == [0, 1, 0]
    assert (group["rows"][0]["pos"], group["rows"][0]["act"]) == ([0, 2], [2.0, -1.0])


@pytest.mark.parametrize(
    ("sampler", "detail"),
    [
        ("top", "0 shown of 3 contexts · highest token of each, repeats left out"),
        ("random", "0 shown of 8 active tokens"),
        ("zero", "0 shown of 92 tokens with activation 0 · 92.0% of all"),
        ("quantile", "0 shown of 92 tokens · 1,150% of active ones"),
    ],
)
def test_a_band_says_how_many(sampler: str, detail: str) -> None:
    band = Band(sampler, 0, 0.0, 1.0, 92, ())
    assert payload((band,), 8, 3, 100, 1.0)["groups"][0]["detail"] == detail


def test_an_effect_stands_under_the_next_token() -> None:
    tokens = ("a", "b", "c", "d")
    shown = Example(5, "x", 0, tokens, (0, 1, 2, 3), 1, 2.0, {1: 2.0})
    other = Example(6, "x", 0, tokens, (0, 1, 2, 3), 1, 1.0, {1: 1.0})
    removed = AblatedContext(0, "top", 0, 5, 1, 0.031, 0.01, {1: 0.5, 2: -0.25})
    band = Band("top", 0, None, 2.0, 2, (shown, other))
    data = payload((band,), 2, 2, 8, 2.0, {5: removed})
    first, second = data["groups"][0]["rows"]
    assert first["removed"] == {
        "pos": [2, 3],
        "effect": [0.5, -0.25],
        "kl": "KL 0.0310",
        "facts": "KL 0.0310 nats · random 0.0100",
        "n": "1 token",
    }
    assert second["removed"] is None
    assert (data["effect_scale"], data["effect_text"]) == (0.5, "0.500")
    never = replace(removed, kl=None, control_kl=None, n_effects=0, effects={})
    row = payload((band,), 2, 2, 8, 2.0, {5: never})["groups"][0]["rows"][0]
    assert (row["removed"]["kl"], row["removed"]["facts"]) == (
        "",
        "no next token where it is active",
    )


def test_chips_say_how_many_are_left_out() -> None:
    tokens = [("a", 3), ("<b>", None), ("c", 1)]
    assert chips(tokens, 2).endswith('<span class="fb-muted">and 1 more</span></div>')
    assert "<b>" not in chips(tokens, 2)
    assert "more" not in chips(tokens, 3) and "more" not in chips(iter(tokens))
