import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.annotations import words
from app.annotations.words import Progress
from featurestore.annotations.importing import ImportPlan, ImportRow
from featurestore.annotations.records import Agreement, Content, Event, Explanation, Verdict
from featurestore.explanations.example_tokens import ExampleTokens
from featurestore.explanations.scoring import LabelScore

HOSTILE = "<img src=x onerror=alert(1)>"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def event(revision: int = 1, **fields: object) -> Event:
    usual = {"uid": "u", "author": HOSTILE, "digest": "d", "dictionary_id": "one", "feature": 3}
    content = Content(Verdict.UNSURE, HOSTILE, f"a {HOSTILE}", (HOSTILE,))
    usual |= {"seen": 0, "content": content, "at": NOW.isoformat()}
    return Event(**usual | fields, revision=revision)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "just now"),
        (59, "just now"),
        (120, "2 min ago"),
        (7200, "2 h ago"),
        (200_000, "2026-11-21 12:00 UTC"),
    ],
)
def test_how_long_ago(seconds: int, said: str) -> None:
    assert words.ago(NOW.isoformat(), NOW + timedelta(seconds=seconds)) == said


def test_what_an_annotation_says() -> None:
    assert words.content(Content()) == "nothing"
    assert (
        words.content(Content(Verdict.JUNK, "x", "y", ("a", "b"))) == "junk · x · note: y · #a · #b"
    )
    assert words.saved(None, "") == "no annotation yet"
    undone = event(
        2, kind="undo", author="Ann", content=Content(), at=datetime.now(UTC).isoformat()
    )
    assert words.saved(undone, "") == "no annotation · undone by Ann, just now"
    back = replace(undone, content=Content(label="x"), author="Bob")
    assert words.saved(back, "Ann") == "Ann again: undone by Bob, just now"
    assert words.saved(back, "Bob") == "Bob, just now"
    assert "undid: back to</td><td><bdi>nothing" in words.history([undone])


def test_every_text_of_a_stranger_is_escaped() -> None:
    one = Explanation("d", HOSTILE, 3, HOSTILE, HOSTILE, HOSTILE, 0.5, 7)
    named = ExampleTokens((HOSTILE,), (), True)
    score = LabelScore(0.75, 0.1, 10, 5, named, 0.5, 50, 0)
    row = ImportRow("row 7", "change", HOSTILE, HOSTILE, HOSTILE, Content(), event().content)
    bad = ImportRow("row 8", "bad", HOSTILE, "", HOSTILE)
    pages = [
        words.history([event(), event(2, is_conflict=True)]),
        words.in_force(event()),
        words.score(score),
        words.explanations([(one, score)]),
        words.plan(ImportPlan("f", (), (HOSTILE,))),
        words.plan_rows(ImportPlan("f", (row, bad))),
        words.agreement([Agreement((HOSTILE, "b"), 4, 3, 0.5)]),
        words.progress([Progress(HOSTILE, 10, {Verdict.JUNK: 2, None: 1})]),
    ]
    for page in pages:
        assert "&lt;img" in page
        assert "<img" not in page


def test_label_note_and_tags_are_told_apart() -> None:
    said = Content(Verdict.JUNK, "rivers", "first\n\nthird", ("a", "b"))
    assert re.sub("<small>.*</small>", "", words.in_force(event(content=said))) == (
        '<div class="fb-said"><span class="fb-verdict fb-junk"><i>✕</i> junk</span> · '
        '<bdi>rivers</bdi> <span class="fb-tag">a</span> <span class="fb-tag">b</span> '
        '<p class="fb-remark" dir="auto">first\n\nthird</p></div>'
    )


def test_a_conflict_names_both() -> None:
    ann, bob = event(1, author="Ann"), event(2, author="Bob")
    said = words.conflict(bob, ann, ann)
    assert "Bob saved this" in said
    assert "without having seen Ann's of" in said and "That one is in force." in said
    alone = words.conflict(event(2, author="Ann"), ann, ann)
    assert "Ann's own save of" in alone and "another window" in alone
    merged = words.conflict(bob, ann, event(3, author="Bob"))
    assert "without having seen Ann's of" in merged and "own save" not in merged
    assert "Now Bob's of" in merged
    assert "what was in force then. Every" in words.conflict(bob, None, None)


