"""Live in a real browser: paste, click, switch off, follow, come back; and many at once."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from benchmarks.live_crowd import N_VISITORS, ask_at_once, was_busy
from benchmarks.visitor import Visitor
from tests.browser.conftest import serve, server_process

pytestmark = [pytest.mark.browser, pytest.mark.long]
TEXT = "for name in os.listdir(path):\n    print(name)\nSECRET-7731"
ROW = "tbody tr[data-key]"
LOADED = 120_000
"""Milliseconds that the first text may take: libraries are loaded for it, from a cold disk too."""


@pytest.fixture(scope="module")
def server(demo_store: Path) -> Iterator[str]:
    """The app on the demo. What is pasted below must not come up in its log."""
    yield from serve(demo_store)
    assert "SECRET-7731" not in "".join(log.read_text() for log in demo_store.glob("server-*.log"))


def token(page: Page, pos: int) -> Locator:
    return page.locator(f".passage[data-text='0'] .token[data-pos='{pos}']")


def paste(page: Page, text: str, box: str = "live_text") -> None:
    area = page.locator(f".st-key-{box} textarea")
    area.fill(text)
    area.press("Control+Enter")


def first_row(page: Page, key: str) -> Locator:
    return page.locator(f"{ROW}[data-key='{key}']")


def test_from_a_text_to_a_feature_and_back(page: Page) -> None:
    page.goto("/live?dictionaries=resid-2-topk")
    expect(page.get_by_text("Paste a text above and press Ctrl+Enter.")).to_be_visible(
        timeout=LOADED
    )
    paste(page, TEXT)
    expect(token(page, 2)).to_have_text(" in")
    expect(page.locator(ROW)).to_have_count(50)

    token(page, 2).click()  # features at " in" come first
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("chosen")
    expect(page).to_have_url(re.compile("at=2"))
    first_row(page, "resid-2-topk/416").locator("td").nth(1).click()
    expect(page.locator("h1")).to_contain_text("Feature 416")
    expect(page.locator(".view[data-feature='416'] .peak").first).to_be_visible()
    expect(token(page, 2)).to_have_class(re.compile("active"))  # shaded by the open feature

    page.get_by_role("button", name="Switch it off").click()
    expect(page.get_by_text("resid-2-topk 416 switched off everywhere")).to_be_visible()
    likely = page.locator(".fb-next tr", has_text="␣self").first
    expect(likely).to_be_visible()
    before, after = (float(likely.locator("td").nth(i).get_attribute("title")) for i in (1, 3))
    assert before > after  # the feature promotes " self"
    expect(page.locator(".fb-passage")).to_have_count(4)

    page.get_by_role("tab", name="Features").click()
    first_row(page, "resid-2-topk/416").get_by_role("link").click()
    expect(page).to_have_url(re.compile("/feature.*feature=416"))
    expect(page.locator("h1")).to_contain_text(re.compile("^Feature 416"))
    expect(page.locator(".view[data-feature='416'] .peak").first).to_be_visible()
    page.go_back()
    expect(token(page, 2)).to_have_text(" in")
    assert page.locator(".st-key-live_text textarea").input_value() == TEXT
    expect(first_row(page, "resid-2-topk/416")).to_have_attribute("aria-selected", "true")

    page.reload()  # the link says it all
    expect(token(page, 2)).to_have_attribute("aria-pressed", "true")
    assert page.locator(".st-key-live_text textarea").input_value() == TEXT


def test_a_context_is_sent_to_live_and_agrees(page: Page) -> None:
    page.goto("/?dictionary=mlp-2-transcoder")
    page.locator("tbody tr").first.click()
    row = page.locator(".view .row").first
    row.hover()
    row.get_by_role("button", name="Run this context again on Live").click()
    expect(page.get_by_text("Recomputed: as stored")).to_be_visible(timeout=LOADED)
    expect(page).to_have_url(re.compile("context="))
    page.go_back()
    expect(page).to_have_url(re.compile("/feature.*feature="))
    expect(page.locator(".view .row").first).to_be_visible()
    page.go_forward()
    page.get_by_role("button", name="Edit as text").click()
    expect(page.locator(".st-key-live_text textarea")).not_to_be_empty()


@pytest.mark.parametrize("width", [1440, 800])
def test_a_row_far_below_is_opened_in_place(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto("/live?dictionaries=resid-2-topk&text=import+os,+sys")
    row = page.locator(ROW).nth(30)
    row.locator("td").nth(1).click(timeout=LOADED)
    expect(page.locator("h1")).to_be_in_viewport()
    expect(row).to_be_in_viewport()
    expect(page.locator(".token.active").first).to_be_in_viewport()  # what the row shades


def test_a_measure_stays_on_the_text(page: Page) -> None:
    page.goto("/live?dictionaries=resid-2-topk&text=import+os&tab=reconstruction")
    page.locator(ROW).nth(1).click(timeout=LOADED)
    page.mouse.move(2, 2)
    expect(page.locator(".legend")).to_contain_text("resid-2-topk, error")
    expect(page.locator(".token.loss")).to_have_count(2)


def test_several_dictionaries_layers_and_losses(page: Page) -> None:
    page.goto("/live?dictionaries=resid-2-topk,resid-1,embed&text=import+os&tab=layers")
    expect(page.locator(ROW)).to_have_count(3, timeout=LOADED)
    keys = [row.get_attribute("data-key") for row in page.locator(ROW).all()]
    assert keys == ["embed", "resid-1", "resid-2-topk"]  # from the embedding up
    page.get_by_role("tab", name="Reconstruction").click()
    expect(page.locator(ROW)).to_have_count(12)
    page.get_by_role("tab", name="Layers").click()
    first_row(page, "resid-1").click()
    expect(page).to_have_url(re.compile("of=resid-1"))
    expect(page.locator(f"{ROW}[data-key^='resid-1/']").first).to_be_visible()
    expect(page.locator(f"{ROW}[data-key^='embed/']")).to_have_count(0)


def test_two_texts(page: Page) -> None:
    page.goto("/live?dictionaries=resid-2-topk&tab=contrast")
    paste(page, "The function returns True.")
    paste(page, "The function raises an error.", "live_other")
    expect(page.locator(".passage")).to_have_count(2, timeout=LOADED)
    expect(page.locator(ROW).first.locator(".strip")).to_have_count(2)
    page.get_by_role("button", name="Δ mean").click()
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("Δ mean")


def test_a_filter_holds_before_the_cut(page: Page) -> None:
    page.goto("/live?dictionaries=resid-2-topk&text=import+os&density=..0.01")
    expect(page.locator(ROW).first).to_be_visible(timeout=LOADED)
    shown = page.get_by_text(re.compile("^[0-9]+ of [0-9]+ active features$"))
    kept, active = map(int, re.findall("[0-9]+", shown.inner_text()))
    assert 0 < kept < active


TOO_LONG = {
    "x" * 100_000: "The text has 100,000 bytes; 65,536 are taken.",
    "\u0301" * 10_000: "model 'demo GPT-2' reads 127 after its BOS",
    "word " * 400: "reads 127 after its BOS",
}
STRANGE = (
    "   ",
    "\u05d0\u05d1\u05d2 \u202e abc",
    "\U0001f469\u200d\U0001f680 \U0001f600",
    "<|endoftext|>",
    "<img src=x onerror=alert(1)> [a](javascript:alert(1)) $x$ :smile:",
    "a\r\nb\tc",
)


def test_too_long_is_told_and_stays_in_the_box(page: Page) -> None:
    page.goto("/live?dictionaries=resid-2-topk")
    expect(page.get_by_text("Paste a text above")).to_be_visible(timeout=LOADED)
    for text, said in TOO_LONG.items():
        paste(page, text)
        expect(page.get_by_text(said)).to_be_visible()
        assert page.locator(".st-key-live_text textarea").input_value() == text


def test_any_text_is_shown_as_it_is(page: Page) -> None:
    page.goto("/live?dictionaries=resid-2-topk")
    expect(page.get_by_text("Paste a text above")).to_be_visible(timeout=LOADED)
    for number, text in enumerate(STRANGE):
        paste(page, f"{number}{text}")
        expect(token(page, 0)).to_have_text(re.compile(f"^{number}"))
        expect(page.locator(ROW).first).to_be_visible()


def test_a_long_text_travels_under_a_key(page: Page) -> None:
    page.goto("/live?dictionaries=resid-2-topk")
    expect(page.get_by_text("Paste a text above")).to_be_visible(timeout=LOADED)
    text = "  \n" * 600  # long for a link, few tokens
    paste(page, text)
    expect(page).to_have_url(re.compile("text_key="))
    link = page.url
    page.goto("/")
    page.goto(link)
    expect(page.locator(".st-key-live_text textarea")).to_have_value(text)


def test_many_at_once(page: Page, server: str) -> None:
    """50 visitors in the same moment: whoever cannot be served is told so, and nobody is lost."""
    page.goto("/live?dictionaries=resid-2-topk,resid-1&text=warm&tab=reconstruction")
    expect(page.locator(ROW)).to_have_count(8, timeout=LOADED)
    process = server_process(server)
    before = process.memory_info().rss
    with ExitStack() as sessions:
        crowd = [sessions.enter_context(Visitor(server)) for _ in range(N_VISITORS)]
        other = sessions.enter_context(Visitor(server))
        with ask_at_once(crowd, "resid-2-topk") as answers:
            browse = other.see("", "dictionary=resid-2-topk")
        seen = [one.result() for one in answers]
    assert browse.components == 3  # the address, the keys, and the table
    assert [one.exceptions for one in (*seen, browse) if one.exceptions] == []
    busy = [was_busy(one) for one in seen]
    assert [one.components for one in seen] == [2 if told else 3 for told in busy]
    assert 9 <= busy.count(False)
    assert process.memory_info().rss - before < 300e6
    page.reload()
    expect(page.locator(ROW)).to_have_count(8)
