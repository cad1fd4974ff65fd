"""The shipped demo, in a real browser: a part of its text is enough to see what a feature means."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from featurestore.build import build
from featurestore.config import read_recipe
from featurestore.demo.__main__ import RECIPES
from featurestore.demo.texts import held_out_documents
from featurestore.plan import Order
from tests.browser.conftest import serve

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app on the demo's best dictionary, built from 30,000 tokens."""
    folder = tmp_path_factory.mktemp("demo")
    for i, document in enumerate(held_out_documents()):
        (folder / f"{i}.txt").write_text(document.text, encoding="utf-8")
    recipe = read_recipe(RECIPES[0])
    corpus = replace(recipe.corpus, files=(str(folder / "*.txt"),), max_tokens=30_000)
    build(Order(replace(recipe, corpus=corpus), folder / "store", ("resid-2-topk",)))
    yield from serve(folder / "store")


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
