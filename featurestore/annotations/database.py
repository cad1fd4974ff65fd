"""The database of annotations: its tables and its connections.

    events        what anybody ever saved; only ever appended to
    annotations   a view: of each feature, the last event that was no conflict
    explanations  labels and scores that programs gave; only ever appended to
    meta          the version of these tables

It is a SQLite file beside the store, or a PostgreSQL server.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import (
    URL,
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    NullPool,
    QueuePool,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    exists,
    func,
    insert,
    inspect,
    make_url,
    select,
    true,
)
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.sql.ddl import CreateView

from featurestore.annotations.faults import is_overtaken, sentence
from featurestore.errors import AnnotationsError

VERSION = 1
"""Of the tables; a program refuses those that are newer than it knows."""

PATIENCE = 5.0
"""Seconds that a save waits for another program's."""

SCHEMA = MetaData()

EVENTS = Table(
    "events",
    SCHEMA,
    Column("number", Integer, primary_key=True),
    Column("uid", Text, nullable=False, unique=True),
    Column("at", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("dictionary_id", Text, nullable=False),
    Column("feature", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("seen", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("about", Integer),
    Column("is_conflict", Boolean, nullable=False),
    Column("verdict", Text),
    Column("label", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("tags", Text, nullable=False),
    UniqueConstraint("digest", "feature", "revision"),
    sqlite_autoincrement=True,
)
Index(
    "accepted",
    *(EVENTS.c.digest, EVENTS.c.feature, EVENTS.c.revision),
    sqlite_where=~EVENTS.c.is_conflict,
    postgresql_where=~EVENTS.c.is_conflict,
)
Index(
    "conflicts",
    *(EVENTS.c.digest, EVENTS.c.feature),
    sqlite_where=EVENTS.c.is_conflict == true(),
    postgresql_where=EVENTS.c.is_conflict == true(),
)

_LATER = EVENTS.alias("later")
ANNOTATIONS = CreateView(
    select(EVENTS).where(
        ~EVENTS.c.is_conflict,
        ~exists().where(
            _LATER.c.digest == EVENTS.c.digest,
            _LATER.c.feature == EVENTS.c.feature,
            _LATER.c.revision > EVENTS.c.revision,
            ~_LATER.c.is_conflict,
        ),
    ),
    "annotations",
    metadata=SCHEMA,
).table

EXPLANATIONS = Table(
    "explanations",
    SCHEMA,
    Column("number", Integer, primary_key=True),
    Column("at", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("dictionary_id", Text, nullable=False),
    Column("feature", Integer, nullable=False),
    Column("label", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("explainer", Text, nullable=False),
    Column("score", Float),
    Column("n", Integer),
    Index("newest", "digest", "feature", "method", "explainer", "number"),
    sqlite_autoincrement=True,
)

META = Table(
    "meta",
    SCHEMA,
    Column("name", Text, primary_key=True),
    Column("value", Integer, nullable=False),
)

_EMPTY = create_engine("sqlite://", poolclass=QueuePool, connect_args={"check_same_thread": False})
"""In memory: answers for a database that nothing was saved in yet."""


class Overtaken(AnnotationsError):
    """Somebody else saved the same at the same moment; trying again will do."""


def default_url(store: Path) -> str:
    """The address of the SQLite file that belongs to a store."""
    file = store.absolute() / "annotations.sqlite"
    return URL.create("sqlite", database=str(file)).render_as_string()


_NUMBERED = (EVENTS, EXPLANATIONS)


class Database:
    """Connections to one database of annotations. Safe to share between threads.

    Args:
        url: "sqlite:///<file>" or "postgresql://user:password@host:port/database".
        read_only: writing raises AnnotationsError, and nothing is ever created.
        patience: seconds to wait for another program's save.

    Raises:
        AnnotationsError: the address is of no kind that annotations can be kept at.
    """

    def __init__(self, url: str, read_only: bool = False, patience: float = PATIENCE) -> None:
        self.read_only = read_only
        self._patience = patience
        self._url = _parsed(url)
        if self._url.get_backend_name() == "sqlite":
            self._file = Path(self._url.database or "").absolute()
            self.place = f"'{self._file}'"
            self._reader = _sqlite_engine(self._open_to_read, "begin")
            self._writer = _sqlite_engine(self._open_to_write, "begin immediate")
        else:
            self._file = None
            host = f"{self._url.host or 'this machine'}:{self._url.port or 5432}"
            self.place = f"The database '{self._url.database or ''}' at {host}"
            self._reader = self._writer = _postgres_engine(self._url, patience)

    def close(self) -> None:
        """Give back the connections that wait for their next use."""
        self._reader.dispose()
        self._writer.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state; an empty one if nothing was ever saved.

        Raises:
            AnnotationsError: the database cannot be read now.
        """
        with self._explained():
            if self._is_missing():
                with _nothing() as connection:
                    yield connection
                return
            with self._reader.begin() as connection:
                if self._is_made(connection):
                    yield connection
                    return
            with _nothing() as connection:
                yield connection

    def last_numbers(self) -> tuple[int, int]:
        """The highest number of an event and of an explanation; 0 where there is none.

        Raises:
            AnnotationsError: the database cannot be read now.
        """
        last = [select(func.max(table.c.number)).scalar_subquery() for table in _NUMBERED]
        with self.reading() as connection:
            events, explanations = connection.execute(select(*last)).one()
        return events or 0, explanations or 0

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction: committed on disk when the block ends, undone when it raises.

        Raises:
            Overtaken: somebody else saved the same at the same moment.
            AnnotationsError: the database cannot be written to now; nothing was changed.
        """
        if self.read_only:
            raise AnnotationsError(
                f"{self.place} is open for reading only, so nothing can be saved: start the app "
                "without --read-only to annotate."
            )
        with self._explained(is_writing=True):
            with self._writer.begin() as connection:
                is_new = not self._is_made(connection)
                if is_new:
                    self._make(connection)
                yield connection
            if is_new and self._file is not None:
                _sync(self._file.parent)

    def _is_missing(self) -> bool:
        """Whether there is no file yet; one that may not be looked at is not missing."""
        if self._file is None:
            return False
        try:
            self._file.stat()
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False  # opening it will say why
        return False

    def _is_made(self, connection: Connection) -> bool:
        """Whether the tables are there."""
        if not inspect(connection).has_table(META.name):
            return False
        version = connection.scalar(select(META.c.value).where(META.c.name == "version"))
        if version != VERSION:
            raise AnnotationsError(
                f"{self.place} is of version {version}; this program knows version {VERSION} only. "
                "Update Feature Browser."
            )
        return True

    def _make(self, connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            # Two who make the same tables at once would fail; the second waits and finds them.
            connection.execute(select(func.pg_advisory_xact_lock(0xFEA70)))
            if self._is_made(connection):
                return
        SCHEMA.create_all(connection, checkfirst=False)
        connection.execute(insert(META).values(name="version", value=VERSION))

    def _open_to_read(self) -> sqlite3.Connection:
        """Open the file as it is.

        SQLite keeps a shared file beside a database in use. Where it cannot be made, nobody can
        write either, and the file is read as one that does not change; unless the last program
        died and left its log of changes, which would be missed.
        """
        connection = self._connect("mode=ro" if self.read_only else "mode=rw")
        try:
            connection.execute("pragma schema_version")
        except sqlite3.Error as error:
            connection.close()
            log = self._file.with_name(f"{self._file.name}-wal")
            is_shut = error.sqlite_errorname.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY"))
            if not is_shut or (log.exists() and log.stat().st_size):
                raise
            return self._connect("immutable=1")
        return connection

    def _open_to_write(self) -> sqlite3.Connection:
        connection = self._connect("mode=rwc")
        deadline = time.monotonic() + self._patience
        try:
            connection.execute("pragma synchronous = full")
            # Of two who turn a new file to this at once, SQLite lets one fail without waiting.
            while not _has_log(connection) and time.monotonic() < deadline:
                time.sleep(0.005)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _connect(self, how: str) -> sqlite3.Connection:
        # No isolation level: Python's module begins no transaction by itself.
        return sqlite3.connect(
            f"{self._file.as_uri()}?{how}",
            uri=True,
            timeout=self._patience,
            isolation_level=None,
            check_same_thread=False,
        )

    @contextmanager
    def _explained(self, is_writing: bool = False) -> Iterator[None]:
        """Turn every error of SQLAlchemy into a sentence."""
        try:
            yield
        except SQLAlchemyError as error:
            kind = Overtaken if is_overtaken(error) else AnnotationsError
            secret = str(self._url.password or "")
            raise kind(sentence(error, self.place, self._patience, secret, is_writing)) from error


def _parsed(url: str) -> URL:
    """An address with its driver."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = URL.create("unknown")
    backend = parsed.get_backend_name()
    if backend in ("postgres", "postgresql"):
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and parsed.database and parsed.database != ":memory:":
        return parsed
    raise AnnotationsError(
        f"The address of the annotations begins with '{backend}' and names no database that they "
        "can be kept in. Give 'sqlite:///<file>' or 'postgresql://<user>@<host>:<port>/<database>'."
    )


def _sqlite_engine(creator: Callable[[], sqlite3.Connection], begin: str) -> Engine:
    """Connections that are closed after each use: then SQLite's log is folded into the file.

    So a copy of the file alone is whole, and a file put in its place is read at once.
    """
    engine = create_engine("sqlite://", creator=creator, poolclass=NullPool)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _postgres_engine(url: URL, patience: float) -> Engine:
    engine = create_engine(
        url,
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        pool_timeout=patience,
        connect_args={"connect_timeout": max(2, round(patience)), "client_encoding": "utf8"},
    )

    @event.listens_for(engine, "connect")
    def _limit(connection: object, _record: object) -> None:
        wait = f"{round(patience * 1000)}ms"
        connection.execute("select set_config('lock_timeout', %s, false)", (wait,))
        connection.commit()

    return engine


@contextmanager
def _nothing() -> Iterator[Connection]:
    with _EMPTY.begin() as connection:
        if not connection.info.get("has_tables"):  # it serves many questions, one after the other
            SCHEMA.create_all(connection)
            connection.info["has_tables"] = True
        yield connection


def _has_log(connection: sqlite3.Connection) -> bool:
    """Turn a file to write-ahead logging; false while another program turns it."""
    try:
        connection.execute("pragma journal_mode = wal")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname != "SQLITE_BUSY":
            raise
        return False
    return True


def _sync(folder: Path) -> None:
    """Make the names in a folder last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
