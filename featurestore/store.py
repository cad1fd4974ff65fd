"""Read a store: one method per question, records out, every SELECT of the project in here.

Files are opened read-only with everything switched off that could reach beyond them. A file that
cannot be read is reported as a problem and takes nothing else down.
"""

import json
import threading
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

import duckdb

from featurestore import feature_list
from featurestore.errors import (
    DamagedStore,
    StoreError,
    StoreNotFound,
    UnknownDictionary,
    UnknownFeature,
)
from featurestore.feature_list import ListSql, list_sql
from featurestore.records import (
    Band,
    Catalogue,
    DictionaryInfo,
    Example,
    Feature,
    FeaturePage,
    FeatureQuery,
    FeatureSummary,
    Histogram,
    LensToken,
    ListPlace,
    Problem,
    Sampler,
)

SCHEMA_VERSION = 1
QUERY_LIMIT_S = 5.0
"""A query that runs longer is interrupted: no question of ours takes a tenth of this."""

_HARDENED = {
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    "memory_limit": "1GB",
    "threads": "2",
    "max_temp_directory_size": "1GB",
    "lock_configuration": "true",
}

_MANIFEST = "select * from manifest"
_FEATURE = "select * from features where feature = ?"
_BANDS = """
    select band, low, high, n_band from bands where feature = ? and sampler = ? order by band
"""
_EXAMPLES = """
    select e.band, e.context, e.peak, e.activation, e.scale, e.pos, e.q,
        c.document, c.start, c.tokens
    from examples e join contexts c using (context)
    where e.feature = ? and e.sampler = ? order by e.band, e.rank
"""
_TOKENS = "select token_id, token from vocab where list_contains(?::integer[], token_id)"
_TOKENS_LIKE = """
    select token_id, token from vocab
    where trim(lower(token)) = trim(lower(?)) order by token_id limit 100
"""
_TOKENS_EXACT = "select token_id, token from vocab where token = ? order by token_id limit 100"


