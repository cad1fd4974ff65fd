"""Read a store: one method per question, records out.

A file that cannot be read is reported as a problem and takes nothing else down.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from featurestore import details, feature_list, links, pairs
from featurestore.detail_records import (
    AblatedContext,
    Cluster,
    Dependence,
    FeatureMap,
    Measure,
    Neighbours,
    SubstitutedToken,
)
from featurestore.dictionary_file import DictionaryFile, check_feature
from featurestore.errors import (
    DamagedStore,
    NotCompared,
    StoreError,
    StoreNotFound,
    UnknownDictionary,
)
from featurestore.link_records import LinkCatalogue, Links
from featurestore.listing import Listing, Remarks
from featurestore.open_files import OpenFiles
from featurestore.pair_records import (
    Match,
    MatchKind,
    MatchPage,
    MatchSort,
    PairCatalogue,
    PairInfo,
)
from featurestore.records import (
    Band,
    Catalogue,
    DictionaryInfo,
    Feature,
    FeatureMark,
    FeaturePage,
    FeatureQuery,
    FeatureSummary,
    ListPlace,
    Problem,
    Sampler,
    StoredActivations,
    StoredContext,
)
from featurestore.rows import to_example, to_feature, to_stored, to_summary, token_ids, tokens_of
from featurestore.two_runs import files_served

_FEATURE = "select * from features where feature = ?"
_BANDS = """
    select sampler, band, low, high, n_band from bands
    where feature = ? and sampler in (select unnest(?::varchar[])) order by band
