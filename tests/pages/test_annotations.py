import csv
import io
import json
import re
import shutil
import sys
from pathlib import Path

import duckdb
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app import links
from app.annotations.session import PROBLEM
from app.map.chosen import written
from app.numerals import short
from featurestore.__main__ import main
from featurestore.annotations.database import Database, default_url
from featurestore.annotations.explanations import ExplanationTable
from featurestore.annotations.log import AnnotationLog
from featurestore.annotations.records import Content, Draft, Explanation, Verdict
from featurestore.errors import AnnotationsError
from tests.pages.conftest import MAIN, Open, texts

DIGEST = "digest of planted"


@pytest.fixture(scope="module")
def annotated(synthetic_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthetic store with a few annotations, one conflict and one explanation."""
    store = shutil.copytree(synthetic_store, tmp_path_factory.mktemp("annotated") / "store")
    database = Database(default_url(store))
    log = AnnotationLog(database)
    for uid, author, feature, verdict, label in (
        ("1", "Ann", 0, Verdict.MONOSEMANTIC, "river"),
        ("2", "Bob", 0, Verdict.POLYSEMANTIC, "<b>banks"),  # had not seen Ann's
        ("3", "Ann", 3, Verdict.JUNK, ""),
    ):
        content = Content(verdict, label)
        log.append(Draft(uid, author, DIGEST, "planted", feature, 0, content))
    ExplanationTable(database).add_all(
        [Explanation(DIGEST, "planted", 4, 'the "river"', "fuzz", "m", 0.5, 9)]
    )
    database.close()
    return store


def test_progress_conflicts_and_agreement(open_page: Open, annotated: Path) -> None:
    test = open_page(links.ANNOTATIONS, annotated, dictionary="planted")
    page = texts(test)
    assert "111 left of planted" in page
    assert "2 of 113" in page
    assert "1 to decide" in page
    assert "&lt;b&gt;banks" in page
    assert "Ann" in page
    assert "0 (0%)" in page  # of one feature that both have judged


def test_the_queue_is_browse_s_list_without_a_verdict(open_page: Open, annotated: Path) -> None:
    test = open_page(links.ANNOTATIONS, annotated, dictionary="planted", density="..0.01")
    assert "of those that Browse" in texts(test)
    test.selectbox(key="sort").select("random").run()
    test.number_input(key="seed").set_value(7).run()
    assert test.query_params["seed"] == "7"
    test.button(key="start").click().run()
    assert "in random order" in texts(test)
    assert test.query_params["verdict"] == "none"


def test_a_cluster_is_a_queue(open_page: Open, annotated: Path) -> None:
    test = open_page(links.ANNOTATIONS, annotated, dictionary="planted")
    assert "planted: this list" not in texts(test)
    test.selectbox(key="cluster").select(0).run()
    assert test.query_params["cluster"] == "0..0"
    assert "cluster 0 " in texts(test)
    assert "of those that Browse" not in texts(test)
    assert "planted: this list" in texts(test)
    left, whole = re.search(r"([0-9]+) left of planted.*2 of ([0-9]+)", texts(test), re.S).groups()
    assert int(left) == int(whole) - 2  # features 0 and 3 have a verdict
    test.selectbox(key="sort").select("kl_percentile").run()
    test.button(key="start").click().run()
    assert test.query_params["cluster"] == "0..0"
    assert test.query_params["verdict"] == "none"
    assert int(test.query_params["feature"]) % 3 == 0
    assert f"1 of {left}" in texts(test)


def test_chosen_features_are_a_queue(open_page: Open, annotated: Path) -> None:
    chosen = written((0, 1, 3, 7, 8))
    test = open_page(links.ANNOTATIONS, annotated, dictionary="planted", among=chosen)
    assert "3 left of planted" in texts(test)
    assert "of 5 chosen on the map" in texts(test)
    assert "2 of 5" in texts(test)
    test.selectbox(key="sort").select("random").run()
    test.number_input(key="seed").set_value(7).run()
    test.button(key="start").click().run()
    assert test.query_params["among"] == chosen
    assert "1 of 3" in texts(test)


def test_what_was_said_stands_in_browse_and_on_the_feature(
    open_page: Open, annotated: Path
) -> None:
    test = open_page(links.BROWSE, annotated, dictionary="planted", verdict="monosemantic")
    assert "1 of 120 features" in texts(test)
    (table,) = [c for c in test.get("bidi_component") if "promoted" in c.proto.json]
    assert '"river"' in table.proto.json
    test = open_page(links.FEATURE, annotated, dictionary="planted", feature="4")
    assert "by programs, not by people" in texts(test)
    test = open_page(links.FEATURE, annotated, dictionary="planted", feature="0")
    assert "The saved label&#x27;s tokens predict it: AUC" in texts(test)
    (editor,) = [c for c in test.get("bidi_component") if "verdicts" in c.proto.json]
    assert "had not seen" in editor.proto.json or "without having seen" in editor.proto.json
    assert '"by": "Ann"' in editor.proto.json  # whose words are in force: hers to take back


def test_after_an_undo_the_words_are_theirs_who_said_them(
    open_page: Open, annotated: Path, tmp_path: Path
) -> None:
    store = shutil.copytree(annotated, tmp_path / "store")
    database = Database(default_url(store))
    log = AnnotationLog(database)
    agreed = Draft("4", "Bob", DIGEST, "planted", 3, 1, Content(Verdict.JUNK))
    log.undo("5", "Bob", DIGEST, "planted", 3, log.append(agreed).revision)
    database.close()
    test = open_page(links.FEATURE, store, dictionary="planted", feature="3")
    (editor,) = [c for c in test.get("bidi_component") if "verdicts" in c.proto.json]
    shown = json.loads(editor.proto.json)
    assert shown["by"] == "Ann"  # so that Bob may agree again, and only she undo
    assert shown["saved"] == "Ann again: undone by Bob, just now"


def test_a_list_by_verdict_is_labelled_anew(open_page: Open, annotated: Path) -> None:
    """Else what has none yet is."""
    test = open_page(links.BROWSE, annotated, dictionary="planted", verdict="junk")
    assert test.button(key="label_list").help == "One after the other"
    test.button(key="label_list").click().run()
    assert (test.query_params["verdict"], test.query_params["feature"]) == ("junk", "3")
    test = open_page(links.BROWSE, annotated, dictionary="planted", among="0.3.1")
    assert test.button(key="label_list").help == "One after the other, those without a verdict"
    test.button(key="label_list").click().run()
    assert (test.query_params["verdict"], test.query_params["feature"]) == ("none", "4")


def test_the_score_on_a_page_is_the_command_s(
    open_page: Open, annotated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both, and a bundle for an explainer, hold out the contexts that the recipe's seed draws."""
    store = shutil.copytree(annotated, tmp_path / "store")
    (file,) = store.glob("dictionaries/planted/*.duckdb")
    with duckdb.connect(str(file)) as written:
        written.execute("UPDATE manifest SET seed = 5")
    asked = ["--store", str(store), "--dictionary", "planted"]

    def score(*seed: str) -> list[dict[str, str]]:
        assert main(["explanations", "score", *asked, *seed]) == 0
        return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))

    program = next(row for row in score() if row["source"] == "program")
    assert score() == score("--seed", "5") != score("--seed", "0")
    assert program["seed"] == "5"
    shown = texts(open_page(links.FEATURE, store, dictionary="planted", feature="4"))
    assert f"AUC {short(float(program['auc']))} ± {short(float(program['se']))}" in shown
    assert f"({program['n_active']} active, {program['n_inactive']} silent contexts)" in shown
    assert "drawn with seed 5, that of the recipe." in shown

    bundle = tmp_path / "bundle.jsonl"
    assert main(["explanations", "bundle", str(bundle), *asked, "--features", "4"]) == 0
    assert json.loads(bundle.read_text(encoding="utf-8"))["seed"] == 5


