"""Ways to other features, faster than the app: each is gone, in order, and nothing is lost."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from app.map.chosen import written
from tests.browser.conftest import serve, server_process
from tests.browser.labelling import (
    EDITOR,
    EVERY,
    LIST,
    Opened,
    events,
    heads,
    holds,
    leads_on,
    of,
    press,
    saved,
    shows,
    verdicts,
    write,
)

pytestmark = [pytest.mark.browser, pytest.mark.long]


@pytest.fixture(scope="module")
def server(store: Path) -> Iterator[str]:
    yield from serve(store)


@pytest.mark.parametrize(("delay", "feature"), [(0, 25), (120, 44)])
def test_an_arrow_waits_for_the_save_before_it(
    opened: Opened, store: Path, delay: int, feature: int
) -> None:
    page, gate = opened(feature)
    leads_on(page, gate, "1", "Shift+Enter", "ArrowRight", "4", "Enter", "a", "x", delay=delay)
    shows(page, feature + 2)
    holds(page, None, "x")
    assert verdicts(store, feature, feature + 1) == [
        (feature, "monosemantic"),
        (feature + 1, "junk"),
    ]


@pytest.mark.parametrize(("delay", "feature"), [(0, 90), (120, 94)])
def test_an_arrow_leads_back_to_what_was_just_saved(
    opened: Opened, store: Path, delay: int, feature: int
) -> None:
    page, gate = opened(feature)
    leads_on(page, gate, "1", "Enter", "ArrowLeft", "3", "Enter", "2", delay=delay)
    shows(page, feature + 1)
    holds(page, "unsure", "")
    assert verdicts(store, feature, feature + 1) == [
        (feature, "monosemantic"),
        (feature, "polysemantic"),
    ]


@pytest.mark.parametrize(("delay", "feature"), [(0, 98), (120, 106)])
def test_what_an_arrow_skips_gets_nothing(
    opened: Opened, store: Path, delay: int, feature: int
) -> None:
    page, gate = opened(feature)
    skip = ["ArrowRight"] * 2
    leads_on(page, gate, "1", "Enter", *skip, "4", "Enter", delay=delay)
    shows(page, feature + 4)
    holds(page, None, "")
    skipped = range(feature + 1, feature + 3)
    assert verdicts(store, feature, *skipped, feature + 3) == [
        (feature, "monosemantic"),
        (feature + 3, "junk"),
    ]


def test_a_note_above_does_not_move_the_editor(opened: Opened, store: Path) -> None:
    """Drawn at another place it would be another one, and keys pressed meanwhile for none."""
    page, gate = opened(112)
    page.goto(f"{LIST}112&dead=perhaps")
    expect(page.get_by_text("perhaps")).to_be_visible()
    shows(page, 112)
    page.locator(".editor").evaluate("editor => { editor.isTheFirst = true; }")
    gate.mark, gate.after = EDITOR, b'"planted 113"'
    press(page, "1", "Enter", "4", "Enter", "2")
    expect(page.get_by_text("perhaps")).to_have_count(0)
    gate.open()
    shows(page, 114)
    holds(page, "unsure", "")
    assert page.locator(".editor").evaluate("editor => editor.isTheFirst")
    assert verdicts(store, *range(112, 115)) == [(112, "monosemantic"), (113, "junk")]


@pytest.mark.parametrize("is_clicked", [False, True])
def test_ways_to_others_are_gone_in_order(opened: Opened, store: Path, is_clicked: bool) -> None:
    """By key or mouse, with nothing else on its way."""
    n_before = len(events(store))
    page, gate = opened(6)
    gate.mark = EVERY
    for _ in range(3):
        if is_clicked:
            page.get_by_role("button", name="Next ›").click()
        else:
            page.keyboard.press("ArrowRight")
    page.keyboard.type("2ar")
    page.keyboard.press("ArrowLeft")  # in the box
    gate.open()
    shows(page, 9)
    saved(page, "not saved; what was typed after it was dropped")
    holds(page, "unsure", "r")
    page.get_by_role("button", name="Discard").click()
    assert len(events(store)) == n_before


def test_a_random_one_is_waited_for(opened: Opened, store: Path) -> None:
    page, gate = opened(64)
    page.goto(f"{LIST}64&among={written((64, 65))}")  # no other test's
    shows(page, 64)
    expect(page.locator(".st-key-random button").first).to_be_visible()
    n_before = len(events(store))
    leads_on(page, gate, "1", "Shift+Enter", "r", "4", "Shift+Enter", "2", delay=0)
    saved(page, "not saved")
    shows(page, 65)
    holds(page, "unsure", "")
    assert verdicts(store)[n_before:] == [(64, "monosemantic"), (65, "junk")]
    page.get_by_role("button", name="Discard").click()


def test_a_key_held_down_leads_no_further_than_it_is_held(opened: Opened) -> None:
    page, gate = opened(6)
    gate.mark = EVERY
    for _ in range(6):
        page.keyboard.down("ArrowRight")  # the later ones are repeats
    page.keyboard.up("ArrowRight")
    page.keyboard.press("2")
    gate.open()
    shows(page, 7)
    holds(page, "unsure", "")


def test_a_key_that_leads_elsewhere_waits_if_it_is_the_last(opened: Opened) -> None:
    page, gate = opened(66)
    leads_on(page, gate, "ArrowRight", "g", delay=0)
    shows(page, 67)
    box = page.locator(".st-key-number input")
    expect(box).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    leads_on(page, gate, "ArrowRight", "2", "g", "4", "Enter", delay=0)
    saved(page, '"g" leads elsewhere; what was typed after it was dropped')
    shows(page, 68)
    holds(page, "unsure", "")


@pytest.mark.parametrize(("delay", "is_saved"), [(400, True), (0, False)])
def test_the_end_of_the_list_ends_what_is_typed_ahead(
    opened: Opened, store: Path, delay: int, is_saved: bool
) -> None:
    page, gate = opened(119)
    n_before = len(events(store))
    if is_saved:
        page.locator(".editor [name=label]").fill(f"last {delay}")
        page.keyboard.press("Control+Enter")
    else:
        page.keyboard.press("Enter")
    if delay:
        expect(page.get_by_text("That was the last one of the list.")).to_be_visible()
        page.wait_for_timeout(delay)
    leads_on(page, gate, "1", "a", "x", "Enter", "4", "Enter", delay=delay)
    saved(page, "(the last of the list); what was typed after it was dropped. Esc to go on")
    page.keyboard.type("4a more")
    page.keyboard.press("Enter")
    assert len(events(store)) == n_before + is_saved
    holds(page, None, f"last {delay}" if is_saved else (of(store, 119) or [("",)])[-1][-1])
    page.keyboard.press("Escape")
    press(page, "ArrowRight", "4", "Enter")
    saved(page, "no next feature in the list; what was typed after it was dropped")
    page.keyboard.press("Escape")
    press(page, "ArrowLeft", "4")
    shows(page, 118)
    holds(page, "junk", "")
    assert len(events(store)) == n_before + is_saved
    page.get_by_role("button", name="Discard").click()


def test_who_agrees_can_say_so(opened: Opened, store: Path) -> None:
    page, _ = opened(104)
    write(page, "1", "seen")
    page.keyboard.press("Shift+Enter")
    saved(page, "Ann, just now")
    page.locator(".editor [name=author]").fill("Carl")
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    saved(page, "you agree: not saved")
    holds(page, "monosemantic", "seen")
    label, author = (page.locator(f".editor [name={name}]") for name in ("label", "author"))
    label.fill("seen twice")
    expect(page.locator(".editor .state")).to_have_text("not saved")
    label.fill("seen")
    saved(page, "you agree: not saved")
    author.fill("Ann")
    saved(page, "Ann, just now")  # nobody agrees with oneself
    author.fill("Carl")
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    saved(page, "you agree: not saved")
    page.keyboard.press("1")
    saved(page, "not saved")
    holds(page, None, "seen")
    page.keyboard.press("1")
    saved(page, "Ann, just now")
    page.keyboard.press("1")
    page.keyboard.press("Shift+Enter")
    saved(page, "Carl, just now")
    holds(page, "monosemantic", "seen")
    assert of(store, 104) == [(104, "Ann", "seen"), (104, "Carl", "seen")]
    page.keyboard.press("1")  # now it is his own
    holds(page, None, "seen")
    page.get_by_role("button", name="Discard").click()


def test_an_app_that_stops_and_starts_again(
    browser: Browser, synthetic_store: Path, tmp_path: Path
) -> None:
    store = shutil.copytree(synthetic_store, tmp_path / "store")
    serving = serve(store)
    address = next(serving)
    context = browser.new_context(base_url=address, viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(f"{LIST}0")
    write(page, "1", "kept", author="Ann")
    other = context.new_page()
    other.goto("/compare")
    expect(other.locator(".fb-tell")).to_be_visible()
    server_process(address).kill()
    with pytest.raises(StopIteration):
        next(serving)
    page.keyboard.press("Enter")
    problem = page.locator(".editor .problem")
    expect(problem).to_contain_text("The app does not answer")
    page.keyboard.type("4a stale words")
    page.keyboard.press("Enter")
    saved(page, "not saved; what was typed after it was dropped")
    expect(page.locator("[data-testid=stDialog]")).to_be_visible(timeout=30_000)
    page.keyboard.press("4")
    holds(page, "monosemantic", "kept")

    serving = serve(store, port=int(address.rsplit(":", 1)[1]))
    next(serving)
    expect(page.locator("[data-testid=stDialog]")).to_have_count(0, timeout=30_000)
    expect(problem).to_have_text("The app is back. What you typed is not saved yet.")
    for _ in range(3):
        page.keyboard.type("4a stray")
        page.keyboard.press("Enter")
        page.wait_for_timeout(500)
    saved(page, "not saved; what was typed after it was dropped")
    holds(page, "monosemantic", "kept")
    page.locator(".editor [name=label]").click()
    page.keyboard.press("Enter")
    shows(page, 1)
    holds(page, None, "")
    expect(page.locator(".editor .problem")).to_be_hidden()
    assert of(store, *range(9)) == [(0, "Ann", "kept")]
    other.get_by_text("KL ratio", exact=True).click()  # its first click since the app is back
    expect(other).to_have_url(re.compile("plot="))
    other.close()

    write(page, "1", "kept still")
    server_process(address).kill()
    with pytest.raises(StopIteration):
        next(serving)
    page.keyboard.press("Enter")
    expect(problem).to_contain_text("The app does not answer")
    serving = serve(store, "--read-only", port=int(address.rsplit(":", 1)[1]))
    next(serving)
    kept = page.get_by_text("1 not saved, kept in this browser")  # drawn anew by itself
    expect(kept).to_be_visible(timeout=30_000)
    page.keyboard.press("Escape")  # the save that was refused had stopped what follows it
    expect(page.get_by_role("link", name="planted · 1")).to_be_visible()
    expect(page.locator(".editor")).to_have_count(0)
    page.keyboard.press("ArrowRight")
    heads(page, 2)
    context.close()
    with pytest.raises(StopIteration):
        next(serving)
