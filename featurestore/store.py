"""Read a store: one method per question, records out."""

import itertools
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from featurestore import details, feature_list
from featurestore.detail_records import (
    AblatedContext,
    Cluster,
    Dependence,
    FeatureMap,
    Measure,
    Neighbours,
    SubstitutedToken,
)
from featurestore.dictionary_file import DictionaryFile
from featurestore.errors import StoreError, WeightsError
from featurestore.links import StoredLinks
from featurestore.listing import Listing, Remarks
from featurestore.pairs import StoredPairs
from featurestore.places import read_place
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
    Sampler,
    StoredActivations,
    StoredContext,
)
from featurestore.rows import to_example, to_feature, to_stored, to_summary, token_ids, tokens_of
from featurestore.served_files import ServedFiles
from featurestore.track_records import Activity

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
        self._served = ServedFiles(self.folder)
        self.pairs = StoredPairs(self._served)
        self.links = StoredLinks(self._served)

    def catalogue(self) -> Catalogue:
        """Every dictionary's newest complete file, and the files that cannot be served.

        Raises:
            StoreNotFound: there is no store in this folder.
        """
        return self._served.catalogue()

    def dictionary(self, dictionary_id: str) -> DictionaryInfo:
        """The newest run of a dictionary.

        Raises:
            UnknownDictionary: the store has none of this id.
        """
        return self._served.info(dictionary_id)

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

    def weights_path(self, info: DictionaryInfo) -> str | None:
        """Where a dictionary's file or folder stands; None where nobody knows any more."""
        try:
            return read_place(self.folder, info.run_id, info.dictionary_id).dictionary.path
        except WeightsError:
            return None

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
        file, feature = self._served.file_with(dictionary_id, feature)
        row = file.rows(_FEATURE, feature)[0]
        return to_feature(row, file.token_texts(tokens_of(row)))

    def bands(self, dictionary_id: str, feature: int, *samplers: Sampler) -> tuple[Band, ...]:
        """The examples of a feature, sampler by sampler, band by band, the highest first.

        Raises:
            UnknownFeature: the dictionary has no feature of this number.
        """
        file, feature = self._served.file_with(dictionary_id, feature)
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
        file = self._served.file(dictionary_id)
        rows = file.rows(_SUMMARIES, _known(features, file.info))
        text = file.token_texts(token_ids(rows, "promoted", "peak_tokens"))
        return {row["feature"]: to_summary(row, text) for row in rows}

    def context(self, dictionary_id: str, context: int) -> StoredContext:
        """A context of the corpus.

        Raises:
            StoreError: no feature of the dictionary refers to it, so the file does not hold it.
        """
        file = self._served.file(dictionary_id)
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
        rows = _of_context(self._served.file(dictionary_id), _ON_CONTEXT, context)
        by_feature = itertools.groupby(rows, lambda row: row["feature"])
        return tuple(to_stored(feature, list(examples)) for feature, examples in by_feature)

    def ablated_contexts(self, dictionary_id: str, feature: int) -> tuple[AblatedContext, ...]:
        """The contexts on which a feature was switched off; top contexts first, then bands."""
        return details.ablated_contexts(*self._served.file_with(dictionary_id, feature))

    def dependences(self, dictionary_id: str, feature: int) -> tuple[Dependence, ...]:
        """Which earlier tokens the peaks of a feature's first top contexts depend on."""
        return details.dependences(*self._served.file_with(dictionary_id, feature))

    def neighbours(self, dictionary_id: str, feature: int) -> Neighbours:
        """The features nearest to a feature."""
        return details.neighbours(*self._served.file_with(dictionary_id, feature))

    def map(self, dictionary_id: str) -> FeatureMap:
        """Where all features of a dictionary stand."""
        return details.feature_map(self._served.file(dictionary_id))

    def cluster(self, dictionary_id: str, cluster: int) -> Cluster | None:
        """A cluster of the map; None if there is none of this number."""
        return details.cluster(self._served.file(dictionary_id), cluster)

    def clusters(
        self, dictionary_id: str, numbers: Iterable[int] | None = None
    ) -> dict[int, Cluster]:
        """Clusters of the map by number, the largest first; of some numbers, or all."""
        wanted = None if numbers is None else sorted({int(number) for number in numbers})
        found = details.clusters(self._served.file(dictionary_id), wanted)
        return {cluster.cluster: cluster for cluster in found}

    def measures(self, dictionary_id: str) -> dict[str, Measure]:
        """Numbers about the whole dictionary, by name."""
        return details.measures(self._served.file(dictionary_id))

    def substituted_tokens(self, dictionary_id: str) -> tuple[SubstitutedToken, ...]:
        """What is lost at each token by the dictionary's vectors; none if it was not scored."""
        return details.substituted_tokens(self._served.file(dictionary_id))

    def activity(self, dictionary_id: str) -> Activity:
        """How active every feature of a dictionary is."""
        return self._served.file(dictionary_id).activity

    def close(self) -> None:
        """Close every file. The store can be used again; it reopens what it needs."""
        for files in (self._served, self.pairs, self.links):
            files.close()

    def _listing(self, query: FeatureQuery) -> tuple[DictionaryFile, Listing]:
        file = self._served.file(query.dictionary_id)
        return file, Listing(file, query, self._remarks)


def _known(features: Iterable[int], info: DictionaryInfo) -> list[int]:
    """Those that exist, as DuckDB takes them: no numbers of numpy's."""
    return [int(feature) for feature in features if 0 <= feature < info.n_features]


def _of_context(file: DictionaryFile, statement: str, context: int) -> list[dict[str, Any]]:
    return file.rows(statement, int(context)) if 0 <= context < file.info.n_contexts else []