def test_a_text_that_no_context_has_is_found_where_people_wrote_it(
    open_page: Open, annotated: Path
) -> None:
    test = open_page(links.BROWSE, annotated, dictionary="planted", text="^river$", regex="1")
    assert "keeps none of 120 features" in texts(test)
    (button,) = (one for one in test.button if one.label == "1 with it in label, note, tags")
    button.click().run()
    assert test.query_params["within"] == "annotations"
    assert "1 of 120 features" in texts(test)


def test_read_only_shows_and_changes_nothing(
    annotated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (annotated / "annotations.sqlite").read_bytes()
    monkeypatch.setattr(sys, "argv", [str(MAIN), str(annotated), "--read-only"])
    st.cache_resource.clear()
    for page, params in (
        (links.ANNOTATIONS, {}),
        (links.BROWSE, {}),
        (links.FEATURE, {"feature": "0"}),
    ):
        test = AppTest.from_file(str(MAIN), default_timeout=20)
        test.switch_page(str(page))
        for name, value in ({"dictionary": "planted"} | params).items():
            test.query_params[name] = value
        test.run()
        assert not test.exception
        assert not [c for c in test.get("bidi_component") if "verdicts" in c.proto.json]
        assert test.get("file_uploader") == []
        assert page == links.BROWSE or "pen for reading only" in texts(test)
        assert not {"start", "label_list"}.intersection(button.key for button in test.button)
        if page == links.ANNOTATIONS:
            assert "1 open" in texts(test) and "to decide" not in texts(test)
    assert "fb-said" in texts(test)
    assert "The other text: polysemantic · &lt;b&gt;banks" in texts(test)
    assert (annotated / "annotations.sqlite").read_bytes() == before


def test_a_database_that_cannot_be_read_takes_only_annotations_down(
    open_page: Open, synthetic_store: Path, tmp_path: Path
) -> None:
    store = shutil.copytree(synthetic_store, tmp_path / "store")
    (store / "annotations.sqlite").write_bytes(b"not a database at all" * 100)
    test = open_page(links.BROWSE, store, dictionary="planted")
    assert "113 of 120 features" in texts(test)
    assert "annotations.sqlite" in texts(test)
    test = open_page(links.FEATURE, store, dictionary="planted", feature="0")
    assert "Peaks on" in texts(test)
    test = open_page(links.ANNOTATIONS, store, dictionary="planted")
    assert "annotations.sqlite" in texts(test)


def test_the_editor_stays_where_a_save_has_failed(
    annotated: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = open_page(links.FEATURE, annotated, dictionary="planted", feature="0")

    def fails(*_: object) -> None:
        raise AnnotationsError("The server is gone.")

    monkeypatch.setattr(AnnotationLog, "history", fails)
    test.session_state[PROBLEM] = "Not saved: the server is gone."
    test.run()
    (editor,) = [c for c in test.get("bidi_component") if "verdicts" in c.proto.json]
    assert "Not saved: the server is gone." in editor.proto.json
    test.run()  # and without one the reason stands in its place
    assert not [c for c in test.get("bidi_component") if "verdicts" in c.proto.json]
    assert "The server is gone." in texts(test)


def test_explanations_are_imported_once(open_page: Open, annotated: Path) -> None:
    test = open_page(links.ANNOTATIONS, annotated, dictionary="planted")
    rows = 'planted,4,"the ""river""",m,0.5,9\nplanted,8,seas,,,\n'
    file = ("a.csv", f"dictionary,feature,label,explainer,score,n\n{rows}".encode(), "text/csv")
    test.file_uploader(key="explanation_file").set_value(file).run()
    test.text_input(key="method").set_value("fuzz").run()
    assert "1 of 2 rows change nothing" in texts(test)  # it says what the store's own says
    next(button for button in test.button if button.label == "Import 1").click().run()
    assert "Explanations imported: 1." in texts(test)
    assert "rows change nothing" not in texts(test)
    test.run()
    assert "2 of 2 rows change nothing" in texts(test)
    assert not [button for button in test.button if button.label.startswith("Import")]
