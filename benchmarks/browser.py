"""The app in a process of its own, and a tab of Chromium that looks at it.

Playwright is needed for the tab alone; it comes with requirements-test.txt.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]

PATIENCE_MS = 120_000
"""Until the first page of Live: libraries, models and dictionaries are loaded first."""

_PAINTED = "() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))"


@contextmanager
def app(store: Path) -> Iterator[tuple[str, subprocess.Popen]]:
    """The app on a store; its address and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    without_limit = ["--live-requests", "1000000"]  # a benchmark asks faster than people do
    command = [sys.executable, "-m", "app", str(store), "--port", str(port), *without_limit]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        address = f"http://127.0.0.1:{port}"
        try:
            while not _is_up(address) and process.poll() is None:
                time.sleep(0.1)
            yield address, process
        finally:
            process.terminate()


def _is_up(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/_stcore/health") as answer:
            return answer.read() == b"ok"
    except OSError:
        return False


@contextmanager
def tab(address: str) -> Iterator[Page]:
    """A new tab of a new browser: the first Chromium on PATH, else Playwright's own."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        names = ("chromium", "chromium-browser")
        found = next(filter(None, map(shutil.which, names)), None)
        with playwright.chromium.launch(executable_path=found, args=FLAGS) as browser:
            page = browser.new_page(base_url=address, viewport={"width": 1440, "height": 900})
            page.set_default_timeout(PATIENCE_MS)
            yield page


def wait_for_frame(page: Page) -> None:
    """Until what the page holds now is painted."""
    page.evaluate(_PAINTED)
