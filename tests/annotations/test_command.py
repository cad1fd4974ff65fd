import csv
import json
from pathlib import Path

import pytest

from featurestore.__main__ import main
from featurestore.annotations import command
from featurestore.annotations.database import Database
from featurestore.annotations.exchange import COLUMNS, EVIDENCE_COLUMNS
from featurestore.annotations.log import AnnotationLog
from featurestore.annotations.records import Content, Verdict
from tests.annotations.made_up import open_log, say
from tests.small_store import publish


@pytest.fixture(autouse=True)
def _no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(command.URL_VARIABLE, raising=False)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    publish(tmp_path / "store")
    publish(tmp_path / "store", "two")
    return tmp_path / "store"


@pytest.fixture
def log(store: Path) -> AnnotationLog:
    log = open_log(store)
    say(log, 0, label="cats", verdict=Verdict.MONOSEMANTIC)
    say(log, 3, label="=1+1", note="two\nlines")
    say(log, 0, "two", label="dogs", tags=("a", "b"))
    return log


def annotations(*arguments: object) -> int:
    return main(["annotations", *map(str, arguments)])


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_a_file_there_and_back(
    store: Path, log: AnnotationLog, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "all.csv"
    path.write_text("what was there")
    assert annotations("export", path, "--store", store) == 0
    assert capsys.readouterr().out == f"3 annotations in {path}\n"
    assert [row["label"] for row in table(path)] == ["cats", "'=1+1", "dogs"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["all.csv", "store"]

    assert annotations("import", path, "--store", store) == 0
    assert capsys.readouterr().out.splitlines() == [
        "        3 unchanged",
        "nothing written: this was a dry run, --apply writes",
    ]
    text = path.read_text(encoding="utf-8").replace('"cats"', '"CATS\x1b[31m"')
    path.write_text(text, encoding="utf-8")
    assert annotations("import", path, "--store", store) == 0
    assert capsys.readouterr().out.splitlines() == [
        "        1 change",
        "        2 unchanged",
        "row 2: change, one 0.",
        "    label: 'cats' -> 'CATS\\x1b[31m'",
        "nothing written: this was a dry run, --apply writes",
    ]
    assert log.all_current()[0].content.label == "cats"
    assert annotations("import", path, "--store", store, "--apply", "--author", "bob") == 0
    assert capsys.readouterr().out.endswith("1 annotation written\n")
    event = log.all_current()[0]
    assert (event.content.label, event.author, event.kind) == ("CATS\x1b[31m", "bob", "import")


def test_labels_of_a_program_are_told_from_peoples(
    store: Path, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("dictionary,feature,label,explainer,score\none,0,cats,m,0.7\n")
    assert annotations("import", path, "--store", store) == 0
    said = capsys.readouterr().out
    assert "columns that are not read: explainer, score" in said
    assert "if a program wrote these labels, the command `explanations import` takes them" in said


def test_standard_output_gets_the_table_and_nothing_else(
    store: Path, log: AnnotationLog, capfdbinary: pytest.CaptureFixture, tmp_path: Path
) -> None:
    path = tmp_path / "it.csv"
    for options in ([], ["--no-bom"], ["--evidence"], ["--dictionary", "two", "--no-bom"]):
        assert annotations("export", path, "--store", store, *options) == 0
        capfdbinary.readouterr()
        assert annotations("export", "-", "--store", store, *options) == 0
        out, error = capfdbinary.readouterr()
        assert (out, error) == (path.read_bytes(), b"")
        assert out.startswith(b"\xef\xbb\xbf") == ("--no-bom" not in options)
    assert [row["label"] for row in table(path)] == ["dogs"]


def test_evidence_and_json_lines(store: Path, log: AnnotationLog, tmp_path: Path) -> None:
    assert annotations("export", tmp_path / "it.csv", "--store", store, "--evidence") == 0
    first = table(tmp_path / "it.csv")[0]
    assert tuple(first) == (*COLUMNS, *EVIDENCE_COLUMNS)
    assert first["context_1"] == "catdog« cat»"
    assert annotations("export", tmp_path / "it.jsonl", "--store", store) == 0
    lines = (tmp_path / "it.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["description"] for line in lines] == ["cats", "=1+1", "dogs"]
    assert annotations("import", tmp_path / "it.jsonl", "--store", store) == 0


def test_the_database_is_where_one_says(
    store: Path, log: AnnotationLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = f"sqlite:///{tmp_path / 'other.sqlite'}"
    path = tmp_path / "it.csv"
    assert annotations("export", path, "--store", store, "--annotations", other) == 0
    assert table(path) == [] and not (tmp_path / "other.sqlite").exists()
    annotations("export", path, "--store", store)
    line = ["import", path, "--store", store, "--apply", "--author", "bob"]
    assert annotations(*line, "--annotations", other) == 0
    assert len(AnnotationLog(Database(other)).all_current()) == 3
    monkeypatch.setenv(command.URL_VARIABLE, other)
    assert annotations("export", path, "--store", store) == 0
    assert {row["author"] for row in table(path)} == {"bob"}


def test_conflicts(
    store: Path, log: AnnotationLog, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "it.csv"
    annotations("export", path, "--store", store)
    path.write_text(path.read_text(encoding="utf-8").replace('"dogs"', '"wolves"'))
    say(log, 0, "two", label="foxes")
    line = ["import", path, "--store", store, "--author", "bob", "--apply"]
    assert annotations(*line[:-1]) == 0
    assert capsys.readouterr().out.endswith("--apply writes with --conflicts keep or take\n")
    assert annotations(*line) == 2
    out, error = capsys.readouterr()
    assert "row 4: conflict, two 0. The file has revision 1, saved by ada on " in out
    assert "; here is 2, saved by ada on " in out
    assert "    tags: '' -> 'a; b'" in out and "    label: 'foxes' -> 'wolves'" in out
    assert "it.csv: 1 conflict, so nothing can be imported" in error
    assert annotations(*line, "--conflicts", "keep") == 0
    assert log.all_current()[-1].content == Content(label="foxes")
    assert annotations(*line, "--conflicts", "take") == 0
    assert log.all_current()[-1].content == Content(label="wolves", tags=("a", "b"))


def test_a_long_plan_is_cut(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "it.csv"
    lines = [f"one,{feature},{'x' * 100}\n" for feature in range(300)]
    path.write_text("dictionary,feature,label\n" + "".join(lines))
    assert annotations("import", path, "--store", store) == 2
    out = capsys.readouterr().out.splitlines()
    assert out[:2] == ["      295 unknown", "        5 add"]
    assert out[2].startswith("row 7: unknown, one 5. 'one' has no feature 5")
    assert out[-1] == "and 100 more"
    assert len(out) == 2 + 200 + 1
    path.write_text(f"dictionary,feature,label\none,0,{'x' * 100}\n")
    assert annotations("import", path, "--store", store) == 0
    assert f"    label: '' -> '{'x' * 60}…'" in capsys.readouterr().out.splitlines()


def test_a_colleague_s_export_overwrites_nothing(
    store: Path, log: AnnotationLog, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Another database's first save of the feature is not the first save here."""
    publish(tmp_path / "theirs")
    say(open_log(tmp_path / "theirs"), 0, label="theirs")
    path = tmp_path / "theirs.csv"
    annotations("export", path, "--store", tmp_path / "theirs")
    assert table(path)[0]["revision"] == "1"
    capsys.readouterr()
    line = ["import", path, "--store", store, "--author", "bob"]
    assert annotations(*line) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "        1 conflict"
    assert out[-1] == (
        "nothing written: this was a dry run, --apply writes with --conflicts keep or take"
    )
    assert annotations(*line, "--apply") == 2
    assert "theirs.csv: 1 conflict, so nothing can be imported" in capsys.readouterr().err
    assert log.all_current()[0].content.label == "cats"


def test_what_is_wrong_is_told(
    store: Path, log: AnnotationLog, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "latin.csv").write_bytes(b"feature,dictionary\n1,\xe4\n")
    (tmp_path / "folder.csv").mkdir()
    here = ["--store", store]
    wrong = {
        ("export", tmp_path / "it.xlsx", *here): (2, "give FILE.csv, FILE.jsonl or -"),
        ("export", tmp_path / "it.jsonl", *here, "--evidence"): (2, "written to CSV only"),
        ("export", tmp_path / "none" / "it.csv", *here): (2, "cannot be written: No such file"),
        ("export", tmp_path / "folder.csv", *here): (2, "cannot be written: Is a directory"),
        ("export", "-", *here, "--dictionary", "three"): (2, "It has: one, two."),
        ("export", "-", "--store", tmp_path): (1, "No store in"),
        ("export", "-", *here, "--annotations", "nothing"): (1, "names no database"),
        ("import", tmp_path / "none.csv", *here): (2, "cannot be read: No such file"),
        ("import", tmp_path / "latin.csv", *here): (2, "line 2: not UTF-8"),
        ("import", tmp_path / "latin.csv", *here, "--apply"): (2, "add --author NAME"),
    }
    for arguments, (code, message) in wrong.items():
        assert annotations(*arguments) == code, arguments
        out, error = capsys.readouterr()
        assert out == "" and error.startswith("error: ") and message in error
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.csv", "latin.csv", "store"]
    assert len(log.all_current()) == 3
