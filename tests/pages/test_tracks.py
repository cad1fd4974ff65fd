import json
import shutil
from itertools import combinations
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import links
from featurestore.annotations.records import Content
from tests.annotations.made_up import draft, open_log
from tests.pages.conftest import Open, texts
from tests.small_store import publish
from tests.tracked_store import compare, directions, write_tracked

ALL = "t1,t2,t3"


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three checkpoints whose features' fates are known; one feature has a label at one of them."""
    folder = write_tracked(tmp_path_factory.mktemp("tracked"))
    log = open_log(folder)
    log.append(draft(1, Content(label="<b>dogs"), dictionary="t1"))
    log.database.close()
    return folder


def drawn(test: AppTest, label: str) -> dict:
    """What a table was told to draw: `tracks`, or the steps of one, `track`."""
    given = [json.loads(one.proto.json) for one in test.get("bidi_component")]
    return next((data for data in given if data.get("label") == label), {})


def rows(test: AppTest, label: str = "tracks") -> dict[str, dict[str, list]]:
    """Cells by row's id and by column."""
    data = drawn(test, label)
    names = [column["name"] for column in data["columns"]]
    return {row["id"]: dict(zip(names, row["cells"], strict=True)) for row in data["rows"]}


def strip(test: AppTest) -> list[dict]:
    given = [json.loads(one.proto.json) for one in test.get("bidi_component")]
    return next((data["cells"] for data in given if "cells" in data), [])


def test_the_family_is_followed_by_number(open_page: Open, tracked: Path) -> None:
    test = open_page(links.TRACKS, tracked)
    assert test.selectbox(key="track_family").value == "run"
    assert test.multiselect(key="tracked").value == ["t1", "t2", "t3"]
    assert test.segmented_control(key="track_mode").value == "number"
    found = rows(test)
    assert list(found)[:2] == ["t3:0", "t3:2"] and len(found) == 8
    assert found["t2:1"]["until"] == ["200", "step 200: died after it"]
    assert [token for token, _ in found["t2:1"]["tokens"]] == ["dog"]
    said = texts(test)
    assert "3 steps" in said and "nearest to their own number: 100%" in said
    assert "8 tracks" in said
    assert "fb-note" not in said  # nothing is missing
    assert len(test.get("plotly_chart")) == 3


def test_lists_and_bounds_are_in_the_url(open_page: Open, tracked: Path) -> None:
    test = open_page(links.TRACKS, tracked, tracked=ALL)
    test.segmented_control(key="track_kept").select("lost").run()
    assert test.query_params == {"tracked": ALL, "family": "run", "kept": "lost"}
    assert list(rows(test)) == ["t2:1"]
    test.slider(key="track_low").set_value(0.4).run()
    assert test.query_params["low"] == "0.4"
    assert "No track is like that" in texts(test)
    test.slider(key="track_high").set_value(0.97).run()
    test.slider(key="track_low").set_value(0.6).run()
    assert "0 learned, then lost" in texts(test)
    test.segmented_control(key="track_mode").select("match").run()
    assert test.query_params["mode"] == "match"
    assert "low" not in test.query_params


def test_a_wider_tau_makes_fewer_and_longer_tracks(open_page: Open, tracked: Path) -> None:
    assert len(rows(open_page(links.TRACKS, tracked, tracked=ALL, tau="0.45"))) == 5
    assert len(rows(open_page(links.TRACKS, tracked, tracked=ALL, tau="1"))) == 11


def test_correlation_is_the_other_measure(open_page: Open, tracked: Path) -> None:
    found = rows(open_page(links.TRACKS, tracked, tracked=ALL, measure="correlation", tau="0.45"))
    assert found["t2:1"]["mean"][0] == "0.475"


def test_an_open_track_shows_every_step(open_page: Open, tracked: Path) -> None:
    test = open_page(links.TRACKS, tracked, tracked=ALL, feature="t2:1")
    assert drawn(test, "tracks")["opened"] == "t2:1"
    steps = rows(test, "track")
    assert list(steps) == ["t1:1", "t2:1", "t3:1"]
    assert [step["cosine"][0] for step in steps.values()] == ["0.950", "itself", "0.500"]
    assert [step["onward"][0] for step in steps.values()] == ["0.950", "0.500", "–"]
    assert steps["t1:1"]["label"] == ["<b>dogs", "<b>dogs (ada)"]
    said = texts(test)
    assert "Suggested: “&lt;b&gt;dogs”, as ada labelled it in &#x27;t1&#x27;" in said
    assert len(test.get("plotly_chart")) == 4
    next(one for one in test.button if one.label == "Close").click().run()
    assert test.query_params == {"tracked": ALL, "family": "run"}


def test_by_match_a_step_off_the_track_has_its_match(open_page: Open, tracked: Path) -> None:
    test = open_page(links.TRACKS, tracked, tracked=ALL, feature="t2:1", mode="match")
    steps = rows(test, "track")
    assert "Not on the track" in steps["t3:1"]["cosine"][1]
    assert "On the same track" in steps["t1:1"]["cosine"][1]


def test_a_dead_feature_says_so(open_page: Open, tracked: Path) -> None:
    steps = rows(open_page(links.TRACKS, tracked, tracked=ALL, feature="t2:3"), "track")
    assert {step["density"][0] for step in steps.values()} == {"dead"}


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"tau": "x"}, "from 0 to 1"),
        ({"feature": "t2:9"}, "No feature 9 in"),
        ({"feature": "t1:4"}, "It is on no track"),
        ({"page": "7"}, "the last page is 1"),
        ({"tracked": "t1,<b>"}, "Known: t1, t2, t3"),
    ],
)
def test_bad_values_are_told(
    open_page: Open, tracked: Path, params: dict[str, str], said: str
) -> None:
    test = open_page(links.TRACKS, tracked, **{"tracked": ALL} | params)
    assert said in texts(test)
    assert "<b>" not in texts(test)


