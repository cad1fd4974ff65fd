"""Read a store: one method per question, records out.

A file that cannot be read is reported as a problem and takes nothing else down.
"""

import itertools
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from featurestore import feature_list
from featurestore.dictionary_file import DictionaryFile, check_feature, stamp
from featurestore.errors import DamagedStore, StoreError, StoreNotFound, UnknownDictionary
from featurestore.feature_list import ListSql, list_sql
from featurestore.records import (
    Band,
    Catalogue,
    DictionaryInfo,
    Example,
    Feature,
    FeatureMark,
    FeaturePage,
    FeatureQuery,
    FeatureSummary,
    Histogram,
    LensToken,
    ListPlace,
    Problem,
    Sampler,
    StoredActivations,
    StoredContext,
)

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
_SUMMARIES = f"""
    select {feature_list.SUMMARY} from features where feature in (select unnest(?::integer[]))
"""
_CONTEXT = "select context, document, start, tokens from contexts where context = ?"
_ON_CONTEXT = """
    select feature, peak, activation, scale, pos, q from examples where context = ?
    order by feature
"""


class Store:
    """A folder of dictionary files. Safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._open: dict[Path, DictionaryFile] = {}

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
                info = self._file(path).info
            except StoreError as error:
                problems.append(Problem(str(path), path.parent.name, str(error)))
                continue
            known = newest.setdefault(info.dictionary_id, info)
            newest[info.dictionary_id] = max(known, info, key=lambda i: (i.built_at, i.run_id))
        self._forget_all_but(set(paths))
        return Catalogue(tuple(newest.values()), tuple(problems))

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
        if limit < 0 or offset < 0:
            raise StoreError(f"No page of {limit} rows after {offset}: both must be 0 or more.")
        file = self._served(query.dictionary_id)
        matched, sql = self._list(file, query)
        page = sql.fill(feature_list.PAGE)
        rows = file.rows(page, *sql.parameters, limit, offset) if limit else []
        count = rows[0]["n_kept"] if rows else file.count(sql)
        text = file.token_texts(_token_ids(rows, "promoted", "peak_tokens"))
        summaries = tuple(_summary(row, text) for row in rows)
        return FeaturePage(summaries, count, file.info.n_features, tuple(matched.values()))

    def place(self, query: FeatureQuery, feature: int) -> ListPlace:
        """Where a feature stands in a query's list, and its neighbours there."""
        file = self._served(query.dictionary_id)
        _, sql = self._list(file, query)
        known = feature if 0 <= feature < file.info.n_features else None
        (row,) = file.rows(sql.fill(feature_list.PLACE), *sql.parameters, known)
        place = row["place"] if row["is_kept"] else None
        return ListPlace(place, row["n_kept"], row["previous"], row["next"])

    def feature_at(self, query: FeatureQuery, number: int) -> int | None:
        """The feature with `number % n_kept` smaller ones in the list; None in an empty list.

        With a random number this draws uniformly from what the query keeps.
        """
        file = self._served(query.dictionary_id)
        _, sql = self._list(file, query)
        count = file.count(sql)
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
        check_feature(feature, file.info)
        row = file.rows(_FEATURE, int(feature))[0]
        text = file.token_texts(_token_ids([row], "promoted", "suppressed", "peak_tokens"))
        return _feature(row, text)

    def bands(self, dictionary_id: str, feature: int, sampler: Sampler) -> tuple[Band, ...]:
        """The examples of a feature, band by band, the highest activations first.

        Raises:
            UnknownFeature: the dictionary has no feature of this number.
        """
        file = self._served(dictionary_id)
        check_feature(feature, file.info)
        examples = file.rows(_EXAMPLES, int(feature), sampler)
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
            for band in file.rows(_BANDS, int(feature), sampler)
        )

    def marks(self, query: FeatureQuery, features: Iterable[int]) -> tuple[FeatureMark, ...]:
        """Those of some features that a query keeps, by number, with what ranks them elsewhere."""
        file = self._served(query.dictionary_id)
        _, sql = self._list(file, query)
        rows = file.rows(sql.fill(feature_list.MARKS), *sql.parameters, _known(features, file.info))
        return tuple(FeatureMark(**row) for row in rows)

    def summaries(self, dictionary_id: str, features: Iterable[int]) -> dict[int, FeatureSummary]:
        """Rows of the table of features, by number; those that do not exist are left out."""
        file = self._served(dictionary_id)
        rows = file.rows(_SUMMARIES, _known(features, file.info))
        text = file.token_texts(_token_ids(rows, "promoted", "peak_tokens"))
        return {row["feature"]: _summary(row, text) for row in rows}

    def context(self, dictionary_id: str, context: int) -> StoredContext:
        """A context of the corpus.

        Raises:
            StoreError: no feature of the dictionary refers to it, so the file does not hold it.
        """
        file = self._served(dictionary_id)
        rows = _of_context(file, _CONTEXT, context)
        if not rows:
            raise StoreError(
                f"'{dictionary_id}' holds no context {context}. It keeps the contexts that its "
                f"features refer to, of {file.info.n_contexts:,}: send one from a feature's page."
            )
        (row,) = rows
        text = file.token_texts(set(row["tokens"]))
        tokens = tuple(text[token] for token in row["tokens"])
        return StoredContext(
            row["context"], row["document"], row["start"], tokens, tuple(row["tokens"])
        )

    def activations_on(self, dictionary_id: str, context: int) -> tuple[StoredActivations, ...]:
        """Of every feature with an example of a context, by number: a scan of all examples."""
        rows = _of_context(self._served(dictionary_id), _ON_CONTEXT, context)
        by_feature = itertools.groupby(rows, lambda row: row["feature"])
        return tuple(_stored(feature, list(examples)) for feature, examples in by_feature)

    def close(self) -> None:
        """Close every file. The store can be used again; it reopens what it needs."""
        with self._lock:
            for file in self._open.values():
                file.close()
            self._open.clear()

    def _list(self, file: DictionaryFile, query: FeatureQuery) -> tuple[dict[int, str], ListSql]:
        matched = file.matching_tokens(query.token) if query.token else {}
        return matched, list_sql(query, list(matched))

    def _served(self, dictionary_id: str) -> DictionaryFile:
        return self._file(Path(self.dictionary(dictionary_id).path))

    def _file(self, path: Path) -> DictionaryFile:
        """An open file; opened anew if another now stands in its place."""
        with self._lock:
            held = self._open.get(path)
            if held and held.stamp == stamp(path):
                return held
            if held:
                # DuckDB serves the old bytes to everybody until the last connection is closed.
                self._open.pop(path).close()
            self._open[path] = DictionaryFile(path)
            return self._open[path]

    def _forget_all_but(self, paths: set[Path]) -> None:
        """Let go of deleted files; a question under way keeps its own open until it is answered."""
        with self._lock:
            self._open = {path: file for path, file in self._open.items() if path in paths}


