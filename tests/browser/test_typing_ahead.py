"""Fingers faster than the app: what they type reaches the feature it was meant for, or none.

The app's messages are held back here, so that it is as slow as a test needs it to be.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, WebSocketRoute, expect

from app.map.chosen import written
from featurestore.annotations.database import EVENTS, default_url
from tests.browser.conftest import serve, server_process
from tests.browser.test_annotations import events, number, saved, saved_in, write

pytestmark = [pytest.mark.browser, pytest.mark.long]
EDITOR = b"feature_browser_editor"
EVERY = b""
LIST = "/feature?dictionary=planted&sort=feature&order=asc&feature="


@pytest.fixture(scope="module")
def store(synthetic_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(synthetic_store, tmp_path_factory.mktemp("ahead") / "store")


@pytest.fixture(scope="module")
def server(store: Path) -> Iterator[str]:
    yield from serve(store)


class Gate:
    """Between app and page: holds back the first message with some bytes, and all after it.

    Where `after` is set, only one that comes after a message with these bytes.
    """

    def __init__(self, page: Page) -> None:
        self.mark: bytes | None = None
        self.after = b""
        self.held: list[tuple[WebSocketRoute, str | bytes]] = []
        page.route_web_socket("**/_stcore/stream", self._connect)

    def _connect(self, route: WebSocketRoute) -> None:
        route.connect_to_server().on_message(lambda message: self._pass(route, message))

    def _pass(self, route: WebSocketRoute, message: str | bytes) -> None:
        if self.after and self.after in bytes(message):
            self.after = b""
        if self.held or (not self.after and self.mark is not None and self.mark in bytes(message)):
            self.held.append((route, message))
        else:
            route.send(message)

    def open(self) -> None:
        self.mark, held, self.held = None, self.held, []
        for route, message in held:
            route.send(message)


def opened(context: BrowserContext, feature: int, author: str = "Ann") -> tuple[Page, Gate]:
    page = context.new_page()
    page.set_default_timeout(15_000)
    gate = Gate(page)
    page.goto(f"{LIST}{feature}")
    shows(page, feature)
    expect(page.locator(".st-key-next button")).to_be_visible()  # in a new browser it comes late
    page.locator(".editor [name=author]").fill(author)
    page.keyboard.press("Escape")
    return page, gate


def shows(page: Page, feature: int) -> None:
    expect(page.locator(f".editor[data-feature='{feature}']")).to_be_visible()


def heads(page: Page, feature: int) -> None:
    expect(page.locator(f"[data-shown='planted {feature}']")).to_be_visible()


def holds(page: Page, verdict: str | None, label: str) -> None:
    """What the editor holds now; nothing may be on its way."""
    expect(page.locator(".editor [name=label]")).to_have_value(label)
    pressed = page.locator(".editor [aria-pressed=true]")
    expect(pressed).to_have_count(0 if verdict is None else 1)
    if verdict is not None:
        expect(pressed).to_have_class(verdict)


def of(store: Path, *features: int) -> list[tuple]:
    return [event[:3] for event in events(store) if event[0] in features]


def verdicts(store: Path, *features: int) -> list[tuple]:
    """What was given, in order; of all features without any named."""
    found = saved_in(default_url(store), EVENTS.c.feature, EVENTS.c.verdict)
    return [event for event in found if not features or event[0] in features]


def test_keys_wait_until_the_editor_is_the_heading_s(context: BrowserContext, store: Path) -> None:
    page, gate = opened(context, 0)
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


def test_keys_after_next_are_the_heading_s_too(context: BrowserContext, store: Path) -> None:
    page, gate = opened(context, 40)
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


def test_a_queue_typed_blind_is_saved_as_it_was_typed(context: BrowserContext, store: Path) -> None:
    """Every message of the app comes late, in turn."""
    page, gate = opened(context, 10)
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


def test_tab_and_the_keys_of_a_note_are_typed_ahead_too(
    context: BrowserContext, store: Path
) -> None:
    page, gate = opened(context, 80)
    gate.mark = EVERY
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    page.keyboard.type("2alabel")
    page.keyboard.press("Tab")
    page.keyboard.type("note")
    page.keyboard.press("Enter")
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
def test_what_cannot_be_typed_ahead_stops(context: BrowserContext, store: Path, key: str) -> None:
    page, gate = opened(context, 30)
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


def test_enter_without_a_change_waits_too(context: BrowserContext, store: Path) -> None:
    page, gate = opened(context, 22)
    gate.mark = EVERY
    for key in ("Enter", "2", "a", "x", "Enter", "3"):
        page.keyboard.press(key)
    gate.open()
    shows(page, 24)
    holds(page, "polysemantic", "")
    assert of(store, 22, 23, 24) == [(23, "Ann", "x")]


@pytest.mark.parametrize(("delay", "feature"), [(0, 31), (15, 32), (130, 34)])
def test_a_conflict_ends_what_is_typed_ahead(
    context: BrowserContext, store: Path, delay: int, feature: int
) -> None:
    hers, gate = opened(context, feature, "Bob")
    his, _ = opened(context, feature, "Ann")
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
    context: BrowserContext, store: Path, keys: str, feature: int
) -> None:
    his, _ = opened(context, feature + 1, "Ben")
    write(his, "1", "ben")
    his.keyboard.press("Shift+Enter")
    saved(his, "Ben, just now")
    page, gate = opened(context, feature, "Ann")
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


def test_a_failed_save_ends_what_is_typed_ahead(context: BrowserContext, store: Path) -> None:
    page, gate = opened(context, 50)
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


def test_undo_waits_until_nothing_is_unsaved(context: BrowserContext) -> None:
    page, _ = opened(context, 60)
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


def test_the_box_of_the_name_is_left_after_a_save(context: BrowserContext, store: Path) -> None:
    page, _ = opened(context, 62, "")
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


def test_what_is_unsaved_is_listed(context: BrowserContext) -> None:
    page, _ = opened(context, 70)
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


def press(page: Page, *keys: str, delay: int = 0) -> None:
    """One after the other, in milliseconds between them."""
    for key in keys:
        page.keyboard.press(key)
        page.wait_for_timeout(delay)


def leads_on(page: Page, gate: Gate, *keys: str, delay: int) -> None:
    """The keys, while the app is silent till the last of them (0) or as slow as it is."""
    gate.mark = None if delay else EVERY
    press(page, *keys, delay=delay)
    gate.open()


@pytest.mark.parametrize(("delay", "feature"), [(0, 25), (120, 44)])
def test_an_arrow_waits_for_the_save_before_it(
    context: BrowserContext, store: Path, delay: int, feature: int
) -> None:
    page, gate = opened(context, feature)
    leads_on(page, gate, "1", "Shift+Enter", "ArrowRight", "4", "Enter", "a", "x", delay=delay)
    shows(page, feature + 2)
    holds(page, None, "x")
    assert verdicts(store, feature, feature + 1) == [
        (feature, "monosemantic"),
        (feature + 1, "junk"),
    ]


@pytest.mark.parametrize(("delay", "feature"), [(0, 90), (120, 94)])
def test_an_arrow_leads_back_to_what_was_just_saved(
    context: BrowserContext, store: Path, delay: int, feature: int
) -> None:
    page, gate = opened(context, feature)
    leads_on(page, gate, "1", "Enter", "ArrowLeft", "3", "Enter", "2", delay=delay)
    shows(page, feature + 1)
    holds(page, "unsure", "")
    assert verdicts(store, feature, feature + 1) == [
        (feature, "monosemantic"),
        (feature, "polysemantic"),
    ]


@pytest.mark.parametrize(("delay", "feature"), [(0, 98), (120, 106)])
def test_what_an_arrow_skips_gets_nothing(
    context: BrowserContext, store: Path, delay: int, feature: int
) -> None:
    page, gate = opened(context, feature)
    skip = ["ArrowRight"] * 2
    leads_on(page, gate, "1", "Enter", *skip, "4", "Enter", delay=delay)
    shows(page, feature + 4)
    holds(page, None, "")
    skipped = range(feature + 1, feature + 3)
    assert verdicts(store, feature, *skipped, feature + 3) == [
        (feature, "monosemantic"),
        (feature + 3, "junk"),
    ]


def test_a_note_above_does_not_move_the_editor(context: BrowserContext, store: Path) -> None:
    """Drawn at another place it would be another one, and keys pressed meanwhile for none."""
    page, gate = opened(context, 112)
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
def test_ways_to_others_are_gone_in_order(
    context: BrowserContext, store: Path, is_clicked: bool
) -> None:
    """By key or mouse, with nothing else on its way."""
    n_before = len(events(store))
    page, gate = opened(context, 6)
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


def test_a_random_one_is_waited_for(context: BrowserContext, store: Path) -> None:
    page, gate = opened(context, 64)
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


def test_a_key_held_down_leads_no_further_than_it_is_held(context: BrowserContext) -> None:
    page, gate = opened(context, 6)
    gate.mark = EVERY
    for _ in range(6):
        page.keyboard.down("ArrowRight")  # the later ones are repeats
    page.keyboard.up("ArrowRight")
    page.keyboard.press("2")
    gate.open()
    shows(page, 7)
    holds(page, "unsure", "")


def test_a_key_that_leads_elsewhere_waits_if_it_is_the_last(context: BrowserContext) -> None:
    page, gate = opened(context, 66)
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


def test_a_number_that_is_asked_for_is_waited_for(context: BrowserContext, store: Path) -> None:
    n_before = len(events(store))
    page, gate = opened(context, 6)
    page.keyboard.press("g")
    expect(page.locator(".st-key-number input")).to_be_focused()
    leads_on(page, gate, "1", "1", "5", "Enter", "2", "a", "x", delay=0)
    shows(page, 115)
    holds(page, "unsure", "x")
    assert len(events(store)) == n_before


@pytest.mark.parametrize(("delay", "is_saved"), [(0, True), (400, True), (0, False)])
def test_the_end_of_the_list_ends_what_is_typed_ahead(
    context: BrowserContext, store: Path, delay: int, is_saved: bool
) -> None:
    page, gate = opened(context, 119)
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


def test_who_agrees_can_say_so(context: BrowserContext, store: Path) -> None:
    page, _ = opened(context, 104)
    write(page, "1", "seen")
    page.keyboard.press("Shift+Enter")
    saved(page, "Ann, just now")
    page.locator(".editor [name=author]").fill("Carl")
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    saved(page, "you agree: not saved")
    holds(page, "monosemantic", "seen")
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
    page, _ = opened(context, 0)
    write(page, "1", "kept")
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

    write(page, "1", "kept still")
    server_process(address).kill()
    with pytest.raises(StopIteration):
        next(serving)
    page.keyboard.press("Enter")
    expect(problem).to_contain_text("The app does not answer")
    serving = serve(store, "--read-only", port=int(address.rsplit(":", 1)[1]))
    next(serving)
    expect(problem).to_contain_text("The app is back", timeout=30_000)
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 not saved, kept in this browser")).to_be_visible()
    expect(page.get_by_role("link", name="planted · 1")).to_be_visible()
    expect(page.locator(".editor")).to_have_count(0)
    page.keyboard.press("ArrowRight")
    heads(page, 2)
    context.close()
    with pytest.raises(StopIteration):
        next(serving)
