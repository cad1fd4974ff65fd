"""Links from one dictionary to a later one: a file for each two, and the questions it answers.

store/links/<run upstream>--<run downstream>.duckdb
"""

from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from featurestore.dictionary_file import check_feature
from featurestore.errors import StoreError
from featurestore.link_records import End, Link, LinkCatalogue, LinkInfo, Links, LinkTable, Side
from featurestore.open_files import FilesTogether
from featurestore.records import DictionaryInfo
from featurestore.served_files import ServedFiles
from featurestore.two_runs import TwoRunsFile, file_of, files_served, runs_of

_COLUMNS = ", ".join(field.name for field in fields(Link))
_OF_FEATURE = f"select {_COLUMNS} from links where side = ? and feature = ? order by rank"


class LinkFile(TwoRunsFile[LinkInfo]):
    """The file of two dictionaries that are linked, open."""

    cure = "link the two dictionaries again"
    folder = "links"
    schema_version = 1
    schema = (Path(__file__).parent / "link_schema.sql").read_text(encoding="utf-8")
    about = "link"
    content = "links"

    @staticmethod
    def said(row: dict[str, Any]) -> LinkInfo:
        """What the file is, from its row of `link`."""
        return LinkInfo(**row | {name: End(**row[name]) for name in ("upstream", "downstream")})

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
    return file_of(store / LinkFile.folder, upstream, downstream)


class StoredLinks:
    """The links of a store, between dictionaries as they are now."""

    def __init__(self, served: ServedFiles) -> None:
        self._served = served
        self._folder = served.folder / LinkFile.folder
        self._files = FilesTogether(LinkFile, self._folder)

    def all(self) -> LinkCatalogue:
        """What each file is, and those that cannot be read."""
        found, problems = [], []
        for path in self._paths():
            try:
                found.append(self._files.get(path).info)
            except StoreError as error:
                problems.append(str(error))
        return LinkCatalogue(tuple(found), tuple(problems))

    def paths(self, dictionary_id: str) -> LinkPaths:
        """Which files have links of a dictionary; none of them is opened."""
        run_id = self._served.info(dictionary_id).run_id
        ends = {path: runs_of(path) for path in self._paths()}
        return LinkPaths(
            tuple(path for path, (_, downstream) in ends.items() if downstream == run_id),
            tuple(path for path, (upstream, _) in ends.items() if upstream == run_id),
        )

    def of(self, dictionary_id: str, feature: int) -> Links:
        """What feeds a feature in earlier dictionaries, and what it feeds in later ones.

        Raises:
            UnknownFeature: the dictionary has no feature of this number.
        """
        check_feature(feature, self._served.info(dictionary_id))
        paths, problems = self.paths(dictionary_id), []

        def tables(side: Side, chosen: tuple[Path, ...]) -> tuple[LinkTable, ...]:
            found = []
            for path in chosen:
                try:
                    found.append(self._files.get(path).of(side, int(feature)))
                except StoreError as error:
                    problems.append(str(error))
            found.sort(key=lambda table: (table.other.place, table.other.dictionary_id))
            return tuple(table for table in found if table.links)

        fed_by, feeds = tables("downstream", paths.fed_by), tables("upstream", paths.feeds)
        return Links(fed_by, feeds, tuple(problems))

    def close(self) -> None:
        """Close every file; those asked for later are opened again."""
        self._files.close()

    def _paths(self) -> tuple[Path, ...]:
        paths = tuple(files_served(self._folder, self._served.catalogue().dictionaries))
        self._files.forget_all_but(paths)
        return paths
