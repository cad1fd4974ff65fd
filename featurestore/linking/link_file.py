"""Write the file of two dictionaries that are linked."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from featurestore.links import SCHEMA_VERSION
from featurestore.small_file import write_whole

SCHEMA = (Path(__file__).parent.parent / "link_schema.sql").read_text(encoding="utf-8")
_INSERT_LINKS = "insert into links by name from incoming"
_INSERT_LINK = "insert into link by name from incoming"


def write_link(path: Path, folder: Path, link: dict[str, Any], links: pa.Table) -> None:
    """Write its two tables, by way of a folder for what is unfinished.

    `link` gives every column of that table but `schema_version`.

    Raises:
        BuildFailed: the disk is full, or a table does not fit.
    """
    row = pa.Table.from_pylist([link | {"schema_version": SCHEMA_VERSION}])
    write_whole(path, folder, SCHEMA, {_INSERT_LINKS: links, _INSERT_LINK: row})
