import re
import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from featurestore.__main__ import main
from featurestore.chance import largest_by_chance
from featurestore.config import DictionaryConfig
from featurestore.dictionaries.native import load
from featurestore.errors import NotCompared
from featurestore.matching import pair as module
from featurestore.pair_records import PairInfo
from featurestore.store import Store
from tests.matching.conftest import build_some
from tests.matching.test_similarity import cosine_matrix


@pytest.fixture
def store(matching_project: Path, tmp_path: Path) -> Path:
    """A copy of the store; its notes lead to the project all the same."""
    return shutil.copytree(matching_project / "store", tmp_path / "store")


def match(store: Path, *arguments: str) -> int:
    return main(["match", *arguments, "--store", str(store)])


def directions(project: Path, *ids: str) -> list[np.ndarray]:
    return [load(DictionaryConfig(name, str(project / name))).directions.numpy() for name in ids]


def files(store: Path) -> dict[str, tuple[bytes, int]]:
    """Every file of a pair, and when it was written."""
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in (store / "pairs").iterdir()}


def names(pairs: tuple[PairInfo, ...]) -> set[tuple[str, str]]:
    return {(pair.a.dictionary_id, pair.b.dictionary_id) for pair in pairs}


def test_a_pair_is_published_with_its_numbers(
    matching_project: Path, store: Path, capsys: pytest.CaptureFixture
) -> None:
    assert match(store, "late", "early") == 0
    matrix = cosine_matrix(*directions(matching_project, "early", "late"), is_absolute=False)
    pair = Store(store).pairs.info("late", "early")
    assert (pair.a.dictionary_id, pair.b.dictionary_id) == ("early", "late")
    for side, largest, n_others in ((pair.a, matrix.max(1), 30), (pair.b, matrix.max(0), 24)):
        assert (side.n_features, side.n) == (len(largest), len(largest))
        assert side.mmcs == pytest.approx(largest.mean())
        assert side.share_above == (largest > 0.9).mean()
        assert side.floor == largest_by_chance(16, n_others, False)
        assert side.histogram == tuple(np.histogram(largest, 40, (-1, 1))[0])
        assert side.hook_name == "blocks.0.hook_resid_post"
    assert pair.n_matched == 24 and pair.method == "assignment"
    assert pair.mean_matched < pair.a.mmcs
    assert (pair.is_same_model, pair.is_absolute, pair.n_tokens) == (True, False, None)
    (line,) = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"early \(24\) ~ late \(30\): MMCS 0\.\d{3} and 0\.\d{3}, by chance 0\.\d{3} and 0\.\d{3}, "
        r"above 0\.9 0\.0% and 0\.0%, 24 matched \(assignment\) with mean 0\.\d{3}",
        line,
    )
    assert f"MMCS {pair.a.mmcs:.3f} and {pair.b.mmcs:.3f}, by chance {pair.a.floor:.3f}" in line
    assert list((store / "work").iterdir()) == []


def test_rows_are_those_of_all_cosines(matching_project: Path, store: Path) -> None:
    assert match(store, "early", "axes") == 0
    opened = Store(store)
    assert opened.pairs.info("early", "axes").is_absolute
    matrix = cosine_matrix(*directions(matching_project, "axes", "early"), is_absolute=True)
    for names_of, cosines in ((("axes", "early"), matrix), (("early", "axes"), matrix.T)):
        for feature, row in enumerate(cosines):
            rows = opened.pairs.nearest(names_of[0], feature, names_of[1])
            near = [each for each in rows if each.rank is not None]
            assert [each.other for each in near] == np.argsort(-row)[:3].tolist()
            assert [each.rank for each in near] == [0, 1, 2]
            np.testing.assert_allclose([each.cosine for each in rows], row[[r.other for r in rows]])
            assert {each.n_both for each in rows} == {None}
    matched = opened.pairs.matches("axes", "early", "matched", "feature", descending=False)
    mirrored = opened.pairs.matches("early", "axes", "matched", "feature")
    assert matched.n_kept == mirrored.n_kept == 10
    assert {(m.feature, m.other) for m in matched.rows} == {
        (m.other, m.feature) for m in mirrored.rows
    }


def test_a_family_has_every_feature_beside_its_own_number(
    matching_project: Path, store: Path
) -> None:
    assert match(store, "early", "other") == 0
    assert match(store, "early", "late") == 0
    early, other = directions(matching_project, "early", "other")
    matrix = cosine_matrix(early, other, is_absolute=False)
    opened = Store(store)
    for feature in range(24):
        rows = {row.other: row.cosine for row in opened.pairs.nearest("early", feature, "other")}
        assert rows[feature] == pytest.approx(matrix[feature, feature])
    of_another_size = [opened.pairs.nearest("early", number, "late") for number in range(24)]
    assert max(map(len, of_another_size)) == 4


