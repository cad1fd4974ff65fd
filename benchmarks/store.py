"""How long a store takes to answer what the pages ask of it, at two sizes of a dictionary.

    python -m benchmarks.store
    python -m benchmarks.store --features 24576 --repeats 20 --json
    python -m benchmarks.store --keep FOLDER     write the store there, or use what is there already

Every question is put many times with arguments that vary by a seed, through the public methods of
`Store`. The first answer of each kind is not counted, so these are times of a warm file.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np

from benchmarks.made_up_store import (
    N_CLUSTERS,
    N_TOKENS,
    VOCAB,
    MadeUpRemarks,
    dictionary_id,
    write_dictionary,
)
from featurestore.annotations.records import NO_VERDICT, Verdict
from featurestore.records import NUMERIC_COLUMNS, FeatureQuery, Flag, TokenRole
from featurestore.store import Store

SIZES = (24_576, 1_000_000)
PAGE_SIZE = 50
TARGET_MS = {"point": 50, "scan": 250, "whole": 2000}
"""What 95 of 100 answers should stay within; a scan looks at every feature, and the whole of a map
is asked for once."""

Answer = Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """How long one kind of question takes."""

    benchmark: str
    features: int
    p50_ms: float
    p95_ms: float
    n: int


class Visitor:
    """Makes up questions: each method is one kind, and returns the asking of one of them."""

    def __init__(self, store: Store, n_features: int, seed: int) -> None:
        self._store, self._n_features = store, n_features
        self._random = random.Random(seed)
        self._plain = FeatureQuery(dictionary_id(n_features))

    def opening(self) -> Answer:
        """The first look into a store that was just started."""
        return partial(_open_and_close, self._store.folder)

    def catalogue(self) -> Answer:
        """The picker of dictionaries, on every page."""
        return self._store.catalogue

    def count(self) -> Answer:
        """How many features are dense, above the list."""
        dense = replace(self._plain, flags=frozenset({Flag.DENSE}))
        return partial(self._store.features, dense, limit=0)

    def page(self) -> Answer:
        """The list as it opens."""
        return partial(self._store.features, self._plain, PAGE_SIZE)

    def deep_page(self) -> Answer:
        """Any page of the whole list, in any order."""
        page = self._random.randrange(-(-self._n_features // PAGE_SIZE))
        return partial(self._store.features, self._sorted(), PAGE_SIZE, PAGE_SIZE * page)

    def filter_and_sort(self) -> Answer:
        """A list with ranges and flags, in any order."""
        return partial(self._store.features, self._filtered(), PAGE_SIZE)

    def search_promotes(self) -> Answer:
        """The features that promote a token."""
        return self._search("promotes")

    def search_suppresses(self) -> Answer:
        """The features that suppress a token."""
        return self._search("suppresses")

    def search_peaks(self) -> Answer:
        """The features that peak on a token."""
        return self._search("peaks on")

    def text_few(self) -> Answer:
        """The features with a phrase in a top context that hardly any other holds."""
        return self._text(self._phrase())

    def text_some(self) -> Answer:
        """The features with a rare word in a top context."""
        return self._text(self._word(0.9, 1))

    def text_many(self) -> Answer:
        """The features with a frequent syllable in a top context: nearly all."""
        return self._text(self._word(0, 0.005))

    def regex_few(self) -> Answer:
        """The same phrase, by a regular expression."""
        first, *rest = self._phrase().split()
        return self._text(r"\s+".join([first, *rest]), is_regex=True)

    def regex_some(self) -> Answer:
        """The same rare word, on its own."""
        return self._text(rf"(?i)\b{self._word(0.9, 1)}\b", is_regex=True)

    def regex_many(self) -> Answer:
        """Words that begin with the same syllable."""
        return self._text(rf"\b{self._word(0, 0.005)}\w{{2,4}}\b", is_regex=True)

    def label(self) -> Answer:
        """The features with a word in their label."""
        return self._text(self._word(0, 1), within="annotations")

    def verdict(self) -> Answer:
        """The features of one verdict."""
        return partial(self._store.features, self._judged(), PAGE_SIZE)

    def shuffled(self) -> Answer:
        """The list in a random order."""
        seed = self._random.randrange(2**31)
        query = replace(self._plain, sort="random", seed=seed)
        return partial(self._store.features, query, PAGE_SIZE)

    def queue_place(self) -> Answer:
        """Next among the features without a verdict, in a random order."""
        query = replace(
            self._plain,
            verdicts=frozenset({NO_VERDICT}),
            sort="random",
            seed=self._random.randrange(2**31),
        )
        return partial(self._store.place, query, self._feature())

    def text_place(self) -> Answer:
        """Previous and Next among the features with a rare word in a top context."""
        return partial(self._store.place, self._text(self._word(0.9, 1)).args[0], self._feature())

    def place(self) -> Answer:
        """Previous and Next in the list as it opens."""
        return partial(self._store.place, self._plain, self._feature())

    def filtered_place(self) -> Answer:
        """Previous and Next in a list with ranges and flags, in any order."""
        query = self._filtered()
        kept = self._store.feature_at(query, self._random.randrange(2**31))
        return partial(self._store.place, query, kept or 0)

    def searched_place(self) -> Answer:
        """Previous and Next among the features that have to do with a token."""
        role = self._random.choice(get_args(TokenRole))
        query = replace(self._plain, token=self._token(), role=role)
        kept = self._store.feature_at(query, self._random.randrange(2**31))
        return partial(self._store.place, query, kept or 0)

    def random_feature(self) -> Answer:
        """The button Random."""
        return partial(self._store.feature_at, self._plain, self._random.randrange(2**31))

    def feature(self) -> Answer:
        """The numbers and tokens of a feature."""
        return partial(self._store.feature, self._plain.dictionary_id, self._feature())

    def bands(self) -> Answer:
        """The contexts of one tab of a feature."""
        sampler = self._random.choice(("top", "interval", "quantile", "random", "zero"))
        return partial(self._store.bands, self._plain.dictionary_id, self._feature(), sampler)

    def by_effect(self) -> Answer:
        """The list by effect, of features that random directions hardly reach."""
        ranges = (("kl_percentile", self._random.uniform(50, 99), None),)
        sort = self._random.choice(("ablation_kl", "kl_percentile"))
        return partial(
            self._store.features, replace(self._plain, ranges=ranges, sort=sort), PAGE_SIZE
        )

    def in_cluster(self) -> Answer:
        """The features of one cluster."""
        return partial(self._store.features, self._clustered(), PAGE_SIZE)

    def cluster_place(self) -> Answer:
        """Next among the features of one cluster without a verdict."""
        query = replace(self._clustered(), verdicts=frozenset({NO_VERDICT}))
        return partial(self._store.place, query, self._feature())

    def clusters(self) -> Answer:
        """Every cluster by its name, to choose one."""
        return partial(self._store.clusters, self._plain.dictionary_id)

    def neighbours(self) -> Answer:
        """The features nearest to a feature."""
        return partial(self._store.neighbours, self._plain.dictionary_id, self._feature())

    def ablated_contexts(self) -> Answer:
        """The contexts on which a feature was switched off."""
        return partial(self._store.ablated_contexts, self._plain.dictionary_id, self._feature())

    def dependences(self) -> Answer:
        """Which earlier tokens a feature's peaks depend on."""
        return partial(self._store.dependences, self._plain.dictionary_id, self._feature())

    def map(self) -> Answer:
        """Where all features of the dictionary stand, and their control."""
        return partial(self._store.map, self._plain.dictionary_id)

    def _clustered(self) -> FeatureQuery:
        number = self._random.randrange(N_CLUSTERS)
        return replace(self._plain, ranges=(("cluster", number, number),))

    def _feature(self) -> int:
        return self._random.randrange(self._n_features)

    def _token(self) -> str:
        """The text of a token, a popular one more often than not."""
        return VOCAB[int(len(VOCAB) * self._random.random() ** 3)]

    def _word(self, low: float, high: float) -> str:
        """A word from a part of the vocabulary, of which the first are the most frequent."""
        return VOCAB[int(len(VOCAB) * self._random.uniform(low, high)) % len(VOCAB)].strip()

    def _phrase(self) -> str:
        """Four tokens of some context, without what is around them."""
        info = self._store.dictionary(self._plain.dictionary_id)
        context = self._random.randrange(info.n_contexts)
        tokens = self._store.context(info.dictionary_id, context).tokens
        return "".join(tokens[20:24]).strip()

    def _text(self, text: str, **changes: object) -> Answer:
        return partial(self._store.features, replace(self._plain, text=text, **changes), PAGE_SIZE)

    def _judged(self) -> FeatureQuery:
        verdict = self._random.choice(list(Verdict))
        return replace(self._plain, verdicts=frozenset({str(verdict)}))

    def _search(self, role: TokenRole) -> Answer:
        query = replace(self._sorted(), token=self._token(), role=role)
        return partial(self._store.features, query, PAGE_SIZE)

    def _sorted(self) -> FeatureQuery:
        column = self._random.choice(NUMERIC_COLUMNS)
        return replace(self._plain, sort=column, descending=self._random.random() < 0.5)

    def _filtered(self) -> FeatureQuery:
        ranges = {
            "density": (10 ** self._random.uniform(-5, -3), None),
            "n_active": (None, self._random.randrange(N_TOKENS // 1000, N_TOKENS)),
            "max_activation": (self._random.uniform(0, 3), self._random.uniform(4, 20)),
            "logit_kurtosis": (self._random.uniform(3, 9), None),
            "skewness": (None, self._random.uniform(1, 5)),
        }
        chosen = self._random.sample(sorted(ranges), self._random.randint(1, 3))
        flags = self._random.choice(((), (), (), (Flag.DENSE,), (Flag.NONFINITE,)))
        return replace(
            self._sorted(),
            ranges=tuple((column, *ranges[column]) for column in chosen),
            flags=frozenset(flags),
            include_dead=self._random.random() < 0.3,
        )


QUESTIONS = {
    "opening": "point",
    "catalogue": "point",
    "feature": "point",
    "bands": "point",
    "neighbours": "point",
    "ablated_contexts": "point",
    "dependences": "point",
    "clusters": "point",
    "count": "scan",
    "page": "scan",
    "deep_page": "scan",
    "filter_and_sort": "scan",
    "search_promotes": "scan",
    "search_suppresses": "scan",
    "search_peaks": "scan",
    "text_few": "scan",
    "text_some": "scan",
    "text_many": "scan",
    "regex_few": "scan",
    "regex_some": "scan",
    "regex_many": "scan",
    "label": "scan",
    "verdict": "scan",
    "shuffled": "scan",
    "place": "scan",
    "filtered_place": "scan",
    "searched_place": "scan",
    "text_place": "scan",
    "queue_place": "scan",
    "by_effect": "scan",
    "in_cluster": "scan",
    "cluster_place": "scan",
    "random_feature": "scan",
    "map": "whole",
}
"""Every kind of question, and whether it looks at every feature or answers with all."""


def measure(store: Store, n_features: int, repeats: int, seed: int) -> Iterator[Timing]:
    """Time every kind of question."""
    for question in QUESTIONS:
        make = getattr(Visitor(store, n_features, seed), question)
        times = [_seconds(make()) for _ in range(repeats + 1)][1:]
        p50, p95 = (round(float(p) * 1000, 2) for p in np.percentile(times, (50, 95)))
        yield Timing(f"store.{question}", n_features, p50, p95, repeats)


def main(given: list[str] | None = None) -> None:
    """Write the stores, and print a line for every kind of question."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--features", type=int, nargs="+", default=SIZES, metavar="N")
    parser.add_argument("--repeats", type=int, default=40, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="a line of JSON for each")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the store here")
    options = parser.parse_args(given)
    with tempfile.TemporaryDirectory() as temporary:
        for line in _lines(options, options.keep or Path(temporary)):
            print(line, flush=True)


def _lines(options: argparse.Namespace, folder: Path) -> Iterator[str]:
    if not options.json:
        yield _TABLE_HEAD
    for n_features in options.features:
        write_dictionary(folder, n_features, options.seed)
        store = Store(folder, MadeUpRemarks(n_features, options.seed))
        for timing in measure(store, n_features, options.repeats, options.seed):
            yield json.dumps(asdict(timing)) if options.json else _table_row(timing)
        store.close()


def _seconds(ask: Answer) -> float:
    started = time.perf_counter()
    ask()
    return time.perf_counter() - started


def _open_and_close(folder: Path) -> None:
    store = Store(folder)
    store.catalogue()
    store.close()


_TABLE_HEAD = f"{'':<26}{'features':>10}{'n':>6}{'p50 ms':>9}{'p95 ms':>9}"


def _table_row(timing: Timing) -> str:
    kind = QUESTIONS[timing.benchmark.removeprefix("store.")]
    verdict = "" if timing.p95_ms <= TARGET_MS[kind] else f"over {TARGET_MS[kind]} ms"
    return (
        f"{timing.benchmark:<26}{timing.features:>10,}{timing.n:>6}"
        f"{timing.p50_ms:>9.1f}{timing.p95_ms:>9.1f}  {kind:<6}{verdict}".rstrip()
    )


if __name__ == "__main__":
    main()
