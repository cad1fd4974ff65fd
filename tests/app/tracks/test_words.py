from dataclasses import replace
from html import escape
from pathlib import Path

import pytest

from app.tracks import words
from app.tracks.rows import Followed
from app.tracks.selection import By, Kept
from featurestore.track_records import Change, Stage
from tests.app.tracks.made_up import follow

HOSTILE = "<img src=x onerror=alert(1)>"


def remarks(found: Followed) -> str:
    return "\n".join(words.remarks(found, "store"))


def with_infos(found: Followed, at: int, **facts: object) -> Followed:
    infos = list(found.infos)
    infos[at] = replace(infos[at], **facts)
    return replace(found, infos=tuple(infos))


def test_every_order_has_a_heading() -> None:
    assert set(words.HEADINGS) == set(By.__args__)


def test_nothing_is_said_of_what_is_as_it_should_be(tracked_store: Path) -> None:
    assert remarks(follow(tracked_store)) == ""
    assert remarks(follow(tracked_store, measure="correlation")) == ""
    said = words.summary(follow(tracked_store))
    assert "3 steps" in said and "5 features each" in said
    assert "nearest to their own number: 100%" in said


def test_missing_pairs_are_named_with_the_command(tracked_store: Path) -> None:
    found = follow(tracked_store)
    gap = replace(found.checkpoints, missing=(("t1", "t2"), ("t1", "t3")))
    said = remarks(replace(found, checkpoints=gap))
    assert "t1 and t2; t1 and t3" in said
    assert "python -m featurestore match --family run --store store" in said
    mixed = with_infos(replace(found, checkpoints=gap), 2, family=None)
    assert "python -m featurestore match t1 t3 --store store" in remarks(mixed)
    infos = tuple(replace(info, family="a run") for info in found.infos)
    spaced = words.remarks(replace(found, infos=infos, checkpoints=gap), "my store")
    assert "match --family 'a run' --store 'my store'" in "\n".join(spaced)


def test_why_numbers_are_not_followed(tracked_store: Path) -> None:
    found = follow(tracked_store, mode="number")
    assert "one family and one size" in remarks(replace(found, mode="match"))


def test_what_died_means_at_the_threshold(tracked_store: Path) -> None:
    found = follow(tracked_store, mode="number", tau=0.9)
    assert words.died(found) == "turned by more than 26°, perhaps not gone"  # arccos 0.9 = 25.84°
    assert words.died(follow(tracked_store, mode="number", tau=0.5)).startswith(
        "turned by more than 60°"
    )
    assert words.died(replace(found, mode="match")) == "no match within 26°"
    other = follow(tracked_store, mode="number", tau=0.75, measure="correlation")
    assert words.died(other) == "correlation with its own number below 0.75"


def test_why_there_is_no_correlation(tracked_store: Path) -> None:
    found = follow(tracked_store, measure="correlation")
    there, back = found.checkpoints.onward[0]
    silent = ((replace(there, correlation=None), back), found.checkpoints.onward[1])
    found = replace(found, checkpoints=replace(found.checkpoints, onward=silent))
    assert "match --family run --activations --store store" in remarks(found)
    assert found.is_measured  # of one step it is known
    mixed = with_infos(found, 2, family=None)
    assert "match t1 t2 --activations --store store" in remarks(mixed)
    other = with_infos(found, 1, digests={"corpus": "another"})
    assert "on the same tokens only" in remarks(other)
    assert "--activations" not in remarks(other)


def test_other_models_and_hook_points_are_told(tracked_store: Path) -> None:
    found = follow(tracked_store)
    assert "dimensions drift" in remarks(with_infos(found, 1, digests={"model": "later"}))
    assert "different hook points" in remarks(with_infos(found, 1, hook_name_out="there"))


def test_a_track_in_a_line(tracked_store: Path) -> None:
    found = follow(tracked_store)
    line = words.track(found, found.find("t1", 1))
    for said in ("step 100 to 200", "least 0.950", "died", "lost after step 200"):
        assert said in line
    assert "born" in words.track(found, found.find("t3", 1))


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ("all", ("8 tracks", "cosine with their own number at the next step ≥ 0.9<")),
        ("born", ("4 born", "begin after the first step")),
        ("died", ("3 died", "end before the last step")),
        ("lost", ("1 learned, then lost", "≥ 0.9 once, &lt; 0.6 later")),
        ("drifted", ("0 drifted", "holds &lt; 0.6 of what they began as")),
    ],
)
def test_a_list_says_what_is_in_it(tracked_store: Path, kept: Kept, said: tuple[str, str]) -> None:
    line = words.listed(follow(tracked_store, kept=kept))
    assert all(one in line for one in said)


def test_tips_hold_n_and_no_number_that_is_not_there() -> None:
    tip = words.change_tip(Change(4, 5, 0, None), "a", "b", "turned")
    assert "4 of 4 died (turned)" in tip and "5 of 5 born" in tip and "drift – (n 0)" in tip
    assert words.stage_value(Stage(None, "missing", None, None), None)[1] == words.HOW["missing"]
    assert words.stage_value(Stage(1, "match", 0.5, None), 0.5)[0] == "0.500"


def test_texts_of_the_store_are_escaped(tracked_store: Path) -> None:
    found = with_infos(follow(tracked_store), 0, dictionary_id=HOSTILE)
    found = with_infos(found, 1, step=None)
    line = words.track(found, found.find("t1", 1))
    assert HOSTILE not in line and escape(HOSTILE) in line
