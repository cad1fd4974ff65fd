"""Which file of each dictionary is served: the newest complete one.

A file that cannot be read is reported as a problem and takes nothing else down.
"""

from pathlib import Path

from featurestore.dictionary_file import DictionaryFile, check_feature
from featurestore.errors import DamagedStore, StoreError, StoreNotFound, UnknownDictionary, command
from featurestore.open_files import OpenFiles
from featurestore.records import Catalogue, DictionaryInfo, Problem


class ServedFiles:
    """The dictionaries of a store's folder. Safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = OpenFiles(DictionaryFile)

    def catalogue(self) -> Catalogue:
        """Every dictionary's newest complete file, and the files that cannot be served.

        Raises:
            StoreNotFound: there is no store in this folder.
        """
        paths = dictionary_paths(self.folder)
        newest: dict[str, DictionaryInfo] = {}
        problems = []
        for path in paths:
            try:
                info = self._files.get(path).info
            except StoreError as error:
                problems.append(Problem(str(path), path.parent.name, str(error)))
                continue
            known = newest.setdefault(info.dictionary_id, info)
            newest[info.dictionary_id] = max(known, info, key=lambda i: (i.built_at, i.run_id))
        self._files.forget_all_but(set(paths))
        return Catalogue(tuple(newest.values()), tuple(problems))

    def info(self, dictionary_id: str) -> DictionaryInfo:
        """The newest run of a dictionary.

        Raises:
            UnknownDictionary: the store has none of this id.
        """
        catalogue = self.catalogue()
        for info in catalogue.dictionaries:
            if info.dictionary_id == dictionary_id:
                return info
        for problem in catalogue.problems:
            if problem.dictionary_id == dictionary_id:
                raise DamagedStore(problem.reason)
        known = ", ".join(i.dictionary_id for i in catalogue.dictionaries) or "none"
        raise UnknownDictionary(f"No dictionary '{dictionary_id}' in this store. It has: {known}.")

    def file(self, dictionary_id: str) -> DictionaryFile:
        """The file of a dictionary, open."""
        return self._files.get(Path(self.info(dictionary_id).path))

    def file_with(self, dictionary_id: str, feature: int) -> tuple[DictionaryFile, int]:
        """The file, and a feature that it has.

        Raises:
            UnknownFeature: the dictionary has no feature of this number.
        """
        file = self.file(dictionary_id)
        check_feature(feature, file.info)
        return file, int(feature)

    def close(self) -> None:
        """Close every file; those asked for later are opened again."""
        self._files.close()


def dictionary_paths(folder: Path) -> list[Path]:
    """Every file of a store's dictionaries, older runs and damaged ones too.

    Raises:
        StoreNotFound: there is no store in this folder.
    """
    if not (folder / "dictionaries").is_dir():
        raise StoreNotFound(
            f"No store in '{folder}': it has no folder 'dictionaries'. "
            f"Build one: {command('build', 'RECIPE', '--store', folder)}"
        )
    return sorted((folder / "dictionaries").glob("*/*.duckdb"))
