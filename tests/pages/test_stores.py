"""Every page over a store that is full, empty, missing or damaged."""

import shutil
from pathlib import Path

import pytest

from app import links
from tests.pages.conftest import Open, texts

PAGES = (links.BROWSE, links.FEATURE)
BUILD = "<code>python -m featurestore build RECIPE --store "


@pytest.mark.parametrize("page", PAGES)
def test_full(open_page: Open, page: Path) -> None:
    test = open_page(page, feature="0")
    options = test.selectbox(key="dictionary").options
    assert [option.partition(" · ")[0] for option in options] == ["early", "hostile", "planted"]
    assert options[0] == "early"  # chosen: the line beside says the rest
    assert " · sae · blocks.2.hook_resid_post · step " in options[2]
    assert "blocks.2.hook_resid_post" in texts(test)
    assert "fb-error" not in texts(test)


@pytest.mark.parametrize("page", (*PAGES, links.SEARCH))
def test_empty(open_page: Open, page: Path, tmp_path: Path) -> None:
    (tmp_path / "dictionaries").mkdir()
    shown = texts(open_page(page, tmp_path, find="river"))
    assert "holds no dictionary yet" in shown
    assert BUILD in shown


@pytest.mark.parametrize("page", PAGES)
def test_missing(open_page: Open, page: Path, tmp_path: Path) -> None:
    shown = texts(open_page(page, tmp_path / "nowhere"))
    assert "No store in" in shown
    assert BUILD in shown


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("length", [0, 4096, 1_000_000])
def test_damaged_beside_a_good_one(
    open_page: Open, page: Path, length: int, synthetic_store: Path, tmp_path: Path
) -> None:
    store = shutil.copytree(synthetic_store, tmp_path / "store")
    damaged = store / "dictionaries" / "early" / "run1.duckdb"
    damaged.write_bytes(damaged.read_bytes()[:length])
    shown = texts(open_page(page, store, dictionary="planted", feature="0"))
    assert "Feature 0" in shown or "113 of 120 features" in shown
    assert str(damaged) in shown
    asked = texts(open_page(page, store, dictionary="early", feature="0"))
    assert str(damaged) in asked
    assert asked.count("fb-error") == 1
    assert "Feature 0" not in asked


@pytest.mark.parametrize("page", PAGES)
def test_only_a_damaged_one(open_page: Open, page: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "dictionaries" / "d" / "r.duckdb"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("<!doctype html>")
    shown = texts(open_page(page, tmp_path))
    assert str(damaged) in shown
    assert "holds no dictionary" not in shown


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("asked", ["x", "<script>", "../planted", "![](http://o.example/x)"])
def test_unknown_dictionary(open_page: Open, page: Path, asked: str) -> None:
    test = open_page(page, dictionary=asked, feature="0")
    assert "It has: early, hostile, planted." in texts(test)
    assert "<script>" not in texts(test)
    assert test.selectbox(key="dictionary").value is None
    assert "Feature 0" not in texts(test)
    test.selectbox(key="dictionary").select("planted").run()
    assert test.query_params["dictionary"] == "planted"
    assert "120 features" in texts(test)
