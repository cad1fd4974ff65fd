from types import SimpleNamespace

import pytest

from app import session
from featurestore.records import Catalogue


def test_dictionaries_stand_in_the_order_of_their_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = ["resid-2-step-1000", "resid-2-step-250", "resid-2", "12", "attn"]
    known = Catalogue(tuple(SimpleNamespace(dictionary_id=one) for one in ids), ())
    monkeypatch.setattr(session, "store", lambda: SimpleNamespace(catalogue=lambda: known))
    ordered = [info.dictionary_id for info in session.catalogue().dictionaries]
    assert ordered == ["12", "attn", "resid-2", "resid-2-step-250", "resid-2-step-1000"]
