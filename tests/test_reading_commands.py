"""The commands that only read: info, verify, formats."""

import json
from pathlib import Path

import duckdb
import pytest

from featurestore.__main__ import main
from featurestore.dictionaries.load import FORMATS
from featurestore.dictionary_file import KEYS
from featurestore.store import Store
from tests.made_up_links import write_links
from tests.small_store import publish
from tests.test_main import error_of
from tests.test_pair_file import write as write_pair


@pytest.fixture
def store(tmp_path: Path) -> Path:
    publish(tmp_path, "one")
    publish(tmp_path, "two")
    return tmp_path


def not_strict(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def test_info_lists_dictionaries_counts_and_digests(
    store: Path, capsys: pytest.CaptureFixture
) -> None:
    (store / "dictionaries" / "bad").mkdir()
    (store / "dictionaries" / "bad" / "x.duckdb").write_text("no database")
    assert main(["info", "--json", "--store", str(store)]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=not_strict)
    assert [info["dictionary_id"] for info in found["dictionaries"]] == ["one", "two"]
    first = found["dictionaries"][0]
    assert (first["n_features"], first["n_tokens"], first["run_id"]) == (5, 100, "run1")
    assert first["tables"] == Store(store).dictionary("one").tables
    assert first["tables"]["features"]["rows"] == 5
    assert len(first["tables"]["features"]["digest"]) == 64
    assert [problem["dictionary_id"] for problem in found["problems"]] == ["bad"]

    assert main(["info", "--store", str(store)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["one", "two", "problem:"]
    assert "5 features" in lines[0] and "100 tokens" in lines[0]
    assert "family" not in lines[0] and "step" not in lines[0]
    publish(store, "three", "run3", family="runs/a", step=4000)
    assert main(["info", "--store", str(store)]) == 0
    assert "run run3  family runs/a  step 4,000  model " in capsys.readouterr().out


def test_info_tells_builds_on_other_texts_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    publish(tmp_path, "here", model_name="GPT", corpus_name="tales", digests={"corpus": "a" * 64})
    facts = {"model_name": "GPT", "model_step": 3000, "corpus_name": "tales"}
    publish(tmp_path, "there", **facts, digests={"corpus": "b" * 64})
    assert main(["info", "--store", str(tmp_path)]) == 0
    here, there = capsys.readouterr().out.splitlines()
    assert here.endswith("  model GPT  corpus tales (aaaaaaaa)")
    assert there.endswith("  model GPT at step 3,000  corpus tales (bbbbbbbb)")


def test_verify_reads_every_file(store: Path, capsys: pytest.CaptureFixture) -> None:
    publish(store, "two", "run2")
    assert main(["verify", "--store", str(store)]) == 0
    lines = capsys.readouterr().out.splitlines()
    paths = sorted((store / "dictionaries").glob("*/*.duckdb"))
    assert [line.split()[:2] for line in lines] == [["ok", f"{path}:"] for path in paths]
    assert lines[0].endswith(f": 29 rows in {len(KEYS)} tables")


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("update features set skewness = 0.25 where feature = 4", "Table 'features' has 5 rows"),
        ("update features set skewness = 0 where feature = 0", "Table 'features' has 5 rows"),
        ("delete from examples where rank = 1", "'examples' has 2 rows"),
        ("update contexts set tokens = [0, 3] where context = 3", "Table 'contexts' has 2 rows"),
        ("drop table bands", "Table with name bands does not exist"),
        (
            "create table t as from vocab order by token_id desc; delete from vocab; "
            "insert into vocab from t",
            "Table 'vocab' has 8 rows",
        ),
        ("update manifest set tables = '{}'", "written were 0 with none"),
    ],
)
def test_verify_says_what_differs(
    store: Path, statement: str, expected: str, capsys: pytest.CaptureFixture
) -> None:
    path = store / "dictionaries" / "one" / "run1.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(statement)
    assert main(["verify", "--store", str(store)]) == 1
    printed = capsys.readouterr()
    bad, good = printed.out.splitlines()
    assert bad.startswith(f"BAD  {path}: ") and expected in bad
    assert good.startswith("ok ")
    assert error_of(printed.err).startswith(f"1 damaged: {path}.")


def test_verify_names_a_file_that_cannot_be_opened(
    store: Path, capsys: pytest.CaptureFixture
) -> None:
    path = store / "dictionaries" / "two" / "run1.duckdb"
    path.write_bytes(path.read_bytes()[:20_000])
    assert main(["verify", "--store", str(store)]) == 1
    printed = capsys.readouterr()
    assert f"BAD  {path}: {path} cannot be read" in printed.out
    assert str(path) in error_of(printed.err)


def test_pairs_and_links_are_listed_and_verified(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for name, run_id in (("one", "run1"), ("two", "run2")):
        publish(tmp_path, name, run_id)
    ends = ("one", "run1"), ("two", "run2")
    good = [write_pair(tmp_path), write_links(tmp_path, *ends)]
    old = write_links(tmp_path, ("one", "run0"), ends[1])
    assert main(["info", "--store", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == ["1 pair compared", "1 pair linked"]
    assert main(["verify", "--store", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"ok   {good[0]}: 2 rows in 1 table" in lines
    assert f"ok   {good[1]}: 3 rows in 1 table" in lines
    assert f"old  {old}: of a run that is served no more; delete it" in lines
    for path in good:
        path.write_bytes(path.read_bytes()[:20_000])
    assert main(["info", "--json", "--store", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [len(found[what]["problems"]) for what in ("pairs", "links")] == [1, 1]
    assert main(["verify", "--store", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    for path in good:
        assert f"BAD  {path}: {path} cannot be read" in printed.out
        assert str(path) in error_of(printed.err)


@pytest.mark.parametrize("name", ["info", "verify"])
def test_no_store_is_told_with_the_next_command(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture
) -> None:
    assert main([name, "--store", str(tmp_path)]) == 1
    message = error_of(capsys.readouterr().err)
    assert f"build RECIPE --store {tmp_path}" in message


def test_formats_are_described(capsys: pytest.CaptureFixture) -> None:
    assert main(["formats"]) == 0
    printed = capsys.readouterr().out
    for name in ("dictionary.safetensors", "ae.pt", "learned_dicts.pt", "lookup.W_lookup.weight"):
        assert name in printed


def test_formats_are_told_apart(capsys: pytest.CaptureFixture) -> None:
    assert main(["formats"]) == 0
    lines = capsys.readouterr().out.splitlines()
    titles = [line for line in lines if line and not line.startswith(" ")]
    assert len(titles) == len(FORMATS) + 2  # with what to do where none fits
    assert sum("The recipe needs `path`" in line for line in lines) == len(FORMATS)
    assert titles[-1].startswith("own format with featurestore.dictionaries.native.save(")
