"""Fingers faster than the app: what they type reaches the feature it was meant for, or none.

The app's messages are held back here, so that it is as slow as a test needs it to be.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import serve
from tests.browser.labelling import (
    EDITOR,
    EVERY,
    Opened,
    events,
    heads,
    holds,
    number,
    of,
    press,
    saved,
    shows,
    write,
)

pytestmark = [pytest.mark.browser, pytest.mark.long]


@pytest.fixture(scope="module")
def server(store: Path) -> Iterator[str]:
    yield from serve(store)


def test_keys_wait_until_the_editor_is_the_heading_s(opened: Opened, store: Path) -> None:
    page, gate = opened(0)
    write(page, "1", "first")
    gate.mark, gate.after = EDITOR, b'"planted 1"'
    page.keyboard.press("Enter")
    heads(page, 1)
    page.keyboard.type("3aqq17r")  # the editor below is still the first one's
    holds(page, "monosemantic", "first")
    assert number(page) == 0
    gate.open()
    shows(page, 1)
    holds(page, "polysemantic", "qq17r")
    page.keyboard.press("Shift+Enter")
    saved(page, "Ann, just now")
    assert of(store, 0, 1) == [(0, "Ann", "first"), (1, "Ann", "qq17r")]


def test_keys_after_next_are_the_heading_s_too(opened: Opened, store: Path) -> None:
    page, gate = opened(40)
    gate.mark, gate.after = EDITOR, b'"planted 41"'
    page.keyboard.press("ArrowRight")
    heads(page, 41)
    page.keyboard.press("4")
    page.keyboard.press("a")
    page.locator(".editor [name=label]").press("Control+v")
    page.keyboard.insert_text("pasted")
    holds(page, None, "")
    gate.open()
    shows(page, 41)
    expect(page.locator(".editor .junk")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowLeft")
    shows(page, 40)
    holds(page, None, "")
    saved(page, "no annotation yet")
    assert of(store, 40, 41) == []


def test_a_queue_typed_blind_is_saved_as_it_was_typed(opened: Opened, store: Path) -> None:
    """Every message of the app comes late, in turn."""
    page, gate = opened(10)
    for i in range(10, 16):
        gate.mark = EVERY if i % 2 else EDITOR
        page.keyboard.type(f"1aw{i}", delay=20)
        page.keyboard.press("Enter")
        if i % 2 == 0:
            heads(page, i + 1)
        page.keyboard.type("4")  # and again, to take it back
        page.keyboard.type("4")
        gate.open()
        shows(page, i + 1)
        holds(page, None, "")
    assert of(store, *range(10, 17)) == [(i, "Ann", f"w{i}") for i in range(10, 16)]


def test_tab_and_the_keys_of_a_note_are_typed_ahead_too(opened: Opened, store: Path) -> None:
    page, gate = opened(80)
    gate.mark = EVERY
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    page.keyboard.type("2alabel")
    page.keyboard.press("Tab")
    page.keyboard.type("note")
    page.keyboard.press("Alt+Enter")
    page.keyboard.type("tw")
    page.keyboard.press("End")
    page.keyboard.type("o")
    page.keyboard.press("Tab")
    page.keyboard.type("tags")
    page.keyboard.press("Shift+Tab")
    page.keyboard.type("!")
    page.keyboard.press("Control+Enter")
    page.keyboard.type("3alast")
    gate.open()
    shows(page, 82)
    holds(page, "polysemantic", "last")
    page.keyboard.press("ArrowLeft")  # in the box
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowLeft")
    shows(page, 81)
    holds(page, "unsure", "label")
    expect(page.locator(".editor [name=note]")).to_have_value("note\ntwo!")
    expect(page.locator(".editor [name=tags]")).to_have_value("tags")
    assert of(store, 80, 81, 82) == [(80, "Ann", ""), (81, "Ann", "label")]


@pytest.mark.parametrize("key", ["ArrowLeft", "Home", "Delete", "Control+v"])
def test_what_cannot_be_typed_ahead_stops(opened: Opened, store: Path, key: str) -> None:
    page, gate = opened(30)
    n_before = len(events(store))
    gate.mark = EVERY
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    page.keyboard.type("2alab")
    page.keyboard.press(key)
    page.keyboard.type("el")
    page.keyboard.press("Enter")
    page.keyboard.type("3a")
    gate.open()
    saved(page, "not saved; what was typed after it was dropped")
    page.keyboard.type("more")
    page.keyboard.press("Enter")
    shows(page, 31)
    holds(page, "unsure", "lab")
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    page.keyboard.type("!")
    holds(page, "unsure", "lab!")
    assert len(events(store)) == n_before + 1
    page.get_by_role("button", name="Discard").click()
    page.get_by_role("button", name="Previous").click()
    shows(page, 30)
    page.get_by_role("button", name="Undo").click()
    holds(page, None, "")


def test_enter_without_a_change_waits_too(opened: Opened, store: Path) -> None:
    page, gate = opened(22)
    gate.mark = EVERY
    for key in ("Enter", "2", "a", "x", "Enter", "3"):
        page.keyboard.press(key)
    gate.open()
    shows(page, 24)
    holds(page, "polysemantic", "")
    assert of(store, 22, 23, 24) == [(23, "Ann", "x")]


@pytest.mark.parametrize(("delay", "feature"), [(0, 31), (130, 34)])
def test_a_conflict_ends_what_is_typed_ahead(
    opened: Opened, store: Path, delay: int, feature: int
) -> None:
    hers, gate = opened(feature, "Bob")
    his, _ = opened(feature, "Ann")
    write(his, "1", "hers")
    his.keyboard.press("Shift+Enter")
    saved(his, "Ann, just now")
    hers.bring_to_front()
    gate.mark = None if delay else EVERY
    for label in ("bob", "more"):
        hers.keyboard.type(f"4a{label}", delay=delay)
        hers.keyboard.press("Enter")
    gate.open()
    expect(hers.locator(".conflict")).to_contain_text("hers")
    hers.keyboard.type("4a stray r n", delay=delay)
    hers.keyboard.press("Enter")
    saved(hers, "conflict; what was typed after it was dropped")
    shows(hers, feature)
    holds(hers, "monosemantic", "hers")
    expect(hers.locator(".editor [name=note]")).to_have_value("")
    assert of(store, feature) == [(feature, "Ann", "hers"), (feature, "Bob", "bob")]
    for key in ("Escape", "a", "End", "!", "Shift+Enter"):  # and now on purpose
        hers.keyboard.press(key)
    saved(hers, "Bob, just now")
    assert of(store, feature)[2:] == [(feature, "Bob", "hers!")]


@pytest.mark.parametrize(("keys", "feature"), [("4a0ann 1", 74), ("1", 77), ("an", 84)])
def test_nothing_typed_ahead_is_put_on_another_s_words(
    opened: Opened, store: Path, keys: str, feature: int
) -> None:
    his, _ = opened(feature + 1, "Ben")
    write(his, "1", "ben")
    his.keyboard.press("Shift+Enter")
    saved(his, "Ben, just now")
    page, gate = opened(feature, "Ann")
    gate.mark = EVERY
    press(page, "2", "Enter", *keys, "Enter", "3", "Enter")
    gate.open()
    saved(page, "Ben's words came first; what was typed after it was dropped. Esc to go on")
    shows(page, feature + 1)
    holds(page, "monosemantic", "ben")
    press(page, "Escape", "1", "Shift+Enter")  # now that they are there to be read
    saved(page, "Ann, just now")
    assert of(store, feature, feature + 1) == [
        (feature + 1, "Ben", "ben"),
        (feature, "Ann", ""),
        (feature + 1, "Ann", "ben"),
    ]
    page.keyboard.press("ArrowLeft")
    shows(page, feature)
    gate.mark = EVERY
    press(page, "ArrowRight", "ArrowRight", "a", "x")  # over them is no change of them
    gate.open()
    shows(page, feature + 2)
    holds(page, None, "x")
    page.get_by_role("button", name="Discard").click()


def test_a_failed_save_ends_what_is_typed_ahead(opened: Opened, store: Path) -> None:
    page, gate = opened(50)
    gate.mark = EVERY
    page.locator(".editor [name=label]").fill("x" * 301)
    page.keyboard.press("Enter")
    page.keyboard.type("4astale")
    page.keyboard.press("Enter")
    gate.open()
    expect(page.locator(".editor .problem")).to_contain_text("301 characters")
    saved(page, "not saved; what was typed after it was dropped")
    page.keyboard.type("1astray")
    page.keyboard.press("Enter")
    holds(page, None, "x" * 301)
    page.get_by_role("button", name="Discard").click()
    holds(page, None, "")
    expect(page.locator(".editor .problem")).to_be_hidden()
    page.locator(".editor [name=label]").fill("short")
    page.keyboard.press("Enter")
    shows(page, 51)
    holds(page, None, "")
    assert of(store, 50, 51) == [(50, "Ann", "short")]


def test_undo_waits_until_nothing_is_unsaved(opened: Opened) -> None:
    page, _ = opened(60)
    write(page, "1", "first")
    page.keyboard.press("Shift+Enter")
    saved(page, "Ann, just now")
    undo = page.get_by_role("button", name="Undo")
    expect(undo).to_be_enabled()
    write(page, "2", " more")
    expect(undo).to_be_disabled()
    page.get_by_role("button", name="Discard").click()
    undo.click()
    holds(page, None, "")


def test_the_box_of_the_name_is_left_after_a_save(opened: Opened, store: Path) -> None:
    page, _ = opened(62, "")
    page.keyboard.press("1")
    page.keyboard.press("Shift+Enter")
    saved(page, "your name first")
    page.keyboard.type("3afast")  # as somebody does who did not look
    page.keyboard.press("Enter")
    holds(page, "monosemantic", "")
    page.keyboard.press("Escape")
    page.keyboard.type("Bob")
    page.keyboard.press("Shift+Enter")
    saved(page, "Bob, just now")
    page.keyboard.type("ab")
    holds(page, "monosemantic", "b")
    expect(page.locator(".editor [name=author]")).to_have_value("Bob")


def test_what_is_unsaved_is_listed(opened: Opened) -> None:
    page, _ = opened(70)
    write(page, "1", "half")
    page.get_by_role("button", name="Next ›").click()
    shows(page, 72)
    kept = page.locator(".editor .unsaved")
    expect(kept).to_have_text("1 not saved:70")
    page.goto("/annotations?dictionary=planted")
    page.get_by_role("link", name="planted · 70").click()
    shows(page, 70)
    holds(page, "monosemantic", "half")
    expect(kept).to_be_empty()
    page.keyboard.press("ArrowRight")
    expect(kept).to_have_text("1 not saved:70")
    kept.get_by_role("button", name="70").click()
    shows(page, 70)
    page.keyboard.press("Shift+Enter")
    saved(page, "Ann, just now")
    page.goto("/annotations?dictionary=planted")
    expect(page.get_by_text("left of planted")).to_be_visible()
    expect(page.get_by_role("link", name="planted · 70")).to_have_count(0)
