"""A researcher's clicks, in a real browser."""

import math
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import server_process
from tests.synthetic_store import HOSTILE, RIVER, SIGNED

pytestmark = [pytest.mark.browser, pytest.mark.long]
ROWS = "tbody tr"


def features(page: Page) -> list[str]:
    """Numbers in the first column of a table, once it stays as it is."""
    found, before = page.locator(f"{ROWS} td:first-child").all_inner_texts(), None
    while found != before or not found:
        page.wait_for_timeout(250)
        found, before = page.locator(f"{ROWS} td:first-child").all_inner_texts(), found
    return found


def heading(page: Page, feature: str | int) -> None:
    """Wait for a feature's page with its contexts and the page's keys."""
    expect(page.locator("h1")).to_contain_text(re.compile(rf"^Feature {feature}\b"))
    expect(page.locator(".fb-tell")).to_be_visible()
    expect(page.locator(f".view[data-feature='{feature}']")).to_be_visible()


def shade(token: Locator) -> float:
    return float(token.evaluate("e => getComputedStyle(e).getPropertyValue('--shade')"))


def test_from_list_to_feature_and_back(page: Page) -> None:
    page.goto("/")
    page.get_by_role("combobox", name="Dictionary").click()
    page.get_by_role("option", name="planted").click()
    expect(page.get_by_text("113 of 120 features")).to_be_visible()

    page.get_by_role("button", name="max", exact=True).click()  # sort by a heading
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("max")
    page.get_by_role("textbox", name="Token").fill("the")
    page.get_by_role("textbox", name="Token").press("Enter")
    expect(page.get_by_text(re.compile("^[0-9]+ of 120 features"))).not_to_contain_text("113")
    cell = page.locator("th", has_text="max")
    cell.click(position={"x": 3, "y": 3})  # and the other way round, beside the word
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("max")
    expect(page).to_have_url(re.compile("token=the.*sort=max_activation&order=asc"))
    listed = features(page)

    page.locator(ROWS).nth(1).click()
    heading(page, listed[1])
    page.get_by_role("button", name="Next ›").click()
    heading(page, listed[2])
    page.keyboard.press("ArrowRight")
    heading(page, listed[3])
    page.keyboard.press("ArrowLeft")
    heading(page, listed[2])

    page.reload()  # the link says it all
    heading(page, listed[2])
    for back in (listed[3], listed[2], listed[1]):
        page.go_back()
        heading(page, back)
    page.go_back()
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("max")
    assert features(page) == listed
    assert page.get_by_role("textbox", name="Token").input_value() == "the"


def test_the_address_says_what_a_page_entered_by_the_menu_shows(page: Page) -> None:
    """Also where it is the same query as on the page before, and the one before that."""
    page.goto("/?dictionary=planted&sort=feature")
    menu = page.get_by_test_id("stTopNavLinkContainer")
    expect(page.locator(".st-key-features tbody tr").first).to_be_visible()
    for name, path in (
        ("Annotations", "/annotations?"),
        ("Browse", "/?"),
        ("Annotations", "/annotations?"),
        ("Browse", "/?"),
        ("Feature", "/feature?"),
        ("Annotations", "/annotations?"),
        ("Feature", "/feature?"),
        ("Feature", "/feature?"),
    ):
        menu.filter(has_text=name).click()
        expect(page).to_have_url(re.compile(re.escape(path) + ".*dictionary=planted"))
        expect(page.locator("[role=combobox]").first).to_have_value("planted")
    page.reload()
    expect(page.locator("[role=combobox]").first).to_have_value("planted")


