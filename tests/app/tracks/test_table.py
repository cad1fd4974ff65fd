from pathlib import Path

from app.numerals import exact, short
from app.tracks.rows import ordered
from app.tracks.table import track_rows
from featurestore.store import Store
from tests.app.tracks.made_up import follow


def test_a_row_a_track(tracked_store: Path) -> None:
    found = follow(tracked_store)
    store = Store(tracked_store)
    summaries = {("t2", 1): store.summaries("t2", [1])[1]}
    active = [store.activity(info.dictionary_id) for info in found.infos]
    opened = found.find("t1", 1)
    drawn = track_rows(found, ordered(found), summaries, active, opened)
    assert drawn.opened == "t2:1"
    row = next(one for one in drawn.rows if one["id"] == "t2:1")
    names = [column["name"] for column in drawn.columns]
    cells = dict(zip(names, row["cells"], strict=True))
    assert cells["feature"] == ["1", "Feature 1 of t2"]
    assert cells["born"] == ["100", "step 100"]
    assert cells["until"] == ["200", "step 200: died after it"]
    assert cells["length"] == ["2", "2 of 3 steps"]
    assert cells["least"][0] == cells["mean"][0] == "0.950"
    density = float(active[1].density[1])
    assert cells["density"] == [short(density), exact(density)]
    assert cells["tokens"] == [["dog", '"dog" ×1']]


def test_the_strip_says_which_steps_are_on_the_track(tracked_store: Path) -> None:
    found = follow(tracked_store)
    drawn = track_rows(found, [found.find("t1", 1)], {}, None, None)
    heights, on, tips = zip(*drawn.rows[0]["cells"][-2], strict=True)
    assert on == (True, True, False)
    assert heights[1:] == (0.5, 1.0) or abs(heights[1] - 0.5) < 1e-6
    assert tips[2] == "300: feature 1, the last step, not on this track"
    by_match = follow(tracked_store, mode="match")
    drawn = track_rows(by_match, [by_match.find("t1", 1)], {}, None, None)
    assert drawn.rows[0]["cells"][-2][2] == [None, False, "300: not there"]
