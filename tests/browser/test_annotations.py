"""People label features in real browsers: by keyboard, at once, and while the app dies."""

import csv
import io
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from sqlalchemy import Column, select

from featurestore.annotations.database import EVENTS, Database, default_url
from featurestore.annotations.records import URL_VARIABLE
from tests.browser.conftest import serve, server_process
from tests.postgres_server import new_database, postgres_server

pytestmark = [pytest.mark.browser, pytest.mark.long]
HOSTILE = '<img src=x onerror=alert(1)> **b** =HYPERLINK("x") \u202egnp'
KILLS = int(os.environ.get("FEATURE_BROWSER_KILLS", "1"))
"""On a database of each kind."""
EDITS = int(os.environ.get("FEATURE_BROWSER_EDITS", "4"))
"""Of each of two people; both are few here and many where there is time."""


@pytest.fixture(scope="module")
def store(synthetic_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, since annotations stay beside it."""
    return shutil.copytree(synthetic_store, tmp_path_factory.mktemp("annotated") / "store")


@pytest.fixture(scope="module")
def server(store: Path) -> Iterator[str]:
    yield from serve(store)


def events(store: Path) -> list[tuple]:
    """All that was ever saved: feature, author, label, whether it was a conflict."""
    columns = [EVENTS.c[name] for name in ("feature", "author", "label", "is_conflict")]
    return saved_in(default_url(store), *columns)


def saved_in(url: str, *columns: Column) -> list[tuple]:
    """What a program that starts now finds, in the order that it was saved in."""
    database = Database(url)
    with database.reading() as connection:
        found = connection.execute(select(*columns).order_by(EVENTS.c.number)).all()
    database.close()
    return [tuple(row) for row in found]


def open_feature(page: Page, feature: int) -> None:
    """Of a dictionary that is not the one of the queue."""
    page.goto(f"/feature?dictionary=early&feature={feature}")
    expect(page.locator(f".editor[data-feature='{feature}']")).to_be_visible()


def write(page: Page, verdict: str, label: str, author: str | None = None) -> None:
    """Judge and label with the keyboard alone; Enter is left to the caller."""
    if author is not None:
        page.locator(".editor [name=author]").fill(author)
    page.keyboard.press("Escape")
    page.keyboard.press(verdict)
    page.keyboard.press("a")
    page.keyboard.type(label)


def number(page: Page) -> int:
    return int(page.locator(".editor").get_attribute("data-feature"))


def saved(page: Page, words: str) -> None:
    expect(page.locator(".editor .state")).to_contain_text(words)


def test_a_whole_round_of_labelling(page: Page, store: Path) -> None:
    page.goto("/annotations?dictionary=planted&sort=random&seed=3")
    expect(page.get_by_text("113 left of planted")).to_be_visible()
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".editor")).to_be_visible()
    labelled = {}
    for i in range(20):
        feature = number(page)
        assert feature not in labelled
        labelled[feature] = f"label {i}"
        write(page, "1" if i % 2 else "3", labelled[feature], None if i else "Ann")
        page.keyboard.press("Enter")
        expect(page.locator(f".editor[data-feature='{feature}']")).to_have_count(0)
    assert [event[2] for event in events(store)] == list(labelled.values())

    page.goto("/?dictionary=planted&verdict=monosemantic")
    expect(page.get_by_text("10 of 120 features")).to_be_visible()
    expect(page.locator("td.said bdi")).to_have_count(10)

    page.goto("/annotations?dictionary=planted")
    expect(page.get_by_text("20 of 113")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    exported = Path(download.value.path()).read_bytes()
    rows = list(csv.DictReader(io.StringIO(exported.decode("utf-8-sig"))))
    assert {int(row["feature"]): row["label"].removeprefix("'") for row in rows} == labelled

    chooser = page.locator("input[type=file]").first
    chooser.set_input_files({"name": "a.csv", "mimeType": "text/csv", "buffer": exported})
    expect(page.get_by_text("unchanged 20")).to_be_visible()
    expect(page.get_by_text("Nothing in it is other than here.")).to_be_visible()
    expect(page.get_by_role("button", name="Import", exact=True)).to_have_count(0)
    wrong = exported.replace(b"label 7", b"label seven").replace(b"monosemantic", b"green", 1)
    chooser.set_input_files({"name": "wrong.csv", "mimeType": "text/csv", "buffer": wrong})
    expect(page.get_by_text("wrong.csv: 1 bad, so nothing can be imported.")).to_be_visible()
    expect(page.get_by_role("button", name="Import", exact=True)).to_have_count(0)
    edited = exported.replace(b"label 7", b"=1+1 label seven")
    chooser.set_input_files({"name": "b.csv", "mimeType": "text/csv", "buffer": edited})
    expect(page.get_by_text("change 1")).to_be_visible()
    button = page.get_by_role("button", name="Import", exact=True)
    button.click()
    empty = page.get_by_text("The author is empty")
    expect(empty).to_be_visible()
    here, box = empty.bounding_box(), button.bounding_box()
    assert here and box and 0 < here["y"] - box["y"] < 80  # just below the box for the name
    page.get_by_role("textbox", name="You").fill("Bob")
    page.get_by_role("textbox", name="You").press("Enter")
    button.click()
    expect(page.get_by_text("Annotations imported: 1")).to_be_visible()
    assert events(store)[-1][1:] == ("Bob", "=1+1 label seven", 0)


def test_what_was_just_saved_can_be_gone_back_to(page: Page) -> None:
    page.goto("/annotations?dictionary=planted&sort=random&seed=11")
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".editor")).to_be_visible()
    first = number(page)
    write(page, "2", HOSTILE, "Ann")
    page.keyboard.press("Enter")
    told = page.locator(".st-key-just_saved")
    expect(told).to_contain_text(f"Saved: feature {first} · unsure · {HOSTILE}")
    second = number(page)
    assert second != first
    page.keyboard.press("ArrowLeft")
    expect(page.locator(f".editor[data-feature='{first}']")).to_be_visible()
    expect(page.locator(".editor [name=label]")).to_have_value(HOSTILE)
    expect(page.get_by_text("not in the list of")).to_be_visible()  # it has a verdict now
    expect(told).to_have_count(0)
    page.keyboard.press("ArrowRight")
    expect(page.locator(f".editor[data-feature='{second}']")).to_be_visible()
    told.get_by_role("button", name=f"Change {first}").click()
    page.keyboard.type("4a!")  # for that one, though it is not there yet
    expect(page.locator(f".editor[data-feature='{first}']")).to_be_visible()
    expect(page.get_by_role("button", name="Previous")).to_be_visible()
    expect(page).to_have_url(re.compile(rf"feature={first}&"))
    page.keyboard.press("Shift+Enter")
    saved(page, "Ann, just now")
    expect(page.locator(".editor [name=label]")).to_have_value(f"{HOSTILE}!")
    assert number(page) == first
    page.reload()
    expect(page.locator(f".editor[data-feature='{first}'] .junk")).to_have_attribute(
        "aria-pressed", "true"
    )


PRESS = """(box, keys) => keys.forEach(key => box.dispatchEvent(new KeyboardEvent(
    "keydown", { key, bubbles: true, composed: true, cancelable: true })))"""
"""All in one moment."""


def test_keys_are_for_the_next_feature_before_it_is_there(page: Page, store: Path) -> None:
    """As somebody types who judges faster than pages load."""
    page.goto("/annotations?dictionary=planted&sort=random&seed=5")
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".editor")).to_be_visible()
    first, n_before = number(page), len(events(store))
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    saved(page, "your name first")
    page.keyboard.press("Escape")
    page.keyboard.type("Ann")
    page.keyboard.press("Enter")
    for _ in range(3):
        page.keyboard.press("4")
        page.keyboard.press("Enter")
    page.keyboard.press("1")
    page.keyboard.press("a")
    page.keyboard.type("r 2 n")
    expect(page.locator(".editor [name=label]")).to_have_value("r 2 n")
    expect(page.locator(".editor .monosemantic")).to_have_attribute("aria-pressed", "true")
    last = number(page)
    page.keyboard.press("Shift+Enter")
    saved(page, "Ann, just now")
    said = [event[0] for event in events(store)][n_before:]
    assert (said[0], said[-1], len(set(said)), len(said)) == (first, last, 5, 5)
    # What cannot be done again ends it: nothing half typed is saved.
    page.keyboard.press("4")
    keys = ["Enter", "1", "a", "a", "b", "Backspace", "c", "Delete", "n", "Escape", "Enter"]
    page.locator(".editor [name=label]").evaluate(PRESS, keys)
    expect(page.locator(".editor [name=label]")).to_have_value("ac")
    expect(page.locator(".editor [name=note]")).to_have_value("")
    expect(page.locator(".editor .monosemantic")).to_have_attribute("aria-pressed", "true")
    assert number(page) != last
    assert len(events(store)) == n_before + 6


def test_a_label_is_text_wherever_it_stands(page: Page) -> None:
    open_feature(page, 17)
    page.locator(".editor [name=note]").fill(HOSTILE)
    page.locator(".editor [name=tags]").fill('a; "b; c"')
    write(page, "2", HOSTILE, "Eve <b>")
    page.keyboard.press("Shift+Enter")
    saved(page, "Eve <b>, just now")
    page.get_by_text("History (1)").click()
    expect(page.locator(".fb-history")).to_contain_text("<img src=x onerror=alert(1)>")
    page.reload()
    expect(page.locator(".editor [name=label]")).to_have_value(HOSTILE)
    expect(page.locator(".editor [name=tags]")).to_have_value('a; "b; c"')
    page.goto("/search?find=onerror")
    expect(page.locator("td.found mark").first).to_have_text("onerror")
    page.goto("/?dictionary=early&text=hyperlink&within=annotations")
    expect(page.locator("td.said")).to_contain_text("<img src=x")
    assert page.locator("img[src=x]").count() == 0


def test_undo_and_what_is_not_saved_yet(page: Page) -> None:
    open_feature(page, 18)
    write(page, "1", "first", "Ann")
    page.keyboard.press("Shift+Enter")
    saved(page, "Ann, just now")
    write(page, "4", " and more")
    saved(page, "not saved")
    page.reload()  # what is typed is not lost
    expect(page.locator(".editor [name=label]")).to_have_value("first and more")
    page.keyboard.press("Shift+Enter")
    expect(page.locator(".editor .junk")).to_have_attribute("aria-pressed", "true")
    saved(page, "Ann, just now")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".editor [name=label]")).to_have_value("first")
    expect(page.locator(".editor .monosemantic")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".editor [name=label]")).to_have_value("")
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()


def test_what_cannot_be_saved_stays_in_the_box(page: Page, store: Path) -> None:
    open_feature(page, 19)
    with sqlite3.connect(store / "annotations.sqlite", isolation_level=None) as other:
        other.execute("begin immediate")
        write(page, "1", "while it is locked", "Ann")
        page.keyboard.press("Enter")
        expect(page.locator(".editor .problem")).to_contain_text("another program")
        expect(page.locator(".editor [name=label]")).to_have_value("while it is locked")
        other.execute("rollback")
    page.keyboard.press("Enter")
    expect(page.locator(".editor[data-feature='19']")).to_have_count(0)
    assert [event for event in events(store) if event[0] == 19] == [
        (19, "Ann", "while it is locked", 0)
    ]


def test_what_is_too_long_is_told_and_not_cut(page: Page, store: Path) -> None:
    open_feature(page, 15)
    text = "long " * 20_000
    page.locator(".editor [name=note]").fill(text)
    write(page, "1", "x", "Ann")
    page.keyboard.press("Enter")
    problem = page.locator(".editor .problem")
    expect(problem).to_contain_text("The note has 100,000 characters, 90,000 too many")
    assert page.locator(".editor [name=note]").input_value() == text
    page.keyboard.press("Escape")
    page.locator(".editor [name=note]").fill("short")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".editor[data-feature='15']")).to_have_count(0)
    assert [label for feature, _, label, _ in events(store) if feature == 15][-1] == "x"


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


def test_what_needs_a_person_stands_first_in_an_import(page: Page) -> None:
    page.set_viewport_size({"width": 800, "height": 900})
    page.goto("/annotations?dictionary=planted")
    rows = [f'early,{i},"two\nlines"' for i in range(31, 40)]
    text = "\n".join(["dictionary,feature,label", *rows, "early,9999,x", "early,32,x"])
    chooser = page.locator("input[type=file]").first
    given = {"name": "a.csv", "mimeType": "text/csv", "buffer": text.encode()}
    chooser.set_input_files(given)
    table = page.locator(".fb-plan")
    expect(table.locator("tr")).to_have_count(11)
    expect(table.locator("tr").nth(0)).to_contain_text("row 12bad")
    expect(table.locator("tr").nth(0)).to_contain_text("Row 3 is of this feature, too")
    expect(table.locator("tr").nth(1)).to_contain_text("row 11unknown")
    expect(table.locator("tr").nth(2)).to_contain_text("row 2add")
    refusal = page.get_by_text("a.csv: 1 bad, 1 unknown, so nothing can be imported")
    above, below = refusal.bounding_box(), table.bounding_box()
    assert above and below and above["y"] < below["y"]
    whole = page.locator("[data-testid=stMainBlockContainer]").evaluate("e => e.clientWidth")
    assert below["width"] > 0.8 * whole


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


def test_nothing_sticks_out_at_800_pixels(page: Page) -> None:
    page.set_viewport_size({"width": 800, "height": 900})
    for address in ("/annotations?dictionary=planted", "/search?find=river"):
        page.goto(address)
        expect(page.locator(".fb-part").first).to_be_visible()
        page.wait_for_timeout(500)
        width = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
        assert width <= 800
