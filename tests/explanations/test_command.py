import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from featurestore.__main__ import main
from featurestore.annotations.database import Database, default_url
from featurestore.annotations.explanations import ExplanationTable
from featurestore.annotations.log import AnnotationLog
from featurestore.annotations.records import Content, Draft, Explanation
from featurestore.explanations.command import SCORE_COLUMNS
from featurestore.spreadsheet import read_table
from tests.synthetic_store import DEAD, NUMBERS, RIVER, write_store

DIGEST = "digest of planted"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    yield default_url(tmp_path)


def run(action: str, *arguments: object) -> int:
    return main(["explanations", action, *map(str, arguments)])


def bundle(store: Path, file: Path, *arguments: object) -> int:
    return run("bundle", file, "--store", store, "--dictionary", "planted", *arguments)


def records(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_bundle_of_some_features(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    file = tmp_path / "out.jsonl"
    line = ("--features", 2, RIVER, 2, "--seed", 3, "--test-share", 0.25)
    assert bundle(store, file, *line) == 0
    assert capsys.readouterr().out == f"2 features in {file}\n"
    found = records(file)
    assert [one["feature"] for one in found] == [2, RIVER]
    assert {(one["seed"], one["test_share"]) for one in found} == {(3, 0.25)}
    assert all(one["n_train"]["top"] > one["n_test"]["top"] > 0 for one in found)
    before = file.read_bytes()
    assert bundle(store, file, *line) == 0
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_bundle_of_at_most_and_of_all(store: Path, tmp_path: Path) -> None:
    assert bundle(store, tmp_path / "a", "--at-most", 4) == 0
    assert len(records(tmp_path / "a")) == 4
    line = ("--store", store, "--dictionary", "early")
    assert run("bundle", tmp_path / "b", *line) == 0
    features = [one["feature"] for one in records(tmp_path / "b")]
    assert len(features) > 30 and DEAD not in features


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["--features", "120"], 2, "No feature 120 in 'planted'"),
        (["--test-share", "1"], 2, "between 0 and 1"),
    ],
)
def test_a_bundle_that_fails_leaves_the_file_as_it_was(
    store: Path,
    tmp_path: Path,
    arguments: list[str],
    code: int,
    expected: str,
    capsys: pytest.CaptureFixture,
) -> None:
    file = tmp_path / "out.jsonl"
    file.write_text("before")
    assert bundle(store, file, *arguments) == code
    assert expected in capsys.readouterr().err
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]


def test_files_that_cannot_be_written_or_read(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert bundle(store, tmp_path / "none" / "out.jsonl", "--at-most", 1) == 2
    assert "cannot be written: No such file or directory" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert bundle(store, tmp_path / "file" / "out.jsonl", "--at-most", 1) == 2
    assert "cannot be written: Not a directory" in capsys.readouterr().err
    assert run("import", tmp_path / "none.csv", "--store", store) == 2
    assert "none.csv' cannot be read: No such file or directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["bundle", "f"],
        ["bundle", "f", "--dictionary", "a", "--features", "1", "--at-most", "2"],
        ["bundle", "f", "--dictionary", "a", "--features", "x"],
        ["bundle", "f", "--dictionary", "a", "--at-most", "-1"],
        ["score", "--dictionary", "a", "--seed", "-1"],
        ["score"],
    ],
)
def test_bad_usage(arguments: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["explanations", *arguments])
    assert caught.value.code == 2
    assert "usage: python -m featurestore explanations" in capsys.readouterr().err