def test_the_menu_keeps_to_the_dictionary_through_a_search(page: Page) -> None:
    """A search is of all dictionaries. One that is chosen on a page is that of the next."""
    page.goto("/feature?dictionary=planted&feature=3")
    heading(page, 3)
    menu = page.get_by_test_id("stTopNavLinkContainer")
    picker = page.locator("[role=combobox]").first
    for name, path in (("Search", "/search"), ("Compare", "/compare"), ("Browse", "/")):
        menu.filter(has_text=name).click()
        expect(page).to_have_url(re.compile(re.escape(path) + r"\?"))
    expect(page).to_have_url(re.compile("dictionary=planted"))
    expect(picker).to_have_value("planted")
    menu.filter(has_text="Map").click()
    expect(page).to_have_url(re.compile(r"/map\?dictionary=planted"))
    picker.click()
    page.get_by_role("option", name="early · ").click()
    expect(page).to_have_url(re.compile(r"/map\?dictionary=early"))
    for name, path in (("Browse", "/"), ("Annotations", "/annotations")):
        menu.filter(has_text=name).click()
        expect(page).to_have_url(re.compile(re.escape(path) + r"\?dictionary=early"))
        expect(picker).to_have_value("early")


def test_back_takes_back_the_first_thing_done_on_a_page_opened_bare(page: Page) -> None:
    page.goto("/")
    expect(page).to_have_url(re.compile(r"/\?dictionary=[a-z-]+$"))
    token = page.get_by_role("textbox", name="Token")
    token.fill("the")
    token.press("Enter")
    expect(page).to_have_url(re.compile("token=the"))
    steps = page.evaluate("history.length")
    menu = page.get_by_test_id("stTopNavLinkContainer")
    menu.filter(has_text="Compare").click()
    page.get_by_text("KL ratio", exact=True).click()
    expect(page).to_have_url(re.compile("plot=kl_ratio"))
    assert page.evaluate("history.length") == steps + 2  # a step for each of the two clicks
    page.go_back()
    expect(page).to_have_url(re.compile(r"/compare\?by=&dictionary="))
    expect(page.get_by_role("radio", name="Explained variance")).to_be_checked()
    page.go_back()
    expect(token).to_have_value("the")
    page.go_back()
    expect(token).to_have_value("")
    expect(page).to_have_url(re.compile(r"/\?dictionary=[a-z-]+$"))


def test_a_key_leads_to_the_contexts_and_one_to_the_search(page: Page) -> None:
    page.goto("/feature?dictionary=planted&feature=3")
    heading(page, 3)
    page.keyboard.press("c")
    token = page.locator(".view .token:focus")
    expect(token).to_have_count(1)
    expect(page.get_by_role("tooltip")).to_contain_text("activation")
    page.keyboard.press("/")
    expect(page).to_have_url(re.compile(r"/search\?find="))
    expect(page.get_by_role("textbox", name="Find")).to_be_focused()


def test_esc_leaves_a_box(page: Page) -> None:
    """So that keys are keys again."""
    page.goto("/?dictionary=planted")
    box = page.get_by_role("textbox", name="Token")
    expect(page.locator(".fb-tell")).to_be_visible()  # the page's keys
    expect(page.get_by_label("Go to feature")).to_be_visible()  # of all widgets the last to load
    for _ in range(2):
        page.keyboard.press("/")
        expect(box).to_be_focused()
        page.keyboard.press("Escape")
        expect(box).not_to_be_focused()
    page.keyboard.press("g")
    expect(page.get_by_label("Go to feature")).to_be_focused()
    page.keyboard.press("Escape")
    page.get_by_text("regex", exact=True).click()  # which keeps the focus
    expect(page).to_have_url(re.compile("regex"))
    page.keyboard.press("/")
    expect(box).to_be_focused()


@pytest.mark.parametrize("is_clicked", [True, False])
def test_a_list_is_left_once_something_is_chosen(page: Page, is_clicked: bool) -> None:
    page.goto("/feature?dictionary=early&feature=3")
    heading(page, 3)
    picker = page.get_by_role("combobox", name="Dictionary")
    picker.click()
    if is_clicked:
        page.get_by_role("option", name="planted").click()
    else:
        page.keyboard.type("planted")
        expect(page.get_by_role("option")).to_have_count(1)
        page.keyboard.press("Enter")
    expect(picker).not_to_be_focused()
    expect(page).to_have_url(re.compile("dictionary=planted"))
    picker.click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("option")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(picker).not_to_be_focused()


