import os
import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from featurestore.annotations.database import Database, default_url
from featurestore.annotations.log import AnnotationLog
from featurestore.annotations.records import Verdict
from featurestore.errors import AnnotationsError
from tests.annotations.drafts import DIGEST, draft

ROOT = Path(__file__).parent.parent.parent
IN_THE_BOX = "Nothing was saved, and the text is still in the box"


def labels(url: str, feature: int = 7) -> list[str]:
    """What a program that starts now finds of a feature."""
    database = Database(url)
    history = AnnotationLog(database).history(DIGEST, feature)
    database.close()
    return [event.content.label for event in history]


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's right to write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user of this machine may look into."""
    folder = Path(tempfile.mkdtemp(prefix="annotations-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_before_the_first_save_there_is_nothing_and_no_file(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        for read_only in (False, True):
            log = AnnotationLog(Database(default_url(folder), read_only))
            assert log.current(DIGEST) == log.verdicts(DIGEST) == log.counts(DIGEST) == {}
            assert log.history(DIGEST, 7) == log.conflicts() == log.agreement() == ()
            assert log.undone(DIGEST, 7) is None
    assert list(tmp_path.iterdir()) == []


def test_an_empty_server_answers_as_if_empty(url: str, log: AnnotationLog) -> None:
    assert log.all_current() == ()
    with log.database.writing():
        pass
    assert log.all_current() == ()


def test_a_read_only_database_reads_and_refuses_to_write(url: str, log: AnnotationLog) -> None:
    event = log.append(draft(label="kept"))
    read_only = Database(url, read_only=True)
    assert AnnotationLog(read_only).current(DIGEST) == {7: event}
    with pytest.raises(AnnotationsError, match="open for reading only"):
        AnnotationLog(read_only).append(draft(seen=1))
    read_only.close()
    assert labels(url) == ["kept"]


def test_the_view_is_in_the_database(url: str, log: AnnotationLog) -> None:
    log.append(draft(label="first"))
    log.append(draft(seen=1, label="second", verdict=Verdict.JUNK))
    log.append(draft(seen=1, label="too late"))
    with log.database.reading() as connection:
        rows = connection.execute(text("select feature, label, verdict from annotations")).all()
    assert rows == [(7, "second", "junk")]


def test_folders_of_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "wh?t #1 100% é&=;'"
    folder.mkdir()
    log = AnnotationLog(Database(default_url(folder)))
    event = log.append(draft(label="found"))
    assert [path.name for path in folder.iterdir()] == ["annotations.sqlite"]
    assert AnnotationLog(Database(default_url(folder), True)).current(DIGEST) == {7: event}


def test_a_file_put_in_its_place_is_read_at_once(tmp_path: Path) -> None:
    log = AnnotationLog(Database(default_url(tmp_path)))
    file = tmp_path / "annotations.sqlite"
    log.append(draft(label="first"))
    shutil.copy(file, tmp_path / "copy")  # the file alone is a whole copy
    log.append(draft(seen=1, label="second"))
    os.replace(tmp_path / "copy", file)
    assert [event.content.label for event in log.history(DIGEST, 7)] == ["first"]
    file.unlink()
    assert log.history(DIGEST, 7) == ()
    assert log.append(draft(label="anew")).revision == 1


def test_what_is_saved_is_on_disk(tmp_path: Path) -> None:
    database = Database(default_url(tmp_path))
    with database.writing() as connection:
        assert connection.exec_driver_sql("pragma journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("pragma synchronous").scalar() == 2


def test_an_error_within_undoes_all(url: str, log: AnnotationLog) -> None:
    log.append(draft(label="kept"))
    with pytest.raises(ZeroDivisionError), log.database.writing() as connection:
        connection.execute(text("delete from events"))
        raise ZeroDivisionError
    assert labels(url) == ["kept"]


def test_newer_tables_are_refused(url: str, log: AnnotationLog) -> None:
    log.append(draft())
    with log.database.writing() as connection:
        connection.execute(text("update meta set value = 2"))
    with pytest.raises(AnnotationsError, match="of version 2; this program knows version 1"):
        log.current(DIGEST)
    with pytest.raises(AnnotationsError, match="of version 2"):
        log.append(draft())


def test_many_threads_make_and_use_one_database(url: str, database: Database) -> None:
    """As Streamlit's sessions do; the first ones all find no table."""
    start = threading.Barrier(8)
    failed = []

    def use(number: int) -> None:
        log = AnnotationLog(database)
        start.wait()
        try:
            for i in range(4):
                log.append(draft(number, i, f"{i}"))
                log.current(DIGEST)
        except AnnotationsError as error:
            failed.append(error)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    current = AnnotationLog(database).current(DIGEST)
    assert {feature: event.revision for feature, event in current.items()} == dict.fromkeys(
        range(8), 4
    )


def test_another_program_holds_the_file(tmp_path: Path) -> None:
    url = default_url(tmp_path)
    log = AnnotationLog(Database(url, patience=0.2))
    log.append(draft(label="kept"))
    late = draft(seen=1, label="late")
    holder = sqlite3.connect(tmp_path / "annotations.sqlite", isolation_level=None)
    holder.execute("begin immediate")
    start = time.monotonic()
    with pytest.raises(AnnotationsError) as caught:
        log.append(late)
    assert 0.1 < time.monotonic() - start < 3
    assert str(caught.value) == (
        f"'{tmp_path}/annotations.sqlite' is held by another program for more than 0.2 s. "
        f"{IN_THE_BOX}. Wait a moment and save it again."
    )
    assert [event.content.label for event in log.history(DIGEST, 7)] == ["kept"]  # reading goes on
    holder.execute("rollback")
    holder.close()
    log.append(late)
    assert labels(url) == ["kept", "late"]


def test_another_program_holds_the_table(postgres_url: str) -> None:
    log = AnnotationLog(Database(postgres_url, patience=0.2))
    log.append(draft(label="kept"))
    late = draft(seen=1, label="late")
    with psycopg.connect(postgres_url) as holder:
        holder.execute("lock table events in exclusive mode")
        with pytest.raises(AnnotationsError, match=r"held by another .* more than 0.2 s"):
            log.append(late)
        holder.rollback()
    log.append(late)
    log.database.close()
    assert labels(postgres_url) == ["kept", "late"]


FILL = """
import resource, signal, sys
from featurestore.annotations.database import Database
from featurestore.annotations.log import AnnotationLog
from featurestore.errors import AnnotationsError
from tests.annotations.drafts import draft
url, limit = sys.argv[1:]
if int(limit):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
log = AnnotationLog(Database(url))
for i in range(1000):
    try:
        log.append(draft(7, i, f"{i}", note="n" * 10_000))
    except AnnotationsError as error:
        print(i, error, sep="\\n")
        break
"""


def fill(url: str, limit: int) -> tuple[int, str]:
    """Save until there is no space; how many could be, and what was said then."""
    command = [sys.executable, "-c", FILL, url, str(limit)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    n, message = done.stdout.splitlines()
    return int(n), message


def check_full(folder: Path, limit: int) -> str:
    """A full disk loses nothing that was saved; the message."""
    url = default_url(folder)
    n, message = fill(url, limit)
    assert n > 3
    assert IN_THE_BOX in message and "Free space there" in message
    assert labels(url) == [str(i) for i in range(n)]
    return message


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    message = check_full(tmp_path, 256 * 1024)
    assert "cannot be read or written: its disk is full or fails" in message
    url = default_url(tmp_path)
    n = len(labels(url))
    AnnotationLog(Database(url)).append(draft(seen=n, label="space again", uid="of its own"))
    assert labels(url)[-1] == "space again"


def test_a_full_disk(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user may not mount a small disk")
    try:
        assert "cannot grow: the database or disk is full" in check_full(tmp_path, 0)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_folder_that_may_only_be_read(open_folder: Path) -> None:
    """The file cannot have SQLite's shared file beside it: it is read all the same."""
    url = default_url(open_folder)
    event = AnnotationLog(Database(url)).append(draft(label="kept"))
    file = open_folder / "annotations.sqlite"
    file.chmod(0o444)
    open_folder.chmod(0o555)
    before = sorted(path.name for path in open_folder.iterdir())
    with as_nobody():
        for read_only in (False, True):
            assert AnnotationLog(Database(url, read_only)).current(DIGEST) == {7: event}
        with pytest.raises(AnnotationsError, match=f"may not be written to. {IN_THE_BOX}"):
            AnnotationLog(Database(url)).append(draft(seen=1, label="lost?"))
    assert sorted(path.name for path in open_folder.iterdir()) == before
    assert file.stat().st_mode & 0o777 == 0o444
    assert labels(url) == ["kept"]


def test_a_log_of_changes_that_cannot_be_read_is_not_passed_over(open_folder: Path) -> None:
    """A program died, and its last save is not folded into the file yet."""
    url = default_url(open_folder)
    AnnotationLog(Database(url)).append(draft(label="first"))
    file = open_folder / "annotations.sqlite"
    other = sqlite3.connect(file)  # keeps the log from being folded in
    other.execute("select * from events").fetchall()
    AnnotationLog(Database(url)).append(draft(seen=1, label="second"))
    kept = Path(f"{file}-wal").read_bytes()
    other.close()
    Path(f"{file}-wal").write_bytes(kept)
    open_folder.chmod(0o555)
    with as_nobody(), pytest.raises(AnnotationsError, match="cannot be opened"):
        AnnotationLog(Database(url)).history(DIGEST, 7)
    open_folder.chmod(0o755)
    assert labels(url) == ["first", "second"]


def test_a_folder_where_no_file_can_be_made(open_folder: Path) -> None:
    for folder in (open_folder / "nowhere", open_folder):
        log = AnnotationLog(Database(default_url(folder)))
        open_folder.chmod(0o555)
        with as_nobody(), pytest.raises(AnnotationsError, match="cannot be opened: its folder"):
            log.append(draft())
        assert list(open_folder.iterdir()) == []


def test_a_folder_that_may_not_be_looked_into_is_not_an_empty_one(open_folder: Path) -> None:
    log = AnnotationLog(Database(default_url(open_folder)))
    log.append(draft())
    open_folder.chmod(0o700)
    if os.geteuid() != 0:
        open_folder.chmod(0)
    with as_nobody(), pytest.raises(AnnotationsError, match="cannot be opened"):
        log.current(DIGEST)


@pytest.mark.parametrize("content", [b"no database at all " * 100, None])
def test_a_damaged_file(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "annotations.sqlite"
    log = AnnotationLog(Database(default_url(tmp_path)))
    for i in range(30):
        log.append(draft(7, i, f"{i}", note="n" * 1000))
    damaged = file.read_bytes()[:4096] + b"\xff" * 40_000 if content is None else content
    file.write_bytes(damaged)
    for ask in (lambda: log.history(DIGEST, 7), lambda: log.append(draft(seen=30))):
        with pytest.raises(AnnotationsError, match=r"damaged.*Move the file away or put a copy"):
            ask()
    assert file.read_bytes() == damaged


def test_a_server_that_cannot_be_reached() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"postgres://ann:hunter2@127.0.0.1:{port}/notes"
    log = AnnotationLog(Database(url))
    for ask in (lambda: log.current(DIGEST), lambda: log.append(draft())):
        with pytest.raises(AnnotationsError) as caught:
            ask()
        message = str(caught.value)
        assert message.startswith(
            f"The database 'notes' at 127.0.0.1:{port} cannot be reached (Connection refused). "
        )
        assert message.count("See that the server runs and the address is right and ") == 1
        assert "hunter2" not in message


def test_a_server_that_goes_away_between_two_questions(postgres_url: str, server: str) -> None:
    log = AnnotationLog(Database(postgres_url))
    log.append(draft(label="kept"))
    ended = "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s"
    with psycopg.connect(f"{server}/postgres") as admin:
        admin.execute(ended, (postgres_url.rpartition("/")[2],))
    assert log.append(draft(seen=1, label="new connection")).revision == 2
    with pytest.raises(AnnotationsError, match="The text is still in the box"):
        with log.database.writing() as connection:
            connection.execute(text("select pg_terminate_backend(pg_backend_pid())"))
    log.database.close()
    assert labels(postgres_url) == ["kept", "new connection"]


def test_a_wrong_password_is_not_repeated(server: str) -> None:
    wrong = server.replace("tester:", "tester:wrong")
    secret = wrong.partition("tester:")[2].partition("@")[0]
    with pytest.raises(AnnotationsError, match="password authentication failed") as caught:
        AnnotationLog(Database(f"{wrong}/postgres")).current(DIGEST)
    cause = caught.value
    while cause is not None:
        assert secret not in str(cause)
        cause = cause.__cause__
    with pytest.raises(AnnotationsError, match='database "nowhere" does not exist'):
        AnnotationLog(Database(f"{server}/nowhere")).current(DIGEST)


@pytest.mark.parametrize(
    "url", ["mysql://ann:hunter2@host/x", "sqlite://", "sqlite:///:memory:", "notes.sqlite", ""]
)
def test_addresses_of_no_kind_known(url: str) -> None:
    with pytest.raises(AnnotationsError, match="Give 'sqlite:///<file>' or") as caught:
        Database(url)
    assert "hunter2" not in str(caught.value)
