from collections.abc import Iterator
from pathlib import Path

import pytest

from featurestore.annotations.database import Database, default_url
from featurestore.annotations.log import AnnotationLog
from tests.postgres_server import new_database, postgres_server


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a PostgreSQL server of these tests' own, without a database's name."""
    with postgres_server() as address:
        yield address


@pytest.fixture
def postgres_url(server: str) -> Iterator[str]:
    """The address of a database on a server that nothing was saved in."""
    with new_database(server) as address:
        yield address


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database that nothing was saved in, once of each kind."""
    if request.param == "sqlite":
        return default_url(tmp_path)
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close()


@pytest.fixture
def log(database: Database) -> AnnotationLog:
    return AnnotationLog(database)
