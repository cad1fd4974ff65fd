import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from featurestore.__main__ import main
from featurestore.chance import largest_by_chance
from featurestore.config import DictionaryConfig
from featurestore.dictionaries.native import load
from featurestore.inference import load_model
from featurestore.link_records import LinkInfo
from featurestore.linking import link as module
from featurestore.linking.readers import readers_of
from featurestore.store import Store
from tests.linking.conftest import LINKED
from tests.matching.conftest import build_some
from tests.matching.test_activity import dense


@pytest.fixture
def store(linking_project: Path, tmp_path: Path) -> Path:
    """A copy of the store; its notes lead to the project all the same."""
    return shutil.copytree(linking_project / "store", tmp_path / "store")


def link(store: Path, *arguments: str) -> int:
    return main(["link", *arguments, "--store", str(store)])


def files(store: Path) -> dict[str, tuple[bytes, int]]:
    """Every file of links, and when it was written."""
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in (store / "links").iterdir()}


def names(found: tuple[LinkInfo, ...]) -> set[tuple[str, str]]:
    return {(each.upstream.dictionary_id, each.downstream.dictionary_id) for each in found}


def test_chosen_vectors_have_the_weights_that_were_chosen(
    planted_project: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    store = shutil.copytree(planted_project / "store", tmp_path / "store")
    assert link(store, "up", "down") == 0
    opened = Store(store)

    def rows(dictionary_id: str, feature: int) -> list[tuple]:
        found = opened.links.of(dictionary_id, feature)
        tables = found.feeds if dictionary_id == "up" else found.fed_by
        assert found.problems == () and len(tables) <= 1
        return [
            (each.rank, each.other, each.weight, round(each.cosine, 12))
            for table in tables
            for each in table.links
        ]

    assert rows("up", 0) == [(0, 0, 2, 1)]
    assert rows("up", 1) == [(0, 1, -2, -1)]
    assert rows("up", 2) == []  # no length
    assert rows("up", 3) == [(0, 0, 6, 0.6), (1, 1, -4, -0.8)]
    assert rows("down", 0) == [(0, 3, 6, 0.6), (1, 0, 2, 1)]
    assert rows("down", 1) == [(0, 3, -4, -0.8), (1, 1, -2, -1)]
    assert rows("down", 2) == rows("down", 3) == []
    first, second = (opened.links.of("up", f).feeds[0].links[0] for f in (0, 1))
    assert (first.direction_cosine, first.is_same) == (1, True)
    assert (second.direction_cosine, second.is_same) == (1, True)
    (mixed, opposite) = opened.links.of("up", 3).feeds[0].links
    assert (mixed.is_same, opposite.is_same) == (False, False)
    np.testing.assert_allclose([mixed.direction_cosine, opposite.direction_cosine], [0.6, 0.8])
    (info,) = opened.links.all().links
    assert (info.upstream.n, info.downstream.n, info.n_same) == (3, 3, 2)
    assert info.upstream.floor == info.downstream.floor == largest_by_chance(16, 3, True)
    assert (info.upstream.median, info.downstream.median) == (1, 1)
    assert (info.reading, info.is_scaled, info.is_absolute) == ("stream", False, False)
    assert (info.upstream.place, info.downstream.place) == (6, 12)
    assert (info.n_tokens, info.why_not) == (
        None,
        "They were not asked for: link with --activations.",
    )
    (line,) = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"up \(4\) → down \(4\): median largest cosine 1.000 and 1.000, by chance 0\.\d{3} and "
        r"0\.\d{3}, 2 downstream the same feature",
        line,
    )
    assert list((store / "work").iterdir()) == []


@pytest.mark.parametrize(("up", "down"), sorted(LINKED))
def test_rows_are_those_of_all_products(
    linking_project: Path, store: Path, up: str, down: str
) -> None:
    assert link(store, up, down) == 0
    first, second = (load(DictionaryConfig(n, str(linking_project / n))) for n in (up, down))
    is_read_in_stream = down != "mlp"
    model = None if is_read_in_stream else load_model(str(linking_project / "model"))
    readers = readers_of(second, model).vectors
    directions = first.directions.double().numpy()
    weights = directions @ readers.T
    cosines = weights / np.linalg.norm(directions, axis=1)[:, None]
    cosines /= np.linalg.norm(readers, axis=1)
    others = second.directions.double().numpy()
    between = directions @ others.T / np.linalg.norm(directions, axis=1)[:, None]
    between /= np.linalg.norm(others, axis=1)
    opened = Store(store)
    sides = ((up, "feeds", (weights, cosines, between)),)
    sides += ((down, "fed_by", (weights.T, cosines.T, between.T)),)
    for name, what, (own, own_cosines, own_between) in sides:
        for feature, row in enumerate(own):
            (table,) = getattr(opened.links.of(name, feature), what)
            chosen = [each.other for each in table.links]
            assert chosen == np.argsort(-np.abs(row))[:10].tolist()
            np.testing.assert_allclose([each.weight for each in table.links], row[chosen])
            found = [(each.cosine, each.direction_cosine) for each in table.links]
            expected = np.stack([own_cosines[feature], own_between[feature]], axis=1)[chosen]
            np.testing.assert_allclose(found, expected, atol=1e-6)
            assert not any(each.is_same for each in table.links)
            assert {each.n_both for each in table.links} == {None}
    (info,) = opened.links.all().links
    assert info.reading == ("stream" if is_read_in_stream else "layer norm")
    assert info.is_scaled == (not is_read_in_stream)


