import csv
import io
from pathlib import Path

import numpy as np
import pytest

from app.tracks.rows import column, ordered, steps_csv, tracks_csv
from app.tracks.words import among as among_words
from featurestore.store import Store
from featurestore.track_records import Activity
from tests.app.tracks.made_up import follow


def members(folder: Path, **chosen: object) -> list[list[int]]:
    found = follow(folder, **chosen)
    active = [Store(folder).activity(info.dictionary_id) for info in found.infos]
    return found.tracks.feature[ordered(found, active)].tolist()


def test_numbers_are_followed_where_they_persist(tracked_store: Path) -> None:
    assert follow(tracked_store).mode == "number"
    assert follow(tracked_store, mode="match").mode == "match"


def test_lists(tracked_store: Path) -> None:
    found = follow(tracked_store, low=0.85)
    counts = {name: int(mask.sum()) for name, mask in found.masks.items()}
    assert counts == {"all": 8, "born": 4, "died": 3, "lost": 1, "drifted": 1}
    assert members(tracked_store, kept="lost") == [[1, 1, -1]]
    assert members(tracked_store, kept="drifted", low=0.85) == [[2, 2, 2]]
    assert members(tracked_store, kept="drifted") == []


def test_only_the_tracks_of_chosen_features(tracked_store: Path) -> None:
    """All are [0 0 0], [1 1 -], [2 2 2], [- 4 4], and four of one step each."""
    among = ("t3", (0, 4))
    assert members(tracked_store, among=among) == [[0, 0, 0], [-1, 4, 4]]
    found = follow(tracked_store, among=among)
    counts = {name: int(mask.sum()) for name, mask in found.masks.items()}
    assert counts == {"all": 2, "born": 1, "died": 0, "lost": 0, "drifted": 0}
    everyone = follow(tracked_store).tracks.feature
    n_last = int((everyone[:, 2] >= 0).sum())
    assert found.throughout(None) == ((1, 2), (2, n_last), 0.0)
    said = among_words(found, None)
    assert "tracks of 2 features of t3" in said
    assert "1 of 2 (50.0%) through all 3 steps at cosine ≥ 0.9" in said
    assert f"of all about as active: 2 of {n_last}" in said


def test_a_list_is_compared_with_what_is_as_active(tracked_store: Path) -> None:
    """Features 0 and 2 of t3 are there from the first step on, 4 is not."""
    found = follow(tracked_store, among=("t3", (0, 4)))
    at_t3 = found.tracks.feature[:, 2]
    density = np.zeros(at_t3.max() + 1)
    density[[0, 2, 4]] = 0.02, 0.001, 0.03
    activity = Activity((100 * density).astype(int), density, density)
    assert found.throughout(activity) == ((1, 2), (1, 2), 0.02)  # without 2, which is rarer
    density[2] = 0.02
    assert found.throughout(activity) == ((1, 2), (2, 3), 0.02)
    tip = "Of all features of t3 active on 2.00% of tokens or more, as the rarest of these is"
    assert tip in among_words(found, activity)


def test_orders(tracked_store: Path) -> None:
    assert members(tracked_store)[:4] == [[0, 0, 0], [2, 2, 2], [-1, 4, 4], [1, 1, -1]]
    rising = members(tracked_store, by="length", descending=False)
    assert sorted(rising[:4], reverse=True)[0] == [3, -1, -1]
    assert rising[-1] in ([0, 0, 0], [2, 2, 2])
    for descending in (True, False):  # without a link: last either way
        last = members(tracked_store, by="mean", descending=descending)[-4:]
        assert all(sum(number >= 0 for number in row) == 1 for row in last)
    assert members(tracked_store, by="final", descending=False)[0] == [1, 1, -1]
    assert members(tracked_store, by="density")[0] == [-1, 4, 4]  # active on half of all tokens


def test_a_density_is_that_of_the_last_step_of_the_track(tracked_store: Path) -> None:
    found = follow(tracked_store)
    of_steps = [np.full(n, step / 8) for step, n in enumerate(found.checkpoints.n_features)]
    active = [Activity(density.astype(int), density, density) for density in of_steps]
    assert {0, 1, 2} >= set(found.tracks.last) > {2}
    assert column(found, "density", active).tolist() == (found.tracks.last / 8).tolist()
    assert np.isnan(column(found, "density")).all()


def read(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_tracks_as_csv(tracked_store: Path) -> None:
    found = follow(tracked_store, kept="lost")
    (row,) = read(tracks_csv(found, ordered(found)))
    assert (row["last_dictionary"], row["last_feature"]) == ("t2", "1")  # to join on
    assert (row["steps"], row["was_born"], row["has_died"]) == ("2", "0", "1")
    assert row["lost_after"] == "t2"
    assert float(row["min_link"]) == pytest.approx(0.95)
    assert (row["feature at t1"], row["feature at t3"]) == ("1", "")
    assert float(row["cosine from t2 to the last"]) == pytest.approx(0.5)


def test_steps_as_csv(tracked_store: Path) -> None:
    first, second, last = read(steps_csv(follow(tracked_store)))
    assert (first["step"], first["n"], first["n_held"]) == ("100", "", "4")
    assert (second["n_before"], second["n"], second["n_went_on"]) == ("4", "5", "3")
    assert (second["n_born"], second["n_died"]) == ("2", "1")
    assert float(second["drift"]) == pytest.approx(1 - 2.9 / 3)
    assert (last["n_held"], last["held_median"]) == ("", "")


def test_where_a_feature_is(tracked_store: Path) -> None:
    found = follow(tracked_store)
    assert found.find("t1", 4) is None  # no direction there
    assert found.tracks.feature[found.find("t3", 4)].tolist() == [-1, 4, 4]
    assert found.value(1, 1, "onward") == pytest.approx(0.5)
    assert found.value(2, 1, "onward") is None
    assert not np.isnan(found.value(0, 3, "final"))