def test_import_is_all_or_nothing(
    store: Path, tmp_path: Path, url: str, capsys: pytest.CaptureFixture
) -> None:
    file = tmp_path / "in.csv"
    line = ("import", file, "--store", store, "--annotations", url, "--method", "fuzz")
    header = "dictionary,feature,label,explainer,score,n\n"
    file.write_text(f"{header}planted,0,rivers,gpt,0.5,20\nplanted,999,seas,,,\n")
    assert run(*line) == 2
    assert "row 3, feature: found 999, expected 0 to 119" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [file]

    file.write_text(f"{header}planted,0,rivers,gpt,0.5,20\nplanted,0,a,,,\nearly,3,seas,,,\n")
    assert run(*line) == 0
    assert capsys.readouterr().out == (
        "3 explanations of 2 features in 2 dictionaries; 1 with a score; 3 of them new\n"
    )
    kept = ExplanationTable(Database(url, read_only=True)).all([DIGEST])
    told = {(e.feature, e.label, e.method, e.explainer, e.score, e.n) for e in kept}
    assert told == {(0, "rivers", "fuzz", "gpt", 0.5, 20), (0, "a", "fuzz", "", None, None)}
    assert all(e.at for e in kept)
    assert run(*line) == 0
    assert "; 0 of them new\n" in capsys.readouterr().out
    assert ExplanationTable(Database(url, read_only=True)).all([DIGEST]) == kept


def scores(printed: str) -> list[dict[str, str]]:
    return [row for _, row in read_table(printed.encode()).records()]


def test_score_of_every_label(
    store: Path, tmp_path: Path, url: str, capsys: pytest.CaptureFixture
) -> None:
    database = Database(url)
    log = AnnotationLog(database)
    for feature, label in ((NUMBERS, '=" seven" & all'), (RIVER, '" river" or " bank"'), (9, "")):
        content = Content(label=label, note="seen")
        log.append(Draft(f"uid {feature}", "Ann", DIGEST, "planted", feature, 0, content))
    ExplanationTable(database).add_all(
        [
            Explanation(DIGEST, "planted", RIVER, "valley", "fuzz", "gpt", 0.25, 12),
            Explanation("digest of early", "early", RIVER, "other", "fuzz"),
            Explanation(DIGEST, "planted", DEAD, "valley", "fuzz"),
        ]
    )
    line = ("score", "--store", store, "--dictionary", "planted", "--annotations", url)
    assert run(*line) == 0
    printed = capsys.readouterr().out
    assert next(csv.reader(io.StringIO(printed))) == SCORE_COLUMNS
    rows = scores(printed)
    assert [(row["feature"], row["source"], row["by"]) for row in rows] == [
        (str(RIVER), "person", "Ann"),
        (str(RIVER), "program", "gpt"),
        (str(NUMBERS), "person", "Ann"),
        (str(DEAD), "program", ""),
    ]
    right, wrong, formula, dead = rows
    assert float(right["auc"]) > 0.97 > 0.7 > float(wrong["auc"])
    assert abs(float(right["control_auc"]) - 0.5) < 0.25 and right["control_n"] == "50"
    assert int(right["n_active"]) > 10 and int(right["n_inactive"]) > 3
    assert (json.loads(right["tokens"]), right["texts"]) == ([" river", " bank"], "[]")
    assert (right["is_quoted"], wrong["is_quoted"]) == ("true", "false")
    assert (wrong["imported_score"], wrong["imported_n"]) == ("0.25", "12")
    assert formula["label"] == '=" seven" & all'
    assert '"\'=""' in printed  # a formula
    assert '"true"' in printed and '"false"' in printed  # and nothing else is marked
    assert (dead["auc"], dead["se"]) == ("", "")
    assert dead["reason"] == "0 active contexts are held out; 2 are needed."

    assert run(*line) == 0
    assert capsys.readouterr().out == printed
    assert run(*line, "--seed", 1) == 0
    assert capsys.readouterr().out != printed


def test_score_without_any_label(
    store: Path,
    tmp_path: Path,
    url: str,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FEATURESTORE_ANNOTATIONS_URL", url)
    line = ("--store", store)
    assert run("score", "--dictionary", "planted", *line) == 0
    assert scores(capsys.readouterr().out) == []
    assert list(tmp_path.iterdir()) == []
    assert run("score", "--dictionary", "nothing", *line) == 2
    assert "No dictionary 'nothing'" in capsys.readouterr().err