class Store:
    """A folder of dictionary files. Safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._open: dict[Path, _File] = {}

    def catalogue(self) -> Catalogue:
        """Every dictionary's newest complete file, and the files that cannot be served.

        Raises:
            StoreNotFound: there is no store in this folder.
        """
        if not (self.folder / "dictionaries").is_dir():
            raise StoreNotFound(
                f"No store in '{self.folder}': it has no folder 'dictionaries'. "
                f"Build one: python -m featurestore build RECIPE --store {self.folder}"
            )
        dictionaries, problems = [], []
        for folder in sorted((self.folder / "dictionaries").iterdir()):
            served = []
            for path in sorted(folder.glob("*.duckdb")):
                try:
                    served.append(self._file(path).info)
                except DamagedStore as error:
                    problems.append(Problem(str(path), folder.name, str(error)))
            if served:
                dictionaries.append(max(served, key=lambda info: (info.built_at, info.run_id)))
        return Catalogue(tuple(dictionaries), tuple(problems))

    def dictionary(self, dictionary_id: str) -> DictionaryInfo:
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

    def features(self, query: FeatureQuery, limit: int = 50, offset: int = 0) -> FeaturePage:
        """A page of the features that a query keeps, in its order."""
        file = self._served(query.dictionary_id)
        matched, sql = self._list(file, query)
        count = file.rows(sql.fill(feature_list.COUNT), *sql.parameters)[0]["count_star()"]
        rows = file.rows(sql.fill(feature_list.PAGE), *sql.parameters, limit, offset)
        ids = {t for row in rows for t in [*(row["promoted"] or []), *(row["peak_tokens"] or [])]}
        text = file.token_texts(ids)
        summaries = tuple(_summary(row, text) for row in rows)
        return FeaturePage(summaries, count, file.info.n_features, tuple(matched.values()))

    def place(self, query: FeatureQuery, feature: int) -> ListPlace:
        """Where a feature stands in a query's list, and its neighbours there."""
        file = self._served(query.dictionary_id)
        _, sql = self._list(file, query)
        count = file.rows(sql.fill(feature_list.COUNT), *sql.parameters)[0]["count_star()"]
        rows = file.rows(sql.fill(feature_list.PLACE), *sql.parameters, feature)
        if not rows:
            first = file.rows(sql.fill(feature_list.PAGE), *sql.parameters, 1, 0)
            return ListPlace(None, count, None, first[0]["feature"] if first else None)
        return ListPlace(rows[0]["place"], count, rows[0]["previous"], rows[0]["next"])

    def feature_at(self, query: FeatureQuery, number: int) -> int | None:
        """The feature with `number % n_kept` smaller ones in the list; None in an empty list.

        With a random number this draws uniformly from what the query keeps.
        """
        file = self._served(query.dictionary_id)
        _, sql = self._list(file, query)
        count = file.rows(sql.fill(feature_list.COUNT), *sql.parameters)[0]["count_star()"]
        if count == 0:
            return None
        rows = file.rows(sql.fill(feature_list.FEATURE_AT), *sql.parameters, number % count)
        return rows[0]["feature"]

    def feature(self, dictionary_id: str, feature: int) -> Feature:
        """All that a feature's page says beside its contexts.

        Raises:
            UnknownFeature: the dictionary has no feature of this number.
        """
        file = self._served(dictionary_id)
        rows = file.rows(_FEATURE, feature) if abs(feature) < 2**31 else []
        if not rows:
            raise UnknownFeature(
                f"No feature {feature} in '{dictionary_id}': "
                f"its features are 0 to {file.info.n_features - 1}."
            )
        row = rows[0]
        ids = {*(row["promoted"] or []), *(row["suppressed"] or []), *(row["peak_tokens"] or [])}
        return _feature(row, file.token_texts(ids))

    def bands(self, dictionary_id: str, feature: int, sampler: Sampler) -> tuple[Band, ...]:
        """The examples of a feature, band by band, the highest activations first."""
        file = self._served(dictionary_id)
        examples = file.rows(_EXAMPLES, feature, sampler)
        text = file.token_texts({token for row in examples for token in row["tokens"]})
        return tuple(
            Band(
                sampler,
                band["band"],
                band["low"],
                band["high"],
                band["n_band"],
                tuple(_example(row, text) for row in examples if row["band"] == band["band"]),
            )
            for band in file.rows(_BANDS, feature, sampler)
        )

    def close(self) -> None:
        """Close every file. The store can be used again; it reopens what it needs."""
        with self._lock:
            for file in self._open.values():
                file.close()
            self._open.clear()

    def _list(self, file: "_File", query: FeatureQuery) -> tuple[dict[int, str], ListSql]:
        matched = file.matching_tokens(query.token) if query.token else {}
        return matched, list_sql(query, list(matched))

    def _served(self, dictionary_id: str) -> "_File":
        return self._file(Path(self.dictionary(dictionary_id).path))

    def _file(self, path: Path) -> "_File":
        with self._lock:
            if path not in self._open:
                self._open[path] = _File(path)
            return self._open[path]


