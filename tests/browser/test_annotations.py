"""People label features in a real browser, by keyboard: what they saved stands where it should."""

import csv
import io
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import serve
from tests.browser.labelling import events, number, open_feature, saved, write

pytestmark = [pytest.mark.browser, pytest.mark.long]
HOSTILE = '<img src=x onerror=alert(1)> **b** =HYPERLINK("x") \u202egnp'


@pytest.fixture(scope="module")
def server(store: Path) -> Iterator[str]:
    yield from serve(store)


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
    expect(page.locator(f".editor[data-feature='{first}']")).to_have_count(0)
    second = number(page)
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


def test_next_leads_back_to_what_was_saved_alone(page: Page) -> None:
    """It has left the queue by then, and Next leads past what a colleague has judged meanwhile."""
    page.goto("/annotations?dictionary=planted&sort=random&seed=12")
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".editor")).to_be_visible()
    first = number(page)
    write(page, "2", "saved alone", "Ann")
    page.keyboard.press("Shift+Enter")
    saved(page, "Ann, just now")
    page.keyboard.press("ArrowRight")
    expect(page.locator(f".editor[data-feature='{first}']")).to_have_count(0)
    told = page.locator(".st-key-just_saved")
    expect(told).to_contain_text(f"Saved: feature {first} · unsure · saved alone")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(f".editor[data-feature='{first}']")).to_be_visible()
    expect(page.locator(".editor [name=label]")).to_have_value("saved alone")


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


def test_enter_saves_from_a_note_and_alt_begins_a_line(page: Page, store: Path) -> None:
    page.goto("/feature?dictionary=early&feature=30&sort=feature&order=asc")
    note = page.locator(".editor [name=note]")
    expect(note).to_be_visible()
    page.locator(".editor [name=author]").fill("Ann")
    page.keyboard.press("Escape")
    page.keyboard.type("none")
    page.keyboard.press("Alt+Enter")
    page.keyboard.type("two")
    expect(note).to_have_value("one\ntwo")
    page.keyboard.press("Control+z")
    expect(note).not_to_have_value("one\ntwo")
    page.keyboard.press("Control+Shift+z")
    page.keyboard.press("Enter")
    expect(page.locator(".editor[data-feature='31']")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".editor[data-feature='30']")).to_be_visible()
    expect(note).to_have_value("one\ntwo")
    assert [said[0] for said in events(store)][-1] == 30


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
