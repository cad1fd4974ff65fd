"""How long a user of Live waits for the heatmap of a text, in Chromium.

Playwright is needed for it alone, which comes with requirements-test.txt.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.browser import app, tab, wait_for_frame

if TYPE_CHECKING:
    from playwright.sync_api import Page


def measure_page(store: Path, names: Sequence[str], texts: Sequence[str]) -> dict[str, float | str]:
    """Start the app and give it every text: the first while it loads, the others by keyboard.

    From the keys that run a text to the frame that shows it; the second text is the first one of a
    session whose models are loaded already.
    """
    with app(store) as (address, _), tab(address) as page:
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


def _run(page: Page, text: str, number: int) -> float:
    """Put a text into the box and run it; seconds until its heatmap is painted."""
    box = page.locator(".st-key-live_text textarea")
    box.fill(text)
    start = time.perf_counter()
    box.press("Control+Enter")
    passage = page.locator(".strips .passage[data-text='0']", has_text=f"#{number}#")
    passage.locator(".token").last.wait_for()
    page.locator(".strips tbody tr[data-key]").first.wait_for()
    wait_for_frame(page)
    return time.perf_counter() - start


def page_as_text(found: dict[str, float | str]) -> str:
    """A line for people."""
    return (
        f"{'':>4} page: a text's heatmap after {found['p50_ms']} ms (p95 {found['p95_ms']} ms, "
        f"n {found['n']}), the first of a session after {found['first_ms']} ms, after opening "
        f"an app that has loaded nothing {found['loading_s']:.1f} s"
    )
