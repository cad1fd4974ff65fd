import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from featurestore import dictionary_file, store_file
from featurestore.dictionary_file import DictionaryFile
from featurestore.errors import (
    DamagedStore,
    StoreError,
    StoreNotFound,
    TooSlow,
    UnknownDictionary,
    UnknownFeature,
)
from featurestore.records import Band, Example, FeatureQuery, Flag, Histogram, LensToken
from featurestore.store import Store
from featurestore.verify import verify
from tests.small_store import ROWS, publish

QUERY = FeatureQuery("one")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """For tests that only ask."""
    folder = tmp_path_factory.mktemp("store")
    publish(folder)
    return Store(folder)


@pytest.fixture
def own(tmp_path: Path) -> Store:
    """For tests that change the store."""
    publish(tmp_path)
    return Store(tmp_path)


def listed(store: Store, **changes: object) -> list[int]:
    return [row.feature for row in store.features(replace(QUERY, **changes)).rows]


# What each method answers, against the rows of small_store


def test_the_catalogue(store: Store) -> None:
    (info,) = store.catalogue().dictionaries
    assert (info.dictionary_id, info.run_id, info.n_features) == ("one", "run1", 5)
    assert (info.family, info.step, info.recipe) == (None, None, {"seed": 0})
    assert not info.is_transcoder
    assert info.tables["vocab"]["rows"] == 8
    assert store.catalogue().problems == ()
    assert store.dictionary("one") == info


def test_a_row_of_the_table(store: Store) -> None:
    page = store.features(QUERY, limit=2)
    assert (page.n_kept, page.n_features, page.matched_tokens) == (4, 5, ())
    row = page.rows[1]
    assert (row.feature, row.n_active, row.density, row.max_activation) == (0, 5, 0.05, 2.0)
    assert row.promoted == ("cat", "dog")
    assert row.peak_tokens == ((" cat", 2), (" Cat", 1), ("cat", 1))
    assert (row.histogram, row.logit_kurtosis, row.is_dead) == ((4, 1), 9.0, False)


def test_a_feature(store: Store) -> None:
    feature = store.feature("one", 0)
    assert feature.promoted == (LensToken("cat", 2.0), LensToken("dog", 1.0))
    assert feature.suppressed == (LensToken("\n", -1.0),)
    assert feature.histogram == Histogram(0.5, 2.0, (4, 1))
    assert feature.logit_histogram == Histogram(-1.0, 2.0, (1, 7))
    assert (feature.mean_activation, feature.skewness, feature.kurtosis) == (1.0, None, 3.0)


def test_a_dead_feature_has_no_numbers(store: Store) -> None:
    feature = store.feature("one", 3)
    assert feature.is_dead
    assert (feature.max_activation, feature.histogram, feature.promoted) == (None, None, ())


def test_bands_hold_their_examples(store: Store) -> None:
    half = 64 / 127
    first = Example(3, "a.txt", 0, ("cat", "dog", " cat"), (0, 3, 1), 2, 2.0, {0: 2 * half, 2: 2.0})
    second = Example(5, "b.txt", 8, ("\n", "\n"), (4, 4), 0, 0.5, {0: 0.5, 1: 1.0})
    assert store.bands("one", 0, "top") == (Band("top", 0, None, 2.0, 5, (first, second)),)
    high, low = store.bands("one", 0, "quantile")
    assert (high.n_band, high.n_sampled) == (3, 0)
    assert low.examples == (replace(second, peak=1, activation=1.0, activations={0: half, 1: 1.0}),)
    assert store.bands("one", 1, "top") == ()


def test_order_has_nulls_last_and_ties_by_feature(store: Store) -> None:
    assert listed(store) == [4, 0, 2, 1]  # density, and no dead one
    assert listed(store, descending=False) == [1, 0, 2, 4]
    assert listed(store, sort="skewness") == [2, 4, 1, 0]
    assert listed(store, sort="skewness", descending=False) == [1, 2, 4, 0]
    assert listed(store, sort="max_activation", include_dead=True) == [1, 4, 0, 2, 3]


