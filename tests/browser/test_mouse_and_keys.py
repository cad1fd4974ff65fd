"""A hand on the mouse and one on the keys: what is clicked takes no key from the editor."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import serve
from tests.browser.labelling import (
    EDITOR,
    EVERY,
    LIST,
    Opened,
    events,
    holds,
    of,
    press,
    saved,
    shows,
    verdicts,
)

pytestmark = [pytest.mark.browser, pytest.mark.long]


@pytest.fixture(scope="module")
def server(store: Path) -> Iterator[str]:
    yield from serve(store)


@pytest.mark.parametrize(("name", "feature", "found"), [("Next ›", 44, 45), ("‹ Previous", 27, 26)])
def test_enter_saves_after_a_click_on_a_way_to_another(
    opened: Opened, store: Path, name: str, feature: int, found: int
) -> None:
    page, _ = opened(feature)
    page.get_by_role("button", name=name).click()
    shows(page, found)
    press(page, "1", "Enter")
    shows(page, found + 1)
    assert verdicts(store, found) == [(found, "monosemantic")]


@pytest.mark.parametrize(
    ("selector", "feature"),
    [(".editor .junk", 30), ("[role=tab]:has-text('Bands')", 32), ("summary", 34)],
)
def test_enter_saves_after_a_click_elsewhere(
    opened: Opened, store: Path, selector: str, feature: int
) -> None:
    page, _ = opened(feature)
    press(page, "4")
    if selector == ".editor .junk":
        press(page, "4")  # the click gives it anew
    page.locator(selector).first.click()
    holds(page, "junk", "")
    press(page, "Enter")
    shows(page, feature + 1)
    assert verdicts(store, feature) == [(feature, "junk")]


def test_a_button_that_tab_leads_to_is_pressed_by_enter(opened: Opened) -> None:
    page, _ = opened(40)
    page.get_by_role("button", name="‹ Previous").click()
    shows(page, 39)
    page.keyboard.press("Tab")
    expect(page.locator(".st-key-next button")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(page.locator(".st-key-previous button")).to_be_focused()
    page.keyboard.press("Enter")
    shows(page, 38)


def test_letters_are_kept_while_one_move_follows_another(opened: Opened, store: Path) -> None:
    """The page arrives at the next feature and leaves it again before all letters are typed."""
    page, gate = opened(50)
    gate.mark = EVERY
    press(page, "1", "Enter", "ArrowLeft", "a", "f")
    gate.open()
    gate.mark, gate.after = EDITOR, b'"planted 50"'
    shows(page, 51)
    page.keyboard.type("oxtrot none")
    gate.open()
    shows(page, 50)
    holds(page, "monosemantic", "foxtrot none")
    assert verdicts(store, 50, 51) == [(50, "monosemantic")]


@pytest.mark.parametrize(("key", "feature"), [("ArrowRight", 90), ("Enter", 94)])
def test_a_click_waits_as_its_key_does(opened: Opened, store: Path, key: str, feature: int) -> None:
    page, gate = opened(feature)
    gate.mark = EVERY
    press(page, key, "n", "x")
    page.locator(".editor .junk").click()
    if key == "ArrowRight":  # it is off while a save or the next feature is on its way
        page.get_by_role("button", name="Save and next").click()
    else:
        page.keyboard.press("Enter")
    gate.open()
    shows(page, feature + 2)
    assert verdicts(store, feature, feature + 1) == [(feature + 1, "junk")]
    page.keyboard.press("ArrowLeft")
    shows(page, feature + 1)
    expect(page.locator(".editor [name=note]")).to_have_value("x")


@pytest.mark.parametrize("keys", [("Shift+Enter", "Shift+Enter"), ("Enter", "Shift+Enter")])
def test_nothing_to_save_takes_no_key_away(
    opened: Opened, store: Path, keys: tuple[str, str]
) -> None:
    """What follows is for the feature that is shown then; a box stays the one typed into."""
    feature = 86 if keys[0] == "Enter" else 74
    page, gate = opened(feature)
    gate.mark = EVERY
    press(page, "1", *keys, "n", "Control+Shift+Enter")
    page.keyboard.type("import a thing")
    gate.open()
    found = feature + (keys[0] == "Enter")
    shows(page, found)
    saved(page, "not saved")
    expect(page.locator(".editor [name=note]")).to_have_value("import a thing")
    assert verdicts(store, feature, found) == [(feature, "monosemantic")]


def test_a_name_typed_while_a_save_runs_is_a_name(opened: Opened, store: Path) -> None:
    page, gate = opened(80, "Ann")
    gate.mark = EVERY
    press(page, "1", "Enter")
    page.locator(".editor [name=author]").click()
    page.keyboard.type(" Narr")
    page.keyboard.press("Tab")  # out of the last box: nobody knows where to
    page.keyboard.type("r")
    gate.open()
    shows(page, 81)
    expect(page.locator(".editor [name=author]")).to_have_value("Ann Narr")
    saved(page, "not saved; what was typed after it was dropped")
    holds(page, None, "")
    page.keyboard.press("Escape")
    press(page, "4", "Enter")
    shows(page, 82)
    assert of(store, 80, 81) == [(80, "Ann", ""), (81, "Ann Narr", "")]


@pytest.mark.parametrize(("name", "feature"), [("label", 60), ("note", 64)])
def test_a_box_clicked_while_a_save_runs_is_typed_into(
    opened: Opened, store: Path, name: str, feature: int
) -> None:
    page, gate = opened(feature)
    gate.mark = EVERY
    page.keyboard.press("1")
    page.get_by_role("button", name="Save and next").click()
    saved(page, "saving")
    page.locator(f".editor [name={name}]").click()
    page.keyboard.type("error raise none")
    n_before = len(events(store))
    gate.open()
    shows(page, feature + 1)
    expect(page.locator(f".editor [name={name}]")).to_have_value("error raise none")
    press(page, "Control+Enter")
    shows(page, feature + 2)
    assert verdicts(store, feature) == [(feature, "monosemantic")]
    assert len(events(store)) <= n_before + 2


def test_what_is_typed_after_the_key_of_the_search_is_searched(opened: Opened, store: Path) -> None:
    """No letter of it is a command of the editor."""
    n_before = len(events(store))
    page, _ = opened(47)
    page.keyboard.press("/")
    page.keyboard.type("return 14", delay=30)
    press(page, "Backspace", "Enter")
    box = page.get_by_role("textbox", name="Find")
    expect(page).to_have_url(re.compile(r"/search\?find=return.1$"))
    expect(box).to_have_value("return 1")
    expect(box).to_be_focused()
    page.goto(f"{LIST}47")
    shows(page, 47)
    holds(page, None, "")
    assert len(events(store)) == n_before


def test_a_key_of_the_page_that_is_not_there_yet_stops_what_follows_it(
    opened: Opened, store: Path
) -> None:
    n_before = len(events(store))
    page, _ = opened(47)
    page.evaluate("delete window[Symbol.for('feature-browser keys')]")
    page.keyboard.type("/ra1")
    page.keyboard.press("Enter")
    saved(page, '"/" came before the page was ready; what was typed after it was dropped')
    shows(page, 47)
    holds(page, None, "")
    page.reload()
    shows(page, 47)
    assert len(events(store)) == n_before


def test_the_search_waits_for_the_save_before_it(opened: Opened, store: Path) -> None:
    page, gate = opened(82)
    gate.mark = EVERY
    press(page, "1", "Enter", "/")
    page.keyboard.type("return 1")
    press(page, "Enter")
    gate.open()
    expect(page).to_have_url(re.compile(r"/search\?find=return.1$"))
    expect(page.get_by_role("textbox", name="Find")).to_have_value("return 1")
    assert verdicts(store, 82) == [(82, "monosemantic")]
    assert of(store, 83) == []


def test_the_key_of_the_search_can_be_taken_back(opened: Opened) -> None:
    page, _ = opened(49)
    page.reload()  # nothing was searched yet
    shows(page, 49)
    expect(page.locator(".fb-tell")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.press("x")
    page.keyboard.press("Escape")
    box = page.get_by_role("textbox", name="Find")
    expect(box).to_have_value("")
    page.goto("/compare")
    expect(page.locator(".fb-tell")).to_be_visible()
    page.keyboard.type("/self")
    expect(box).to_have_value("self")
    expect(box).to_be_focused()
    page.keyboard.type("ish")
    expect(box).to_have_value("selfish")
