"""What a browser may send to the editor's callbacks: anything."""

import pytest

from app.annotations.session import _draft, clash
from featurestore.annotations.records import Content, Event, Verdict
from featurestore.errors import AnnotationError, UnknownFeature
from featurestore.store import Store
from tests import small_store

GIVEN = {
    "uid": "u",
    "author": "Ann",
    "feature": 3,
    "seen": 0,
    "verdict": "junk",
    "label": "rivers",
    "note": "",
    "tags": 'geo; "a; b"',
}


@pytest.fixture(scope="module")
def info(tmp_path_factory: pytest.TempPathFactory) -> object:
    store = tmp_path_factory.mktemp("store")
    small_store.publish(store)
    opened = Store(store)
    yield opened.dictionary("one")
    opened.close()


def test_what_an_editor_sends(info: object) -> None:
    draft = _draft(info, GIVEN)
    assert draft.content == Content(Verdict.JUNK, "rivers", "", ("geo", "a; b"))
    assert (draft.digest, draft.dictionary_id, draft.seen) == ("digest of one", "one", 0)
    assert _draft(info, GIVEN | {"verdict": None}).content.verdict is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("verdict", "green"),
        ("verdict", 3),
        ("verdict", ["junk"]),
        ("label", None),
        ("label", {"a": 1}),
        ("note", 7),
        ("tags", ["a"]),
        ("uid", None),
        ("author", 3),
        ("seen", "0"),
        ("seen", True),
        ("feature", 1.5),
        ("tags", '"open'),
    ],
)
def test_what_no_editor_sends(info: object, name: str, value: object) -> None:
    with pytest.raises(AnnotationError):
        _draft(info, GIVEN | {name: value})


@pytest.mark.parametrize("feature", [-1, 5, 10**12])
def test_a_feature_that_is_not_there(info: object, feature: int) -> None:
    with pytest.raises(UnknownFeature):
        _draft(info, GIVEN | {"feature": feature})


def test_a_clash_shows_both_texts() -> None:
    usual = {"uid": "u", "digest": "d", "dictionary_id": "one", "feature": 3, "seen": 0}
    at = "2026-11-21T12:00:00+00:00"
    mine = Event(**usual, author="Bob", content=Content(label="mine"), revision=2, at=at)
    theirs = Event(**usual, author="Ann", content=Content(label="theirs"), revision=1, at=at)
    shown = clash(mine, [theirs])
    assert (shown.revision, shown.current, shown.other) == (2, "theirs", "mine")
    assert "Ann's" in shown.said and "That one is in force" in shown.said


def test_a_clash_names_what_was_in_force_as_it_arose() -> None:
    """Bob did not see Ann's; what he then wrote above it is not what he did not see."""
    usual = {"uid": "u", "digest": "d", "dictionary_id": "one", "feature": 3, "seen": 0}
    at = "2026-11-21T12:00:00+00:00"
    first, ann, mine, both = (
        Event(**usual, author=author, content=Content(label=label), revision=n, at=at)
        for n, (author, label) in enumerate(
            [("Eve", "first"), ("Ann", "theirs"), ("Bob", "mine"), ("Bob", "both")], start=1
        )
    )
    shown = clash(mine, [first, ann, both])
    assert (shown.revision, shown.current, shown.other) == (3, "both", "mine")
    assert "without having seen Ann's" in shown.said and "Now Bob's" in shown.said
