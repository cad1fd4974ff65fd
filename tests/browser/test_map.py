"""The map in a real browser: drawn, pointed at, opened, lassoed and searched."""

import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from featurestore.detail_records import MapPoint
from featurestore.records import FeatureQuery
from featurestore.store import Store
from tests.synthetic_store import HOSTILE

pytestmark = [pytest.mark.browser, pytest.mark.long]
CLUSTER = 1


@pytest.fixture(scope="module")
def store(synthetic_store: Path) -> Iterator[Store]:
    opened = Store(synthetic_store)
    yield opened
    opened.close()


def canvas(page: Page) -> Locator:
    """The map's canvas; the control has one too."""
    return page.locator(".st-key-map canvas.points")


STANDS = """() => {
    const { y } = document.querySelector(".st-key-map").getBoundingClientRect();
    const isSame = y === window.lastY;
    window.lastY = y;
    return isSame;
}"""
"""Whether the map is where it was when last asked: boxes above it come late in a new browser."""


def open_map(page: Page, query: str) -> None:
    page.goto(f"/map?{query}")
    expect(page.locator(".st-key-map .legend")).not_to_be_empty()
    page.wait_for_function(STANDS, polling=250)


def on_screen(page: Page, points: Iterable[MapPoint]) -> dict[int, tuple[float, float]]:
    """Where the map draws each point in the view that shows all."""
    points = list(points)
    box = canvas(page).bounding_box()
    margin = min(40, box["width"] / 12)
    xs, ys = [p.x for p in points], [p.y for p in points]
    scale = min(
        (box["width"] - 2 * margin) / (max(xs) - min(xs)),
        (box["height"] - 2 * margin) / (max(ys) - min(ys)),
    )
    middle_x, middle_y = (max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2
    return {
        p.feature: (
            box["x"] + box["width"] / 2 + (p.x - middle_x) * scale,
            box["y"] + box["height"] / 2 - (p.y - middle_y) * scale,
        )
        for p in points
    }


def pixels(shown: Locator) -> np.ndarray:
    """What is drawn, as red, green and blue."""
    return np.array(Image.open(io.BytesIO(shown.screenshot())).convert("RGB")).astype(int)


def loneliest(places: dict[int, tuple[float, float]]) -> int:
    """The feature that is farthest from its nearest neighbour."""

    def gap(feature: int) -> float:
        x, y = places[feature]
        others = (place for other, place in places.items() if other != feature)
        return min((x - a) ** 2 + (y - b) ** 2 for a, b in others)

    return max(places, key=gap)


def lasso(page: Page, corners: list[tuple[float, float]]) -> None:
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in (*corners[1:], corners[0]):
        page.mouse.move(*corner, steps=4)
    page.mouse.up()


def test_points_are_drawn_where_they_lie(page: Page, store: Store) -> None:
    open_map(page, "dictionary=planted")
    grounds = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(500)  # colours fade
        places = on_screen(page, store.map("planted").points)
        x, y = places[loneliest(places)]
        box = canvas(page).bounding_box()
        drawn = pixels(canvas(page))
        grounds.append(drawn[2, 2])
        point = drawn[round(y - box["y"]), round(x - box["x"])]
        assert np.abs(point - grounds[-1]).sum() > 60
        n_drawn = (np.abs(drawn - grounds[-1]).sum(axis=2) > 60).sum()
        assert n_drawn > 20 * len(places)
        assert n_drawn < drawn.shape[0] * drawn.shape[1] / 10
        assert pixels(page.locator(".st-key-control canvas.points")).std() > 1
    assert np.abs(grounds[0] - grounds[1]).sum() > 300


def test_pointing_tells_and_a_click_opens(page: Page, store: Store) -> None:
    open_map(page, "dictionary=planted")
    points = {point.feature: point for point in store.map("planted").points}
    places = on_screen(page, points.values())
    feature = loneliest(places)
    page.mouse.move(*places[feature])
    tip = page.locator(".st-key-map .tip")
    expect(tip).to_contain_text(f"Feature {feature}")
    expect(tip).to_contain_text(f"above {2 if feature % 5 == 4 else 6} of 6 random")
    expect(tip.locator(".chip")).to_have_count(3)
    expect(tip).to_contain_text(f"{points[feature].density:.3g}"[:5])
    page.mouse.click(*places[feature])
    expect(page.locator("h1")).to_contain_text(re.compile(rf"^Feature {feature}\b"))
    page.go_back()
    expect(canvas(page)).to_be_visible()


def test_keys_move_zoom_and_open(page: Page, store: Store) -> None:
    open_map(page, "dictionary=planted")
    canvas(page).focus()
    before = pixels(canvas(page))
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(300)
    assert (pixels(canvas(page)) != before).any()
    page.keyboard.press("0")
    tip = page.locator(".st-key-map .tip")
    for key in ["+"] * 8 + ["ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown"] * 8:
        if tip.is_visible():
            break
        page.keyboard.press(key)
    feature = re.match(r"Feature (\d+)", tip.inner_text())[1]
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text(re.compile(rf"^Feature {feature}\b"))


@pytest.mark.parametrize("is_button", [True, False])
def test_a_lasso_makes_a_list_that_browse_opens(page: Page, store: Store, is_button: bool) -> None:
    open_map(page, "dictionary=planted&colour=density")
    points = store.map("planted").points
    places = on_screen(page, points)
    members = [p.feature for p in points if p.cluster == CLUSTER]
    xs, ys = zip(*(places[feature] for feature in members), strict=True)
    left, right, top, bottom = min(xs) - 12, max(xs) + 12, min(ys) - 12, max(ys) + 12
    inside = sorted(
        feature for feature, (x, y) in places.items() if left < x < right and top < y < bottom
    )
    assert set(members) <= set(inside)
    assert len(inside) < len(points)
    if is_button:
        page.get_by_role("button", name="Lasso", exact=True).click()
    else:
        page.keyboard.down("Shift")
    lasso(page, [(left, top), (right, top), (right, bottom), (left, bottom)])
    page.keyboard.up("Shift")
    expect(page.locator(".fb-part", has_text="List")).to_contain_text(f"{len(inside)} features")
    expect(page.get_by_text("mean density")).to_be_visible()
    expect(page).to_have_url(re.compile("colour=density.*among=|among=.*colour=density"))
    page.reload()
    expect(page.locator(".fb-part", has_text="List")).to_contain_text(f"{len(inside)} features")

    page.get_by_role("button", name="Open in Browse", exact=True).click()
    expect(page.get_by_text(f"{len(inside)} of 120 features")).to_be_visible()
    expect(page.get_by_text(f"only {len(inside)} chosen on the map")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(len(inside))
    listed = page.locator("tbody tr td:first-child").all_inner_texts()
    assert sorted(map(int, listed)) == inside
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(page.get_by_text("113 of 120 features")).to_be_visible()
    assert "among" not in page.url


def test_a_search_rings_what_browse_would_list(page: Page, store: Store) -> None:
    open_map(page, "dictionary=planted")
    before = pixels(canvas(page))
    page.get_by_role("textbox", name="Find", exact=True).fill("river")
    page.get_by_role("textbox", name="Find", exact=True).press("Enter")
    found = store.numbers(FeatureQuery("planted", token="river"))
    expect(page.get_by_text(f"{len(found)} found")).to_be_visible()
    expect(page.get_by_text(f"{len(found)} on the map, ringed")).to_be_visible()
    page.wait_for_timeout(300)
    assert (pixels(canvas(page)) != before).any()
    page.get_by_role("textbox", name="Feature", exact=True).fill("0")
    page.get_by_role("textbox", name="Feature", exact=True).press("Enter")
    expect(page).to_have_url(re.compile("feature=0"))
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(page.get_by_text("on the map, ringed")).not_to_be_visible()


def test_hostile_tokens_stay_text(page: Page, store: Store) -> None:
    open_map(page, "dictionary=hostile")
    points = store.map("hostile").points
    for feature, place in on_screen(page, points).items():
        page.mouse.move(*place)
        expect(page.locator(".st-key-map .tip")).to_contain_text("Feature")
        assert page.locator(".st-key-map .tip :is(script, img, a)").count() == 0, feature
    assert page.locator(".st-key-map .legend :is(script, img, a)").count() == 0
    assert "<script>" in page.locator(".st-key-map .legend").inner_text()
    open_map(page, "dictionary=hostile&among=0.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1")
    expect(page.locator(".fb-chip", has_text=HOSTILE[0][:10]).first).to_be_visible()


def test_without_webgl_the_map_is_drawn_all_the_same(page: Page, store: Store) -> None:
    page.add_init_script(
        "const get = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...more) {"
        "  return kind.startsWith('webgl') ? null : get.call(this, kind, ...more); };"
    )
    open_map(page, "dictionary=planted&token=river")
    expect(page.locator(".st-key-map").get_by_text("Drawn without WebGL")).to_be_visible()
    assert pixels(canvas(page)).std() > 1
    places = on_screen(page, store.map("planted").points)
    feature = loneliest(places)
    page.mouse.move(*places[feature])
    expect(page.locator(".st-key-map .tip")).to_contain_text(f"Feature {feature}")


def test_a_narrow_window_and_a_picture(page: Page) -> None:
    page.set_viewport_size({"width": 800, "height": 900})
    open_map(page, "dictionary=planted")
    box = canvas(page).bounding_box()
    assert box["width"] > 600
    assert box["x"] + box["width"] <= 800
    assert page.evaluate("document.documentElement.scrollWidth") <= 800
    with page.expect_download() as waiting:
        page.get_by_role("button", name="PNG", exact=True).click()
    assert waiting.value.suggested_filename == "planted-map.png"
    picture = np.array(Image.open(waiting.value.path()).convert("RGB"))
    assert picture.std() > 1


def test_the_wheel_zooms_to_the_pointer_and_a_double_click_resets(page: Page, store: Store) -> None:
    open_map(page, "dictionary=planted")
    places = on_screen(page, store.map("planted").points)
    feature = loneliest(places)
    page.mouse.move(*places[feature])
    for _ in range(5):
        page.mouse.wheel(0, -200)
    tip = page.locator(".st-key-map .tip")
    expect(tip).to_contain_text(f"Feature {feature}")  # what is pointed at stays where it is
    box = canvas(page).bounding_box()
    page.mouse.dblclick(box["x"] + box["width"] - 5, box["y"] + 5)
    page.mouse.move(*places[feature])
    expect(tip).to_contain_text(f"Feature {feature}")