def test_an_open_conflict_shows_both_texts() -> None:
    late = event(2, author="Bob", content=Content(label="lakes"))
    page = words.two_texts(event(1, author="Ann", content=Content(label="rivers")), late)
    assert "in force: rivers (Ann)" in page and "the other: lakes (Bob)" in page
    assert "in force: nothing" in words.two_texts(None, late)


def test_a_label_without_a_score_says_why() -> None:
    none = LabelScore(
        None, None, 1, 0, ExampleTokens((), (), False), None, 0, 7, "it names nothing"
    )
    assert ">No score of the saved label&#x27;s tokens: it names nothing</span>" in words.score(
        none
    )
    long = words.score(replace(none, reason="It names no token: nothing stands between quotes."))
    assert ">No score of the saved label&#x27;s tokens: it names no token</span>" in long
    assert 'title="It names no token: nothing stands between quotes.' in long
    one = Explanation("d", "one", 3, "label", "fuzz", "model")
    shown = words.explanations([(one, none)])
    assert "fuzz · model · came without a score" in shown and "No AUC: it names nothing" in shown


def test_a_program_s_label_has_the_error_and_n_of_its_score() -> None:
    score = LabelScore(0.703, 0.05, 12, 8, ExampleTokens(("a",), (), True), 0.5, 50, 7)
    one = Explanation("d", "one", 3, "label", "fuzz", "model", 0.8, 20)
    shown = words.explanations([(one, score)])
    assert "AUC 0.703 ± 0.0500 (12 active, 8 silent contexts)</span>" in shown
    assert "drawn with seed 7, that of the recipe." in shown


def test_progress_counts_verdicts_alone() -> None:
    page = words.progress([Progress("one", 10, {Verdict.JUNK: 2, None: 5})])
    assert "2 of 10" in page
    assert "20.0%" in page
    assert '<a href="annotations?dictionary=one">one</a>' in page
    assert "one: this list" in words.progress([Progress("one", 10, {}, "this list")])
    assert "0 of 0" in words.progress([Progress("empty", 0, {})])


def test_a_long_plan_is_cut_and_says_so() -> None:
    rows = tuple(ImportRow(f"row {i}", "bad", "one", str(i), "why") for i in range(250))
    page = words.plan_rows(ImportPlan("f", rows))
    assert page.count("<tr>") == 201
    assert "and 50 more" in page


def test_what_needs_a_person_stands_first() -> None:
    outcomes = ("add", "unchanged", "rewritten", "change", "unknown", "add", "conflict", "bad")
    rows = [ImportRow(f"row {i}", one, "d", "3") for i, one in enumerate(outcomes, start=2)]
    found = ImportPlan("f", tuple(rows))
    listed = ["row 9", "row 6", "row 8", "row 5", "row 2", "row 7", "row 4"]
    assert [row.place for row in found.listed()] == listed
    page = words.plan_rows(found)
    assert [page.index(f"<td>{place}</td>") for place in listed] == sorted(
        page.index(f"<td>{place}</td>") for place in listed
    )
    counts = words.plan(found)
    order = [counts.index(f"<span>{one} ") for one in ("bad", "unknown", "conflict", "change")]
    assert order == sorted(order)


def test_a_score_shows_the_tokens_that_it_rests_on() -> None:
    named = ExampleTokens((" on", "6", "a", "b", "c"), (), True)
    shown = words.score(LabelScore(0.703, 0.05, 12, 8, named, 0.5, 50, 7))
    assert ">it names: ␣on, 6, a, b, …</span>" in shown
    assert "Between quotes a space counts: ␣on is not on. It names: ␣on, 6, a, b, c" in shown