def test_ranges_and_flags(store: Store) -> None:
    assert listed(store, ranges=(("max_activation", 2.0, 7.0),)) == [4, 0, 2]  # ends included
    assert listed(store, ranges=(("skewness", None, 0.5), ("feature", 2, None))) == [4, 2]
    assert listed(store, flags=frozenset({Flag.DEAD})) == [3]
    assert listed(store, flags=frozenset({Flag.DENSE, Flag.NONFINITE})) == [4]
    assert listed(store, include_dead=True) == [4, 0, 2, 1, 3]


@pytest.mark.parametrize(
    ("token", "matched", "promoted"),
    [
        ("cat", ("cat", " cat", " Cat"), [0, 1]),
        ("  CAT ", ("cat", " cat", " Cat"), [0, 1]),
        ('" cat"', (" cat",), [1]),
        ('" CAT"', (), []),
        ("ca", (), []),
        ('"', ('"',), []),
        ("%", ("%",), []),  # no pattern
        ("_", (), []),
        ("'; drop table vocab; --", ("'; drop table vocab; --",), [4]),
        ("\0", (), []),
        ("\ud800", (), []),  # half a surrogate pair is no text
        ("x" * 100_000, (), []),
    ],
)
def test_token_search(
    store: Store, token: str, matched: tuple[str, ...], promoted: list[int]
) -> None:
    page = store.features(replace(QUERY, token=token))
    assert page.matched_tokens == matched
    assert sorted(row.feature for row in page.rows) == promoted


def test_roles_of_a_token(store: Store) -> None:
    assert listed(store, token="dog", role="promotes") == [0]
    assert listed(store, token="dog", role="suppresses") == [2]
    assert listed(store, token="dog", role="peaks on") == [1]


# Questions that have no answer


def test_the_unknown_is_named_beside_what_there_is(own: Store) -> None:
    publish(own.folder, "two")
    for wrong in ("three", "", "../one", "one'; drop table features; --", "\0", "\ud800"):
        with pytest.raises(UnknownDictionary, match=r"It has: one, two\."):
            own.features(FeatureQuery(wrong))
    for wrong in (5, -1, 2**31, 2**63, 10**400):
        for method in (own.feature, lambda *key: own.bands(*key, "top")):
            with pytest.raises(UnknownFeature, match=r"in 'one': its features are 0 to 4\."):
                method("one", wrong)


@pytest.mark.parametrize(
    ("changes", "limit", "offset"),
    [
        ({}, -1, 0),
        ({}, 1, -1),
        ({}, 1, 10**30),
        ({"ranges": (("n_active", None, 10**400),)}, 1, 0),
        ({"ranges": (("n_active", "x' or '1", None),)}, 1, 0),
        ({"ranges": (("density", math.nan, None),)}, 1, 0),
        ({"ranges": (("density", 0.0, math.nan),)}, 1, 0),
    ],
)
def test_a_bad_question_is_not_blamed_on_the_file(
    store: Store, changes: dict, limit: int, offset: int
) -> None:
    with pytest.raises(StoreError) as caught:
        store.features(replace(QUERY, **changes), limit, offset)
    assert not isinstance(caught.value, DamagedStore)
    assert "Delete" not in str(caught.value)


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFound, match="Build one: python -m featurestore build"):
        Store(tmp_path).catalogue()
    (tmp_path / "dictionaries").mkdir()
    assert Store(tmp_path).catalogue().dictionaries == ()
    with pytest.raises(UnknownDictionary, match="It has: none"):
        Store(tmp_path).dictionary("one")


# The store while it changes


def test_the_newest_run_is_served_at_once(own: Store) -> None:
    publish(own.folder, run_id="a", built_at="2026-03-01")
    assert own.dictionary("one").run_id == "a"
    changed = [row | {"n_active": row["n_active"] + 1} for row in ROWS["features"]]
    path = publish(own.folder, run_id="b", built_at="2026-04-01", features=changed)
    assert own.dictionary("one").run_id == "b"
    assert own.feature("one", 0).n_active == 6
    path.unlink()
    assert own.dictionary("one").run_id == "a"
    assert own.feature("one", 0).n_active == 5


