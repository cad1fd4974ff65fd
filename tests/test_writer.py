import errno
import json
import os
import random
import resource
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from featurestore import writer as writer_module
from featurestore.dictionary_file import KEYS
from featurestore.errors import BuildFailed
from featurestore.store import Store
from featurestore.verify import verify
from featurestore.writer import StoreWriter
from tests.small_store import ROWS, in_key_order, manifest, publish

ROOT = Path(__file__).parent.parent
LATER = "2026-01-02T00:00:00+00:00"


def rows_of(path: Path, table: str) -> list[tuple]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.table(table).fetchall()


def is_whole(store: Path) -> bool:
    """Whether every file with a served name is complete, to the last row."""
    findings = list(verify(store))
    return bool(findings) and not any(finding.faults for finding in findings)


def test_rows_stand_in_key_order_however_they_are_cut(tmp_path: Path) -> None:
    rng = random.Random(0)
    whole = publish(tmp_path / "whole")
    with StoreWriter(tmp_path / "cut", "one", "run1") as writer:
        ordered = {table: in_key_order(table, rows) for table, rows in ROWS.items()}
        rng.shuffle(ordered["promoted_tokens"])  # the one table that may come in any order
        while any(ordered.values()):
            table = rng.choice([table for table, rows in ordered.items() if rows])
            writer.append(table, pa.Table.from_pylist([ordered[table].pop(0)]))
        cut = writer.publish(manifest("one", "run1", LATER))
    for table, key in KEYS.items():
        assert rows_of(cut, table) == rows_of(whole, table)
        with duckdb.connect(str(cut), read_only=True) as connection:
            assert (
                connection.table(table).fetchall() == connection.table(table).order(key).fetchall()
            )
    (one,) = Store(tmp_path / "whole").catalogue().dictionaries
    (other,) = Store(tmp_path / "cut").catalogue().dictionaries
    assert one.tables == other.tables


def test_rows_that_come_too_late_are_refused(tmp_path: Path) -> None:
    first, second = ROWS["features"][:2]
    with StoreWriter(tmp_path, "one", "run1") as writer:
        writer.append("features", pa.Table.from_pylist([second]))
        with pytest.raises(BuildFailed, match="key 0 comes after 1"):
            writer.append("features", pa.Table.from_pylist([first]))


def test_the_manifest_counts_and_digests_every_table(tmp_path: Path) -> None:
    publish(tmp_path)
    features = [dict(row) for row in ROWS["features"]]
    features[0]["skewness"] = 0.0  # was null
    publish(tmp_path, "other", features=features)
    one, other = Store(tmp_path).catalogue().dictionaries
    assert {t: found["rows"] for t, found in one.tables.items()} == {
        table: len(rows) for table, rows in ROWS.items()
    } | {"top_contexts": 2} | dict.fromkeys(KEYS.keys() - ROWS - {"top_contexts"}, 0)
    differing = {table for table in KEYS if one.tables[table] != other.tables[table]}
    assert differing == {"features"}


def test_top_contexts_are_those_of_the_examples_by_context(tmp_path: Path) -> None:
    rng = random.Random(0)
    examples = [
        {"feature": feature, "sampler": sampler, "band": 0, "rank": rank, "context": context}
        for feature in range(40)
        for sampler in ("quantile", "random", "top", "zero")
        for rank, context in enumerate(rng.sample(range(30), rng.randrange(9)))
    ]
    path = publish(tmp_path, examples=examples)
    expected = sorted(
        (row["context"], row["feature"], row["rank"]) for row in examples if row["sampler"] == "top"
    )
    assert len(expected) > 100
    assert rows_of(path, "top_contexts") == expected
    assert is_whole(tmp_path)


def test_nothing_is_left_in_work(tmp_path: Path) -> None:
    publish(tmp_path)
    with pytest.raises(ZeroDivisionError), StoreWriter(tmp_path, "one", "run2") as writer:
        writer.append("vocab", pa.Table.from_pylist(ROWS["vocab"]))
        1 / 0  # noqa: B018
    assert [path for path in (tmp_path / "work").rglob("*") if path.is_file()] == []
    assert [path.name for path in (tmp_path / "dictionaries").rglob("*.*")] == ["run1.duckdb"]


def test_the_leftovers_of_a_killed_build_are_dropped(tmp_path: Path) -> None:
    work = tmp_path / "work" / "run1"
    work.mkdir(parents=True)
    for name in ("gathered.duckdb", "gathered.duckdb.wal", "complete.duckdb"):
        (work / f"one.{name}").write_bytes(b"half a file")
    publish(tmp_path)
    assert list(work.iterdir()) == []
    assert is_whole(tmp_path)


def test_rows_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with StoreWriter(tmp_path, "one", "run1") as writer:
        for rows in (pa.table({"nonsense": [1]}), pa.table({"token_id": ["x"]})):
            with pytest.raises(BuildFailed, match="writing table 'vocab' .* stopped"):
                writer.append("vocab", rows)
    assert not (tmp_path / "dictionaries").exists()


