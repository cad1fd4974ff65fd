"""Ways to another feature that are no buttons: a number, a dictionary, a link, Back; and none."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.map.chosen import written
from tests.browser.conftest import serve
from tests.browser.labelling import (
    EVERY,
    LIST,
    Gate,
    Opened,
    events,
    holds,
    leads_on,
    press,
    saved,
    shows,
    verdicts,
)

pytestmark = [pytest.mark.browser, pytest.mark.long]


@pytest.fixture(scope="module")
def server(store: Path) -> Iterator[str]:
    yield from serve(store)


def test_a_number_is_waited_for_and_taken_back_by_esc(opened: Opened, store: Path) -> None:
    n_before = len(events(store))
    page, gate = opened(6)
    box = page.locator(".st-key-number input")
    page.keyboard.press("g")
    expect(box).to_be_focused()
    leads_on(page, gate, "1", "1", "5", "Enter", "2", "a", "x", delay=0)
    shows(page, 115)
    holds(page, "unsure", "x")
    drop(page)
    box.click()
    press(page, "2", "3", "Escape")
    expect(box).not_to_be_focused()
    expect(box).to_have_value("")
    press(page, "3")
    holds(page, "polysemantic", "")
    shows(page, 115)
    drop(page)
    box.click()
    gate.mark = EVERY
    page.keyboard.type("23")
    page.locator("h1").click()  # whoever leaves the box asks for it, too
    page.keyboard.type("4")
    gate.open()
    shows(page, 23)
    holds(page, "junk", "")
    drop(page)
    assert len(events(store)) == n_before


def drop(page: Page) -> None:
    page.get_by_role("button", name="Discard").click()
    page.keyboard.press("Escape")


@pytest.mark.parametrize("is_clicked", [True, False])
def test_a_dictionary_that_is_chosen_is_waited_for(
    opened: Opened, store: Path, is_clicked: bool
) -> None:
    n_before = len(events(store))
    page, gate = opened(14)
    gate.mark = EVERY
    choose(page, "early", is_clicked)
    page.keyboard.type("2ax")
    page.keyboard.press("Escape")
    gate.open()
    expect(page.locator("[data-shown='early 14']")).to_be_visible()
    holds(page, "unsure", "x")
    drop(page)
    choose(page, "early", is_clicked=True)  # the same: nothing is on its way
    picker = page.get_by_role("combobox", name="Dictionary")
    expect(picker).not_to_be_focused()
    for typed, hit, key in (("planted", "planted", "Tab"), ("none", "No results", "Enter")):
        picker.click()  # nothing is chosen
        page.keyboard.type(typed)
        expect(page.get_by_role("option")).to_have_text([re.compile(hit)])
        press(page, key)
        expect(picker).not_to_be_focused()
    page.keyboard.press("3")
    holds(page, "polysemantic", "")
    drop(page)
    assert len(events(store)) == n_before


def test_a_dictionary_that_is_chosen_during_a_save_is_waited_for_after_it(
    opened: Opened, store: Path
) -> None:
    page, gate = opened(16)
    gate.mark = EVERY
    press(page, "1", "Enter")
    choose(page, "early", is_clicked=True)
    press(page, "4", "Shift+Enter", "2")
    gate.open()
    expect(page.locator("[data-shown='early 17']")).to_be_visible()
    holds(page, "unsure", "")
    assert verdicts(store, 16, 17) == [(16, "monosemantic"), (17, "junk")]
    drop(page)
    page.goto(f"{LIST}17")
    shows(page, 17)
    holds(page, None, "")  # the verdict is of the other dictionary's


def choose(page: Page, dictionary: str, is_clicked: bool) -> None:
    picker = page.get_by_role("combobox", name="Dictionary")
    picker.click()
    if is_clicked:
        page.get_by_role("option", name=dictionary).click()
    else:
        page.keyboard.type(dictionary)
        expect(page.get_by_role("option")).to_have_count(1)
        page.keyboard.press("Enter")


def test_a_link_and_the_way_back_are_waited_for(opened: Opened) -> None:
    page, gate = opened(18)
    link = page.locator(".neighbours a").first
    number = int(link.inner_text())
    gate.mark = EVERY
    link.click()
    page.keyboard.press("2")
    gate.open()
    shows(page, number)
    holds(page, "unsure", "")
    drop(page)
    gate.mark = EVERY
    page.go_back()
    page.keyboard.press("4")
    gate.open()
    shows(page, 18)
    holds(page, "junk", "")
    drop(page)
    expect(link).to_have_text(str(number))
    box = page.locator(".st-key-number input")
    gate.mark = EVERY
    link.click()
    box.click()  # what is typed into another box meanwhile stays in it
    page.keyboard.type("21")
    expect(box).to_have_value("21")
    press(page, "Enter", "2")
    gate.open()
    shows(page, 21)
    holds(page, "unsure", "")
    drop(page)


def test_a_move_that_leads_nowhere_drops_what_was_typed_after_it(opened: Opened) -> None:
    page, _ = opened(21)
    page.goto(f"/feature?dictionary=planted&among={written((20, 21))}&dead=1&feature=21")
    shows(page, 21)
    expect(page.locator(".st-key-random button").first).to_be_enabled()
    page.keyboard.type("r4")
    saved(page, "no other feature came; what was typed after it was dropped. Esc to go on")
    page.keyboard.type("2")
    holds(page, None, "")
    press(page, "Escape", "2")
    holds(page, "unsure", "")
    drop(page)


def test_a_stop_ends_by_esc_on_a_page_without_an_editor_too(opened: Opened) -> None:
    page, _ = opened(22, author="")
    to_compare(page)
    page.get_by_role("link", name="Feature", exact=True).click()
    shows(page, 22)
    press(page, "1", "Enter")
    saved(page, "your name first")
    page.go_back()
    expect(page).to_have_url(re.compile("/compare"))
    expect(page.locator(".editor")).to_have_count(0)
    expect(page.locator(".fb-tell")).to_be_visible()
    # The second has no use here, waits for an editor, and is taken back.
    press(page, "Escape", "1", "Escape", "/")
    expect(page.get_by_role("textbox", name="Find")).to_be_focused()


def to_compare(page: Page) -> None:
    page.get_by_role("link", name="Compare", exact=True).click()
    expect(page).to_have_url(re.compile(r"/compare\?"))
    expect(page.locator(".editor")).to_have_count(0)
    expect(page.locator(".fb-tell")).to_be_visible()


def test_what_is_typed_on_the_way_from_another_page_waits_for_the_editor(
    opened: Opened, store: Path
) -> None:
    """All of it: nothing of a word is a command."""
    page, gate = opened(24)
    for way, number in {"row": 24, "button": 26, "forward": 28, "number": 29}.items():
        page.goto(f"/?dictionary=planted&sort=feature&order=asc&among={written((number,))}")
        expect(page.locator(".fb-tell")).to_be_visible()
        expect(page.locator("tbody tr")).to_have_count(1)
        expect(page.get_by_role("button", name="Label these")).to_be_visible()
        set_out(page, gate, way, number)
        page.keyboard.type("3ax400 bad/", delay=20)
        page.keyboard.press("Shift+Enter")
        gate.open()
        shows(page, number)
        saved(page, "Ann, just now")
        holds(page, "polysemantic", "x400 bad/")
        assert verdicts(store, number) == [(number, "polysemantic")]


def set_out(page: Page, gate: Gate, way: str, number: int) -> None:
    row = page.locator("tbody tr")
    if way == "forward":
        row.click()
        shows(page, number)
        page.go_back()
        expect(row).to_have_count(1)
        expect(page.locator(".editor")).to_have_count(0)
    gate.mark = EVERY
    if way == "row":
        row.click()
    elif way == "button":
        page.get_by_role("button", name="Label these").click()
    elif way == "forward":
        page.go_forward()
    else:
        page.keyboard.press("g")
        press(page, *str(number), "Enter")
        expect(page.locator(".st-key-number input")).not_to_be_focused()


def test_a_tab_keeps_its_name(opened: Opened) -> None:
    ann, _ = opened(31)
    bob, _ = opened(32, author="Bob")
    ann.reload()
    shows(ann, 31)
    expect(ann.locator(".editor [name=author]")).to_have_value("Ann")
    bob.evaluate("sessionStorage.clear()")  # as of a new tab
    bob.reload()
    shows(bob, 32)
    expect(bob.locator(".editor [name=author]")).to_have_value("Bob")
