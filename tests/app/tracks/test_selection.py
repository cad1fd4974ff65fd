from dataclasses import replace

import pytest

from app.tracks.selection import MAX_TRACKED, TrackSelection, families, params, read
from tests.app.compare.made_up import INFO


def known(*names: str, family: str | None = "run") -> dict:
    return {
        name: replace(INFO, dictionary_id=name, family=family, step=step)
        for step, name in enumerate(names)
    }


KNOWN = known("a", "b", "c") | known("x", "y", family="other") | known("z", family=None)


@pytest.mark.parametrize(
    "selection",
    [
        TrackSelection(("a", "b", "c"), family="run"),
        TrackSelection(("a", "c"), feature=("c", 7), page=3),
        TrackSelection(
            ("b", "z"), mode="match", measure="correlation", tau=0.75, high=0.8, low=0.5
        ),
        TrackSelection(("a", "b"), kept="lost", by="mean", descending=False),
        TrackSelection(("a", "c"), among=("c", (0, 7, 80))),
    ],
)
def test_a_selection_survives_its_link(selection: TrackSelection) -> None:
    in_order = replace(selection, tracked=tuple(sorted(selection.tracked)))
    found, problems = read(params(selection), KNOWN)
    assert problems == ()
    assert replace(found, tracked=tuple(sorted(found.tracked))) == in_order
    assert "tracked" in params(selection)  # tells these links from those of a list


def test_dictionaries_stand_in_the_order_of_training() -> None:
    selection, _ = read({"tracked": "c,a,b,a"}, KNOWN)
    assert (selection.tracked, selection.family) == (("a", "b", "c"), "run")


def test_without_a_word_it_is_the_family_that_was_looked_at() -> None:
    assert read({"dictionary": "b"}, KNOWN)[0].family == "run"
    assert read({"dictionary": "z"}, KNOWN)[0].tracked == ("x", "y")
    assert read({}, KNOWN)[0].family == "other"
    assert read({}, known("a", family=None))[0].tracked == ()
    assert read({"family": "run"}, KNOWN)[0].tracked == ("a", "b", "c")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("tracked", "a,b,no", "Known: a, b, c, x, y, z. Left out."),
        ("family", "none", "Families: other, run."),
        ("mode", "x", "A link may say: auto, number, match"),
        ("measure", "x", "A link may say: cosine, correlation"),
        ("tau", "1.5", "from 0 to 1. Taking 0.9."),
        ("low", "nan", "from 0 to 1. Taking 0.6."),
        ("by", "1; drop", "A link may say: length"),
        ("kept", "x", "A link may say: all"),
        ("page", "0", "Showing page 1"),
        ("feature", "z:1", "a dictionary that is shown"),
        ("feature", "7", "looks like NAME:7"),
        ("among", "z:7.1", "a dictionary that is shown"),
        ("among", "a:7,1", "looks like 7.1.16"),
    ],
)
def test_a_bad_value_is_told(name: str, value: str, said: str) -> None:
    selection, (problem,) = read({"tracked": "a,b"} | {name: value}, KNOWN)
    assert selection == TrackSelection(("a", "b"))
    assert problem.startswith(f"The link says {name}=") and said in problem


def test_too_many_are_cut() -> None:
    many = known(*(f"d{i:02d}" for i in range(MAX_TRACKED + 1)))
    selection, (problem,) = read({"family": "run"}, many)
    assert len(selection.tracked) == MAX_TRACKED
    assert (selection.tracked[0], selection.tracked[-1]) == ("d00", f"d{MAX_TRACKED:02d}")
    assert f"showing {MAX_TRACKED} of them, evenly" in problem


def test_a_family_has_two_members() -> None:
    assert families(KNOWN.values()) == ("other", "run")
    assert families(known("a").values()) == ()
