from dataclasses import replace
from pathlib import Path

import pytest

from app.ablation_markup import (
    ablation,
    dependences,
    kl_facts,
    loss_fact,
    why_not,
)
from app.token_text import alone, visible
from featurestore.detail_records import Ablation, Dependence, TokenEffect
from featurestore.records import DictionaryInfo
from featurestore.store import Store
from tests.html_texts import Texts
from tests.synthetic_store import HOSTILE

STYLES = Path(__file__).parents[2] / "app"

FOUND = Ablation(
    n_ablated=3,
    n_effects=41,
    n_controls=12,
    kl=0.0213,
    kl_se=0.00188,
    control_kl=0.006,
    kl_percentile=91.7,
    loss_effect=0.0131,
    loss_effect_se=0.004,
    falls=(TokenEffect(" river", 0.31, 0.03, 0.2), TokenEffect("odd", -0.01, 0.03, 0.1)),
    rises=(TokenEffect(" bank", -0.12, 0.02, 0.00001),),
)
NOTHING = Ablation(3, 0, 0, None, None, None, None, None, None, (), ())


@pytest.fixture(scope="module")
def info(synthetic_store: Path) -> DictionaryInfo:
    store = Store(synthetic_store)
    found = store.dictionary("planted")
    store.close()
    return found


def test_falls_and_rises_have_one_colour_each_everywhere() -> None:
    """In the table, in contexts, in Depends on, among Live's next tokens: falls blue, rises red."""
    style = (STYLES / "style.css").read_text()
    contexts = (STYLES / "token_view.css").read_text()
    fall, rise = "light-dark(#2563eb, #60a5fa)", "light-dark(#dc2626, #f87171)"
    assert f".fb-effect {{ --effect: {fall};" in style
    assert f".fb-effect.fb-hurt {{ --effect: {rise};" in style
    assert f"--helped: {fall};" in contexts and f"--hurt: {rise};" in contexts
    assert ".fb-for, .fb-against { --rgb: 37 99 235;" in style  # #2563eb
    assert ".fb-against { --rgb: 220 38 38;" in style  # #dc2626
    assert ".fb-next .fb-up { color: color-mix(in srgb, #dc2626" in style
    assert ".fb-next .fb-down { color: color-mix(in srgb, #2563eb" in style


def test_numbers_stand_beside_their_control() -> None:
    words = [fact for fact, _ in kl_facts(FOUND)]
    above = "above 11 of 12 random draws, each on its own context"
    assert words == ["KL 0.0213 ± 0.0019 nats", "random 0.00600", above]
    without = replace(FOUND, control_kl=None, kl_percentile=None, n_controls=0)
    assert [fact for fact, _ in kl_facts(without)][1:] == ["no control was run"]
    assert "lower bound" in kl_facts(FOUND)[0][1]


@pytest.mark.parametrize(
    ("effect", "se", "said"),
    [
        (0.0131, 0.004, "removing it raises the loss by 0.0131 ± 0.0040 nats"),
        (-0.0131, 0.004, "removing it lowers the loss by 0.0131 ± 0.0040 nats"),
        (0.0131, 0.007, "by 0.0131 ± 0.0070 nats: within 2 standard errors of zero"),
        (0.0, 0.0, "within 2 standard errors of zero"),
        (0.0131, None, "raises the loss by 0.0131 nats, on one token"),
        (None, None, "no effect on the loss is known"),
    ],
)
def test_the_sign_of_the_loss_is_a_word(effect: float, se: float, said: str) -> None:
    assert loss_fact(replace(FOUND, loss_effect=effect, loss_effect_se=se))[0].endswith(said)


def test_tokens_that_fall_and_rise() -> None:
    shown = Texts(ablation(FOUND)).text
    falls, rises = shown.split("rises when removed")
    assert "␣river−0.310 ± 0.03020.0%" in falls
    assert "odd" not in falls  # it does not fall
    assert "␣bank+0.120 ± 0.020<0.01%" in rises
    assert "means over 41 active tokens of 3 contexts" in shown
    assert "at all its active positions at once" in shown
    assert "none" in Texts(ablation(replace(FOUND, rises=()))).text