def test_a_deleted_dictionary_is_gone_and_let_go_of(own: Store) -> None:
    (path,) = own.folder.glob("dictionaries/*/*.duckdb")
    own.feature("one", 0)
    path.unlink()
    with pytest.raises(UnknownDictionary):
        own.feature("one", 0)
    assert own._served._files._open == {}


def test_a_file_that_was_replaced_is_read_anew(own: Store) -> None:
    """DuckDB goes on serving the old bytes of a path while any connection to it is open."""
    own.feature("one", 0)
    (own.folder / "dictionaries/one/run1.duckdb").unlink()
    publish(own.folder, features=[row | {"n_active": 9} for row in ROWS["features"]])
    assert own.feature("one", 0).n_active == 9


def test_closing_is_no_end(own: Store) -> None:
    own.catalogue()
    own.close()
    assert own.feature("one", 0).feature == 0


# Files that cannot be served


def damaged(good: Path, name: str, content: bytes) -> Path:
    path = good.parents[1] / name / "run1.duckdb"
    path.parent.mkdir()
    path.write_bytes(content)
    return path


def test_a_damaged_file_is_reported_and_takes_nothing_down(own: Store) -> None:
    (good,) = own.folder.glob("dictionaries/*/*.duckdb")
    whole = good.read_bytes()
    contents = [whole[:size] for size in (0, 1, 100, 4095, 4096, 12_288, 70_000, len(whole) // 2)]
    contents += [b"<html><body>404</body></html>", b"just a text\n" * 1000, bytes(len(whole))]
    for offset in (0, 8, 20, 100):  # the header
        contents.append(whole[:offset] + bytes([whole[offset] ^ 1]) + whole[offset + 1 :])
    for i, content in enumerate(contents):
        damaged(good, f"bad-{i:02}", content)
    (good.parents[1] / "stray.txt").write_text("no folder")
    catalogue = own.catalogue()
    assert [info.dictionary_id for info in catalogue.dictionaries] == ["one"]
    assert [p.dictionary_id for p in catalogue.problems] == [
        f"bad-{i:02}" for i in range(len(contents))
    ]
    for problem in catalogue.problems:
        assert problem.path in problem.reason
        assert "Delete it and build the dictionary again" in problem.reason
    with pytest.raises(DamagedStore, match="Delete it"):
        own.feature("bad-00", 0)
    assert own.feature("one", 0).n_active == 5


def test_a_flipped_bit_is_found_or_changes_nothing(store: Store, tmp_path: Path) -> None:
    (good,) = store.folder.glob("dictionaries/*/*.duckdb")
    whole, n_found = good.read_bytes(), 0
    for i in range(40):
        offset = (2 * i + 1) * len(whole) // 80
        folder = tmp_path / f"flipped-{i}" / "dictionaries" / "one"
        folder.mkdir(parents=True)
        flipped = whole[:offset] + bytes([whole[offset] ^ 16]) + whole[offset + 1 :]
        (folder / "run1.duckdb").write_bytes(flipped)
        (finding,) = verify(folder.parents[1])
        n_found += bool(finding.faults)
        broken = Store(folder.parents[1])
        try:
            answers = [broken.feature("one", 0), broken.bands("one", 0, "top")]
            assert answers == [store.feature("one", 0), store.bands("one", 0, "top")]
        except DamagedStore as error:
            assert finding.faults
            assert "Delete it" in str(error)
        broken.close()
    assert n_found > 30


def test_other_versions_and_unfinished_files_are_problems(own: Store) -> None:
    (good,) = own.folder.glob("dictionaries/*/*.duckdb")
    changes = {
        "older": "update manifest set schema_version = 0",
        "unfinished": "delete from manifest",
        "foreign": "drop table manifest; create table manifest (a int); insert into manifest "
        "values (1)",
        "no-manifest": "drop table manifest",
        "renamed": "select 1",
    }
    for name, statement in changes.items():
        path = damaged(good, name, good.read_bytes())
        with duckdb.connect(str(path)) as connection:
            connection.execute(statement)
    reasons = {p.dictionary_id: p.reason for p in own.catalogue().problems}
    assert f"version 0; this program reads {dictionary_file.SCHEMA_VERSION}." in reasons["older"]
    assert "is not complete" in reasons["unfinished"]
    assert "schema version None" in reasons["foreign"]
    assert "cannot be read" in reasons["no-manifest"]
    assert "holds dictionary 'one'. Move it into" in reasons["renamed"]
    assert [info.dictionary_id for info in own.catalogue().dictionaries] == ["one"]


def test_an_older_run_is_served_in_place_of_a_damaged_one(own: Store) -> None:
    (own.folder / "dictionaries" / "one" / "run2.duckdb").write_bytes(b"x" * 5000)
    assert own.dictionary("one").run_id == "run1"
    assert len(own.catalogue().problems) == 1


# The connection


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
def test_the_connection_reaches_nothing_else(store: Store, statement: str) -> None:
    (path,) = store.folder.glob("dictionaries/*/*.duckdb")
    before = path.read_bytes()
    with pytest.raises(StoreError):
        store._served._files.get(path).rows(statement.format(folder=store.folder))
    assert path.read_bytes() == before
    assert not list(store.folder.glob("out*"))
    assert store.feature("one", 0).n_active == 5


def test_the_connection_sees_no_variables(store: Store) -> None:
    """DuckDB reads a table's name as a Python variable's, unless told not to."""
    frame = pa.table({"a": [1]})
    assert duckdb.connect().execute("select * from frame").fetchall() == [(1,)]
    (path,) = store.folder.glob("dictionaries/*/*.duckdb")
    with pytest.raises(duckdb.CatalogException, match="frame does not exist"):
        store._served._files.get(path)._connection.execute("select * from frame")
    assert frame.num_rows == 1


HOSTILE = ["'", '"', "';--", "' or '1'='1", "\\", "%' or 1=1 --", "a') or (1=1", "?", "$1", "{}"]
HOSTILE += ["' union select * from read_text('/etc/passwd') --", "); drop table features; --"]


@pytest.mark.parametrize("text", HOSTILE)
def test_sql_in_a_text_is_just_text(store: Store, text: str) -> None:
    for role in ("promotes", "suppresses", "peaks on"):
        page = store.features(replace(QUERY, token=text, role=role))
        assert page.rows == ()
        assert page.matched_tokens == (('"',) if text == '"' else ())
    assert store.bands("one", 0, text) == ()
    for changes in ({"sort": text}, {"role": text, "token": "cat"}, {"ranges": ((text, 0, 1),)}):
        with pytest.raises(StoreError):
            store.features(replace(QUERY, **changes))
    with pytest.raises(UnknownDictionary):
        store.feature(text, 0)
    assert not any(finding.faults for finding in verify(store.folder))


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
    store: Store, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    monkeypatch.setattr(store_file, "QUERY_LIMIT_S", 0.3)
    (path,) = store.folder.glob("dictionaries/*/*.duckdb")
    started = time.monotonic()
    with pytest.raises(StoreError, match=r"longer than 0\.3 s") as caught:
        store._served._files.get(path).rows(statement)
    assert not isinstance(caught.value, DamagedStore)
    assert time.monotonic() - started < 3
    assert store.feature("one", 0).n_active == 5


def test_questions_have_limits_of_their_own(store: Store) -> None:
    """One thread watches over all: a short limit ends one question, and leaves the others be."""
    (path,) = store.folder.glob("dictionaries/*/*.duckdb")
    file = store._served._files.get(path)
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
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Questions of half a millisecond, a limit of as much: some are stopped, none is damaged."""
    (path,) = store.folder.glob("dictionaries/*/*.duckdb")
    watch, file = store_file._WATCH, store._served._files.get(path)
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
    assert store.feature("one", 0).n_active == 5
    assert watch._running == {}


def test_threads_agree(own: Store) -> None:
    publish(own.folder, "two")

    def ask(i: int) -> tuple:
        query = FeatureQuery(("one", "two")[i % 2], token="cat" if i % 3 else "")
        page = own.features(query)
        return page, own.place(query, 0), own.bands(query.dictionary_id, 0, "top")

    alone = [ask(i) for i in range(6)]
    own.close()
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(ask, range(240)))
    assert all(answer == alone[i % 6] for i, answer in enumerate(together))


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


def test_the_settings_are_those_of_the_connection(store: Store) -> None:
    (path,) = store.folder.glob("dictionaries/*/*.duckdb")
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
