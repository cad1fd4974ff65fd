from pathlib import Path

import duckdb
import pytest

from featurestore.errors import DamagedStore
from featurestore.links import SCHEMA_VERSION, read_link
from tests.made_up_links import write_links


def spoil(path: Path, statement: str) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute(statement)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    found = read_link(write_links(tmp_path, ("one", "run1"), ("two", "run2")))
    assert (found.upstream.dictionary_id, found.downstream.run_id) == ("one", "run2")
    assert (found.downstream.hook_name, found.downstream.place) == ("blocks.3.hook_resid_post", 24)
    assert (found.reading, found.n_tokens, found.why_not) == ("stream", 100, None)


def test_other_versions_and_incomplete_files_are_told(tmp_path: Path) -> None:
    path = write_links(tmp_path, ("one", "run1"), ("two", "run2"))
    spoil(path, "update link set schema_version = 0")
    with pytest.raises(DamagedStore, match=f"version 0; this program reads {SCHEMA_VERSION}. Link"):
        read_link(path)
    spoil(path, "delete from link")
    with pytest.raises(DamagedStore, match="it has no manifest. Delete it and link the two"):
        read_link(path)
    path.write_bytes(b"nothing")
    with pytest.raises(DamagedStore, match="cannot be read"):
        read_link(path)