"""
_EXAMPLES = """
    select e.sampler, e.band, e.context, e.peak, e.activation, e.scale, e.pos, e.q,
        c.document, c.start, c.tokens
    from examples e join contexts c using (context)
    where e.feature = ? and e.sampler in (select unnest(?::varchar[])) order by e.band, e.rank
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
    """A folder of dictionary files. Safe to share between threads, if its remarks are."""

    def __init__(self, folder: str | Path, remarks: Remarks | None = None) -> None:
        """Open a store; `remarks` are asked by queries for verdicts, annotations, explanations."""
        self.folder = Path(folder)
        self._remarks = remarks
        self._files = OpenFiles(DictionaryFile)
        self._link_files = OpenFiles(links.LinkFile)

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
        """A page of the features that a query keeps, in its order.

        Raises:
            StoreError: the query asks for what there is not, or takes too long.
        """
        if limit < 0 or offset < 0:
            raise StoreError(f"No page of {limit} rows after {offset}: both must be 0 or more.")
        file, listing = self._listing(query)
        rows = listing.rows(feature_list.PAGE, limit, offset) if limit else []
        text = file.token_texts(token_ids(rows, "promoted", "peak_tokens"))
        return FeaturePage(
            rows=tuple(to_summary(row, text) for row in rows),
            n_kept=rows[0]["n_kept"] if rows else listing.count(),
            n_features=file.info.n_features,
            matched_tokens=tuple(listing.tokens.values()),
            found=listing.found(rows),
            silent=listing.silent() if rows else None,
        )

    def numbers(self, query: FeatureQuery) -> tuple[int, ...]:
        """Every feature that a query keeps, rising.

        Raises:
            StoreError: the query asks for what there is not, or takes too long.
        """
        _, listing = self._listing(query)
        return tuple(row["feature"] for row in listing.rows(feature_list.NUMBERS))

    def place(self, query: FeatureQuery, feature: int) -> ListPlace:
        """Where a feature stands in a query's list, and its neighbours there."""
        file, listing = self._listing(query)
        known = feature if 0 <= feature < file.info.n_features else None
        (row,) = listing.rows(feature_list.PLACE, known)
        place = row["place"] if row["is_kept"] else None
        return ListPlace(place, row["n_kept"], row["previous"], row["next"])

    def feature_at(self, query: FeatureQuery, number: int) -> int | None:
        """The feature with `number % n_kept` smaller ones in the list; None in an empty list.

        With a random number this draws uniformly from what the query keeps.
        """
        _, listing = self._listing(query)
        count = listing.count()
        if count == 0:
            return None
        return listing.rows(feature_list.FEATURE_AT, number % count)[0]["feature"]

    def feature(self, dictionary_id: str, feature: int) -> Feature:
        """All that a feature's page says beside its contexts.

        Raises:
            UnknownFeature: the dictionary has no feature of this number.
        """
        file, feature = self._checked(dictionary_id, feature)
        row = file.rows(_FEATURE, feature)[0]
        return to_feature(row, file.token_texts(tokens_of(row)))

    def bands(self, dictionary_id: str, feature: int, *samplers: Sampler) -> tuple[Band, ...]:
        """The examples of a feature, sampler by sampler, band by band, the highest first.

        Raises:
            UnknownFeature: the dictionary has no feature of this number.
        """
        file, feature = self._checked(dictionary_id, feature)
        examples = defaultdict(list)
        for row in file.rows(_EXAMPLES, feature, list(samplers)):
            examples[row["sampler"], row["band"]].append(row)
        tokens = {token for rows in examples.values() for row in rows for token in row["tokens"]}
        text = file.token_texts(tokens)
        bands = file.rows(_BANDS, feature, list(samplers))
        bands.sort(key=lambda band: samplers.index(band["sampler"]))
        return tuple(
            Band(
                **band,
                examples=tuple(
                    to_example(row, text) for row in examples[band["sampler"], band["band"]]
                ),
            )
            for band in bands
        )

    def marks(self, query: FeatureQuery, features: Iterable[int]) -> tuple[FeatureMark, ...]:
        """Those of some features that a query keeps, by number, with what ranks them elsewhere."""
        file, listing = self._listing(query)
        rows = listing.rows(feature_list.MARKS, _known(features, file.info))
        return tuple(FeatureMark(**row) for row in rows)

    def summaries(self, dictionary_id: str, features: Iterable[int]) -> dict[int, FeatureSummary]:
        """Rows of the table of features, by number; those that do not exist are left out."""
        file = self._served(dictionary_id)
        rows = file.rows(_SUMMARIES, _known(features, file.info))
        text = file.token_texts(token_ids(rows, "promoted", "peak_tokens"))
        return {row["feature"]: to_summary(row, text) for row in rows}

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
        return tuple(to_stored(feature, list(examples)) for feature, examples in by_feature)

    def ablated_contexts(self, dictionary_id: str, feature: int) -> tuple[AblatedContext, ...]:
        """The contexts on which a feature was switched off; top contexts first, then bands."""
        return details.ablated_contexts(*self._checked(dictionary_id, feature))

    def dependences(self, dictionary_id: str, feature: int) -> tuple[Dependence, ...]:
        """Which earlier tokens the peaks of a feature's first top contexts depend on."""
        return details.dependences(*self._checked(dictionary_id, feature))

    def neighbours(self, dictionary_id: str, feature: int) -> Neighbours:
        """The features nearest to a feature."""
        return details.neighbours(*self._checked(dictionary_id, feature))

    def map(self, dictionary_id: str) -> FeatureMap:
        """Where all features of a dictionary stand."""
        return details.feature_map(self._served(dictionary_id))

    def cluster(self, dictionary_id: str, cluster: int) -> Cluster | None:
        """A cluster of the map; None if there is none of this number."""
        return details.cluster(self._served(dictionary_id), cluster)

    def clusters(
        self, dictionary_id: str, numbers: Iterable[int] | None = None
    ) -> dict[int, Cluster]:
        """Clusters of the map by number, the largest first; of some numbers, or all."""
        wanted = None if numbers is None else sorted({int(number) for number in numbers})
        found = details.clusters(self._served(dictionary_id), wanted)
        return {cluster.cluster: cluster for cluster in found}

    def measures(self, dictionary_id: str) -> dict[str, Measure]:
        """Numbers about the whole dictionary, by name."""
        return details.measures(self._served(dictionary_id))

    def substituted_tokens(self, dictionary_id: str) -> tuple[SubstitutedToken, ...]:
        """What is lost at each token by the dictionary's vectors; none if it was not scored."""
        return details.substituted_tokens(self._served(dictionary_id))

    def compared(self) -> tuple[tuple[str, str], ...]:
        """Ids of every two dictionaries that were compared as they are now; no file is read."""
        files = pairs.pair_files(self.folder, self.catalogue().dictionaries)
        return tuple((a.dictionary_id, b.dictionary_id) for _, a, b in files)

    def pairs(self, of_families: bool = False) -> PairCatalogue:
        """Every two dictionaries that were compared as they are now, or those of one family."""
        return pairs.read_pairs(self.folder, self.catalogue().dictionaries, of_families)

    def pair(self, dictionary_id: str, other_id: str) -> PairInfo:
        """Two dictionaries that were compared, given in any order.

        Raises:
            NotCompared: they were not, or not as they are now.
            MatchError: they cannot be.
        """
        return pairs.read_pair(self._pair_path(dictionary_id, other_id))

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
        path = self._pair_path(dictionary_id, other_id)
        side = pairs.side_of(dictionary_id, other_id)
        return pairs.read_matches(path, side, kind, below, sort, descending, limit, offset)

    def nearest(self, dictionary_id: str, feature: int, other_id: str) -> tuple[Match, ...]:
        """The features of another dictionary nearest to a feature, then its match if it is none."""
        path = self._pair_path(dictionary_id, other_id)
        check_feature(feature, self.dictionary(dictionary_id))
        return pairs.read_nearest(path, pairs.side_of(dictionary_id, other_id), int(feature))

    def linked(self) -> LinkCatalogue:
        """Every two dictionaries with links between them, as they are now."""
        return links.read_catalogue(self._link_files, self._all_links())

    def link_paths(self, dictionary_id: str) -> links.LinkPaths:
        """Which files have links of a dictionary; none of them is opened."""
        return links.link_paths(self._all_links(), self.dictionary(dictionary_id).run_id)

    def links(self, dictionary_id: str, feature: int) -> Links:
        """What feeds a feature in earlier dictionaries, and what it feeds in later ones."""
        check_feature(feature, self.dictionary(dictionary_id))
        return links.read_links(self._link_files, self.link_paths(dictionary_id), int(feature))

    def close(self) -> None:
        """Close every file. The store can be used again; it reopens what it needs."""
        self._files.close()
        self._link_files.close()

    def _listing(self, query: FeatureQuery) -> tuple[DictionaryFile, Listing]:
        file = self._served(query.dictionary_id)
        return file, Listing(file, query, self._remarks)

    def _all_links(self) -> tuple[Path, ...]:
        paths = tuple(files_served(self.folder / links.FOLDER, self.catalogue().dictionaries))
        self._link_files.forget_all_but(paths)
        return paths

    def _pair_path(self, one: str, other: str) -> Path:
        both = self.dictionary(one), self.dictionary(other)
        pairs.check_comparable(*both)
        path = pairs.pair_path(self.folder, *both)
        if not path.exists():
            raise NotCompared(
                f"'{one}' and '{other}' were not compared, or not as they are now. Compare them: "
                f"python -m featurestore match {one} {other} --store {self.folder}"
            )
        return path

    def _served(self, dictionary_id: str) -> DictionaryFile:
        return self._files.get(Path(self.dictionary(dictionary_id).path))

    def _checked(self, dictionary_id: str, feature: int) -> tuple[DictionaryFile, int]:
        """The file, and a feature that it has."""
        file = self._served(dictionary_id)
        check_feature(feature, file.info)
        return file, int(feature)


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
