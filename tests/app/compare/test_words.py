from dataclasses import replace
from html import escape

import pytest

from app.compare import words
from app.compare.scoreboard import COLUMNS, PLOTTED, TOKENS, Entry, Kin, entry, samples
from featurestore.detail_records import Measure
from tests.app.compare.made_up import INFO, made, of, with_kl

HOSTILE = "<img src=x onerror=alert(1)>"


def test_every_column_has_a_heading() -> None:
    assert tuple(words.HEADINGS) == COLUMNS
    assert tuple(words.PLOTS) == (*PLOTTED, TOKENS)


def test_a_tip_holds_the_number_in_full_and_n() -> None:
    one = made(l0=1234.56789, l0_with_first=7.0, share_dead=0.25)
    assert words.cell(one, "l0") == [
        "1,235",
        "1234.56789 over 100 tokens\nwith position 0: 7.00 (n 100)",
    ]
    assert words.cell(one, "share_dead") == ["25.0%", "0.25 over 100 features"]
    assert words.cell(one, "n_features")[0] == "8"


def test_recovered_loss_says_what_it_is_made_of() -> None:
    losses = {"ce_clean": 3.0, "ce_decoded": 3.5, "ce_zero": 8.0, "ce_mean": 7.0}
    measures = {name: Measure(value, 90, None, None) for name, value in losses.items()}
    measures["ce_recovered"] = Measure(0.9, 90, 0.97, 270)
    shown, tip = words.cell(entry(INFO, measures), "ce_recovered")
    assert shown == "0.900"
    assert tip.split("\n") == [
        "0.9 over 90 tokens",
        "loss clean: 3.00 (n 90)",
        "loss decoded: 3.50 (n 90)",
        "loss zero: 8.00 (n 90)",
        "loss mean vector: 7.00 (n 90)",
        "random errors as long: 0.970 (n 270)",
    ]


def test_likeness_names_each_of_the_family() -> None:
    one = entry(INFO, {}, (Kin("early", 0.5, 0.25), Kin("late", 0.75, None)))
    shown, tip = words.cell(one, "family_mmcs")
    assert shown == "0.625"
    assert tip.split("\n") == [
        "0.625 over 2 others of its family",
        "early: 0.500, by chance 0.250",
        "late: 0.750, by chance –",
    ]


def test_kl_stands_beside_its_control() -> None:
    one = with_kl(0.3, 0.2)
    assert words.cell(one, "kl_decoded") == ["0.300", "0.3 nats over 90 tokens"]
    assert words.cell(one, "kl_control") == ["0.200", "0.2 nats over 270 random errors"]
    assert words.cell(one, "kl_ratio")[1].endswith("decoded − random, nats: 0.100 (n 90)")


@pytest.mark.parametrize(
    ("one", "column", "why"),
    [
        (Entry(INFO, {}), "l0", "passes.n_scored = 0"),
        (made(), "cosine", "Not computed by the build"),
        (made(cosine=None), "cosine", "No token to take it over"),
        (with_kl(0.0, 0.0), "kl_ratio", "rounding"),
        (made(), "family_mmcs", "in no family"),
        (
            of(made(), family="f"),
            "family_mmcs",
            "match --family f --store store",
        ),
        (made(), "pairs", "no other writes to its hook point"),
        (
            replace(made(), partner="two", store="/s"),
            "pairs",
            "python -m featurestore match one two --store /s",
        ),
        (entry(INFO, {"ce_recovered": Measure(None, 9, None, 27)}), "ce_recovered", "cost no loss"),
    ],
)
def test_a_missing_number_is_a_dash_with_a_reason(one: Entry, column: str, why: str) -> None:
    shown, tip = words.cell(one, column)
    assert shown == "–"
    assert why in tip


def test_zeros_that_help_are_told_with_what_they_cost() -> None:
    losses = {"ce_clean": 6.35, "ce_zero": 6.15, "ce_zero_se": 0.04}
    measures = {name: Measure(value, 40, None, None) for name, value in losses.items()}
    measures["ce_recovered"] = Measure(None, 90, None, 270)
    assert words.cell(entry(INFO, measures), "ce_recovered") == [
        "–",
        "Zeros in place of the vectors cost no loss beyond chance: zero − clean is −0.200 nats, "
        "its standard error 0.0400 over 40 contexts. Below 2 standard errors there is no share of "
        "it",
    ]


def test_the_line_says_what_scores_rest_on() -> None:
    entries = (made("a"), made("b"))
    said = words.summary(entries, 5, samples(entries))
    assert "2 of 5 dictionaries" in said
    assert "scored on 100 tokens of 40 contexts" in said
    assert words.incomparable(samples(entries)) == ""
    far = (*entries, of(made("c"), hook_name="there"))
    assert "2 hook points" in words.summary(far, 5, samples(far))


def test_several_hook_points_do_not_compare_and_one_can_be_chosen() -> None:
    far = of(made("c"), hook_name="<b>")
    assert words.places((made("a"), made("b"))) == ("", "", {})
    said, name, hooks = words.places((far, made("a"), made("b")))
    assert said == "2 hook points: only dictionaries of one hook point compare"
    assert (name, list(hooks.items())) == ("hook", [("here", 2), ("<b>", 1)])
    shown = words.choose_place(said, hooks, {hook: {"by": "l0", "hook": hook} for hook in hooks})
    assert '<a href="compare?by=l0&amp;hook=here">here</a> 2' in shown
    assert '<a href="compare?by=l0&amp;hook=%3Cb%3E">&lt;b&gt;</a> 1' in shown


def test_steps_of_the_model_do_not_compare_either() -> None:
    early, late = of(made("a"), model_step=1000), of(made("b"), model_step=4000)
    said, name, models = words.places((early, late, of(made("c"), model_step=4000)))
    assert said == "2 models: only dictionaries of one model compare"
    assert (name, models) == ("model", {"small at step 4,000": 2, "small at step 1,000": 1})
    far = of(made("d"), hook_name="there")
    said, name, _ = words.places((early, late, far))
    assert said == (
        "2 hook points and 3 models: only dictionaries of one hook point of one model compare"
    )
    assert name == "hook"


def test_names_that_have_no_room_are_counted() -> None:
    one = (made(),)
    assert "labels left out" not in words.plotted(one, one, "kl_ratio", 0)
    assert "labels left out: 3" in words.plotted(one, one, "kl_ratio", 3)


def test_other_corpora_are_named() -> None:
    other = of(made("z"), digests={"corpus": "fedcba9876"}, corpus_name="poems")
    found = samples([*(made(f"d{i}") for i in range(9)), other])
    first, second, third = words.incomparable(found).split("\n")
    assert "cannot be compared" in first
    assert second.startswith("'tales' (600 tokens, digest 01234567), 100 tokens of 40 contexts")
    assert second.endswith("d0, d1, d2, d3, d4, d5 and 3 more")
    assert third.startswith("'poems'")
    assert third.endswith(": z")


def test_dictionaries_without_scores_are_named_with_the_cure() -> None:
    bare = Entry(INFO, {})
    assert words.unscored((made(),)) == ""
    assert words.unscored((made("a"), bare)).startswith("No scores of one: passes.n_scored = 0")
    assert words.unscored((bare,)).startswith("None of these dictionaries has scores")
    assert "python -m featurestore build RECIPE" in words.unscored((bare,))


def test_texts_of_the_store_are_escaped() -> None:
    entries = (of(made(), corpus_name=HOSTILE),)
    assert HOSTILE not in words.summary(entries, 1, samples(entries))
    assert escape(HOSTILE) in words.summary(entries, 1, samples(entries))
