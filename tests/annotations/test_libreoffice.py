"""What the real LibreOffice makes of an export, and what comes back from it."""

import csv
import io
import os
import random
import shutil
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from featurestore.annotations.exchange import COLUMNS, export_csv
from featurestore.annotations.importing import apply, read_import
from featurestore.annotations.log import AnnotationLog
from featurestore.annotations.records import Content, Verdict
from featurestore.store import Store
from tests.annotations.made_up import draft, open_log
from tests.small_store import publish

CSV_FILTER = "44,34,76"
"""Comma, double quote, UTF-8: what LibreOffice takes CSV for, all else as it comes."""
OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
EDITED = 17

PIECES = [
    *"=+-@|%＝＋－＠'\" \u00a0,;.:/()[]{}$€#<&",
    *(
        "'=",
        "\u202e",
        "\u200b",
        "\u0301",
        "\u2029x",
        "=1+1",
        "=cmd|' /C calc'!A0",
        '=HYPERLINK("x")',
    ),
    *("0", "7", "007", "1e5", "12:30", "5 PM", ".5", "50%", "2020-01-02", "1 1/2", "(5)", "1/2"),
    *("March 1", "SEPT2", "MAR-1", "TRUE", "false", "inf", "nan", "NULL", "NA", "a", "é", "😀"),
]


@pytest.fixture(scope="module")
def soffice() -> str:
    found = shutil.which("soffice")
    if found is None and os.environ.get("CI"):
        pytest.fail("CI has no soffice: install libreoffice-calc")
    if found is None:
        pytest.skip("no soffice on this machine")
    return found


def convert(soffice: str, source: Path, to: str, *options: str) -> Path:
    """A file beside the source, made by LibreOffice with a profile of its own."""
    folder = source.parent
    line = [soffice, f"-env:UserInstallation={(folder / 'profile').as_uri()}", "--headless"]
    line += [*options, "--convert-to", to, "--outdir", str(folder), str(source)]
    run = subprocess.run(line, capture_output=True, text=True, timeout=180)
    made = source.with_suffix(f".{to.partition(':')[0]}")
    assert made.exists(), run.stdout + run.stderr
    return made


def cells_of(fods: Path) -> list[list[tuple[str, str]]]:
    """Type and text of every cell, row by row; several empty ones in a row stand as one."""
    rows = []
    for row in ET.parse(fods).iter(f"{TABLE}table-row"):
        cells = []
        for cell in row.iter(f"{TABLE}table-cell"):
            n = int(cell.get(f"{TABLE}number-columns-repeated", "1"))
            cells += [(cell.get(f"{OFFICE}value-type", ""), text_of(cell))] * n
        if any(kind for kind, _ in cells):
            rows.append(cells)
    return rows


def text_of(cell: ET.Element) -> str:
    return "\n".join(written(paragraph) for paragraph in cell.findall(f"{TEXT}p"))


def written(element: ET.Element) -> str:
    """The text of a paragraph: runs of spaces and tabs stand as elements."""
    text = element.text or ""
    for child in element:
        if child.tag == f"{TEXT}s":
            text += " " * int(child.get(f"{TEXT}c", "1"))
        elif child.tag == f"{TEXT}tab":
            text += "\t"
        else:
            text += written(child)
        text += child.tail or ""
    return text


def hostile(n: int) -> list[str]:
    rng = random.Random(7)
    made = ["".join(rng.choices(PIECES, k=rng.randrange(1, 5))) for _ in range(n)]
    return [*PIECES, *made][:n]


def fill(log: AnnotationLog, n: int) -> None:
    texts = hostile(2 * n)
    verdicts = [None, *Verdict]
    drafts = []
    for feature in range(n):
        label, other = texts[feature], texts[-1 - feature]
        note = f"{other}\n{label}" if feature % 2 else other
        tags = (other, "b")[: feature % 3]
        drafts.append(draft(feature, Content(verdicts[feature % 5], label, note, tags)))
    log.append_all(drafts)


