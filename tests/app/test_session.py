from types import SimpleNamespace

import pytest

from app import markup, session
from app.selection import Selection
from featurestore.records import Catalogue, FeatureQuery


def test_dictionaries_stand_in_the_order_of_their_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = ["resid-2-step-1000", "resid-2-step-250", "resid-2", "12", "attn"]
    known = Catalogue(tuple(SimpleNamespace(dictionary_id=one) for one in ids), ())
    monkeypatch.setattr(session, "store", lambda: SimpleNamespace(catalogue=lambda: known))
    ordered = [info.dictionary_id for info in session.catalogue().dictionaries]
    assert ordered == ["12", "attn", "resid-2", "resid-2-step-250", "resid-2-step-1000"]


def test_a_choice_in_words_of_before_is_that_dictionary(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the browser sends it once more, while the answer to the first time is on its way."""
    facts = {"hook_name": "blocks.2", "model_name": None, "model_step": 7, "step": 1500}
    words = markup.dictionary_label(SimpleNamespace(dictionary_id="resid-2", kind="sae", **facts))
    assert words == "resid-2 · sae · blocks.2 · model step 7 · step 1,500"
    shown: list[Selection] = []
    monkeypatch.setattr(session, "_now", lambda: Selection(FeatureQuery("other")))
    monkeypatch.setattr(session, "go", shown.append)
    for said in (words, "resid-2"):
        monkeypatch.setattr(session.st, "session_state", {"dictionary": said})
        session.on_dictionary()
    assert [one.query.dictionary_id for one in shown] == ["resid-2"] * 2
