"""Every two dictionaries of a store that were compared."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from featurestore.dictionary_file import check_feature
from featurestore.errors import NotCompared, StoreError, command
from featurestore.open_files import FilesTogether
from featurestore.pair_columns import both_ways
from featurestore.pair_file import PairFile, check_comparable, in_order, pair_path
from featurestore.pair_records import (
    Match,
    MatchKind,
    MatchPage,
    MatchSort,
    PairCatalogue,
    PairInfo,
)
from featurestore.records import DictionaryInfo
from featurestore.served_files import ServedFiles
from featurestore.track_records import BothWays
from featurestore.two_runs import all_files, runs_of

MOST_ARRAYS = 48
"""Pairs whose arrays are kept, since a page about training asks for them with every click; one of
16,384 features takes 4 MB."""

MOST_COUNTS = 100
"""Lists whose lengths are kept, since a page tells that of every list, and shows only one."""


class StoredPairs:
    """The pairs of a store, of dictionaries as they are now."""

    def __init__(self, served: ServedFiles) -> None:
        self._served = served
        self._files = FilesTogether(PairFile, served.folder / PairFile.folder)
        self._both_ways = lru_cache(MOST_ARRAYS)(both_ways)
        self._count = lru_cache(MOST_COUNTS)(PairFile.count)

    def compared(self) -> tuple[tuple[str, str], ...]:
        """Ids of every two dictionaries that were compared: A, then B; no file is read."""
        return tuple((a.dictionary_id, b.dictionary_id) for _, a, b in self._paths())

    def compared_with(self, one: DictionaryInfo) -> tuple[DictionaryInfo, ...]:
        """What a dictionary was compared with; no file is read, nor the folder, where pairs of
        200 dictionaries are 19,900 names.
        """
        return tuple(
            other
            for other in self._served.catalogue().dictionaries
            if other.run_id != one.run_id and pair_path(self._served.folder, one, other).exists()
        )

    def all(self, of_families: bool = False) -> PairCatalogue:
        """All that can be read, or all of two of one family; and why some cannot."""
        found, problems = [], []
        for path, a, b in self._paths():
            if of_families and (a.family is None or a.family != b.family):
                continue
            try:
                found.append(self._files.get(path).info)
            except StoreError as error:
                problems.append(str(error))
        return PairCatalogue(tuple(found), tuple(problems))

    def file(self, one: DictionaryInfo, other: DictionaryInfo) -> PairFile:
        """The file of two dictionaries, given in any order; open.

        Raises:
            NotCompared: they were not, or not as they are now.
            MatchError: they cannot be.
        """
        check_comparable(one, other)
        path = pair_path(self._served.folder, one, other)
        if not path.exists():
            ids = one.dictionary_id, other.dictionary_id
            compare = command("match", *ids, "--store", self._served.folder)
            raise NotCompared(
                f"'{ids[0]}' and '{ids[1]}' were not compared, or not as "
                f"they are now. Compare them: {compare}"
            )
        return self._files.get(path)

    def info(self, dictionary_id: str, other_id: str) -> PairInfo:
        """Two dictionaries that were compared; raises as `file`."""
        return self._file(dictionary_id, other_id).info

    def matches(
        self,
        dictionary_id: str,
        other_id: str,
        kind: MatchKind = "nearest",
        sort: MatchSort = "cosine",
        descending: bool = True,
        limit: int = 50,
        offset: int = 0,
        below: float | None = None,
    ) -> MatchPage:
        """A page of a dictionary's features, each beside one of the other's; unknowns last.

        With `below`, only those whose cosine is below it: of `nearest`, what the other lacks.

        Raises:
            NotCompared: the two were not compared, or not as they are now.
            StoreError: the list asked for is none that there is.
        """
        file, side = self._file(dictionary_id, other_id), _side_of(dictionary_id, other_id)
        rows = file.page(side, kind, below, sort, descending, limit, offset)
        return MatchPage(rows, self._count(file, side, kind, below))

    def n_same_number(self, dictionary_id: str, other_id: str) -> int:
        """How many features are matched with the one of their own number; raises as `file`."""
        return self._file(dictionary_id, other_id).n_same_number()

    def nearest(self, dictionary_id: str, feature: int, other_id: str) -> tuple[Match, ...]:
        """The features of another dictionary nearest to a feature, then its match if it is none."""
        file = self._file(dictionary_id, other_id)
        check_feature(feature, self._served.info(dictionary_id))
        return file.of(_side_of(dictionary_id, other_id), int(feature))

    def beside(self, one: DictionaryInfo, other: DictionaryInfo) -> BothWays:
        """All rows of two dictionaries: those of the first given, then those of the second.

        Raises as `file`; and DamagedStore, if it cannot be read.
        """
        a, b = self._both_ways(self.file(one, other))
        return (a, b) if in_order(one, other)[0] is one else (b, a)

    def close(self) -> None:
        """Close every file; those asked for later are opened again."""
        self._both_ways.cache_clear()
        self._count.cache_clear()
        self._files.close()

    def _file(self, one: str, other: str) -> PairFile:
        return self.file(self._served.info(one), self._served.info(other))

    def _paths(self) -> Iterator[tuple[Path, DictionaryInfo, DictionaryInfo]]:
        """Files of which both runs are served, and whose they are."""
        by_run = {info.run_id: info for info in self._served.catalogue().dictionaries}
        for path in all_files(self._served.folder / PairFile.folder):
            found = [by_run[run] for run in runs_of(path) if run in by_run]
            if len(found) == 2:
                yield path, *found


def _side_of(dictionary_id: str, other_id: str) -> str:
    """Which side a dictionary is on in its pair with another."""
    return "a" if dictionary_id < other_id else "b"
