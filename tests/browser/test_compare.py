"""The scoreboard in a real browser: sorted, filtered, opened."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import check_room

pytestmark = pytest.mark.browser
BOARD = ".st-key-scoreboard"


def order(page: Page, *ids: str) -> None:
    """Wait for the rows of these dictionaries, in this order."""
    expect(page.locator(f"{BOARD} tbody th a")).to_have_text(list(ids))


def test_sort_filter_and_open(page: Page) -> None:
    page.goto("/compare")
    order(page, "early", "hostile", "planted")
    page.get_by_role("button", name="CE recovered", exact=True).and_(
        page.locator("[data-column]")
    ).click()
    order(page, "planted", "early", "hostile")
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("CE recovered")
    expect(page.locator("[data-column]:focus")).to_contain_text("CE recovered")
    page.keyboard.press("Enter")
    order(page, "early", "planted", "hostile")  # without a number: last either way
    missing = page.locator(f"{BOARD} tbody tr", has_text="hostile").locator("td.sorted")
    expect(missing).to_have_text("–")
    assert "passes.n_scored" in missing.get_attribute("title")

    page.get_by_role("combobox", name="Family").click()
    page.get_by_role("option", name="planted").click()
    order(page, "early", "planted")
    expect(page).to_have_url(re.compile("by=ce_recovered&family=planted"))
    page.reload()
    order(page, "early", "planted")

    page.get_by_role("link", name="planted", exact=True).click()
    expect(page.get_by_text("113 of 120 features")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/(browse)?\?dictionary=planted$"))
    page.go_back()
    order(page, "early", "planted")
    expect(page).to_have_url(re.compile("/compare.*by=ce_recovered&family=planted"))


def test_links_open_alone(page: Page) -> None:
    page.goto("/compare")
    order(page, "early", "hostile", "planted")
    page.goto(page.get_by_role("link", name="early", exact=True).evaluate("e => e.href"))
    expect(page.get_by_text("of 40 features")).to_be_visible()


def test_a_point_opens_its_dictionary(page: Page) -> None:
    page.goto("/compare?by=dictionary&plot=kl_ratio")
    points = page.locator(".st-key-tradeoff .point")
    expect(points).to_have_count(2)
    points.last.click(force=True)  # others may lie on it
    expect(page.get_by_text("113 of 120 features")).to_be_visible()
    page.go_back()
    order(page, "early", "hostile", "planted")


def test_nothing_sticks_out_at_800_pixels(page: Page) -> None:
    page.goto("/compare?by=l0&order=desc&family=planted")
    expect(page.locator(".st-key-tradeoff .point").first).to_be_visible()
    check_room(page)
    frame = page.locator(f"{BOARD} .frame")
    assert frame.evaluate("e => e.scrollWidth > e.clientWidth")  # it scrolls by itself
    first = page.locator(f"{BOARD} tbody th").first
    before = first.bounding_box()["x"]
    frame.evaluate("e => e.scrollBy(200, 0)")
    assert first.bounding_box()["x"] == before
