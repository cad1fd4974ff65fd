"""The pictures of the documents: `python -m tests.pictures STORE [NAME ...]` takes them anew.

STORE has the demo; for `scoreboard` its baselines, too, for `pair` the match of the two with
activations. Labels are those of docs/demo.md, in a database of their own, so nothing is written to
the store.
"""

import csv
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import FLAGS, chromium, serve

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
TEXT = """for name in os.listdir(path):
    with open(os.path.join(path, name)) as stream:
        print(stream.read())
The return value is a list of strings, or None if the file does not exist."""

PICTURES = {
    "browse": "?dictionary=resid-2-topk&density=..0.05&sort=ablation_kl",
    "feature": "feature?dictionary=resid-2-topk&feature=247",
    "causes": "feature?dictionary=resid-2-topk&feature=247",
    "map": "map?dictionary=resid-2-topk",
    "scoreboard": "compare?by=l0",
    "pair": "pair?other=resid-2-step-4000&dictionary=resid-2-topk",
    "tracks": "tracks?tracked=&family=resid-2",
    "search": f"search?find={quote(chr(34) + ' in' + chr(34))}&of=resid-2-topk",
    "live": f"live?dictionaries=resid-2-topk&text={quote(TEXT)}&at=2&by=at&open=resid-2-topk:416",
}
SCROLLED = {"causes": "Ablation"}
"""Pictures that begin at a heading further down."""


def main(given: list[str]) -> None:
    """Take the pictures named, or all."""
    store, names = Path(given[0]), given[1:] or list(PICTURES)
    with tempfile.TemporaryDirectory() as folder, _app(store, Path(folder)) as address:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(playwright), args=FLAGS)
            page = browser.new_page(base_url=address, viewport={"width": 1440, "height": 900})
            for name in names:
                _take(page, name)
            browser.close()


def _take(page: Page, name: str) -> None:
    page.goto(f"/{PICTURES[name]}")
    page.locator(".fb-tell").wait_for()
    page.wait_for_function("!document.querySelector('[data-testid=stStatusWidget]')")
    if name == "live":  # which loads the model first
        page.get_by_text("Best stored contexts").wait_for(timeout=180_000)
    page.wait_for_timeout(4_000)  # charts and maps appear
    if name in SCROLLED:
        page.get_by_text(SCROLLED[name], exact=True).first.scroll_into_view_if_needed()
        page.mouse.move(1000, 500)
        page.mouse.wheel(0, 600)
        page.wait_for_timeout(2_000)
    page.screenshot(path=IMAGES / f"{name}.png")


@contextmanager
def _app(store: Path, folder: Path) -> Iterator[str]:
    """The app on a store, with the labels of docs/demo.md."""
    database = f"sqlite:///{folder / 'labels.sqlite'}"
    text = (ROOT / "docs" / "demo.md").read_text(encoding="utf-8")
    labels = re.findall(r"^\| \[(\d+)\]\(\S*\) \| ([^;:|]*[^;:| ])", text, re.MULTILINE)
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["dictionary", "feature", "verdict", "label"])
        for feature, label in labels:
            rows.writerow(["resid-2-topk", feature, "monosemantic", label.replace("`", '"')])
    command = "-m featurestore annotations import --apply --author me --annotations".split()
    subprocess.run(
        [sys.executable, *command, database, "--store", store, folder / "labels.csv"], check=True
    )
    yield from serve(store, "--annotations", database, logs=folder)


if __name__ == "__main__":
    main(sys.argv[1:])