def test_missing_pairs_are_named_and_the_rest_is_shown(
    open_page: Open, tracked: Path, tmp_path: Path
) -> None:
    store = shutil.copytree(tracked, tmp_path / "store")
    (store / "pairs" / "run-t1--run-t2.duckdb").unlink()
    test = open_page(links.TRACKS, store, tracked=ALL)
    said = texts(test)
    assert "t1 and t2. Numbers across these gaps are left out" in said
    assert "<code>python -m featurestore match --family run --store" in said
    assert {"t3:0", "t3:2", "t3:4"} <= set(rows(test))
    for path in (store / "pairs").iterdir():
        path.unlink()
    test = open_page(links.TRACKS, store, tracked=ALL)
    assert drawn(test, "tracks") == {} and "match --family run" in texts(test)


def test_another_size_is_followed_by_match(open_page: Open, tracked: Path, tmp_path: Path) -> None:
    store = shutil.copytree(tracked, tmp_path / "store")
    vectors = directions() | {"wide": directions()["t3"].repeat(2, axis=0)}
    features = [{"feature": i, "n_active": 0, "density": 0.0, "n_nonfinite": 0} for i in range(10)]
    features = [row | {"decoder_norm": 1.0, "n_contexts_active": 0} for row in features]
    publish(store, "wide", "run-wide", family="run", step=400, features=features, bands=[])
    for one in ("t1", "t2", "t3"):
        compare(store, (one, "wide"), vectors)
    test = open_page(links.TRACKS, store, tracked=f"{ALL},wide", mode="number")
    assert "one family and one size" in texts(test)
    assert test.segmented_control(key="track_mode").value == "match"
    assert "5 to 10 features each" in texts(test)
    assert len(rows(test)) > 8


def test_stores_with_nothing_to_follow(open_page: Open, tmp_path: Path) -> None:
    (tmp_path / "dictionaries").mkdir()
    assert "holds no dictionary yet" in texts(open_page(links.TRACKS, tmp_path))
    publish(tmp_path)
    said = texts(open_page(links.TRACKS, tmp_path))
    assert "No family of this store has two members" in said and "any two" not in said
    test = open_page(links.TRACKS, tmp_path, tracked="one")
    assert "Choose a second dictionary" in texts(test)


def test_a_feature_page_has_a_strip_of_its_checkpoints(open_page: Open, tracked: Path) -> None:
    before, here, after = strip(open_page(links.FEATURE, tracked, dictionary="t2", feature="1"))
    assert (before["step"], before["shown"], before["density"]) == ("100", "0.950", "0.0100")
    assert (here["shown"], here["is_here"]) == ("here", True)
    assert after["id"] == "t3:1" and "dictionary=t3&feature=1" in after["href"]
    assert "cosine 0.5" in after["tip"] and "The feature of the same number" in after["tip"]
    dead, *_ = strip(open_page(links.FEATURE, tracked, dictionary="t2", feature="3"))
    assert dead["density"] == "dead"
    nowhere, *_ = strip(open_page(links.FEATURE, tracked, dictionary="t2", feature="4"))
    assert (nowhere["shown"], nowhere["cosine"]) == ("–", None)  # no direction at t1


def test_the_strip_keeps_the_list(open_page: Open, tracked: Path) -> None:
    cells = strip(
        open_page(links.FEATURE, tracked, dictionary="t2", feature="1", sort="feature", among="1-2")
    )
    assert cells[0]["href"] == "feature?dictionary=t1&feature=1&sort=feature"


def test_no_strip_without_pairs(open_page: Open, tracked: Path, tmp_path: Path) -> None:
    publish(tmp_path)
    assert strip(open_page(links.FEATURE, tmp_path, dictionary="one", feature="3")) == []
    store = shutil.copytree(tracked, tmp_path / "store")
    for one, other in combinations(("t1", "t2", "t3"), 2):
        if "t2" in (one, other):
            (store / "pairs" / f"run-{one}--run-{other}.duckdb").unlink()
    assert strip(open_page(links.FEATURE, store, dictionary="t2", feature="1")) == []
    cells = strip(open_page(links.FEATURE, store, dictionary="t1", feature="1"))
    assert [cell["shown"] for cell in cells] == ["here", "–", "0.205"]


def test_a_list_of_browse_leads_to_its_tracks(open_page: Open, tracked: Path) -> None:
    test = open_page(links.BROWSE, tracked, dictionary="t3", among="0")
    (button,) = [each for each in test.button if each.label == "Over training"]
    button.click().run()
    assert test.query_params["among"] == ["t3:0"] or test.query_params["among"] == "t3:0"
    test = open_page(links.TRACKS, tracked, tracked=ALL, among="t3:0.4")
    assert len(rows(test)) == 2
    said = texts(test)
    assert "tracks of 2 features of t3" in said
    assert said.count("· of all features") == 3 and "5 features each, 2 listed" in said
    (button,) = [each for each in test.button if each.label == "Show all"]
    button.click().run()
    assert "among" not in test.query_params
    assert len(rows(test)) == 8
    assert "of all features" not in texts(test) and "listed" not in texts(test)


def test_without_correlations_there_is_one_note_and_no_chart(
    open_page: Open, tmp_path: Path
) -> None:
    folder = write_tracked(tmp_path / "plain", has_activity=False)
    test = open_page(links.TRACKS, folder, tracked=ALL, measure="correlation")
    said = texts(test)
    assert said.count("match --family run --activations") == 1
    assert said.count("is not computed") == 1
    assert not test.get("plotly_chart")
    assert not drawn(test, "tracks")
