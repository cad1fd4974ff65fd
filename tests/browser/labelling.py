"""Hands that label in a browser: what they press, what they see, and what is saved in the end.

The app's messages can be held back, so that it is as slow as a test needs it to be.
"""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, WebSocketRoute, expect
from sqlalchemy import Column, select

from featurestore.annotations.database import EVENTS, Database, default_url

EDITOR = b"feature_browser_editor"
EVERY = b""
LIST = "/feature?dictionary=planted&sort=feature&order=asc&feature="


Opened = Callable[..., tuple[Page, "Gate"]]
"""Opens a feature by its number, for an author: Ann, if no other."""


def events(store: Path) -> list[tuple]:
    """All that was ever saved: feature, author, label, whether it was a conflict."""
    columns = [EVENTS.c[name] for name in ("feature", "author", "label", "is_conflict")]
    return saved_in(default_url(store), *columns)


def saved_in(url: str, *columns: Column) -> list[tuple]:
    """What a program that starts now finds, in the order that it was saved in."""
    database = Database(url)
    with database.reading() as connection:
        found = connection.execute(select(*columns).order_by(EVENTS.c.number)).all()
    database.close()
    return [tuple(row) for row in found]


def open_feature(page: Page, feature: int) -> None:
    """Of a dictionary that is not the one of the queue."""
    page.goto(f"/feature?dictionary=early&feature={feature}")
    expect(page.locator(f".editor[data-feature='{feature}']")).to_be_visible()


def write(page: Page, verdict: str, label: str, author: str | None = None) -> None:
    """Judge and label with the keyboard alone; Enter is left to the caller."""
    if author is not None:
        page.locator(".editor [name=author]").fill(author)
    page.keyboard.press("Escape")
    page.keyboard.press(verdict)
    page.keyboard.press("a")
    page.keyboard.type(label)


def number(page: Page) -> int:
    return int(page.locator(".editor").get_attribute("data-feature"))


def saved(page: Page, words: str) -> None:
    expect(page.locator(".editor .state")).to_contain_text(words)


class Gate:
    """Between app and page: holds back the first message with some bytes, and all after it.

    Where `after` is set, only one that comes after a message with these bytes.
    """

    def __init__(self, page: Page) -> None:
        self.mark: bytes | None = None
        self.after = b""
        self.held: list[tuple[WebSocketRoute, str | bytes]] = []
        page.set_default_timeout(15_000)
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


def move(page: Page, feature: int) -> None:
    """As a link does, without loading the page anew."""
    leave = "a => { history.pushState(null, '', a); dispatchEvent(new PopStateEvent('popstate')); }"
    page.keyboard.press("Escape")
    discard = page.get_by_role("button", name="Discard")
    if discard.count() and discard.is_enabled():
        discard.click()
    page.evaluate(leave, f"{LIST}{feature}")


def say_who(page: Page, author: str) -> None:
    expect(page.locator(".st-key-next button")).to_be_visible()  # in a new browser it comes late
    expect(page.locator(".fb-tell")).to_be_visible()
    page.locator(".editor [name=author]").fill(author)
    page.keyboard.press("Escape")


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