class _File:
    """One open dictionary file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._connection = duckdb.connect(str(path), read_only=True, config=_HARDENED)
        except duckdb.Error as error:
            raise self._damaged(error) from error
        rows = self.rows(_MANIFEST)
        if len(rows) != 1:
            raise DamagedStore(
                f"{path} is not complete: it has no manifest. Delete it and rebuild."
            )
        if rows[0]["schema_version"] != SCHEMA_VERSION:
            raise DamagedStore(
                f"{path} has schema version {rows[0]['schema_version']}; this program reads "
                f"{SCHEMA_VERSION}. Build the dictionary again with this version."
            )
        self.info = _info(rows[0], path)

    def rows(self, statement: str, *parameters: object) -> list[dict[str, Any]]:
        """All rows of a statement, as dicts."""
        cursor = self._connection.cursor()
        timer = threading.Timer(QUERY_LIMIT_S, cursor.interrupt)
        timer.start()
        try:
            result = cursor.execute(statement, list(parameters))
            names = [column[0] for column in result.description]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
        except duckdb.InterruptException as error:
            raise StoreError(
                f"The question took longer than {QUERY_LIMIT_S:g} s and was stopped."
            ) from error
        except duckdb.Error as error:
            raise self._damaged(error) from error
        finally:
            timer.cancel()
            cursor.close()

    def token_texts(self, token_ids: set[int]) -> dict[int, str]:
        """Token ids to texts."""
        rows = self.rows(_TOKENS, sorted(token_ids))
        return {row["token_id"]: row["token"] for row in rows}

    def matching_tokens(self, text: str) -> dict[int, str]:
        """Tokens equal to a text but for case and outer spaces; exactly equal to a quoted one."""
        is_quoted = len(text) > 2 and text[0] == text[-1] == '"'
        rows = self.rows(_TOKENS_EXACT, text[1:-1]) if is_quoted else self.rows(_TOKENS_LIKE, text)
        return {row["token_id"]: row["token"] for row in rows}

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    def _read_manifest(self) -> DictionaryInfo:
        rows = self.rows(_MANIFEST)
        if len(rows) != 1:
            raise DamagedStore(f"{self._path} has no manifest: delete it and build again.")
        if rows[0]["schema_version"] != SCHEMA_VERSION:
            raise DamagedStore(
                f"{self._path} has schema version {rows[0]['schema_version']}; this program reads "
                f"{SCHEMA_VERSION}. Build the dictionary again with this version."
            )
        return _info(rows[0], self._path)

    def _damaged(self, error: duckdb.Error) -> DamagedStore:
        reason = str(error).splitlines()[0]
        return DamagedStore(
            f"{self._path} cannot be read ({reason}). Delete it and build the dictionary again, "
            "or restore it from a copy."
        )


def _info(row: dict[str, Any], path: Path) -> DictionaryInfo:
    as_json = {"recipe", "digests", "versions", "tables"}
    names = [field.name for field in fields(DictionaryInfo) if field.name != "path"]
    values = {name: json.loads(row[name]) if name in as_json else row[name] for name in names}
    return DictionaryInfo(**values, path=str(path))


def _peaks(row: dict[str, Any], text: dict[int, str]) -> tuple[tuple[str, int], ...]:
    counts = Counter()
    for token, count in zip(row["peak_tokens"] or [], row["peak_counts"] or [], strict=True):
        counts[text[token]] += count
    return tuple(counts.most_common())


def _summary(row: dict[str, Any], text: dict[int, str]) -> FeatureSummary:
    shared = {field.name for field in fields(FeatureSummary)} & row.keys()
    values = {name: row[name] for name in shared}
    values["promoted"] = tuple(text[token] for token in row["promoted"] or [])
    values["peak_tokens"] = _peaks(row, text)
    values["histogram"] = tuple(row["histogram"] or [])
    return FeatureSummary(**values)


def _feature(row: dict[str, Any], text: dict[int, str]) -> Feature:
    def tokens(kind: str) -> tuple[LensToken, ...]:
        pairs = zip(row[kind] or [], row[f"{kind}_logits"] or [], strict=True)
        return tuple(LensToken(text[token], logit) for token, logit in pairs)

    def bins(counts: str, low: str, high: str) -> Histogram | None:
        if not row[counts]:
            return None
        return Histogram(row[low], row[high], tuple(row[counts]))

    values = {field.name: row.get(field.name) for field in fields(Feature)}
    values["histogram"] = bins("histogram", "min_activation", "max_activation")
    values["logit_histogram"] = bins("logit_histogram", "logit_low", "logit_high")
    values["promoted"], values["suppressed"] = tokens("promoted"), tokens("suppressed")
    values["peak_tokens"] = _peaks(row, text)
    return Feature(**values)


def _example(row: dict[str, Any], text: dict[int, str]) -> Example:
    pairs = zip(row["pos"], row["q"], strict=True)
    activations = {pos: q / 127 * row["scale"] for pos, q in pairs}
    if row["activation"]:
        activations[row["peak"]] = row["activation"]
    return Example(
        context=row["context"],
        document=row["document"],
        start=row["start"],
        tokens=tuple(text[token] for token in row["tokens"]),
        token_ids=tuple(row["tokens"]),
        peak=row["peak"],
        activation=row["activation"],
        activations=activations,
    )