def test_activations_weigh_links_if_asked_for(store: Path) -> None:
    assert link(store, "early", "late") == 0
    assert link(store, "early", "late", "--activations") == 0
    opened = Store(store)
    x, y = dense(opened, "early"), dense(opened, "late")
    (info,) = opened.links.all().links
    assert (info.n_tokens, info.why_not) == (opened.dictionary("early").n_tokens, None)
    n_known = 0
    for feature in range(24):
        (table,) = opened.links.of("early", feature).feeds
        for each in table.links:
            both = (x[:, feature] != 0) & (y[:, each.other] != 0)
            assert each.n_both == both.sum()
            if both.any():
                expected = (x[both, feature] * each.weight).mean()
                assert each.mean_weighted == pytest.approx(expected, rel=1e-5)
                n_known += 1
            else:
                assert each.mean_weighted is None
    assert n_known > 50
    before = files(store)
    assert link(store, "early", "late") == link(store, "early", "late", "--activations") == 0
    assert files(store) == before


def test_all_are_linked_that_can_be_and_resumed(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    write, done = module.write_whole, []

    def stops_at_the_third(*arguments: object) -> None:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(arguments)
        write(*arguments)

    monkeypatch.setattr(module, "write_whole", stops_at_the_third)
    assert link(store, "--all") == 130
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert list((store / "work").iterdir()) == []
    before = files(store)
    monkeypatch.setattr(module, "write_whole", write)
    assert link(store, "--all") == 0
    assert len(capsys.readouterr().out.splitlines()) == 5
    after = files(store)
    assert len(after) == 5 and before.items() <= after.items()
    assert names(Store(store).links.all().links) == LINKED


def test_a_family_is_linked_with_all_others(store: Path) -> None:
    assert link(store, "--family", "run") == 0
    assert names(Store(store).links.all().links) == {two for two in LINKED if "early" in two}


def test_links_of_another_run_are_not_shown(linking_project: Path, tmp_path: Path) -> None:
    project = shutil.copytree(linking_project, tmp_path / "project")
    store = Store(project / "store")
    assert link(store.folder, "early", "late") == 0
    older = Path(store.dictionary("late").path)
    build_some(project, 12, "late")
    older.unlink()
    assert store.links.all().links == store.links.of("early", 0).feeds == ()
    assert not any(store.links.paths("early"))


def test_activations_on_other_tokens_are_not_compared(
    linking_project: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    project = shutil.copytree(linking_project, tmp_path / "project")
    shutil.rmtree(project / "store" / "dictionaries" / "late")
    build_some(project, 12, "late")
    assert link(project / "store", "early", "late", "--activations") == 0
    assert "early and late: activations are not compared. The two were built on" in caplog.text
    (info,) = Store(project / "store").links.all().links
    assert (info.n_tokens, info.why_not) == (None, "The two were built on other texts or tokens.")


def test_activations_that_are_not_to_be_had_are_told(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for note in (store / "local").iterdir():
        note.write_text(note.read_text().replace("*.txt", "*.none"))
    assert link(store, "early", "late", "--activations") == 0
    assert "early → late: activations are not compared. Where the texts of 'early'" in caplog.text
    (info,) = Store(store).links.all().links
    assert info.why_not.startswith("Where the texts of 'early'")


def test_damaged_links_are_reported_and_made_anew(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert link(store, "early", "late") == link(store, "mlp", "late") == 0
    path = next((store / "links").glob(f"{Store(store).dictionary('early').run_id}--*"))
    path.write_bytes(path.read_bytes()[:5000])
    found = Store(store).links.of("late", 0)
    assert [table.other.dictionary_id for table in found.fed_by] == ["mlp"]
    assert len(found.problems) == 1 and "link the two dictionaries again" in found.problems[0]
    assert link(store, "early", "late") == 0
    assert "made anew" in caplog.text
    assert len(Store(store).links.of("late", 0).fed_by) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        ([], 2, "Give two ids, upstream and downstream, or --family NAME, or --all, and one"),
        (["early"], 2, "Found: early."),
        (["early", "late", "--all"], 2, "Found: early late, --all."),
        (["early", "early"], 2, "'early' was given twice"),
        (["late", "early"], 2, "where 'early' reads. Give them in the other order."),
        (["neurons", "late"], 2, "'neurons' writes to blocks.0.mlp.hook_post, which is no part"),
        (["early", "attention"], 2, "'attention' reads blocks.1.hook_attn_out, which is neither"),
        (["early", "lat"], 2, "No dictionary 'lat' in this store. Did you mean 'late'? It has:"),
        (["--family", "runs"], 2, "No family 'runs' in this store. Did you mean 'run'? It has:"),
    ],
)
def test_what_cannot_be_linked_is_told(
    linking_project: Path,
    arguments: list[str],
    code: int,
    expected: str,
    capsys: pytest.CaptureFixture,
) -> None:
    assert link(linking_project / "store", *arguments) == code
    error = capsys.readouterr().err
    assert expected in error and "Traceback" not in error


def test_weights_that_are_gone_stop_it(store: Path, capsys: pytest.CaptureFixture) -> None:
    shutil.rmtree(store / "local")
    assert link(store, "early", "late") == 1
    assert "Where the weights of 'early' stand is not known here" in capsys.readouterr().err
    assert list((store / "work").iterdir()) == []
