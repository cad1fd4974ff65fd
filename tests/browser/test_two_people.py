"""Two people label at once in real browsers, and what they saved outlives the app."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from featurestore.annotations.database import EVENTS, default_url
from featurestore.annotations.records import URL_VARIABLE
from tests.browser.conftest import serve, server_process
from tests.browser.labelling import events, number, open_feature, saved, saved_in, write
from tests.postgres_server import new_database, postgres_server

pytestmark = [pytest.mark.browser, pytest.mark.long]
KILLS = int(os.environ.get("FEATURE_BROWSER_KILLS", "1"))
"""On a database of each kind."""
EDITS = int(os.environ.get("FEATURE_BROWSER_EDITS", "4"))
"""Of each of two people; both are few here and many where there is time."""


@pytest.fixture(scope="module")
def server(store: Path) -> Iterator[str]:
    yield from serve(store)


def people(browser: Browser, server: str) -> Iterator[tuple[str, BrowserContext, Page]]:
    for name in ("Ann", "Bob"):
        context = browser.new_context(base_url=server, viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.set_default_timeout(15_000)
        yield name, context, page


def test_two_people_at_once(browser: Browser, server: str, store: Path) -> None:
    """Each opens a feature, then both save: the second is told, and nothing is lost."""
    n_before, features = len(events(store)), [20 + i % 6 for i in range(EDITS)]
    (ann, one, his), (bob, other, hers) = people(browser, server)
    told = 0
    for i, feature in enumerate(features):
        for page in (his, hers):
            open_feature(page, feature)
        for name, page in ((ann, his), (bob, hers)):
            page.locator(".editor [name=label]").fill("")
            write(page, "1", f"{name} {i}", name if not i else None)
            page.keyboard.press("Shift+Enter")
            expect(page.locator(".editor .state")).not_to_contain_text(re.compile("saving|not s"))
        told += hers.locator(".conflict").count()
    found = events(store)[n_before:]
    assert [event[1] for event in found] == [ann, bob] * EDITS
    assert [event[2] for event in found] == [f"{n} {i}" for i in range(EDITS) for n in (ann, bob)]
    assert [event[3] for event in found] == [0, 1] * EDITS
    assert told == sum(i // 6 + 1 for i in range(EDITS))  # open ones of a feature add up

    conflict = hers.locator(".conflict").last
    expect(conflict).to_contain_text(f"Ann {EDITS - 1}")
    expect(conflict).to_contain_text(f"Bob {EDITS - 1}")
    n_open = hers.locator(".conflict").count()
    conflict.get_by_role("button", name="Take the other").click()
    expect(hers.locator(".conflict")).to_have_count(n_open - 1)
    expect(hers.locator(".editor [name=label]")).to_have_value(f"Bob {EDITS - 1}")
    for context in (one, other):
        context.close()


def test_undo_takes_back_one_s_own_and_nobody_else_s(
    browser: Browser, server: str, store: Path
) -> None:
    (_, one, ann), (_, other, bob) = people(browser, server)
    undo = {page: page.get_by_role("button", name="Undo") for page in (ann, bob)}
    n_before = len(events(store))
    open_feature(ann, 30)
    write(ann, "1", "Ann's", "Ann")
    ann.keyboard.press("Shift+Enter")
    saved(ann, "Ann, just now")
    expect(undo[ann]).to_be_enabled()

    open_feature(bob, 30)
    expect(undo[bob]).to_be_disabled()  # nobody is named yet
    bob.locator(".editor [name=author]").fill("Ann")
    expect(undo[bob]).to_be_enabled()
    bob.locator(".editor [name=author]").fill("Bob")
    expect(undo[bob]).to_be_disabled()
    expect(undo[bob]).to_have_attribute("title", re.compile("^Ann saved what is in force.*History"))
    undo[bob].evaluate("button => { button.disabled = false; button.click(); }")
    problem = bob.locator(".editor .problem")
    expect(problem).to_contain_text("Ann saved what is in force, and nobody undoes what others")
    assert events(store)[n_before:] == [(30, "Ann", "Ann's", False)]
    bob.keyboard.press("Escape")
    bob.locator(".editor [name=label]").fill("Bob's")
    bob.keyboard.press("Shift+Enter")
    saved(bob, "Bob, just now")
    expect(undo[bob]).to_be_enabled()

    ann.locator(".editor [name=label]").fill("Ann's, too late")
    ann.keyboard.press("Shift+Enter")
    expect(ann.locator(".conflict")).to_have_count(1)
    expect(undo[ann]).to_be_disabled()
    expect(undo[ann]).to_have_attribute("title", re.compile("^Decide below instead"))
    undo[bob].click()  # whose page does not know of the conflict yet
    expect(problem).to_contain_text("has a conflict, so nothing was undone: decide first")
    expect(bob.locator(".conflict")).to_have_count(1)
    expect(bob.locator(".editor [name=label]")).to_have_value("Bob's")
    expect(undo[bob]).to_be_disabled()
    bob.get_by_role("button", name="Keep what is in force").click()
    expect(bob.locator(".conflict")).to_have_count(0)
    expect(undo[bob]).to_be_enabled()
    for context in (one, other):
        context.close()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database that nothing was saved in, once of each kind."""
    if request.param == "sqlite":
        yield default_url(tmp_path)
        return
    with postgres_server() as server, new_database(server) as address:
        yield address


def test_nothing_acknowledged_is_lost_when_the_app_is_killed(
    browser: Browser,
    synthetic_store: Path,
    tmp_path: Path,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(URL_VARIABLE, url)
    store = shutil.copytree(synthetic_store, tmp_path / "store")
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    acknowledged = set()
    for i in range(KILLS):
        serving = serve(store)
        address = next(serving)
        page.goto(f"{address}/feature?dictionary=planted&sort=feature&order=asc&feature={i % 90}")
        expect(page.locator(".editor")).to_be_visible()
        for j in range(3 + i % 4):
            feature, label = number(page), f"kill {i} {j}"
            page.locator(".editor [name=label]").fill("")
            write(page, "1", label, "Ann")
            page.keyboard.press("Enter")
            if j == 2 + i % 4:
                page.wait_for_timeout(37 * (i + 1) % 400)  # somewhere inside the last save
                server_process(address).kill()
                break
            expect(page.locator(f".editor[data-feature='{feature}']")).to_have_count(0)
            acknowledged.add(label)
        with pytest.raises(StopIteration):
            next(serving)
    kept = [label for (label,) in saved_in(url, EVENTS.c.label)]
    assert acknowledged <= set(kept)
    assert len(kept) <= len(acknowledged) + KILLS
    context.close()
