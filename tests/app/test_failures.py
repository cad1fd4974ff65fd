import sys

import pytest
import streamlit as st

from app import failures
from app.failures import told, without_places
from tests.pages.conftest import MAIN


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "/srv/a store/dictionaries/x/r.duckdb is damaged.",
            "store/dictionaries/x/r.duckdb is damaged.",
        ),
        ("'/srv/a store/annotations.sqlite' is full.", "'store/annotations.sqlite' is full."),
        ("No store in '/srv/a store'.", "No store in 'store'."),
        (
            "Build: python -m featurestore build RECIPE --store /srv/a store",
            "Build: python -m featurestore build RECIPE --store store",
        ),
        ("Weights: '/home/ann b/sae/w.pt' is gone", "Weights: 'w.pt' is gone"),
        ("in /home/ann/models/gpt2/, read", "in gpt2, read"),
        ("~/.cache/hub/x.json: no such file.", "x.json: no such file."),
        ("(see /etc/passwd)", "(see passwd)"),
        ("The database 'labels' at db.lab:5432 is gone", "The database 'labels' is gone"),
        ("3/4 of and/or at 10:30, https://a.org/b/c", "3/4 of and/or at 10:30, https://a.org/b/c"),
        ("The token '</s>' is not one", "The token '</s>' is not one"),
    ],
)
def test_a_sentence_without_places(text: str, shown: str) -> None:
    assert without_places(text, "/srv/a store") == shown


@pytest.mark.parametrize(
    ("arguments", "hosts", "is_whole"),
    [
        ([], ["localhost", "127.0.0.1"], True),
        (["--read-only"], ["localhost"], False),
        (["--sign-in"], ["localhost"], False),
        ([], ["localhost", "features.example.org"], False),
        ([], [], False),  # any name will do
    ],
)
def test_paths_are_for_those_at_this_machine(
    arguments: list[str],
    hosts: list[str],
    is_whole: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(sys, "argv", [str(MAIN), "/srv/store", *arguments])
    monkeypatch.setattr(st, "get_option", {"server.allowedHosts": hosts}.__getitem__)
    failures._log.cache_clear()
    said = "'/srv/store/x/y.duckdb' is damaged."
    failures.LOG.addHandler(caplog.handler)
    try:
        for _ in range(3):
            assert told(said) == (said if is_whole else "'store/x/y.duckdb' is damaged.")
        assert told("Feature 3 is not there.") == "Feature 3 is not there."
    finally:
        failures.LOG.removeHandler(caplog.handler)
    logged = [record.message for record in caplog.records]
    assert logged == ([] if is_whole else [f"Shown without its paths: {said!r}"])
