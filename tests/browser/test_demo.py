"""The shipped demo, in a real browser: a part of its text is enough to see what a feature means."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import serve

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(demo_store: Path) -> Iterator[str]:
    """The app on the demo."""
    yield from serve(demo_store)


def test_a_feature_means_what_the_documents_say(page: Page) -> None:
    page.goto("/?dictionary=resid-2-topk&token=range")
    expect(page.get_by_text(re.compile("of 2,048 features"))).to_be_visible()
    expect(page.locator("tbody tr[data-feature='416']")).to_be_visible()  # it promotes " range"
    page.locator("tbody tr[data-feature='416']").click()
    expect(page.locator("h1")).to_contain_text("Feature 416")
    peaks = page.locator(".view[data-feature='416'] .peak")
    expect(peaks.first).to_be_visible()
    texts = peaks.all_inner_texts()
    assert len(texts) > 10
    assert sum(text.strip() == "in" for text in texts) > len(texts) / 2
