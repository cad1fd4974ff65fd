import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import links
from tests.made_up_links import write_links
from tests.pages.conftest import Open, texts
from tests.small_store import ROWS, publish

HOSTILE = ("<script>alert(1)</script>", "[a](javascript:b)")


def add(store: Path, name: str, run_id: str, tokens: tuple[str, ...]) -> None:
    """A dictionary of five features that peak on the same tokens."""
    row = {"n_active": 3, "density": 0.1, "n_nonfinite": 0, "decoder_norm": 1.0}
    row |= {"n_contexts_active": 1, "peak_tokens": [0, 1], "peak_counts": [2, 1]}
    none = dict.fromkeys(ROWS, [])
    vocab = [{"token_id": i, "token": token} for i, token in enumerate(tokens)]
    features = [row | {"feature": feature} for feature in range(5)]
    publish(store, name, run_id, **none | {"vocab": vocab, "features": features})


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """`one` feeds `two`, whose tokens try to break out of the page; `three` has no links."""
    add(tmp_path, "one", "run1", (" cat", "dog"))
    add(tmp_path, "two", "run2", HOSTILE)
    add(tmp_path, "three", "run3", (" cat", "dog"))
    write_links(tmp_path, ("one", "run1"), ("two", "run2"))
    return tmp_path


def tables(test: AppTest) -> list[dict]:
    """The tables of links."""
    given = [json.loads(c.proto.json) for c in test.get("bidi_component")]
    found = [table for data in given for table in data.get("tables", [])]
    return [table for table in found if table["tokens"] == "peaks on"]


def unfold(test: AppTest) -> AppTest:
    test.session_state["links"] = True
    return test.run()


def test_it_is_folded_away_until_it_is_asked_for(open_page: Open, store: Path) -> None:
    test = open_page(links.FEATURE, store, dictionary="one", feature="0")
    labels = [each.label for each in test.expander]
    assert "Other layers: what feeds it, what it feeds" in labels
    assert tables(test) == []
    (table,) = tables(unfold(test))
    assert table["title"] == "Feeds two"
    assert [row["feature"] for row in table["rows"]] == [2, 1]
    assert [row["cells"][0][0] for row in table["rows"]] == ["−3.50", "2.00"]
    assert "carried on." in texts(test)
    assert [quoted for _, quoted in table["rows"][0]["tokens"]] == [f'"{t}"' for t in HOSTILE]
    assert "<script>alert" not in texts(test)


def test_what_feeds_a_feature_leads_back(open_page: Open, store: Path) -> None:
    test = unfold(open_page(links.FEATURE, store, dictionary="two", feature="1"))
    (table,) = tables(test)
    assert table["title"] == "Fed by one"
    assert table["rows"][0]["href"] == "feature?dictionary=one&feature=0"
    assert table["rows"][0]["tokens"][0] == ["␣cat", '" cat"']


def test_a_feature_without_links_says_so_and_a_dictionary_without_has_no_fold(
    open_page: Open, store: Path
) -> None:
    test = unfold(open_page(links.FEATURE, store, dictionary="one", feature="1"))
    assert tables(test) == [] and "It has no links" in texts(test)
    test = open_page(links.FEATURE, store, dictionary="three", feature="0")
    labels = [each.label for each in test.expander]
    assert not any(label.startswith("Other layers") for label in labels)


def test_a_damaged_file_is_told_beside_the_others(open_page: Open, store: Path) -> None:
    (store / "links" / "run1--run2.duckdb").write_bytes(b"nothing")
    test = unfold(open_page(links.FEATURE, store, dictionary="one", feature="0"))
    assert "Delete it and link the two dictionaries again" in texts(test)
    assert "Feature 0" in texts(test)
