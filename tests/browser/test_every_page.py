"""What holds of every page: nothing serious for axe-core, room at 800 pixels, a way to search."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import check_room

pytestmark = [pytest.mark.browser, pytest.mark.long]

SERIOUS = ("serious", "critical")
SCHEMES = {"light": {}, "dark": {"runOnly": ["color-contrast"]}}
"""Of the dark scheme only what differs from the light one."""
PAGES = {
    "/?dictionary=planted&token=the": "tbody tr",
    "/feature?dictionary=planted&feature=3": ".view .token.active",
    "/map?dictionary=planted": ".st-key-map .legend > *",
    "/compare?by=dictionary": ".st-key-tradeoff .point",
    "/compare?by=dictionary&plot=tokens&of=planted": ".st-key-losses .point",
    "/pair?other=early&dictionary=planted": ".fb-note",
    "/tracks": ".fb-note",
    "/search?find=river": "tbody tr",
    "/annotations?dictionary=planted": ".st-key-start button",
}
"""What is opened, and what must be there before it is looked at."""


@pytest.mark.parametrize("address", PAGES)
def test_it_can_be_read_and_used_by_all(page: Page, address: str) -> None:
    page.goto(address)
    for scheme, rules in SCHEMES.items():
        page.emulate_media(color_scheme=scheme)
        expect(page.locator(PAGES[address]).first).to_be_visible()
        page.wait_for_timeout(500)  # colours fade from one scheme to the other
        found = Axe().run(page, options=rules).response["violations"]
        assert [
            (scheme, each["id"], node["html"], node["any"][:1])
            for each in found
            for node in each["nodes"]
            if each["impact"] in SERIOUS
        ] == []
    check_room(page)
    page.keyboard.press("/")
    expect(page.get_by_role("textbox", name=re.compile("^(Find|Token)$"))).to_be_focused()