def test_a_list_by_effect_in_a_cluster(page: Page) -> None:
    page.goto("/?dictionary=planted")
    page.get_by_role("button", name="KL off · random · above", exact=True).click()
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("KL off")
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("combobox", name="Cluster").click()
    page.get_by_role("option", name=re.compile("^1 ")).click()
    expect(page).to_have_url(re.compile(r"cluster=1\.\.1&sort=ablation_kl"))
    expect(page.get_by_text(re.compile("^cluster 1 "))).to_be_visible()
    of_others = page.locator("td.cluster .which").filter(has_not_text=re.compile("^1$"))
    expect(of_others).to_have_count(0)  # once the table is drawn anew
    assert page.locator("td.cluster .which").count() > 0
    page.get_by_role("radio", name="Effect").click()  # the popover is open still
    page.get_by_role("spinbutton", name="above random ≥").fill("50")
    page.get_by_role("spinbutton", name="above random ≥").press("Enter")
    expect(page).to_have_url(re.compile(r"kl_percentile=50\.\."))
    expect(page.get_by_role("button", name="More (2)")).to_be_visible()
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 800, "height": 900})
    expect(page.locator("th.effect")).to_be_visible()
    expect(page.locator("th.token_share")).to_be_hidden()
    listed = features(page)
    page.locator(ROWS).nth(0).click()
    heading(page, listed[0])
    page.get_by_role("button", name="Next ›").click()
    heading(page, listed[1])


def test_browse_and_feature_load_no_torch(page: Page, server: str) -> None:
    page.goto("/?dictionary=planted")
    page.locator(ROWS).first.click()
    expect(page.locator("h1")).to_be_visible()
    loaded = {Path(one.path).name for one in server_process(server).memory_maps()}
    assert any("duckdb" in name for name in loaded)
    assert [name for name in loaded if "torch" in name] == []


def test_back_link_opens_the_page_that_holds_the_feature(page: Page) -> None:
    page.goto("/feature?dictionary=planted&feature=119&sort=feature&order=asc")
    heading(page, 119)
    page.get_by_text("Back to the list").click()
    expect(page.locator(f"{ROWS}[data-feature='119']")).to_be_visible()
    expect(page).to_have_url(re.compile("page=3"))
    page.get_by_test_id("stPagination").get_by_text("1", exact=True).click()
    expect(page.locator(f"{ROWS}[data-feature='0']")).to_be_visible()


def test_a_link_opens_in_another_tab(page: Page) -> None:
    """Where it leads in this one: to Browse, too, of which Streamlit gives the query alone."""
    shown = "/feature?dictionary=planted&feature=119&sort=feature&order=asc"
    page.goto(shown)
    heading(page, 119)
    browse, ctrl = "/?dictionary=planted&sort=", {"modifiers": ["Control"]}
    for link, path, how in (
        ("Back to the list", browse, {"button": "middle"}),
        ("Back to the list", browse, ctrl),
        ("Search", "/search", ctrl),
    ):
        with page.context.expect_page() as opening:
            page.get_by_role("link", name=link, exact=True).click(**how)
        expect(opening.value).to_have_url(re.compile(re.escape(path)))
        expect(opening.value.locator(".fb-tell")).to_be_visible()
        opening.value.close()
        expect(page).to_have_url(re.compile(re.escape(shown)))


