"""Two dictionaries in a real browser: from the scoreboard to what only one of them has."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import check_room, serve
from tests.pair_store import HOSTILE, write_pair_store

pytestmark = pytest.mark.browser
ROWS = ".st-key-matches tbody tr"
PAIR = "/pair?other=late&dictionary=early"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app on two dictionaries that were compared."""
    yield from serve(write_pair_store(tmp_path_factory.mktemp("pair")))


def features(page: Page, *numbers: int) -> None:
    """Wait for these rows, in this order."""
    expect(page.locator(f"{ROWS} td:first-child")).to_have_text([str(one) for one in numbers])


def both(page: Page, words: str) -> None:
    """Wait for two features side by side, and for the keys and buttons below their heading."""
    expect(page.locator("h1")).to_contain_text(words)
    expect(page.get_by_role("button", name="Back to the list")).to_be_visible()
    expect(page.locator(".fb-tell")).to_be_visible()


def test_from_the_scoreboard_to_what_only_one_has(page: Page) -> None:
    page.goto("/compare")
    page.locator(".st-key-scoreboard tbody tr", has_text="early").locator("td a").click()
    features(page, 0, 2, 4, 1)
    expect(page).to_have_url(re.compile(r"/pair\?other=late&dictionary=early$"))
    page.get_by_text("early: below 0.6 · 2").click()
    features(page, 4, 1)
    page.locator(ROWS).nth(1).click()
    both(page, "Feature 1 beside 2")
    expect(page.locator(".fb-relation")).to_contain_text("cosine 0.300")
    page.keyboard.press("ArrowLeft")
    both(page, "Feature 4 beside 0")
    its_page = page.get_by_role("link", name="Open its page").first
    expect(its_page).to_have_attribute("href", re.compile("feature=4"))  # drawn after the heading
    its_page.click()
    expect(page.locator("h1")).to_contain_text(re.compile("^Feature 4 "))
    expect(page).to_have_url(re.compile(r"/feature\?dictionary=early&feature=4$"))
    page.go_back()
    both(page, "Feature 4 beside 0")
    page.keyboard.press("l")
    features(page, 4, 1)
    expect(page).to_have_url(re.compile(r"list=only&order=asc$"))


def test_headings_sort_and_links_open_alone(page: Page) -> None:
    page.goto(PAIR)
    features(page, 0, 2, 4, 1)
    page.get_by_role("button", name="corr.", exact=True).click()
    features(page, 2, 0, 4, 1)
    expect(page).to_have_url(re.compile("by=correlation"))
    expect(page.locator("[data-column]:focus")).to_contain_text("corr.")
    page.reload()
    features(page, 2, 0, 4, 1)
    page.goto(page.locator(f"{ROWS} a").nth(1).evaluate("e => e.href"))
    both(page, "Feature 0 beside 2")
    page.locator(".st-key-nearest-in-late tbody tr").nth(1).click()
    both(page, "Feature 0 beside 1")
    page.go_back()
    both(page, "Feature 0 beside 2")
    page.keyboard.press("x")
    both(page, "Feature 2 beside 0")
    expect(page.locator(".fb-named").first).to_contain_text("late")


def test_a_view_is_that_of_both(page: Page) -> None:
    page.goto(f"{PAIR}&feature=0&beside=2")
    views = page.locator(".view")
    expect(views).to_have_count(1)  # the other has no context
    expect(views.first).to_contain_text(HOSTILE)
    page.get_by_role("button", name="Full", exact=True).click()
    expect(page).to_have_url(re.compile("view=full"))
    expect(page.locator(".view[data-view=full]")).to_be_visible()


@pytest.mark.parametrize("params", ["&list=nearest", "&feature=0&beside=2"])
def test_nothing_sticks_out_at_800_pixels(page: Page, params: str) -> None:
    page.goto(PAIR + params)
    expect(page.locator("tbody tr").first).to_be_visible()
    check_room(page)
    for table in page.locator("table:has([scope=col])").all():
        assert table.evaluate("e => e.getBoundingClientRect().right <= innerWidth")
