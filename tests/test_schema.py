"""The files of a store: a changed table is a new version, and every column says what it holds."""

import hashlib
import re
from pathlib import Path
from types import ModuleType

import duckdb
import pytest

from featurestore import dictionary_file, links, pairs
from featurestore.dictionary_file import KEYS

FOLDER = Path(dictionary_file.__file__).parent

VERSIONS: dict[str, tuple[ModuleType, int, str]] = {
    "schema.sql": (dictionary_file, 5, "046c938abd47ea43"),
    "pair_schema.sql": (pairs, 2, "9eead7c513ec3199"),
    "link_schema.sql": (links, 1, "772125b0dca38b08"),
}
"""Of each schema: where its version stands, which it is, and the digest of its columns."""

schemas = pytest.mark.parametrize("name", VERSIONS)


def columns(name: str) -> list[tuple[str, str, str]]:
    """Table, column and type of all that a schema creates, by table, in the columns' order."""
    with duckdb.connect() as connection:
        connection.execute((FOLDER / name).read_text(encoding="utf-8"))
        return connection.sql(
            "select table_name, column_name, data_type from duckdb_columns() "
            "where not internal order by table_name, column_index"
        ).fetchall()


@schemas
def test_other_columns_are_another_version(name: str) -> None:
    module, version, digest = VERSIONS[name]
    found = hashlib.sha256(repr(columns(name)).encode()).hexdigest()[:16]
    assert (module.SCHEMA_VERSION, found) == (version, digest), (
        f"The columns of {name} have changed: raise SCHEMA_VERSION in {module.__name__} by one, "
        f"then write that number and {found!r} here, so that older files are refused, not misread."
    )


@schemas
def test_every_column_says_what_it_holds(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    ours = ("a", "b", "upstream", "downstream")  # of types whose columns are described above them
    bare = [
        line
        for line in re.findall(r"^    \w+ .*$", text, flags=re.MULTILINE)
        if "--" not in line and line.split()[0] not in ours
    ]
    assert bare == []


def test_every_table_has_a_key() -> None:
    tables = {table for table, _, _ in columns("schema.sql")}
    assert tables == {*KEYS, "manifest"}
    for table, key in KEYS.items():
        known = {column for name, column, _ in columns("schema.sql") if name == table}
        assert set(key.split(", ")) <= known, table
