"""What a program that explains features needs of each: facts, and contexts in two lots.

The lots, `train` to explain from and `test` to score on, share no context: one that several
samplers drew stays on one side, and contexts of the same tokens count as one. Which side is drawn
by a hash of (seed, feature, context number), so it is the same on every run and every machine.
"""

import hashlib
import heapq
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from featurestore.errors import BadInput
from featurestore.records import Band, DictionaryInfo, Example, Feature, FeatureQuery, Sampler

if TYPE_CHECKING:
    from featurestore.store import Store

SAMPLERS: tuple[Sampler, ...] = ("top", "interval", "quantile", "random", "zero")
KINDS = {"top": "top", "interval": "band", "quantile": "band", "random": "random", "zero": "zero"}
"""What a context is to an explainer, by the sampler that drew it."""

_PAGE = 1000
"""Rows of the list of features that are read at a time."""


@dataclass(frozen=True)
class Drawn:
    """An example, and the band that it was drawn from."""

    band: Band
    example: Example


@dataclass(frozen=True)
class Split:
    """A feature's examples, in two lots that share no context."""

    feature: int
    seed: int
    test_share: float
    train: tuple[Drawn, ...]
    test: tuple[Drawn, ...]

    def held_out(self) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
        """The active and the silent examples of `test`, each context once in either.

        Of several examples of one context the seed draws one, so that contexts are independent. A
        context may be in both: active at one position, silent at another.
        """
        lots: tuple[dict[int, Example], dict[int, Example]] = ({}, {})
        for drawn in sorted(self.test, key=self._order):
            example = drawn.example
            lots[drawn.band.sampler == "zero"].setdefault(example.context, example)
        active, silent = (tuple(lot[context] for context in sorted(lot)) for lot in lots)
        return active, silent

    def _order(self, drawn: Drawn) -> int:
        return _hash(self.seed, self.feature, drawn.example.context, drawn.example.peak)


def split(feature: int, bands: Iterable[Band], seed: int = 0, test_share: float = 0.5) -> Split:
    """Divide a feature's examples between `train` and `test`, in every band alike.

    Band by band, those with the fewest contexts first, contexts are put into the order of their
    hash and dealt out: in turn for a share of a half, the first side drawn too. A context that an
    earlier band placed stays there and counts. So both sides have a part of every band that has two
    contexts of its own; where a store has too few, a side stays short of them.

    Raises:
        BadInput: the share is not between 0 and 1.
    """
    if not 0 < test_share < 1:
        raise BadInput(f"A share of {test_share:g} for the test side: it must be between 0 and 1.")
    bands = sorted(bands, key=lambda band: (SAMPLERS.index(band.sampler), band.band))
    same = _first_of_same_tokens(bands)
    lots = [(band, {same[e.context] for e in band.examples}) for band in bands]
    is_test: dict[int, bool] = {}
    for band, contexts in sorted(lots, key=lambda lot: len(lot[1])):
        n = len(contexts & is_test.keys())
        n_test = sum(is_test.get(context, False) for context in contexts)
        start = _hash(seed, feature, band.sampler, band.band) / 2**64
        free = contexts - is_test.keys()
        for context in sorted(free, key=lambda context: _hash(seed, feature, context)):
            n += 1
            is_test[context] = n_test < test_share * n - start
            n_test += is_test[context]
    drawn = [Drawn(band, example) for band in bands for example in band.examples]
    train = tuple(one for one in drawn if not is_test[same[one.example.context]])
    test = tuple(one for one in drawn if is_test[same[one.example.context]])
    return Split(feature, seed, test_share, train, test)


def feature_bands(store: "Store", dictionary_id: str, feature: int) -> tuple[Band, ...]:
    """The bands of every sampler.

    Raises:
        UnknownDictionary, UnknownFeature: there is none.
    """
    return store.bands(dictionary_id, feature, *SAMPLERS)


def living_features(
    store: "Store", dictionary_id: str, at_most: int | None = None, seed: int = 0
) -> list[int]:
    """The features that are not dead, by number; if too many, those that the seed draws."""
    query = FeatureQuery(dictionary_id, sort="feature", descending=False)
    found: list[int] = []
    while page := store.features(query, limit=_PAGE, offset=len(found)).rows:
        found += [row.feature for row in page]
    if at_most is None:
        return found
    return sorted(heapq.nsmallest(at_most, found, key=lambda feature: _hash(seed, feature)))


def bundle_lines(
    store: "Store",
    dictionary_id: str,
    features: Iterable[int],
    seed: int = 0,
    test_share: float = 0.5,
) -> Iterator[str]:
    """A line of JSON for each feature, without its line break.

    Raises:
        UnknownDictionary, UnknownFeature: there is none.
    """
    info = store.dictionary(dictionary_id)
    for number in features:
        lots = split(number, feature_bands(store, dictionary_id, number), seed, test_share)
        # Without ensure_ascii a token could hold what some readers take for the end of a line.
        yield json.dumps(_record(info, store.feature(dictionary_id, number), lots), allow_nan=False)


def _record(info: DictionaryInfo, feature: Feature, lots: Split) -> dict[str, Any]:
    return {
        "dictionary": info.dictionary_id,
        "digest": info.content,
        "model": info.model_name,
        "hook_point": info.hook_name,
        "hook_point_out": info.hook_name_out,
        "corpus": info.corpus_name,
        "feature": feature.feature,
        "n_active": feature.n_active,
        "n_tokens": info.n_tokens,
        "density": feature.density,
        "max_activation": feature.max_activation,
        "promoted": [[token.token, token.logit] for token in feature.promoted],
        "suppressed": [[token.token, token.logit] for token in feature.suppressed],
        "seed": lots.seed,
        "test_share": lots.test_share,
        "n_train": _counts(lots.train),
        "n_test": _counts(lots.test),
        "train": [_context(drawn) for drawn in lots.train],
        "test": [_context(drawn) for drawn in lots.test],
    }


def _counts(lot: tuple[Drawn, ...]) -> dict[str, int]:
    """Number of examples of each kind, and of the contexts that they stand in."""
    kinds = Counter(KINDS[drawn.band.sampler] for drawn in lot)
    contexts = {drawn.example.context for drawn in lot}
    return {kind: kinds[kind] for kind in dict.fromkeys(KINDS.values())} | {
        "contexts": len(contexts)
    }


def _context(drawn: Drawn) -> dict[str, Any]:
    band, example = drawn.band, drawn.example
    return {
        "kind": KINDS[band.sampler],
        "sampler": band.sampler,
        "band": band.band,
        "low": band.low,
        "high": band.high,
        "n_band": band.n_band,
        "context": example.context,
        "document": example.document,
        "start": example.start,
        "tokens": example.tokens,
        "activations": sorted(example.activations.items()),
        "peak": example.peak,
        "activation": example.activation,
    }


def _first_of_same_tokens(bands: Iterable[Band]) -> dict[int, int]:
    """Each context's number to the smallest of those with the same tokens."""
    examples = sorted((e for band in bands for e in band.examples), key=lambda e: e.context)
    first: dict[tuple[int, ...], int] = {}
    return {e.context: first.setdefault(e.token_ids, e.context) for e in examples}


def _hash(*parts: int | str) -> int:
    """64 bits that stand for a seed and whatever it draws."""
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