def test_export_holds_all_that_the_filter_keeps(page: Page) -> None:
    page.goto("/?dictionary=planted")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="CSV").click()
    lines = Path(waiting.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert lines[0].startswith('"feature","n_active"')
    assert len(lines) == 1 + 113


def test_the_menu_reopens_a_page_as_it_was_left(page: Page) -> None:
    page.goto("/?dictionary=planted&sort=kurtosis&token=river")
    page.locator(ROWS).first.click()
    expect(page.locator("h1")).to_be_visible()
    page.get_by_role("link", name="Browse").click()
    expect(page.get_by_text("sorted by kurtosis")).to_be_visible()
    expect(page).to_have_url(re.compile("token=river"))


def test_shades_follow_activations(page: Page) -> None:
    page.goto(f"/feature?dictionary=planted&feature={RIVER}")
    heading(page, RIVER)
    peaks = page.locator(".token.peak")
    expect(peaks).to_have_count(20)
    assert set(peaks.all_inner_texts()) == {" river"}
    shades = [shade(peaks.nth(i)) for i in range(20)]
    assert shades == sorted(shades, reverse=True)
    activations = [float(peaks.nth(i).get_attribute("data-activation")) for i in range(20)]
    expected = [0.05 + 0.95 * math.log10(1 + 9 * a / activations[0]) for a in activations]
    assert shades == pytest.approx(expected, abs=1e-3)
    lefts = {round(peaks.nth(i).bounding_box()["x"]) for i in range(20)}
    assert len(lefts) == 1  # stacked: one column
    peaks.first.hover()
    expect(page.get_by_role("tooltip")).to_contain_text('" river"')
    expect(page.get_by_role("tooltip")).to_contain_text(re.compile(r"activation \d\.\d{4,}"))
    page.get_by_role("button", name="Full").click()
    expect(page).to_have_url(re.compile("view=full"))
    page.get_by_role("tab", name="Bands").click()
    expect(page.locator("section h3")).to_have_count(5)
    expect(page.locator(".view")).to_have_attribute("data-view", "full")


def test_negative_activations_have_another_hue(page: Page) -> None:
    page.goto(f"/feature?dictionary=planted&feature={SIGNED}")
    colours = {
        kind: page.locator(f".token.{kind}").first.evaluate(
            "e => getComputedStyle(e).backgroundColor.match(/\\d+/g).slice(0, 3).join()"
        )
        for kind in ("active", "negative")
    }
    assert colours == {"active": "52,211,153", "negative": "167,139,250"}


def test_keys(page: Page) -> None:
    page.goto("/feature?dictionary=planted&feature=3&sort=feature&order=asc")
    heading(page, 3)
    expect(page.get_by_role("button", name="Words and keys")).to_be_visible()
    expect(page.get_by_label("Go to feature")).to_be_visible()  # of all widgets the last to load
    page.keyboard.press("?")
    expect(page.get_by_text("random active feature of the list")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("random active feature of the list")).to_be_hidden()
    page.keyboard.press("g")
    expect(page.get_by_label("Go to feature")).to_be_focused()
    page.keyboard.type("12r")  # typing is not a command
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Delete")
    page.keyboard.press("Enter")
    heading(page, 12)
    page.keyboard.press("ArrowRight")  # the box is left
    heading(page, 13)
    page.keyboard.press("ArrowLeft")
    heading(page, 12)
    page.locator(".token.peak").first.focus()  # here arrows walk over tokens
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tooltip")).to_be_visible()
    heading(page, 12)
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    expect(page.locator("h1")).not_to_contain_text("Feature 12 ")


def test_hostile_tokens_stay_text(page: Page) -> None:
    page.goto("/?dictionary=hostile")
    expect(page.locator(".chip", has_text="<script>alert(1)").first).to_be_visible()
    assert page.locator("td.cluster .name").count() > 5
    assert page.locator("td.cluster .name *").count() == 0
    for feature in (0, 2, 7):
        page.goto(f"/feature?dictionary=hostile&feature={feature}&tab=zero&view=full")
        heading(page, feature)
    expect(page.locator(".token").first).to_be_visible()
    shown = set(page.locator(".token").all_inner_texts())
    assert {*HOSTILE[:7], "⟦U+202E⟧abc", "⟦U+200B⟧", "⟦NUL⟧", "<0xE2>", "=1+1"} <= shown
    assert page.locator(".token *").count() == 0


def test_text_is_readable_in_both_themes(page: Page) -> None:
    page.goto("/feature?dictionary=planted&feature=0")
    heading(page, 0)
    script = """e => {
        const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(v => (v / 255) ** 2.2);
                             return .2126 * r + .7152 * g + .0722 * b + .05; };
        const a = light(getComputedStyle(e).color);
        const b = light(getComputedStyle(document.querySelector('.stApp')).backgroundColor);
        return Math.max(a, b) / Math.min(a, b); }"""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(500)  # colours fade
        for selector in ("h1", ".text", ".fb-stats dd"):
            assert page.locator(selector).first.evaluate(script) > 7
