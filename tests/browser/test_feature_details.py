"""What a feature does, depends on and lies near, in a real browser."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from featurestore.store import Store
from tests.browser.conftest import check_room
from tests.synthetic_store import DEAD, RIVER

pytestmark = [pytest.mark.browser, pytest.mark.long]
ADDRESS = f"/feature?dictionary=planted&feature={RIVER}&sort=feature&order=asc"


def feature(page: Page, number: int) -> None:
    """Wait for a feature's page with its contexts."""
    expect(page.locator("h1")).to_contain_text(re.compile(rf"^Feature {number}\b"))
    expect(page.locator(f".view[data-feature='{number}']")).to_be_visible()


def test_underlines_stand_under_the_token_that_the_effect_is_on(
    page: Page, synthetic_store: Path
) -> None:
    store = Store(synthetic_store)
    ablated = {one.context: one for one in store.ablated_contexts("planted", RIVER)}
    (band,) = store.bands("planted", RIVER, "top")
    store.close()
    page.goto(f"{ADDRESS}&view=full")
    feature(page, RIVER)
    largest = max(abs(effect) for one in ablated.values() for effect in one.effects.values())
    for number, example in enumerate(band.examples[:3]):
        effects = ablated[example.context].effects
        for kind, sign in (("helped", 1), ("hurt", -1)):
            found = page.locator(f".text[data-row='{number}'] .token.{kind}")
            places = [int(pos) for pos in found.evaluate_all("all => all.map(e => e.dataset.pos)")]
            assert places == [p + 1 for p, e in effects.items() if sign * e >= 0.02 * largest]
    pos, effect = max(ablated[band.examples[0].context].effects.items(), key=lambda one: one[1])
    token = page.locator(".text[data-row='0'] .token").nth(pos + 1)
    assert token.inner_text().strip() == band.examples[0].tokens[pos + 1].strip()
    token.hover()
    words = f"removing the feature changes its log-probability by −{effect:#.2g} nats"
    expect(page.get_by_role("tooltip")).to_contain_text(words)
    expect(page.get_by_text(re.compile("^without the feature: KL .* random "))).to_have_count(3)


def test_underlines_differ_in_shape_and_can_be_hidden(page: Page) -> None:
    page.goto(ADDRESS)
    feature(page, RIVER)
    style = "e => getComputedStyle(e).borderBottomStyle"
    helped, hurt = (page.locator(f".token.{kind}").first for kind in ("helped", "hurt"))
    assert (helped.evaluate(style), hurt.evaluate(style)) == ("solid", "dotted")
    expect(page.get_by_text("known for 3 of 20 contexts")).to_be_visible()
    page.get_by_role("button", name="Underlines", exact=True).click()
    assert (helped.evaluate(style), hurt.evaluate(style)) == ("none", "none")
    expect(page.get_by_text("known for 3 of 20 contexts")).to_be_hidden()
    page.get_by_role("button", name="Next ›").click()  # and stays so
    feature(page, RIVER + 1)
    expect(page.get_by_role("button", name="Underlines", exact=True)).to_have_attribute(
        "aria-pressed", "false"
    )


def test_a_neighbour_opens_in_the_same_list(page: Page) -> None:
    page.goto(ADDRESS)
    feature(page, RIVER)
    table = page.get_by_role("table", name="Active together")
    expect(table.locator("tbody tr")).to_have_count(5)
    page.get_by_role("button", name="All 10").click()
    expect(table.locator("tbody tr")).to_have_count(10)
    link = table.get_by_role("link").nth(7)
    number = int(link.inner_text())
    link.click()
    feature(page, number)
    expect(page).to_have_url(re.compile(f"feature={number}&sort=feature&order=asc"))
    expect(table.locator("tbody tr")).to_have_count(10)  # all are still shown
    page.go_back()
    feature(page, RIVER)


def test_a_dead_feature_names_the_one_table_that_has_more(page: Page) -> None:
    page.goto(f"/feature?dictionary=planted&feature={DEAD}")
    expect(page.get_by_text("no other is active where it is")).to_be_visible()
    page.get_by_role("button", name="All 10: by direction").click()
    table = page.get_by_role("table", name="By direction")
    expect(table.locator("tbody tr")).to_have_count(10)


def test_what_was_unfolded_stays_so_on_the_next_feature(page: Page) -> None:
    page.goto(ADDRESS)
    feature(page, RIVER)
    names = ("Single tokens", "Direction", "All logits")
    for name in names:
        page.locator("summary", has_text=name).click()
    expect(page.locator(".histogram rect").first).to_be_visible()
    expect(page.locator(".histogram")).to_have_count(2)
    page.get_by_role("button", name="Next ›").click()
    feature(page, RIVER + 1)
    for name in names:
        expect(page.locator("details[open]", has_text=name)).to_have_count(1)
    expect(page.locator(".fb-weights li")).to_have_count(8)


def test_a_histogram_tells_its_bins_and_is_saved(page: Page) -> None:
    page.goto(ADDRESS)
    feature(page, RIVER)
    chart = page.locator(".histogram").first
    expect(chart.locator("rect").first).to_be_visible()
    told = chart.locator("output")
    expect(told).to_be_hidden()
    chart.locator("rect").first.hover()
    expect(told).to_have_text(re.compile(r"^activation \S+ to \S+: [\d,]+ tokens$"))
    first = told.inner_text()
    button = chart.get_by_role("button", name="SVG")
    chart.locator("rect").last.hover()
    expect(told).not_to_have_text(first)
    button.hover()  # above the bars: none is told, none is covered
    expect(told).to_be_hidden()
    box, bars = button.bounding_box(), chart.locator("svg").bounding_box()
    assert box and bars and box["y"] + box["height"] <= bars["y"]
    chart.focus()
    page.keyboard.press("ArrowRight")
    expect(told).to_have_text(first)
    page.keyboard.press("ArrowRight")
    expect(told).not_to_have_text(first)
    expect(page).to_have_url(re.compile(f"feature={RIVER}"))  # the page's own arrows are not meant
    with page.expect_download() as download:
        button.click()
    saved = Path(download.value.path()).read_text(encoding="utf-8")
    assert saved.startswith("<svg") and saved.count("<rect") == chart.locator("rect").count()


def test_hostile_tokens_stay_text_in_every_panel(page: Page) -> None:
    for number in (0, 7):
        page.goto(f"/feature?dictionary=hostile&feature={number}&view=full")
        feature(page, number)
        for name in ("Single tokens", "Direction"):
            page.locator("summary", has_text=name).click()
        expect(page.locator(".fb-weights li").first).to_be_visible()
        for panel in (".fb-effect", ".fb-depends", ".fb-facts", ".fb-placed", ".neighbours"):
            holder = page.locator(panel).first
            expect(holder).to_be_visible()
            assert holder.locator("script, img, b, a[href^=javascript]").count() == 0
    assert "alert(1)" in json.dumps(page.locator(".fb-depends").all_inner_texts())


def test_the_panels_fit_at_800_pixels(page: Page) -> None:
    page.goto(ADDRESS)
    feature(page, RIVER)
    for name in ("Single tokens", "Direction"):
        page.locator("summary", has_text=name).click()
    expect(page.locator(".fb-weights li").first).to_be_visible()
    check_room(page)
    panels = (".fb-effects", ".fb-depends", ".fb-facts", ".fb-weights", ".neighbours")
    for panel in panels:
        for found in page.locator(panel).all():
            assert found.evaluate("e => e.scrollWidth <= e.clientWidth"), panel
