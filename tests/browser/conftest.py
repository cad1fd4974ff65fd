import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    Request,
    expect,
    sync_playwright,
)

from tests.browser.labelling import LIST, Gate, Opened, heads, move, say_who, shows

expect.set_options(timeout=15_000)  # a busy machine may take a while

ROOT = Path(__file__).parent.parent.parent
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
PROBE = "/_stcore/"
"""Streamlit looks for its server below a page's path first, and takes a 404 for an answer."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The Chromium on PATH, else Playwright's own; without one, skip, but not in CI."""
    with sync_playwright() as playwright:
        found = chromium(playwright)
        if not Path(found).exists() and os.environ.get("CI") != "true":
            pytest.skip("no Chromium: `make browser` installs one")
        opened = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield opened
        opened.close()


def chromium(playwright: Playwright) -> str:
    """Where a Chromium would be."""
    names = ("chromium", "chromium-browser")
    return next(filter(None, map(shutil.which, names)), playwright.chromium.executable_path)


@pytest.fixture(scope="module")
def store(synthetic_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy for the tests of one file, since annotations stay beside it."""
    return shutil.copytree(synthetic_store, tmp_path_factory.mktemp("annotated") / "store")


@pytest.fixture(scope="session")
def server(synthetic_store: Path) -> Iterator[str]:
    """The address of the app on the store of known features."""
    yield from serve(synthetic_store)


def serve(
    store: Path,
    *options: str,
    logs: Path | None = None,
    has_traces: bool = False,
    port: int = 0,
) -> Iterator[str]:
    """Start the app as users start it, give its address, and stop it; its log stands in the store.

    Whether the log holds traces is checked at the end. Port 0 is any that is free.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "app", str(store), "--port", str(port), *options]
    log = (logs or store) / f"server-{port}.log"
    with (
        log.open("w") as output,
        subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output) as process,
    ):
        address = f"http://127.0.0.1:{port}"
        _wait_until_healthy(address, process, log)
        yield address
        process.terminate()
    assert ("Traceback" in log.read_text()) is has_traces


def _wait_until_healthy(address: str, process: subprocess.Popen, log: Path) -> None:
    for _ in range(300):
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health") as answer:
                if answer.read() == b"ok":
                    return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"no answer from {address}: {log.read_text()}")


@pytest.fixture(scope="session")
def contexts(browser: Browser) -> dict[str, BrowserContext]:
    """Windows by address, which keep the scripts that they have fetched.

    The first tab of each stays: with it the process that has compiled them, a third of what a page
    costs.
    """
    return {}


@pytest.fixture
def context(
    browser: Browser, server: str, contexts: dict[str, BrowserContext]
) -> Iterator[BrowserContext]:
    """A window in which nothing is stored."""
    if server not in contexts:
        contexts[server] = browser.new_context(
            base_url=server, viewport={"width": 1440, "height": 900}
        )
    window = contexts[server]
    if not window.pages:
        window.new_page().goto("/_stcore/health")
    everything = {"origin": server, "storageTypes": "all"}
    window.new_cdp_session(window.pages[0]).send("Storage.clearDataForOrigin", everything)
    yield window
    for page in window.pages[1:]:
        page.close()


@pytest.fixture(scope="module")
def gates(server: str) -> Iterator[dict[Page, Gate]]:
    """Of the tabs that features were opened in."""
    made: dict[Page, Gate] = {}
    yield made
    for page in made:
        page.close()  # or it asks for its app from then on


@pytest.fixture
def opened(
    context: BrowserContext, gates: dict[Page, Gate], request: pytest.FixtureRequest
) -> Iterator[Opened]:
    """A test goes on in the first tab of the one before it: to load a page costs thrice."""
    free = context.pages[:1]
    n_failed = request.session.testsfailed

    def open_feature(feature: int, author: str = "Ann") -> tuple[Page, Gate]:
        page = free.pop() if free else context.new_page()
        if page in gates:
            move(page, feature)
        else:
            gates[page] = Gate(page)
            page.goto(f"{LIST}{feature}")
        heads(page, feature)
        shows(page, feature)
        expect(page.locator("[data-test-script-state=notRunning]")).to_be_attached()
        say_who(page, author)
        return page, gates[page]

    yield open_feature
    if request.session.testsfailed > n_failed:
        for page in context.pages:
            page.close()
        gates.clear()


@pytest.fixture
def page(context: BrowserContext, server: str) -> Iterator[Page]:
    """A tab that fails the test for a dialog, a request to elsewhere or an error in the console."""
    page = context.new_page()
    page.set_default_timeout(15_000)
    found: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error" and PROBE not in message.location["url"]:
            found.append(f"console: {message.text}")

    def on_request(one: Request) -> None:
        if not one.url.startswith((server, "data:", "blob:")):
            found.append(f"request: {one.url}")

    page.on("console", on_console)
    page.on("request", on_request)
    page.on("pageerror", lambda error: found.append(f"error: {error}"))
    page.on("dialog", lambda dialog: (found.append(f"dialog: {dialog.message}"), dialog.accept()))
    yield page
    assert found == []


def check_room(page: Page) -> None:
    """Nothing sticks out of a window of 800 pixels."""
    page.set_viewport_size({"width": 800, "height": 900})
    page.wait_for_timeout(500)  # until all is drawn anew
    parts = page.locator(":root, [data-testid=stMain], [data-testid=stMainBlockContainer]").all()
    for part in parts:
        assert part.evaluate("e => e.scrollWidth - e.clientWidth") <= 0


def server_process(address: str) -> psutil.Process:
    """The process that serves an address."""
    port = int(address.rsplit(":", 1)[1])
    found = [c.pid for c in psutil.net_connections("tcp") if c.laddr.port == port and c.pid]
    return psutil.Process(found[0])