def dictionary_paths(folder: Path) -> list[Path]:
    """Every file of a store's dictionaries, older runs and damaged ones too.

    Raises:
        StoreNotFound: there is no store in this folder.
    """
    if not (folder / "dictionaries").is_dir():
        raise StoreNotFound(
            f"No store in '{folder}': it has no folder 'dictionaries'. "
            f"Build one: python -m featurestore build RECIPE --store {folder}"
        )
    return sorted((folder / "dictionaries").glob("*/*.duckdb"))


def _known(features: Iterable[int], info: DictionaryInfo) -> list[int]:
    """Those that exist, as DuckDB takes them: no numbers of numpy's."""
    return [int(feature) for feature in features if 0 <= feature < info.n_features]


def _of_context(file: DictionaryFile, statement: str, context: int) -> list[dict[str, Any]]:
    return file.rows(statement, int(context)) if 0 <= context < file.info.n_contexts else []


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


def _token_ids(rows: list[dict[str, Any]], *columns: str) -> set[int]:
    return {token for row in rows for column in columns for token in row[column] or []}


def _activations(row: dict[str, Any]) -> dict[int, float]:
    """Of an example, by position: from 8 bits, but for the sampled one."""
    pairs = zip(row["pos"], row["q"], strict=True)
    activations = {pos: q / 127 * row["scale"] for pos, q in pairs}
    if row["activation"]:
        activations[row["peak"]] = row["activation"]
    return activations


def _stored(feature: int, examples: list[dict[str, Any]]) -> StoredActivations:
    """Examples of one context differ in the position that is exact."""
    activations = _activations(examples[0])
    activations |= {row["peak"]: row["activation"] for row in examples if row["activation"]}
    exact = frozenset(row["peak"] for row in examples)
    return StoredActivations(feature, examples[0]["scale"], activations, exact)


def _example(row: dict[str, Any], text: dict[int, str]) -> Example:
    return Example(
        context=row["context"],
        document=row["document"],
        start=row["start"],
        tokens=tuple(text[token] for token in row["tokens"]),
        token_ids=tuple(row["tokens"]),
        peak=row["peak"],
        activation=row["activation"],
        activations=_activations(row),
    )
