"""Live, run without a browser on a small model."""

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import command_line, links
from app.live.service import Service
from featurestore.annotations.database import Database, default_url
from featurestore.annotations.explanations import ExplanationTable
from featurestore.annotations.log import AnnotationLog
from featurestore.annotations.records import Content, Draft, Explanation, Verdict
from featurestore.errors import Busy
from featurestore.store import Store
from tests.live_project import IDS, build_project
from tests.pages.conftest import MAIN, Open, texts

TEXT = "The cat sat on the log."
Live = Callable[..., AppTest]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("live")
    build_project(folder)
    return folder


@pytest.fixture(autouse=True)
def _nothing_is_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Among all that tests load it takes long."""
    monkeypatch.setattr("app.live.service.set_aside", lambda: None)


@pytest.fixture
def live(open_page: Open, project: Path) -> Live:
    """Open Live with parameters; all dictionaries if none are named."""

    def run(**params: str) -> AppTest:
        return open_page(
            links.LIVE, project / "store", **({"dictionaries": ",".join(IDS)} | params)
        )

    return run


def strips(test: AppTest) -> dict:
    """What the strips of the page draw."""
    import json

    found = [e.proto for e in test.get("bidi_component") if "strips" in e.proto.component_name]
    return json.loads(found[0].json) if found else {}


def test_without_a_text_it_says_what_to_do(live: Live) -> None:
    test = live()
    assert "Paste a text above and press Ctrl+Enter." in texts(test)
    assert strips(test) == {}


def test_features_of_a_text(live: Live) -> None:
    test = live(text=TEXT)
    assert "a BOS in front, not counted" in texts(test)
    data = strips(test)
    assert "".join(data["texts"][0]["tokens"][i][0] for i in data["texts"][0]["ids"]) == TEXT
    assert len(data["rows"]) > 20
    assert {row["key"].partition("/")[0] for row in data["rows"]} == {*IDS}
    largest = [abs(float(row["cells"][1][1].replace("−", "-"))) for row in data["rows"]]
    assert largest == sorted(largest, reverse=True)


def test_labels_stand_beside_features(open_page: Open, project: Path, tmp_path: Path) -> None:
    store = shutil.copytree(project, tmp_path / "copy") / "store"
    digest = Store(store).dictionary("sae").content
    shown = {"text": TEXT, "dictionaries": "sae"}
    plain = strips(open_page(links.LIVE, store, **shown))
    assert [column["name"] for column in plain["columns"]][:2] == ["feature", "max"]
    first, second, *_ = (int(row["cells"][0]) for row in plain["rows"])
    database = Database(default_url(store))
    content = Content(Verdict.JUNK, "<b>cats", "a note")
    log = AnnotationLog(database)
    seen = log.append(Draft("1", "Ann", digest, "sae", first, 0, content)).revision
    seen = log.append(Draft("2", "Bob", digest, "sae", first, seen, Content())).revision
    log.undo("3", "Bob", digest, "sae", first, seen)
    ExplanationTable(database).add_all([Explanation(digest, "sae", second, "mats", "fuzz")])
    database.close()
    test = open_page(links.LIVE, store, **shown, open=f"sae:{first}")
    data = strips(test)
    assert [column["name"] for column in data["columns"]][:2] == ["feature", "label"]
    assert [row["cells"][1] for row in data["rows"]][:3] == ["✕ <b>cats", "(mats)", ""]
    assert "&lt;b&gt;cats" in texts(test) and "a note" in texts(test)  # of the open one
    assert "Ann again: undone by Bob" in texts(test)
    other = strips(open_page(links.LIVE, store, **shown, other="Mats.", tab="contrast"))
    assert [column["name"] for column in other["columns"]][:2] == ["feature", "label"]
    assert {row["cells"][1] for row in other["rows"]} >= {"✕ <b>cats", ""}


def test_the_text_goes_into_the_link(live: Live) -> None:
    test = live()
    test.text_area(key="live_text").set_value("Caf\u00e9 & more").run()
    assert test.query_params["text"] == "Caf\u00e9 & more"
    assert strips(test)["texts"][0]["detail"].endswith("tokens")


def test_chosen_tokens_rank_and_mean_nothing_in_another_text(live: Live) -> None:
    test = live(text=TEXT, at="2,3", by="at")
    data = strips(test)
    assert data["selected"] == [[2, 3]]
    assert data["sort"] == "at"
    test.text_area(key="live_text").set_value("Another").run()
    assert "at" not in test.query_params
    assert strips(test)["sort"] == "max"


def test_an_edit_keeps_its_places_in_another_text(live: Live) -> None:
    """With none it would act everywhere, unseen."""
    test = live(text="abcabc", dictionaries="sae", tab="intervene", edits="sae:3:clamp:2@1", at="1")
    assert "at <span" in texts(test) and 'title="&quot;b&quot;"' in texts(test)
    test.text_area(key="live_text").input("axcabc").run()
    assert test.query_params["edits"] == "sae:3:clamp:2@1" and "at" not in test.query_params
    assert "everywhere" not in "".join(one for one in texts(test).split("fb-edit")[1:2])


def test_tokens_behind_the_text_are_told(live: Live) -> None:
    test = live(text=TEXT, at="2,500", by="at")
    assert "The link chooses tokens behind the end of the text" in texts(test)
    assert strips(test)["selected"] == [[2]]
    assert strips(live(text=TEXT, at="500", by="at"))["sort"] == "max"


def test_a_page_behind_the_last_is_the_last(live: Live) -> None:
    assert strips(live(text=TEXT, page="99"))["rows"]


def test_what_filters_leave_out_is_told(live: Live) -> None:
    test = live(text=TEXT, density="2..3")
    assert strips(test)["rows"] == []
    assert "The filter keeps none of" in texts(test)


def test_layers_stand_in_the_order_of_the_model(live: Live) -> None:
    rows = strips(live(text=TEXT, tab="layers"))["rows"]
    assert [row["key"] for row in rows] == ["transcoder", "sae", "topk", "heads", "signed"]


def test_a_context_is_compared_with_a_text(live: Live) -> None:
    test = live(dictionaries="sae", context="0", tab="contrast")
    assert "Paste text B above" in texts(test)
    test.text_area(key="live_other").set_value(TEXT).run()
    assert test.query_params["context"] == "0"
    assert strips(test)["selected"] == [None, None]  # a click on a token would mean nothing
    key = strips(test)["rows"][0]["key"].replace("/", ":")
    shown = texts(live(dictionaries="sae", context="0", tab="contrast", other=TEXT, open=key))
    assert "max in A" in shown
    assert "max in B" in shown


@pytest.mark.parametrize("tab", ["layers", "reconstruction", "intervene", "contrast"])
def test_every_tab_opens(live: Live, tab: str) -> None:
    test = live(
        text=TEXT, other="def add(a, b):", tab=tab, edits="sae:3:ablate;topk:1:clamp:2@0-2", new="3"
    )
    data = strips(test)
    n_texts = 2 if tab == "contrast" else 1
    assert len(data["texts"]) == n_texts
    assert data["rows"]
    if tab == "layers":
        assert [row["key"] for row in data["rows"]][-1] in IDS
    if tab == "reconstruction":
        assert len(data["rows"]) == 4 * len(IDS)
        (scale,) = {row["scale_text"] for row in data["rows"] if "KL" in str(row["cells"][1])}
        assert f"KL in nats, of the next token; full colour {scale} for all" in texts(test)
    if tab == "intervene":
        assert "Continuation, sampled" in texts(test)
        assert "switched off everywhere" in texts(test)
        assert "at these alone, and to read what follows the last one" in texts(test)


def test_edits_are_added_and_removed(live: Live) -> None:
    test = live(text=TEXT, tab="intervene", dictionaries="sae")
    assert "No feature is changed yet" in texts(test)
    assert "at these alone, and to read what follows the last one" in texts(test)
    assert strips(test)["texts"]  # tokens can be chosen before there is an edit
    test.button(key="add_edit").click().run()
    assert test.query_params["edits"] == "sae:0:ablate"
    assert "Next token" in texts(test)
    test.button(key="remove 0").click().run()
    assert "edits" not in test.query_params


def test_what_stands_in_the_boxes_is_what_is_added(live: Live) -> None:
    test = live(text=TEXT, tab="intervene", dictionaries="sae")
    (box,) = (one for one in test.number_input if one.label == "Feature")
    box.set_value(7)
    test.button(key="add_edit").click().run()  # at once
    assert test.query_params["edits"] == "sae:7:ablate"
    (box,) = (one for one in test.number_input if one.label == "Feature")
    box.set_value(-1)
    test.button(key="add_edit").click().run()
    assert "No feature -1 in" in texts(test)
    (box,) = (one for one in test.number_input if one.label == "Feature")
    box.set_value(24).run()
    test.button(key="add_edit").click().run()
    assert "No feature 24 in &#x27;sae&#x27;: its features are 0 to 23." in texts(test)
    assert test.query_params["edits"] == "sae:7:ablate"
    test.selectbox(key="edit_mode").select("scale").run()
    (box,) = (one for one in test.number_input if one.label == "Feature")
    test.number_input(key="edit_scale").set_value(0.5)
    box.set_value(3)
    test.button(key="add_edit").click().run()
    assert test.query_params["edits"] == "sae:7:ablate;sae:3:scale:0.5"
    assert "No feature" not in texts(test)


def test_chosen_tokens_are_where_an_edit_is_unless_everywhere_is_asked_for(live: Live) -> None:
    test = live(text=TEXT, tab="intervene", dictionaries="sae", at="2,3", by="at")
    assert test.selectbox(key="edit_where").value == "at the 2 chosen tokens"
    test.button(key="add_edit").click().run()
    assert test.query_params["edits"] == "sae:0:ablate@2-3"
    test = live(text=TEXT, tab="intervene", dictionaries="sae", at="2,3", by="at")
    test.selectbox(key="edit_where").select("everywhere").run()
    test.button(key="add_edit").click().run()
    assert test.query_params["edits"] == "sae:0:ablate"


def test_an_open_feature_stands_beside_its_contexts(live: Live) -> None:
    test = live(text=TEXT, dictionaries="sae", open="sae:3")
    assert "Feature 3" in texts(test)
    assert any("token_view" in e.proto.component_name for e in test.get("bidi_component"))
    test.button(key="switch off").click().run()
    assert test.query_params["edits"] == "sae:3:ablate"
    test = live(text=TEXT, dictionaries="sae", open="sae:99")
    assert "its features are 0 to 23" in texts(test)


def test_an_open_feature_of_another_page_comes_first(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = [row["key"] for row in strips(live(text=TEXT))["rows"]]
    monkeypatch.setattr("app.live.views.PAGE_SIZE", 5)
    name, _, number = every[8].partition("/")
    shown = strips(live(text=TEXT, open=f"{name}:{number}"))
    assert [row["key"] for row in shown["rows"]] == [every[8], *every[:5]]
    name, _, number = every[3].partition("/")
    shown = strips(live(text=TEXT, open=f"{name}:{number}"))
    assert [row["key"] for row in shown["rows"]] == every[:5]


def test_a_feature_waits_for_a_text(live: Live) -> None:
    said = texts(live(**links.live("sae", 3)))
    assert "Ctrl+Enter. Feature 3 of sae is then shown beside it." in said


def test_a_stored_context_is_recomputed(live: Live, project: Path) -> None:
    test = live(dictionaries="sae", context="0")
    shown = texts(test)
    assert "Stored context 0 of sae" in shown
    assert "Recomputed: as stored" in shown
    assert strips(test)["rows"]
    test = live(dictionaries="sae", context="99999")
    assert "holds no context 99999" in texts(test)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x" * 70_000, "The text has 70,000 bytes; 65,536 are taken."),
        ("\x01" * 99, "The text has 99 tokens; model &#x27;tiny&#x27; reads 31 after its BOS"),
    ],
)
def test_what_is_too_long_stays_in_its_box(live: Live, text: str, said: str) -> None:
    test = live()
    test.text_area(key="live_text").set_value(text).run()
    assert said in texts(test)
    assert ("Paste a text above" in texts(test)) == ("bytes" in said)  # that one never came in
    assert test.text_area(key="live_text").value == text
    test.text_area(key="live_text").set_value("short").run()
    assert said not in texts(test)
    assert strips(test)["rows"]


def test_a_bad_link_says_what_exists(live: Live) -> None:
    shown = texts(live(text=TEXT, dictionaries="sae,none", by="xyz", edits="a:b"))
    assert "The link says dictionaries=none." in shown
    assert "The link says by=xyz." in shown
    assert "An edit looks like" in shown
    assert "Choose at least one dictionary" in texts(live(dictionaries="none"))


def test_dictionaries_without_weights_are_told_and_the_rest_runs(
    open_page: Open, project: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(project, moved)
    shutil.rmtree(moved / "topk")
    note = next((moved / "store" / "local").glob("*.json"))
    for path in (moved / "store" / "local").glob("*.json"):
        path.write_text(path.read_text().replace(str(project), str(moved)))
    assert note.exists()
    test = open_page(links.LIVE, moved / "store", dictionaries="sae,topk", text=TEXT)
    shown = texts(test)
    assert "The dictionary &#x27;topk&#x27; of &#x27;topk&#x27; is not there any more." in shown
    assert str(moved) not in shown
    assert {row["key"].partition("/")[0] for row in strips(test)["rows"]} == {"sae"}
    shutil.copytree(project / "topk", moved / "topk")
    test.button(key="retry").click().run()
    assert {row["key"].partition("/")[0] for row in strips(test)["rows"]} == {"sae", "topk"}


def test_a_store_without_weights_offers_nothing(open_page: Open) -> None:
    test = open_page(links.LIVE, dictionaries="planted", text=TEXT)
    assert "Where the weights of &#x27;planted&#x27; stand is not known here" in texts(test)
    assert strips(test) == {}


def test_too_many_at_once(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object) -> None:
        raise Busy("8 requests wait for the model already. Try again in a moment.")

    monkeypatch.setattr(Service, "run", busy)
    test = live(text=TEXT)
    assert "8 requests wait for the model already" in texts(test)
    assert test.text_area(key="live_text").value == TEXT


def test_a_visitor_and_all_together_may_ask_so_often(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert strips(live(text=TEXT))
    monkeypatch.setattr("sys.argv", [*sys.argv, "--live-requests", "2"])
    told = []
    for number in range(10):  # new visitors, of whom each asks for two texts; a text takes two
        test = AppTest.from_file(str(MAIN), default_timeout=20)
        test.switch_page(str(links.LIVE))
        test.query_params["dictionaries"] = IDS[0]
        test.query_params["text"] = f"The cat number {number}"
        test.run()
        assert not test.exception
        told += re.findall(r"[^>]* may ask the model [^<]*", texts(test))
        assert bool(strips(test)) == (number < 4)
        test.text_area(key="live_text").set_value("The dog").run()
        found = re.findall(r"[^>]* may ask the model [^<]*", texts(test))
        assert test.text_area(key="live_text").value == "The dog"
        assert test.button(key="again").label == "Try again"
        told += found if number < 4 else []
    assert [one.partition(" Try again in ")[0] for one in told] == (
        ["A visitor may ask the model 2 times a minute."] * 4
        + ["All visitors together may ask the model 8 times a minute."] * 6
    )


@pytest.mark.parametrize(
    ("flags", "is_there"),
    [
        ((), True),
        (("--read-only",), False),
        (("--read-only", "--live", "on"), True),
        (("--live", "off"), False),
    ],
)
def test_live_can_be_off(
    live: Live, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...], is_there: bool
) -> None:
    assert strips(live(text=TEXT))
    monkeypatch.setattr("sys.argv", [*sys.argv, *flags])
    assert command_line.is_live() is is_there
    test = AppTest.from_file(str(MAIN), default_timeout=20)
    test.switch_page(str(links.LIVE))
    test.query_params["dictionaries"] = IDS[0]
    test.query_params["text"] = TEXT
    test.run()
    assert not test.exception
    assert bool(strips(test)) is is_there
    assert ("Live is switched off on this server" in texts(test)) is not is_there
    assert ("<code>python -m app STORE --live on</code>" in texts(test)) is not is_there


def test_limits_are_the_command_lines(
    project: Path, monkeypatch: pytest.MonkeyPatch, open_page: Open
) -> None:
    given = command_line.arguments(["store", "--live-tokens", "7", "--live-bytes", "100"])
    assert (given.live_tokens, given.live_bytes) == (7, 100)