def test_one_token_has_no_standard_error() -> None:
    one = replace(FOUND, n_ablated=1, n_effects=1, kl_se=None, loss_effect_se=None)
    shown = Texts(ablation(one)).text
    assert "KL 0.0213 nats" in shown
    assert "means over 1 active token of 1 context" in shown
    assert "One token has no standard error" in shown


def test_without_a_next_token_nothing_is_measured() -> None:
    shown = Texts(ablation(NOTHING)).text
    assert "Removed on 3 contexts, but it is active there only where no next token follows" in shown


def test_why_there_is_none(info: DictionaryInfo) -> None:
    settings = ("n_ablated_top", "n_ablated_bands")
    assert "never active" in why_not(True, info, "ablation", *settings)
    assert "store holds no ablation" in why_not(False, info, "ablation", *settings)
    passes = {"n_ablated_top": 0, "n_ablated_bands": 0}
    off = replace(info, recipe={"passes": passes})
    assert "(passes.n_ablated_top = 0 and passes.n_ablated_bands = 0)" in why_not(
        False, off, "ablation", *settings
    )
    half = replace(info, recipe={"passes": passes | {"n_ablated_bands": 4}})
    assert "store holds no ablation" in why_not(False, half, "ablation", *settings)


def test_strips_say_what_each_token_does_to_the_peak(info: DictionaryInfo) -> None:
    tokens = ("a", "b", " c", " d", " e", " after")
    found = Texts(dependences([Dependence(7, tokens, 4, 2.0, {2: -1.5, 3: 0.5})], info))
    assert "ab c d e" in found.text and " after" not in found.text
    assert "2 tried" in found.text
    falls = '" c" · without it the activation falls from 2.00 to 0.500: −1.50 (75.0%)'
    rises = '" d" · without it the activation rises from 2.00 to 2.50: +0.500 (25.0%)'
    assert {falls, rises, '" e" · the peak, activation 2.00', '"a" · not tried'} <= found.titles
    assert "Each of the 2 tokens before the peak" in found.text  # no recipe says how many
    four = replace(info, recipe={"passes": {"n_deleted": 4}})
    shown = Texts(dependences([Dependence(7, tokens, 4, 2.0, {2: -1.5, 3: 0.5})], four)).text
    assert "Each of the 4 tokens before the peak, or as many as there are" in shown
    assert "BOS is never deleted" in found.text


def test_strips_show_characters_as_contexts_do(info: DictionaryInfo) -> None:
    tokens = (" Stra", "<0xC3>", "<0x9F>", "e", " n", "<0xC3>", "<0x96>")
    one = Dependence(7, tokens, 6, 2.0, {1: -1.0, 2: 0.5, 3: -0.25, 5: 1.0})
    found = Texts(dependences([one], info))
    assert " Straß·eÖ·" in found.text.replace(" n", "")
    assert "<0x" not in found.text
    assert any(tip.startswith('"<0xC3>" · without it') for tip in found.titles)  # tips name bytes
    assert '"<0x96>" · the peak, activation 2.00' in found.titles


def test_a_peak_with_nothing_before_it(info: DictionaryInfo) -> None:
    found = Texts(dependences([Dependence(7, ("a", "b"), 0, 2.0, {})], info))
    assert "none before it could be deleted" in found.text
    assert "No token stands before these peaks" in found.text
    assert "Each of the" not in found.text


@pytest.mark.parametrize("token", HOSTILE)
def test_hostile_tokens_stay_text(token: str, info: DictionaryInfo) -> None:
    effect = TokenEffect(token, 0.1, 0.01, 0.2)
    shown = Texts(ablation(replace(FOUND, falls=(effect,))))
    assert shown.tags <= {*"div span table thead tbody tr th td p small".split()}
    assert alone(token) in shown.text
    strip = Texts(dependences([Dependence(0, (token,) * 4, 2, 0.0, {1: -0.5})], info))
    assert strip.tags <= {*"div span small p i br".split()}
    assert visible(token) in strip.text
