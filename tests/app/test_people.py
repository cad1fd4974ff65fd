"""Who may save: every way to write is tried with a forged session, past all buttons."""

import shutil
import sqlite3
import sys
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app import people
from featurestore.annotations.database import Database, default_url
from featurestore.annotations.log import AnnotationLog
from featurestore.annotations.records import Content, Draft
from featurestore.errors import BadInput
from tests.pages.conftest import MAIN

DIGEST = "digest of planted"


@pytest.fixture
def annotated(synthetic_store: Path, tmp_path: Path) -> Path:
    """A store in which two people have labelled one feature, the second without having looked."""
    store = shutil.copytree(synthetic_store, tmp_path / "store")
    database = Database(default_url(store))
    for author in ("Ann", "Bob"):
        label = Content(label=f"{author}'s")
        AnnotationLog(database).append(Draft(author, author, DIGEST, "planted", 0, 0, label))
    database.close()
    return store


def forged() -> None:
    """A page that calls all that saves, with what the session of a visitor might hold."""
    from types import SimpleNamespace

    import streamlit as st

    from app import session
    from app.annotations import files
    from app.annotations import session as annotations
    from app.annotations.editor import KEY
    from app.selection import Selection
    from featurestore.annotations import importing
    from featurestore.annotations.records import Explanation
    from featurestore.records import FeatureQuery

    known = session.catalogue()
    info = next(one for one in known.dictionaries if one.dictionary_id == "planted")
    key = annotations.editor_key(info, 0)
    given = {"author": "Eve", "seen": 1, "key": key, "feature": 0}
    content = {"verdict": "junk", "label": "by Eve", "note": "", "tags": ""}
    st.session_state[KEY] = SimpleNamespace(
        save={"uid": "1", **given, **content},
        settle={"uid": "2", **given, "revision": 2, "taken": True, "seen": 3},
        undo={"uid": "3", **given, "seen": 4},
    )
    selection = Selection(FeatureQuery("planted"), feature=0)
    said = []

    def call(change: object, *arguments: object) -> None:
        change(*arguments)
        said.append(st.session_state.get(annotations.PROBLEM, ""))
        said.append(st.session_state.pop(files._DONE, ("", "", ""))[1])
        st.session_state.pop(annotations.PROBLEM, None)

    call(annotations.on_save, info, selection)
    call(annotations.on_settle, info)
    call(annotations.on_undo, info)
    rows = b"dictionary,feature,label\nplanted,5,imported\n"
    st.session_state[files._AUTHOR] = "Eve"
    plan = importing.read_import(rows, "a.csv", annotations.log(), known.dictionaries)
    call(files._apply, plan)
    table = session.annotations().explanations
    one = Explanation(info.content, "planted", 4, "rivers", "m", "e", 0.5, 9)
    call(files._note, "explanations", lambda: f"{table.add_all([one])} explained")
    st.session_state["said"] = said


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[str]:
    """What is said of each attempt."""
    monkeypatch.setattr(sys, "argv", [str(MAIN), *arguments])
    st.cache_resource.clear()
    test = AppTest.from_function(forged, default_timeout=20).run()
    assert not test.exception, test.exception
    return [one for one in test.session_state["said"] if one]


def rows(store: Path) -> tuple[int, int]:
    """Events and explanations in the database."""
    with sqlite3.connect(store / "annotations.sqlite") as connection:
        return (
            connection.execute("select count(*) from events").fetchone()[0],
            connection.execute("select count(*) from explanations").fetchone()[0],
        )


def test_the_forged_page_writes_where_it_may(
    annotated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = run(monkeypatch, str(annotated))
    assert said == ["Annotations imported: 1.", "1 explained"]
    assert rows(annotated) == (2 + 4, 1)


def test_read_only_refuses_every_way_to_write(
    annotated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (annotated / "annotations.sqlite").read_bytes()
    said = run(monkeypatch, str(annotated), "--read-only")
    assert said == ["This app is open for reading only: nothing can be saved."] * 5
    assert (annotated / "annotations.sqlite").read_bytes() == before


def test_read_only_holds_without_the_app_s_own_check(
    annotated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "check_may_write", lambda: None)
    before = (annotated / "annotations.sqlite").read_bytes()
    said = run(monkeypatch, str(annotated), "--read-only")
    assert len(said) == 5
    assert all("is open for reading only, so nothing can be saved" in one for one in said)
    assert (annotated / "annotations.sqlite").read_bytes() == before


def test_a_first_save_is_refused_too(
    synthetic_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(run(monkeypatch, str(synthetic_store), "--read-only")) == 5
    assert not (synthetic_store / "annotations.sqlite").exists()


def test_nobody_signed_in_saves_nothing(annotated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = run(monkeypatch, str(annotated), "--sign-in")
    assert said == ["You are not signed in, so nothing was saved. Load the page again."] * 5
    assert rows(annotated) == (2, 0)


def signed_in(monkeypatch: pytest.MonkeyPatch, **user: object) -> None:
    monkeypatch.setattr(people.st, "user", user)


@pytest.mark.parametrize(
    ("user", "is_in"),
    [
        ({"is_logged_in": True, "email": "ann@lab.org"}, True),
        ({"is_logged_in": True, "email": "ANN@Lab.org", "email_verified": True}, True),
        ({"is_logged_in": True, "email": "bob@uni.edu"}, True),
        ({"is_logged_in": True, "email": "eve@uni.edu"}, False),
        ({"is_logged_in": True, "email": "ann@lab.org.evil.example"}, False),
        ({"is_logged_in": True, "email": "ann@lab.org", "email_verified": False}, False),
        ({"is_logged_in": False, "email": "ann@lab.org"}, False),
        ({"is_logged_in": True, "email": ""}, False),
        ({"is_logged_in": True, "email": None, "name": "ann@lab.org"}, False),
        ({"is_logged_in": True}, False),
        ({}, False),
    ],
)
def test_who_is_let_in(
    user: dict[str, object], is_in: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [str(MAIN), "store", "--sign-in=*@lab.org, bob@uni.edu"])
    signed_in(monkeypatch, **user)
    assert people.are_let_in() is is_in
    assert people.person() == (user["email"] if is_in else None)


def test_whoever_is_signed_in_is_the_author(
    annotated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_in(monkeypatch, is_logged_in=True, email="ann@lab.org")
    run(monkeypatch, str(annotated), "--sign-in")
    with sqlite3.connect(annotated / "annotations.sqlite") as connection:
        found = connection.execute("select author from events order by number").fetchall()
    assert found == [("Ann",), ("Bob",), *([("ann@lab.org",)] * 4)]


class Secrets(dict):
    """What stands in secrets.toml; no such file if empty."""

    def load_if_toml_exists(self) -> bool:
        return bool(self)

    def get(self, name: str, default: object) -> object:
        assert self, "Streamlit raises where there is no file"
        return super().get(name, default)


def test_what_sign_in_needs_is_told_before_anything_is_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = dict.fromkeys(people._NEEDED, "x" * 32)
    monkeypatch.setattr(people.st, "secrets", Secrets({"auth": given}))
    people.check_settings()
    given["cookie_secret"] = "xxx"
    with pytest.raises(BadInput, match="cookie_secret under .auth. has fewer than 32"):
        people.check_settings()
    del given["client_secret"]
    with pytest.raises(BadInput, match="needs client_secret under .auth. in .streamlit/secrets"):
        people.check_settings()
    monkeypatch.setattr(people.st, "secrets", Secrets())
    with pytest.raises(BadInput, match="needs redirect_uri, cookie_secret, client_id, "):
        people.check_settings()
