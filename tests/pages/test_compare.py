import json
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import links
from app.compare import session
from app.numerals import short
from featurestore.store import Store
from tests.pages.conftest import Open, texts
from tests.small_store import publish
from tests.tracked_store import write_tracked


def drawn(test: AppTest) -> dict:
    """What the scoreboard was told to draw."""
    (data,) = [
        json.loads(one.proto.json)
        for one in test.get("bidi_component")
        if '"facts"' in one.proto.json
    ]
    return data


def rows(test: AppTest) -> dict[str, dict[str, list[str]]]:
    """Cells by dictionary, in order, and by column."""
    data = drawn(test)
    names = [column["name"] for column in data["columns"]][1:]
    return {row["id"]: dict(zip(names, row["cells"], strict=True)) for row in data["rows"]}


def test_every_dictionary_has_a_row(open_page: Open) -> None:
    test = open_page(links.COMPARE)
    found = rows(test)
    assert list(found) == ["early", "hostile", "planted"]
    shown, tip = found["planted"]["ce_recovered"]
    assert shown == "0.900"
    assert "loss clean: 3.00 (n 11,960)" in tip
    assert found["planted"]["kl_ratio"][0] == "0.500"
    assert found["planted"]["n_features"][0] == "120"
    assert found["planted"]["cosine"] == ["–", "No token to take it over"]
    assert "passes.n_scored = 0" in found["hostile"]["l0"][1]
    said = texts(test)
    assert "3 of 3 dictionaries" in said
    assert "scored on 12,220 tokens of 260 contexts" in said
    assert "No scores of hostile" in said
    assert "cannot be compared" not in said
    assert len(test.get("plotly_chart")) == 1
    assert "2 of 3 have a place" in said


def test_the_order_is_in_the_url(open_page: Open) -> None:
    test = open_page(links.COMPARE, by="explained_variance", order="desc")
    assert list(rows(test)) == ["planted", "early", "hostile"]
    assert (drawn(test)["sort"], drawn(test)["descending"]) == ("explained_variance", True)
    test = open_page(links.COMPARE, by="explained_variance")
    assert list(rows(test)) == ["early", "planted", "hostile"]


def test_filters_and_the_plot_are_in_the_url(open_page: Open) -> None:
    test = open_page(links.COMPARE, by="l0", order="desc")
    test.selectbox(key="family").select("planted").run()
    assert test.query_params == {"by": "l0", "order": "desc", "family": "planted"}
    assert set(rows(test)) == {"early", "planted"}
    test.segmented_control(key="plot").select("kl_ratio").run()
    assert test.query_params["plot"] == "kl_ratio"
    assert "lower is better" in texts(test)
    next(one for one in test.button if one.label == "Clear").click().run()
    assert test.query_params == {"by": "l0", "order": "desc", "plot": "kl_ratio"}
    assert len(rows(test)) == 3


def test_what_is_lost_by_token(open_page: Open) -> None:
    test = open_page(links.COMPARE, by="dictionary", plot="tokens", of="planted")
    said = texts(test)
    assert "Most is lost on" in said
    assert "different tokens" in said
    (chart,) = test.get("plotly_chart")
    assert [trace["name"] for trace in json.loads(chart.proto.spec)["data"]] == [
        "tokens",
        "KL decoded",
        "KL random",
    ]
    test.selectbox(key="of").select("early").run()
    assert test.query_params["of"] == "early"
    test = open_page(links.COMPARE, by="dictionary", plot="tokens", of="hostile")
    assert "The link says of=hostile. With scores, among these: early, planted." in texts(test)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("by", "<b>", "A link may say: dictionary"), ("kind", "<b>", "Known: sae. Showing all.")],
)
def test_bad_values_are_told(open_page: Open, name: str, value: str, said: str) -> None:
    test = open_page(links.COMPARE, **{name: value})
    assert said in texts(test)
    assert "<b>" not in texts(test)
    assert len(rows(test)) == 3


def test_nothing_fits_two_filters(open_page: Open, synthetic_store: Path, tmp_path: Path) -> None:
    store = shutil.copytree(synthetic_store, tmp_path / "store")
    publish(store)
    test = open_page(links.COMPARE, store, family="planted", model="made-up")
    assert "No dictionary is all of this" in texts(test)
    assert any(one.label == "Clear" for one in test.button)


def test_a_store_without_scores_says_how_to_get_some(open_page: Open, tmp_path: Path) -> None:
    publish(tmp_path)
    test = open_page(links.COMPARE, tmp_path)
    said = texts(test)
    assert "None of these dictionaries has scores" in said
    assert "<code>python -m featurestore build RECIPE</code>" in said
    assert rows(test)["one"]["n_features"][0] == "5"
    assert test.get("plotly_chart") == []


def test_families_are_read_only_if_they_are_few(
    open_page: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = open_page(links.COMPARE, write_tracked(tmp_path))
    found = rows(test)
    mean = sum(Store(tmp_path).pairs.info("t1", other).a.mmcs for other in ("t2", "t3")) / 2
    assert found["t1"]["family_mmcs"][0] == short(mean)
    assert found["t1"]["pairs"][0] == "2"
    monkeypatch.setattr(session, "MOST_READ", 2)
    test = open_page(links.COMPARE, tmp_path)
    assert rows(test)["t1"]["family_mmcs"][0] == "–"
    assert "MMCS to family is left out: reading 3 pairs takes long" in texts(test)


def test_an_empty_store_says_how_to_fill_it(open_page: Open, tmp_path: Path) -> None:
    (tmp_path / "dictionaries").mkdir()
    assert "holds no dictionary yet" in texts(open_page(links.COMPARE, tmp_path))


def test_a_damaged_file_takes_no_other_down(
    open_page: Open, synthetic_store: Path, tmp_path: Path
) -> None:
    store = shutil.copytree(synthetic_store, tmp_path / "store")
    damaged = store / "dictionaries" / "early" / "run1.duckdb"
    damaged.write_bytes(damaged.read_bytes()[:4096])
    test = open_page(links.COMPARE, store)
    assert list(rows(test)) == ["hostile", "planted"]
    assert str(damaged) in texts(test)
