import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from featurestore import open_files
from featurestore.dictionary_file import DictionaryFile
from featurestore.errors import DamagedStore, StoreError
from featurestore.open_files import FilesTogether, OpenFiles
from featurestore.pair_file import PairFile
from featurestore.small_file import write_whole
from tests.damage import damaged
from tests.small_store import publish
from tests.test_pair_file import PAIR

COUNT = "select count(*) as n from matches"
SLOW = "select max(hash(a.range, b.range)) as n from range(3000) a, range(30000) b, matches"


def write(folder: Path, name: str, n_rows: int = 1) -> Path:
    """A pair's file with as many rows."""
    path = folder / "pairs" / f"{name}--other.duckdb"
    (folder / "work").mkdir(exist_ok=True)
    row = {"side": "a", "feature": 0, "rank": 0, "other": 1, "cosine": 0.5, "is_matched": True}
    rows = pa.Table.from_pylist([row | {"feature": i} for i in range(n_rows)])
    write_whole(PairFile, path, folder / "work", PAIR, rows)
    return path


@pytest.fixture
def together(tmp_path: Path) -> FilesTogether[PairFile]:
    return FilesTogether(PairFile, tmp_path / "pairs")


def n_open() -> int:
    """Files of pairs that this process has open."""
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        try:
            found += "--other.duckdb" in os.readlink(each)
        except FileNotFoundError:  # the one that lists them
            continue
    return found


def test_a_file_is_opened_once_and_again_if_another_stands_there(tmp_path: Path) -> None:
    path = publish(tmp_path)
    files = OpenFiles(DictionaryFile)
    first = files.get(path)
    assert files.get(path) is first
    assert publish(tmp_path, built_at="2027-01-01") == path
    assert files.get(path).info.built_at == "2027-01-01"
    path.write_bytes(b"nothing")
    with pytest.raises(DamagedStore):
        files.get(path)
    files.close()


def test_files_that_are_gone_are_let_go(tmp_path: Path) -> None:
    path, other = publish(tmp_path, "one", "run1"), publish(tmp_path, "two", "run2")
    files = OpenFiles(DictionaryFile)
    first, second = files.get(path), files.get(other)
    files.forget_all_but({other})
    assert files.get(other) is second
    assert files.get(path) is not first
    files.close()
    assert files.get(path).info.dictionary_id == "one"
    files.close()


def test_files_together_are_each_their_own(
    tmp_path: Path, together: FilesTogether[PairFile]
) -> None:
    paths = [write(tmp_path, f"run{n}", n) for n in range(1, 6)]
    for _ in range(2):
        assert [together.get(path).rows(COUNT)[0]["n"] for path in paths] == [1, 2, 3, 4, 5]
    assert n_open() == 5
    together.close()
    assert n_open() == 0
    assert together.get(paths[2]).rows(COUNT) == [{"n": 3}]
    together.close()


def test_a_relative_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "it's", 2)
    monkeypatch.chdir(tmp_path)
    files = FilesTogether(PairFile, Path("pairs"))
    assert files.get(Path("pairs/it's--other.duckdb")).rows(COUNT) == [{"n": 2}]
    files.close()


def test_nothing_else_can_be_reached(tmp_path: Path, together: FilesTogether[PairFile]) -> None:
    file = together.get(write(tmp_path, "run1"))
    (tmp_path / "secret.csv").write_text("x\n1\n")
    elsewhere = publish(tmp_path)
    for statement in (
        f"select * from read_csv('{tmp_path}/secret.csv')",
        f"select * from read_csv('{tmp_path}/pairs/../secret.csv')",
        f"copy (select 1) to '{tmp_path}/stolen.csv'",
        f"attach '{elsewhere}' as x (read_only)",
        "set enable_external_access = true",
        "set allowed_directories = ['/']",
        "install httpfs",
        "insert into matches select * from matches",
        "drop table matches",
    ):
        with pytest.raises(StoreError):
            file.rows(statement)
    assert not (tmp_path / "stolen.csv").exists()
    assert together.get(tmp_path / "pairs" / "run1--other.duckdb").rows(COUNT) == [{"n": 1}]
    together.close()


def test_another_file_in_its_place_while_a_question_is_under_way(
    tmp_path: Path, together: FilesTogether[PairFile]
) -> None:
    path = write(tmp_path, "run1", 2)
    file = together.get(path)
    expected = file.rows(SLOW)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(file.rows, SLOW)
        write(tmp_path, "run1", 3)
        assert together.get(path).rows(COUNT) == [{"n": 3}]
        assert file.rows(COUNT) == [{"n": 2}]  # held by who asks on, as it was
        assert asked.result() == expected
    del file, asked
    assert n_open() == 1
    together.close()


def test_a_damaged_file_leaves_the_others(
    tmp_path: Path, together: FilesTogether[PairFile]
) -> None:
    good, bad = write(tmp_path, "run1", 4), write(tmp_path, "run2", 500)
    file, told = together.get(good), 0
    for copy in damaged(bad.read_bytes(), 60):
        bad.unlink()
        bad.write_bytes(copy)
        try:
            together.get(bad).n_rows("from matches")
        except DamagedStore as error:
            told += str(bad) in str(error) and "match the two dictionaries again" in str(error)
        assert file.rows(COUNT) == [{"n": 4}]
    assert told > 20
    assert together.get(good) is file
    write(tmp_path, "run2", 6)
    assert together.get(bad).rows(COUNT) == [{"n": 6}]
    together.close()


def test_the_others_are_opened_anew_if_their_duckdb_has_ended(
    tmp_path: Path, together: FilesTogether[PairFile]
) -> None:
    one, other = write(tmp_path, "run1", 1), write(tmp_path, "run2", 2)
    first = together.get(one)
    together._shared.close()
    assert together.get(other).rows(COUNT) == [{"n": 2}]
    assert together.get(one) is not first
    assert together.get(one).rows(COUNT) == [{"n": 1}]
    together.close()


def test_only_so_many_stay_open(
    tmp_path: Path, together: FilesTogether[PairFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_files, "MOST_TOGETHER", 3)
    paths = [write(tmp_path, f"run{n}", n + 1) for n in range(5)]
    kept = together.get(paths[0])
    for n in (1, 2, 0, 3, 4):
        assert together.get(paths[n]).rows(COUNT) == [{"n": n + 1}]
    assert together.get(paths[0]) is kept  # it was asked for since
    assert n_open() == 3
    together.close()


def test_threads_agree(tmp_path: Path, together: FilesTogether[PairFile]) -> None:
    """Files are asked, replaced by others of the same rows, and let go of, all at once."""
    paths = [write(tmp_path, f"run{n}", n + 1) for n in range(6)]
    over = threading.Event()

    def replace() -> None:
        while not over.is_set():
            write(tmp_path, "run3", 4)
            together.forget_all_but(paths[::2])

    def ask(n: int) -> int:
        return together.get(paths[n % 6]).rows(COUNT)[0]["n"]

    with ThreadPoolExecutor(5) as pool:
        replacing = pool.submit(replace)
        try:
            assert list(pool.map(ask, range(300))) == [n % 6 + 1 for n in range(300)]
        finally:
            over.set()
        replacing.result()
    together.close()
    assert n_open() == 0
