"""Answers that a session keeps, and dictionaries that go while a page is drawn."""

import numpy as np
import pytest
import streamlit as st

from app import address
from app.live import session as live
from app.live.selection import LiveSelection
from app.live.session import MAX_ANSWER_BYTES, MAX_ANSWERS, Answers, infos
from featurestore.errors import UnknownDictionary
from featurestore.live.records import Limits, TextActivations
from featurestore.records import Catalogue
from tests.app.live.test_service import make_info

MEGABYTE = np.zeros(2**20, dtype=np.uint8)


def activations(n: int) -> TextActivations:
    """Of 16 bytes each."""
    zeros = np.zeros(n, dtype=np.int32)
    return TextActivations("d", 1, zeros.astype(np.int64), zeros, zeros.astype(np.float32))


def test_an_answer_is_made_once() -> None:
    answers, made = Answers(), []
    for _ in range(3):
        assert answers.get(("a",), lambda: made.append(1) or "answer") == "answer"
    assert made == [1]


def test_one_that_cannot_be_made_is_asked_for_again() -> None:
    answers = Answers()
    with pytest.raises(ZeroDivisionError):
        answers.get(("a",), lambda: 1 // 0)
    assert answers.get(("a",), lambda: 2) == 2


def test_as_many_are_kept_as_fit_the_last_used_ones() -> None:
    answers = Answers()
    for name in range(MAX_ANSWERS):
        answers.get((name,), lambda name=name: name + 1)
    answers.get((0,), lambda: pytest.fail("it was kept"))
    answers.get((MAX_ANSWERS,), lambda: 0)
    answers.get((0,), lambda: pytest.fail("it was used"))
    assert answers.get((1,), lambda: "anew") == "anew"


def test_arrays_are_bounded_in_bytes_and_the_last_answer_is_kept() -> None:
    answers, n_fit = Answers(), MAX_ANSWER_BYTES // 2**21
    for name in range(n_fit + 2):
        answers.get((name,), lambda: (("x", activations(2**17)),))
    assert len(answers._kept) == n_fit
    huge = np.zeros(2 * MAX_ANSWER_BYTES, dtype=np.uint8)
    assert answers.get(("huge",), lambda: huge) is huge
    assert answers.get(("huge",), lambda: None) is huge
    assert len(answers._kept) == 1


def test_arrays_that_answers_share_count_once() -> None:
    answers = Answers()
    for name in range(MAX_ANSWERS):
        answers.get((name,), lambda: (MEGABYTE,))
    assert len(answers._kept) == MAX_ANSWERS


def test_a_dictionary_that_was_deleted_is_told() -> None:
    known = Catalogue((make_info("a"), make_info("c")), ())
    assert infos(known, ("c", "a")) == known.dictionaries[::-1]
    with pytest.raises(UnknownDictionary, match="'b' is not in the store any more"):
        infos(known, ("a", "b"))


def test_a_change_takes_in_what_the_other_box_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit broke the callback of the first box off, and never runs it again."""
    boxes = {"live_text": "text", "live_other": "other"}
    held = {"live_text": "One", "live_other": "Two"}
    shown: list[dict[str, str]] = []
    monkeypatch.setattr(st, "session_state", held)
    monkeypatch.setattr(address, "show", shown.append)
    monkeypatch.setattr(live, "params", lambda selection: vars(selection))
    monkeypatch.setattr(live, "limits", lambda: Limits(n_bytes=9, n_tokens=9))
    before = LiveSelection(("d",), tokens=(1, 2), by="at", tab="contrast")
    monkeypatch.setattr(live, "now", lambda: before)
    live.on_text(boxes)
    assert [(one["text"], one["other"], one["tokens"]) for one in shown] == [("One", "Two", ())]

    monkeypatch.setattr(live, "now", lambda: LiveSelection(("d",), text="One", tokens=(1,)))
    live.on_text(boxes)  # the first is the same: its tokens stay chosen
    assert [(one["text"], one["other"], one["tokens"]) for one in shown[1:]] == [
        ("One", "Two", (1,))
    ]
    held["live_text"] = "far too long"
    live.on_text(boxes)
    assert live.refused("live_text") == "far too long"
    assert live.refused("live_other") is None
    assert (shown[2]["text"], shown[2]["other"]) == ("One", "Two")
