"""Features over training in a real browser: a family, what was lost, a track, its features."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import check_room, serve
from tests.tracked_store import write_tracked

pytestmark = pytest.mark.browser
LIST, TRACK, STRIP = ".st-key-tracks tbody tr", ".st-key-track tbody tr", ".st-key-checkpoints"
FRAME = ".st-key-tracks .frame"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app on three checkpoints whose features' fates are known."""
    folder: Path = write_tracked(tmp_path_factory.mktemp("tracked"))
    yield from serve(folder)


def test_from_a_family_to_a_feature(page: Page) -> None:
    page.goto("/compare")
    page.get_by_role("link", name="Over training").click()
    rows = page.locator(LIST)
    expect(rows).to_have_count(8)
    expect(page.locator(".js-plotly-plot")).to_have_count(3)
    page.get_by_text("Learned, then lost 1").click()
    expect(rows).to_have_count(1)
    expect(page).to_have_url(re.compile("tracked=t1%2Ct2%2Ct3&family=run&kept=lost"))
    rows.first.click()
    steps = page.locator(TRACK)
    expect(steps).to_have_count(3)
    expect(page.get_by_role("heading", name="Feature 1 of t2")).to_be_visible()
    expect(page).to_have_url(re.compile("feature=t2%3A1"))
    expect(steps.nth(1)).to_contain_text("0.500")  # what the next step holds of it
    page.reload()
    expect(steps).to_have_count(3)

    steps.nth(2).get_by_role("link").click()
    expect(page).to_have_url(re.compile(r"/feature\?dictionary=t3&feature=1"))
    cells = page.locator(f"{STRIP} .cell")
    expect(cells).to_have_count(3)
    expect(cells.nth(2)).to_have_attribute("aria-current", "step")
    cells.first.click()
    expect(page).to_have_url(re.compile("dictionary=t1&feature=1"))
    expect(cells.first).to_have_attribute("aria-current", "step")
    page.go_back()
    page.go_back()
    expect(page.get_by_role("heading", name="Feature 1 of t2")).to_be_visible()
    expect(rows).to_have_count(1)


def test_from_the_scoreboard_over_two_checkpoints_to_a_track(page: Page) -> None:
    page.goto("/compare")
    page.locator(".st-key-scoreboard tbody tr", has_text="t1").locator("td a").click()
    expect(page.locator(".st-key-matches tbody tr").first).to_be_visible()
    page.get_by_role("combobox", name="Other").click()
    page.get_by_role("option", name="t3").click()
    expect(page).to_have_url(re.compile("other=t3"))
    expect(page.get_by_text(re.compile("^t3: below 0.6 · [0-9]+$"))).to_be_visible()  # drawn anew
    page.get_by_text(re.compile("^t1: below 0.6 · [0-9]+$")).click()
    alone = page.locator(".st-key-matches tbody tr")
    expect(page).to_have_url(re.compile("list=only"))
    alone.filter(has=page.get_by_role("link", name="1", exact=True)).click()
    expect(page.locator("h1")).to_contain_text("Feature 1 beside")
    page.get_by_role("link", name="Its track").first.click()
    steps = page.locator(TRACK)
    expect(page.get_by_role("heading", name="Feature 1 of t1")).to_be_visible()
    steps.first.get_by_role("link").click()
    expect(page.locator("h1")).to_contain_text(re.compile("^Feature 1 "))


def test_headings_sort_and_keep_the_focus(page: Page) -> None:
    page.goto("/tracks?tracked=t1,t2,t3")
    rows = page.locator(LIST)
    expect(rows.first.locator("th")).to_have_text("0")
    heading = page.locator("th", has_text="feature")
    heading.click(position={"x": 3, "y": 3})  # beside the word
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("feature")
    expect(page.locator("[data-column]:focus")).to_contain_text("feature")
    page.keyboard.press("Enter")
    expect(rows.first.locator("th")).to_have_text("4")
    page.keyboard.press("Tab")
    rows.first.locator("button").focus()
    page.keyboard.press("Enter")
    expect(page.locator(TRACK)).to_have_count(3)
    expect(page.locator("[data-row]:focus")).to_have_text("4")


def test_nothing_sticks_out_at_800_pixels(page: Page) -> None:
    page.goto("/tracks?tracked=t1,t2,t3&feature=t2:1")
    expect(page.locator(TRACK)).to_have_count(3)
    expect(page.locator(".js-plotly-plot")).to_have_count(4)
    check_room(page)
    assert page.locator(FRAME).evaluate("e => e.scrollWidth <= e.clientWidth")
    page.goto("/feature?dictionary=t2&feature=1")
    expect(page.locator(f"{STRIP} .cell")).to_have_count(3)
    check_room(page)