def test_a_quote_in_the_path_of_the_store(tmp_path: Path) -> None:
    publish(tmp_path / "it's")
    assert is_whole(tmp_path / "it's")


def test_the_file_is_on_disk_before_its_name_and_the_folders_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []

    def fsync(descriptor: int) -> None:
        steps.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)

    def replace(old: Path, new: Path) -> None:
        steps.append(f"{old.name} -> {new.name}")
        assert not old.with_suffix(".duckdb.wal").exists()  # all of it is in the file
        old.rename(new)

    monkeypatch.setattr(writer_module.os, "fsync", fsync)
    monkeypatch.setattr(writer_module.os, "replace", replace)
    publish(tmp_path / "store")
    names = ["one", "dictionaries", "store"]
    assert steps == ["one.complete.duckdb", "one.complete.duckdb -> run1.duckdb", *names]


@pytest.mark.parametrize("step", range(6))
def test_a_crash_at_any_step_leaves_a_whole_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    publish(tmp_path)
    done = []

    def fault(name: str) -> None:
        real = getattr(os, name)

        def call(*arguments: object) -> None:
            if len(done) == step:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            done.append(name)
            real(*arguments)

        monkeypatch.setattr(writer_module.os, name, call)

    fault("fsync")
    fault("replace")
    if step < 5:
        with pytest.raises(BuildFailed, match="No space left on device"):
            publish(tmp_path, run_id="run2", built_at=LATER)
    else:
        publish(tmp_path, run_id="run2", built_at=LATER)
    assert is_whole(tmp_path)
    served = Store(tmp_path).dictionary("one").run_id
    assert served == ("run2" if "replace" in done else "run1")


def test_a_full_disk_at_any_size_leaves_a_whole_store(tmp_path: Path) -> None:
    publish(tmp_path)
    vocab = [{"token_id": i, "token": f"token {i * 7919 % 50021}"} for i in range(50_000)]
    stages = set()
    for limit in (5_000, 100_000, 500_000, 900_000, 1_300_000, 1_700_000, 20_000_000):
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, unlimited[1]))
        try:
            publish(tmp_path, run_id="run2", built_at=LATER, vocab=vocab)
        except BuildFailed as error:
            assert "free space" in str(error)
            stages.add(str(error).split(" for ")[0])
        else:
            stages.add("done")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        assert is_whole(tmp_path)
        assert Store(tmp_path).dictionary("one").run_id == ("run2" if "done" in stages else "run1")
    assert stages == {"preparing the file", "writing table 'vocab'", "publishing", "done"}
    assert Store(tmp_path).dictionary("one").tables["vocab"]["rows"] == 50_000


PUBLISHER = """
import os, signal, sys, time
from pathlib import Path
import pandas  # DuckDB loads it at its first use, which in a child would be most of its life
from tests.small_store import ROWS, publish
store, rows = Path(sys.argv[1]), {"vocab": ROWS["vocab"] * 1000}
for line in sys.stdin:  # a run and how many seconds it may live
    run, seconds = line.split()
    child = os.fork()
    if child == 0:
        publish(store, run_id=run, built_at=f"2026-02-{int(run):02}", **rows)
        os._exit(0)
    if float(seconds) >= 0:
        time.sleep(float(seconds))
        os.kill(child, signal.SIGKILL)
    started = time.monotonic()
    os.waitpid(child, 0)
    print(time.monotonic() - started, flush=True)
"""
"""Publishes in children that are forked, so that Python starts once."""


def test_kill_at_any_moment_leaves_a_whole_store(tmp_path: Path) -> None:
    publish(tmp_path, run_id="00", built_at="2026-01-01")
    command = [sys.executable, "-c", PUBLISHER, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:

        def run(name: str, seconds: float) -> float:
            process.stdin.write(f"{name} {seconds}\n")
            process.stdin.flush()
            return float(process.stdout.readline())

        duration = run("01", -1)
        served, n_published = "01", 0
        for i in range(2, 18):
            run(f"{i:02}", duration * (i - 1.5) / 15)
            before, served = served, Store(tmp_path).dictionary("one").run_id
            assert served in (before, f"{i:02}")
            assert is_whole(tmp_path)
            n_published += served != before
        assert n_published < 16  # else no kill came in time
        run("18", -1)
        process.stdin.close()
    assert Store(tmp_path).dictionary("one").run_id == "18"
    assert list((tmp_path / "work" / "18").iterdir()) == []


def test_the_manifest_is_the_last_row_and_holds_what_it_was_given(tmp_path: Path) -> None:
    path = publish(tmp_path)
    with duckdb.connect(str(path), read_only=True) as connection:
        row = connection.table("manifest").to_arrow_table().to_pylist()[0]
    given = manifest("one", "run1", "2026-01-01T00:00:00+00:00")
    as_json = {key: json.dumps(v) if isinstance(v, dict) else v for key, v in given.items()}
    assert {key: row[key] for key in given} == as_json
