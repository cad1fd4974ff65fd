"""Fingers faster than the app: what they type reaches the feature it was meant for, or none.

The app's messages are held back here, so that it is as slow as a test needs it to be.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, WebSocketRoute, expect

from tests.browser.conftest import serve, server_process
from tests.browser.test_annotations import events, number, saved, write

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


@pytest.fixture
def context(browser: Browser, server: str) -> Iterator[BrowserContext]:
    """A window of one's own: its storage is empty, and the app may be gone for a while."""
    made = browser.new_context(base_url=server, viewport={"width": 1440, "height": 900})
    yield made
    made.close()


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
    page.keyboard.type("two")
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


@pytest.mark.parametrize(("delay", "feature"), [(0, 31), (15, 32), (60, 33), (130, 34)])
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
    page.keyboard.press("Escape")
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
    expect(page.locator(".editor .problem")).to_contain_text("The app does not answer")
    page.keyboard.type("4a stale words")
    page.keyboard.press("Enter")
    saved(page, "not saved; what was typed after it was dropped")
    expect(page.locator("[data-testid=stDialog]")).to_be_visible(timeout=30_000)
    page.keyboard.press("4")
    holds(page, "monosemantic", "kept")

    serving = serve(store, port=int(address.rsplit(":", 1)[1]))
    next(serving)
    expect(page.locator("[data-testid=stDialog]")).to_have_count(0, timeout=30_000)
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
    assert of(store, *range(9)) == [(0, "Ann", "kept")]
    context.close()
    with pytest.raises(StopIteration):
        next(serving)
