"""How long a user waits for a page: python -m benchmarks.pages --store store.

Chromium, 1440 x 900, on the same machine as the app. Each wait ends with the frame that shows what
was asked for, drawn by the page's own parts; medians and 95th percentiles over `--repeats`.

start      a process is started, and the first list of a new browser is read
deep link  a new session opens a feature
next       one more feature of the list, by its button
sort       a list by another column
search     a list by a token that is typed
map        from a list to its map
compare    from a list to the scoreboard
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.browser import app, tab, wait_for_frame
from featurestore.records import FeatureQuery
from featurestore.store import Store

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROWS = ".st-key-features tbody tr"
COLUMNS = ("max", "density")
TOKENS = ("the", "a", "in", "self", "def", "is", "if", "not")


def main(arguments: list[str] | None = None) -> None:
    """Measure and print a line for each wait."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pages",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--store", type=Path, default=Path("store"))
    parser.add_argument("--dictionary", metavar="ID", help="the first, if not said")
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args(arguments)
    store = Store(options.store)
    known = [info.dictionary_id for info in store.catalogue().dictionaries]
    chosen = options.dictionary or known[0]
    features = [row.feature for row in store.features(FeatureQuery(chosen), 50).rows]
    for name, waits in measure(options.store, chosen, features, options.repeats).items():
        p50, p95 = np.percentile(waits, (50, 95))
        line = {"benchmark": "pages", "dictionary": chosen, "wait": name, "n": len(waits)}
        print(json.dumps(line | {"p50_ms": round(p50), "p95_ms": round(p95)}))


def measure(
    store: Path, dictionary: str, features: list[int], repeats: int
) -> dict[str, list[float]]:
    """Waits in milliseconds, by name; the app is started three times."""
    starts = [_started(store, dictionary) for _ in range(min(repeats, 3))]
    with app(store) as (address, _):
        found = {"start": starts, "deep link": []}
        for repeat in range(repeats):
            with tab(address) as page:
                feature = features[repeat % len(features)]
                found["deep link"].append(_deep_link(page, dictionary, feature))
        with tab(address) as page:
            _open_list(page, dictionary)
            for name, wait in WAITS.items():
                found[name] = [wait(page, dictionary, repeat) for repeat in range(repeats)]
    return found


def _started(store: Path, dictionary: str) -> float:
    start = time.perf_counter()
    with app(store) as (address, _), tab(address) as page:
        _open_list(page, dictionary)
        wait_for_frame(page)
        return (time.perf_counter() - start) * 1000


def _deep_link(page: Page, dictionary: str, feature: int) -> float:
    def go() -> None:
        page.goto(f"/feature?dictionary={dictionary}&feature={feature}")
        _is_shown(page, feature)

    return _timed(page, go)


def _open_list(page: Page, dictionary: str) -> None:
    page.goto(f"/?dictionary={dictionary}")
    page.locator(ROWS).first.wait_for()


def _next(page: Page, dictionary: str, repeat: int) -> float:
    if repeat == 0:
        page.locator(ROWS).first.click()
        page.locator("h1", has_text="Feature").wait_for()
    button = page.get_by_role("button", name="Next ›")
    before = _number(page)
    _is_shown(page, before)
    page.wait_for_timeout(300)  # whoever clicks has looked at it

    def go() -> None:
        button.click()
        page.wait_for_function(
            "before => !document.querySelector('h1').textContent.startsWith(before + ' ')",
            arg=f"Feature {before}",
        )
        _is_shown(page, _number(page))

    return _timed(page, go)


def _sort(page: Page, dictionary: str, repeat: int) -> float:
    if repeat == 0:
        _open_list(page, dictionary)
    column = COLUMNS[repeat % len(COLUMNS)]

    def go() -> None:
        page.get_by_role("button", name=column, exact=True).click()
        page.locator("th[aria-sort]", has_text=column).wait_for()

    return _timed(page, go)


def _search(page: Page, dictionary: str, repeat: int) -> float:
    if repeat == 0:
        _open_list(page, dictionary)
    box = page.get_by_role("textbox", name="Token")
    token = TOKENS[repeat % len(TOKENS)]
    before = page.locator(".st-key-count").inner_text()
    box.fill(token)

    def go() -> None:
        box.press("Enter")
        page.wait_for_function(
            "before => document.querySelector('.st-key-count').innerText !== before", arg=before
        )

    return _timed(page, go)


def _map(page: Page, dictionary: str, repeat: int) -> float:
    return _from_list(page, dictionary, "Map", ".st-key-map .legend > *")


def _compare(page: Page, dictionary: str, repeat: int) -> float:
    return _from_list(page, dictionary, "Compare", ".st-key-scoreboard tbody tr")


def _from_list(page: Page, dictionary: str, name: str, shown: str) -> float:
    _open_list(page, dictionary)
    page.wait_for_timeout(300)

    def go() -> None:
        page.get_by_role("link", name=name, exact=True).click()
        page.locator(shown).first.wait_for()

    return _timed(page, go)


WAITS: dict[str, Callable[[Page, str, int], float]] = {
    "next": _next,
    "sort": _sort,
    "search": _search,
    "map": _map,
    "compare": _compare,
}


def _number(page: Page) -> int:
    return int(re.search(r"Feature (\d+)", page.locator("h1").inner_text()).group(1))


def _is_shown(page: Page, feature: int) -> None:
    """Wait for its contexts."""
    page.locator(f".view[data-feature='{feature}'] .token").first.wait_for()


def _timed(page: Page, act: Callable[[], None]) -> float:
    start = time.perf_counter()
    act()
    wait_for_frame(page)
    return (time.perf_counter() - start) * 1000


if __name__ == "__main__":
    main()
