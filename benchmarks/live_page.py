"""How long a user of Live waits for the heatmap of a text, in Chromium.

Playwright is needed for it alone, which comes with requirements-test.txt.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from playwright.sync_api import Page

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]

PATIENCE_MS = 120_000
"""Until the first heatmap: libraries, models and dictionaries are loaded first."""

_PAINTED = "() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))"


def measure_page(store: Path, names: Sequence[str], texts: Sequence[str]) -> dict[str, float | str]:
    """Start the app and give it every text: the first while it loads, the others by keyboard.

    From the keys that run a text to the frame that shows it; the second text is the first one of a
    session whose models are loaded already.
    """
    with app(store) as (address, _), _tab(address) as page:
        where = f"/live?dictionaries={','.join(names)}"
        start = time.perf_counter()
        page.goto(where)
        _run(page, texts[0], 0)
        loading = time.perf_counter() - start
        page.goto(where)  # a new session
        first, *further = [_run(page, text, i) for i, text in enumerate(texts) if i]
    p50, p95 = np.percentile(further, (50, 95))
    return {
        "benchmark": "live_page",
        "dictionaries": len(names),
        "loading_s": round(loading, 2),
        "first_ms": round(first * 1000),
        "p50_ms": round(float(p50) * 1000),
        "p95_ms": round(float(p95) * 1000),
        "n": len(further),
    }


@contextmanager
def app(store: Path) -> Iterator[tuple[str, subprocess.Popen]]:
    """The app on a store; its address and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "app", str(store), "--port", str(port)]
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
def _tab(address: str) -> Iterator[Page]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        names = ("chromium", "chromium-browser")
        found = next(filter(None, map(shutil.which, names)), None)
        with playwright.chromium.launch(executable_path=found, args=FLAGS) as browser:
            page = browser.new_page(base_url=address, viewport={"width": 1440, "height": 900})
            page.set_default_timeout(PATIENCE_MS)
            yield page


def _run(page: Page, text: str, number: int) -> float:
    """Put a text into the box and run it; seconds until its heatmap is painted."""
    box = page.locator(".st-key-live_text textarea")
    box.fill(text)
    start = time.perf_counter()
    box.press("Control+Enter")
    passage = page.locator(".strips .passage[data-text='0']", has_text=f"#{number}#")
    passage.locator(".token").last.wait_for()
    page.locator(".strips tbody tr[data-key]").first.wait_for()
    page.evaluate(_PAINTED)
    return time.perf_counter() - start


def page_as_text(found: dict[str, float | str]) -> str:
    """A line for people."""
    return (
        f"{'':>4} page: a text's heatmap after {found['p50_ms']} ms (p95 {found['p95_ms']} ms, "
        f"n {found['n']}), the first of a session after {found['first_ms']} ms, after opening "
        f"an app that has loaded nothing {found['loading_s']:.1f} s"
    )
