"""The files of a store: a changed table is a new version, and every column says what it holds."""

import hashlib
import re
from pathlib import Path

import duckdb
import pytest

from featurestore import dictionary_file
from featurestore.dictionary_file import KEYS, SCHEMA_VERSION
from featurestore.links import LinkFile
from featurestore.pair_file import PairFile

FOLDER = Path(dictionary_file.__file__).parent

VERSIONS = {
    "schema.sql": (SCHEMA_VERSION, "SCHEMA_VERSION in dictionary_file.py", 5, "046c938abd47ea43"),
    "pair_schema.sql": (PairFile.schema_version, "PairFile's version", 2, "9eead7c513ec3199"),
    "link_schema.sql": (LinkFile.schema_version, "LinkFile's version", 1, "772125b0dca38b08"),
}
"""Of each schema: its version, where that stands, which it should be, the digest of its columns."""

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
    version, where, expected, digest = VERSIONS[name]
    found = hashlib.sha256(repr(columns(name)).encode()).hexdigest()[:16]
    assert (version, found) == (expected, digest), (
        f"The columns of {name} have changed: raise {where} by one, then write that number and "
        f"{found!r} here, so that older files are refused, not misread."
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
