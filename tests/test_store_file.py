"""An open file reaches nothing else, and a question to it ends."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from featurestore import store_file
from featurestore.dictionary_file import DictionaryFile
from featurestore.errors import DamagedStore, StoreError, TooSlow, UnknownDictionary
from featurestore.records import FeatureQuery
from featurestore.store import Store
from featurestore.verify import verify
from tests.small_store import publish

QUERY = FeatureQuery("one")


@pytest.mark.parametrize(
    "statement",
    [
        "select * from read_csv('/etc/passwd')",
        "select * from read_text('/etc/passwd')",
        "select * from read_blob('/etc/passwd')",
        "select * from read_json('/etc/passwd')",
        "select * from read_parquet('/etc/passwd')",
        "select * from '/etc/passwd.csv'",
        "select * from glob('/etc/*')",
        "select * from sniff_csv('/etc/passwd')",
        "copy (select 1) to '{folder}/out.csv'",
        "copy (select 1) to '{folder}/out.parquet'",
        "copy vocab from '/etc/passwd'",
        "export database '{folder}/out'",
        "import database '{folder}/out'",
        "attach '{folder}/out.duckdb'",
        "attach '{folder}/out.duckdb' (read_only)",
        "set memory_limit = '9GB'",
        "set enable_external_access = true",
        "set lock_configuration = false",
        "set temp_directory = '{folder}'",
        "reset threads",
        "pragma enable_profiling = 'json'",
        "install httpfs",
        "load httpfs",
        "select getenv('HOME')",
        "create table t (a int)",
        "insert into vocab values (9, 'x')",
        "update vocab set token = 'x'",
        "delete from vocab",
        "drop table vocab",
    ],
)
def test_the_connection_reaches_nothing_else(small: Store, statement: str) -> None:
    (path,) = small.folder.glob("dictionaries/*/*.duckdb")
    before = path.read_bytes()
    with pytest.raises(StoreError):
        small._served._files.get(path).rows(statement.format(folder=small.folder))
    assert path.read_bytes() == before
    assert not list(small.folder.glob("out*"))
    assert small.feature("one", 0).n_active == 5


def test_the_connection_sees_no_variables(small: Store) -> None:
    """DuckDB reads a table's name as a Python variable's, unless told not to."""
    frame = pa.table({"a": [1]})
    assert duckdb.connect().execute("select * from frame").fetchall() == [(1,)]
    (path,) = small.folder.glob("dictionaries/*/*.duckdb")
    with pytest.raises(duckdb.CatalogException, match="frame does not exist"):
        small._served._files.get(path)._connection.execute("select * from frame")
    assert frame.num_rows == 1


HOSTILE = ["'", '"', "';--", "' or '1'='1", "\\", "%' or 1=1 --", "a') or (1=1", "?", "$1", "{}"]
HOSTILE += ["' union select * from read_text('/etc/passwd') --", "); drop table features; --"]


@pytest.mark.parametrize("text", HOSTILE)
def test_sql_in_a_text_is_just_text(small: Store, text: str) -> None:
    for role in ("promotes", "suppresses", "peaks on"):
        page = small.features(replace(QUERY, token=text, role=role))
        assert page.rows == ()
        assert page.matched_tokens == (('"',) if text == '"' else ())
    assert small.bands("one", 0, text) == ()
    for changes in ({"sort": text}, {"role": text, "token": "cat"}, {"ranges": ((text, 0, 1),)}):
        with pytest.raises(StoreError):
            small.features(replace(QUERY, **changes))
    with pytest.raises(UnknownDictionary):
        small.feature(text, 0)
    assert not any(finding.faults for finding in verify(small.folder))


@pytest.mark.parametrize(
    "statement",
    [
        "select count(*) from range(10000000) a, range(10000000) b where a.range = -b.range",
        "select max(hash(a.range, b.range)) from range(10000000) a, range(10000000) b",
        "select sum(length(regexp_replace(repeat('a', 5000), '(a+)+$', range::varchar))) "
        "from range(100000000)",
    ],
)
def test_a_question_without_end_is_stopped(
    small: Store, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    monkeypatch.setattr(store_file, "QUERY_LIMIT_S", 0.3)
    (path,) = small.folder.glob("dictionaries/*/*.duckdb")
    started = time.monotonic()
    with pytest.raises(StoreError, match=r"longer than 0\.3 s") as caught:
        small._served._files.get(path).rows(statement)
    assert not isinstance(caught.value, DamagedStore)
    assert time.monotonic() - started < 3
    assert small.feature("one", 0).n_active == 5


def test_questions_have_limits_of_their_own(small: Store) -> None:
    """One thread watches over all: a short limit ends one question, and leaves the others be."""
    (path,) = small.folder.glob("dictionaries/*/*.duckdb")
    file = small._served._files.get(path)
    endless = "select max(hash(a.range, b.range)) from range(10000000) a, range(10000000) b"
    started = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        short = pool.submit(file.rows, endless, limit_s=0.3)
        long = pool.submit(file.rows, endless, limit_s=1.0)
        with pytest.raises(TooSlow, match=r"longer than 0\.3 s"):
            short.result()
        assert 0.3 <= time.monotonic() - started < 0.7
        with pytest.raises(TooSlow, match="longer than 1 s"):
            long.result()
        assert 1.0 <= time.monotonic() - started < 1.5
    assert store_file.QUERY_LIMIT_S == 5


def test_a_limit_that_passes_just_then_harms_nothing(
    small: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Questions of half a millisecond, a limit of as much: some are stopped, none is damaged."""
    (path,) = small.folder.glob("dictionaries/*/*.duckdb")
    watch, file = store_file._WATCH, small._served._files.get(path)
    monkeypatch.setattr(store_file, "QUERY_LIMIT_S", 0.0005)
    over = threading.Event()

    def interrupt() -> None:
        while not over.is_set():
            watch._interrupt_late_ones()

    with ThreadPoolExecutor(1) as pool:
        interrupting = pool.submit(interrupt)
        for _ in range(300):
            try:
                assert file.rows("select 1 as one") == [{"one": 1}]
            except StoreError as error:
                assert "was stopped" in str(error)
        over.set()
        interrupting.result()
    monkeypatch.undo()
    assert small.feature("one", 0).n_active == 5
    assert watch._running == {}


def test_no_connection_outlives_a_bad_file(tmp_path: Path) -> None:
    """Else a file that was mended in place would go on being served as it was."""
    path = publish(tmp_path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("delete from manifest")
    with pytest.raises(DamagedStore) as caught:
        DictionaryFile(path)
    # a writable connection is refused while any other is open in this process
    duckdb.connect(str(path)).close()
    assert "is not complete" in str(caught.value)  # held until here, and the frames with it


def test_the_settings_are_those_of_the_connection(small: Store) -> None:
    (path,) = small.folder.glob("dictionaries/*/*.duckdb")
    rows = DictionaryFile(path).rows("select name, value from duckdb_settings()")
    found = {row["name"]: row["value"] for row in rows}
    assert found["lock_configuration"] == "true"
    for name in (
        "enable_external_access",
        "python_enable_replacements",
        "autoinstall_known_extensions",
        "autoload_known_extensions",
        "allow_community_extensions",
        "allow_persistent_secrets",
    ):
        assert found[name] == "false", name