def test_an_export_survives_libreoffice(soffice: str, tmp_path: Path) -> None:
    publish(tmp_path)
    log = open_log(tmp_path)
    fill(log, 400)
    events = log.all_current()
    path = tmp_path / "annotations.csv"
    path.write_bytes(export_csv(events))

    fods = convert(soffice, path, "fods", f"--infilter=CSV:{CSV_FILTER}")
    assert "table:formula" not in fods.read_text(encoding="utf-8")
    ours = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
    theirs = cells_of(fods)
    assert len(theirs) == len(ours) == len(events) + 1
    texts = [COLUMNS.index(name) for name in ("verdict", "label", "note", "tags")]
    for our, their in zip(ours[1:], theirs[1:], strict=True):
        for column in texts:
            kind, text = their[column]
            assert kind == ("string" if our[column] else ""), our[column]
            assert text == our[column]

    back = convert(soffice, fods, f"csv:Text - txt - csv (StarCalc):{CSV_FILTER}")
    known = [replace(info, n_features=400) for info in Store(tmp_path).catalogue().dictionaries]
    plan = read_import(back.read_bytes(), back.name, log, known)
    assert plan.of("add", "change", "conflict", "unknown", "bad") == ()
    assert len(plan.rows) == len(events)

    edit(back, EDITED, "an edited label")
    plan = read_import(back.read_bytes(), back.name, log, known)
    (change,) = plan.of("add", "change", "conflict", "unknown", "bad")
    assert (change.outcome, change.feature) == ("change", str(EDITED))
    assert change.after == replace(change.before, label="an edited label")

    before = {event.feature: event.content for event in events}
    assert apply(plan, log, "bob") == 1
    after = {event.feature: event.content for event in log.all_current()}
    assert after == before | {EDITED: change.after}


def test_an_id_that_becomes_a_date_is_known_by_its_digest(soffice: str, tmp_path: Path) -> None:
    """Ids are written as they are, so that tables can be joined on them."""
    publish(tmp_path, "mar-2")
    log = open_log(tmp_path)
    log.append(draft(0, Content(label="cats"), dictionary="mar-2"))
    path = tmp_path / "annotations.csv"
    path.write_bytes(export_csv(log.all_current()))
    assert b'"mar-2","0"' in path.read_bytes()
    fods = convert(soffice, path, "fods", f"--infilter=CSV:{CSV_FILTER}")
    back = convert(soffice, fods, f"csv:Text - txt - csv (StarCalc):{CSV_FILTER}")
    assert b"mar-2" not in back.read_bytes().replace(b"digest of mar-2", b"")
    plan = read_import(back.read_bytes(), back.name, log, Store(tmp_path).catalogue().dictionaries)
    assert [(row.outcome, row.dictionary) for row in plan.rows] == [("unchanged", "mar-2")]


def test_what_libreoffice_writes_anew_is_known(soffice: str, tmp_path: Path) -> None:
    """Of a file that another program wrote, with no mark before what is no text."""
    labels = "007;1e5;12:30;1/2;1 1/2;March 1;MAR-1;Mar 1, 2020;2020-01-02;TRUE;false;$5;50%;(5)"
    labels = (
        f"{labels};.5;1,234;5pm;5-;+5;2020;10:00 AM;12345e12;april 2020;a\tb;\x1bc;2020-01-02T10:00"
    )
    publish(tmp_path)
    log = open_log(tmp_path)
    log.append_all(draft(i, Content(label=label)) for i, label in enumerate(labels.split(";")))
    path = tmp_path / "annotations.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = [["one", event.feature, event.content.label] for event in log.all_current()]
        csv.writer(file).writerows([["dictionary", "feature", "label"], *rows])
    fods = convert(soffice, path, "fods", f"--infilter=CSV:{CSV_FILTER}")
    back = convert(soffice, fods, f"csv:Text - txt - csv (StarCalc):{CSV_FILTER}")
    known = [replace(info, n_features=100) for info in Store(tmp_path).catalogue().dictionaries]
    plan = read_import(back.read_bytes(), back.name, log, known)
    assert [row.before.label for row in plan.of("change", "unknown", "bad")] == []
    assert plan.counts()["rewritten"] > 20


def edit(path: Path, feature: int, label: str) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    (row,) = [row for row in rows if row[1] == str(feature)]
    row[COLUMNS.index("label")] = label
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
