"""Links from one dictionary to a later one: a file for each two, and the questions it answers.

    store/links/<run upstream>--<run downstream>.duckdb

Files stay open, since a page asks all of a dictionary's for every feature.
"""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

from featurestore.errors import StoreError
from featurestore.link_records import End, Link, LinkCatalogue, LinkInfo, Links, LinkTable, Side
from featurestore.open_files import OpenFiles
from featurestore.records import DictionaryInfo
from featurestore.store_file import StoreFile
from featurestore.two_runs import file_of, runs_of

SCHEMA_VERSION = 1
FOLDER = "links"

_LINK = "select * from link"
_COLUMNS = ", ".join(field.name for field in fields(Link))
_OF_FEATURE = f"select {_COLUMNS} from links where side = ? and feature = ? order by rank"


class LinkFile(StoreFile):
    """The file of two dictionaries that are linked, open."""

    cure = "link the two dictionaries again"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            row = self.manifest(_LINK, SCHEMA_VERSION)
        except StoreError:
            self.close()
            raise
        del row["schema_version"]
        ends = {name: End(**row[name]) for name in ("upstream", "downstream")}
        self.info = LinkInfo(**row | ends, path=str(path))

    def of(self, side: Side, feature: int) -> LinkTable:
        """The links of a feature of one side."""
        rows = self.rows(_OF_FEATURE, side, feature)
        return LinkTable(self.info, side, tuple(Link(**row) for row in rows))


class LinkPaths(NamedTuple):
    """Files with links of one dictionary."""

    fed_by: tuple[Path, ...]
    """In which it is the one downstream."""
    feeds: tuple[Path, ...]


def link_path(store: Path, upstream: DictionaryInfo, downstream: DictionaryInfo) -> Path:
    """Where the file of two dictionaries stands, if there is one."""
    return file_of(store / FOLDER, upstream, downstream)


def link_paths(paths: Iterable[Path], run_id: str) -> LinkPaths:
    """Those of some files that have links of a run."""
    ends = {path: runs_of(path) for path in paths}
    return LinkPaths(
        tuple(path for path, (_, downstream) in ends.items() if downstream == run_id),
        tuple(path for path, (upstream, _) in ends.items() if upstream == run_id),
    )


def read_link(path: Path) -> LinkInfo:
    """What a file is.

    Raises:
        DamagedStore: it cannot be read, or is of another version.
    """
    with closing(LinkFile(path)) as file:
        return file.info


def read_links(files: OpenFiles[LinkFile], paths: LinkPaths, feature: int) -> Links:
    """All links of a feature of the run that the files were chosen for."""
    problems: list[str] = []

    def tables(side: Side, chosen: tuple[Path, ...]) -> tuple[LinkTable, ...]:
        found = []
        for path in chosen:
            try:
                found.append(files.get(path).of(side, feature))
            except StoreError as error:
                problems.append(str(error))
        found.sort(key=lambda table: (table.other.place, table.other.dictionary_id))
        return tuple(table for table in found if table.links)

    fed_by, feeds = tables("downstream", paths.fed_by), tables("upstream", paths.feeds)
    return Links(fed_by, feeds, tuple(problems))


def read_catalogue(files: OpenFiles[LinkFile], paths: Iterable[Path]) -> LinkCatalogue:
    """What each file is, and those that cannot be read."""
    found, problems = [], []
    for path in paths:
        try:
            found.append(files.get(path).info)
        except StoreError as error:
            problems.append(str(error))
    return LinkCatalogue(tuple(found), tuple(problems))