def test_a_family_is_resumed_where_it_stopped(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    write, done = module.write_whole, []

    def stops_at_the_third(*arguments: object) -> None:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(arguments)
        write(*arguments)

    monkeypatch.setattr(module, "write_whole", stops_at_the_third)
    assert match(store, "--family", "run") == 130
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert list((store / "work").iterdir()) == []
    before = files(store)
    monkeypatch.setattr(module, "write_whole", write)
    assert match(store, "--family", "run") == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    after = files(store)
    assert len(after) == 3 and before.items() <= after.items()
    expected = set(combinations(["early", "late", "other"], 2))
    assert names(Store(store).pairs.all().pairs) == expected
    assert match(store, "--family", "run") == 0
    assert files(store) == after


def test_all_are_compared_that_can_be(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert match(store, "--all") == 0
    expected = set(combinations(["axes", "early", "late", "other"], 2))
    assert names(Store(store).pairs.all().pairs) == expected
    assert "4 pairs left out: their directions differ in length" in caplog.text


def test_of_many_those_whose_weights_are_gone_are_left_out(
    store: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture
) -> None:
    (store / "local" / f"{Store(store).dictionary('early').run_id}.json").unlink()
    assert match(store, "--family", "run") == 0
    assert names(Store(store).pairs.all().pairs) == {("late", "other")}
    for other in ("late", "other"):
        assert f"early and {other}: left out. Where the weights of 'early' stand" in caplog.text
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert match(store, "early", "late") == 1
    assert "Where the weights of 'early' stand" in capsys.readouterr().err
    shutil.rmtree(store / "local")
    shutil.rmtree(store / "pairs")
    assert match(store, "--family", "run") == 1
    assert "Where the weights of 'late' stand" in capsys.readouterr().err


def test_activations_are_compared_if_asked_for(store: Path, capsys: pytest.CaptureFixture) -> None:
    assert match(store, "early", "late") == 0
    assert "activations" not in capsys.readouterr().out
    plain = Store(store).pairs.matches("early", "late")
    assert {row.correlation for row in plain.rows} == {None}
    assert match(store, "early", "late", "--activations") == 0
    opened = Store(store)
    n_tokens = opened.dictionary("early").n_tokens
    assert opened.pairs.info("early", "late").n_tokens == n_tokens
    assert capsys.readouterr().out.endswith(f", activations on {n_tokens:,} tokens\n")
    found = opened.pairs.matches("early", "late", sort="correlation")
    known = [row.correlation for row in found.rows if row.correlation is not None]
    assert known == sorted(known, reverse=True) and len(known) > 15
    assert found.rows[-1].correlation is None  # of the dead feature, last
    assert all(row.n_both is not None for row in found.rows)
    before = files(store)
    assert match(store, "early", "late") == match(store, "early", "late", "--activations") == 0
    assert files(store) == before


def test_activations_that_are_not_to_be_had_are_told(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for note in (store / "local").iterdir():
        note.write_text(note.read_text().replace("*.txt", "*.none"))
    assert match(store, "early", "late", "--activations") == 0
    assert "early ~ late: activations are not compared. Where the texts of 'early'" in caplog.text
    assert Store(store).pairs.info("early", "late").n_tokens is None


def test_activations_on_other_tokens_are_not_compared(
    matching_project: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    project = shutil.copytree(matching_project, tmp_path / "project")
    shutil.rmtree(project / "store" / "dictionaries" / "late")
    build_some(project, 12, "late")
    assert match(project / "store", "early", "late", "--activations") == 0
    assert "early and late: activations are not compared. The two were built on" in caplog.text
    assert Store(project / "store").pairs.info("early", "late").n_tokens is None


def test_a_pair_of_another_run_is_not_shown(matching_project: Path, tmp_path: Path) -> None:
    project = shutil.copytree(matching_project, tmp_path / "project")
    store = Store(project / "store")
    assert match(store.folder, "early", "late") == 0
    older = Path(store.dictionary("late").path)
    build_some(project, 12, "late")
    older.unlink()
    assert store.pairs.all().pairs == ()
    with pytest.raises(NotCompared, match=f"featurestore match late early --store {store.folder}"):
        store.pairs.matches("late", "early")
    assert match(store.folder, "early", "late") == 0
    assert names(store.pairs.all().pairs) == {("early", "late")}


def test_a_damaged_pair_is_reported_and_compared_anew(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert match(store, "early", "late") == match(store, "early", "other") == 0
    path = Path(Store(store).pairs.info("early", "late").path)
    path.write_bytes(path.read_bytes()[:5000])
    found = Store(store).pairs.all()
    assert names(found.pairs) == {("early", "other")}
    assert len(found.problems) == 1
    assert "match the two dictionaries again" in found.problems[0]
    assert match(store, "early", "late") == 0
    assert "made anew" in caplog.text
    assert len(Store(store).pairs.all().pairs) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        ([], 2, "Give two ids, or --family NAME, or --all, and one of these alone. Found: nothing"),
        (["early"], 2, "Found: early."),
        (["early", "late", "other"], 2, "Found: early late other."),
        (["early", "late", "--all"], 2, "Found: early late, --all."),
        (["--family", "run", "--all"], 2, "Found: --family run, --all."),
        (["early", "early"], 2, "'early' was given twice"),
        (["early", "wide"], 2, "'early' has directions of 16 dimensions and 'wide' of 64"),
        (
            ["early", "lat"],
            2,
            "No dictionary 'lat' in this store. Did you mean 'late'? It has: axes,",
        ),
        (
            ["--family", "runs"],
            2,
            "No family 'runs' in this store. Did you mean 'run'? It has: run.",
        ),
        (
            ["--family", "x"],
            2,
            "It has: run. A family is what checkpoints of",
        ),
    ],
)
def test_what_cannot_be_compared_is_told(
    matching_project: Path,
    arguments: list[str],
    code: int,
    expected: str,
    capsys: pytest.CaptureFixture,
) -> None:
    assert match(matching_project / "store", *arguments) == code
    error = capsys.readouterr().err
    assert expected in error and "Traceback" not in error


def test_weights_that_are_gone_stop_it(store: Path, capsys: pytest.CaptureFixture) -> None:
    shutil.rmtree(store / "local")
    assert match(store, "early", "late") == 1
    assert "Where the weights of 'early' stand is not known here" in capsys.readouterr().err
    assert list((store / "work").iterdir()) == []
