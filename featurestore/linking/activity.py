"""How strongly features feed others on the texts: activation upstream where both are active."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float64

from featurestore.activations import ActivationFiles, Activations
from featurestore.matching.activity import Relations, Sweeps, rising
from featurestore.passes.base import is_new
from featurestore.passes.coactivation import ENTRIES_AT_ONCE, FEATURES_AT_ONCE
from featurestore.passes.pairs import Pairs
from featurestore.records import DictionaryInfo


@dataclass(frozen=True)
class Flow:
    """Of pairs of features, over all valid tokens."""

    relations: Relations
    mean: Float64[np.ndarray, " n_pairs"]
    """Mean activation of the first over the tokens on which both are active; NaN without any."""


def flow(
    sweeps: Sweeps, upstream: DictionaryInfo, downstream: DictionaryInfo, pairs: Pairs
) -> Flow:
    """Of some features upstream with some downstream.

    Raises:
        WeightsError: weights or texts are elsewhere, cannot be read or have changed.
    """
    relations = sweeps.relations(upstream, downstream, *pairs)
    files, corpus = sweeps.as_one(upstream, downstream)
    found, place = rising(pairs.feature, pairs.neighbour + upstream.n_features)
    sums = _sums_in_common(files, found, corpus.tokens.size)[place]
    n_both = np.where(relations.n_both > 0, relations.n_both, np.nan)
    return Flow(relations, sums / n_both)


def _sums_in_common(
    files: ActivationFiles, pairs: Pairs, n_places: int
) -> Float64[np.ndarray, " n_pairs"]:
    """Activation of the first of each pair, summed over the tokens on which both are active."""
    sums = np.zeros(len(pairs.feature))
    ranges = files.ranges(ENTRIES_AT_ONCE, FEATURES_AT_ONCE)
    for first, last in ranges:
        own = np.flatnonzero((pairs.feature >= first) & (pairs.feature < last))
        activations = files.read(first, last) if len(own) else None
        for first_other, last_other in ranges:
            is_in = (pairs.neighbour[own] >= first_other) & (pairs.neighbour[own] < last_other)
            chosen = own[is_in]
            if activations is not None and len(chosen):
                others = files.read(first_other, last_other)
                part = Pairs(*(each[chosen] for each in pairs))
                sums[chosen] = _sums(activations, others, part, n_places)
    return sums


def _sums(
    activations: Activations, others: Activations, pairs: Pairs, n_places: int
) -> Float64[np.ndarray, " n_pairs"]:
    """The same, of features of one range and others of another."""
    sums = np.zeros(len(pairs.feature))
    values = np.zeros(n_places)
    for first, last in pairwise([*np.flatnonzero(is_new(pairs.feature)), len(sums)]):
        entries = _entries(activations, pairs.feature[first])
        tokens = activations.tokens[entries]
        values[tokens] = activations.values[entries]
        for i in range(first, last):
            sums[i] = values[others.tokens[_entries(others, pairs.neighbour[i])]].sum()
        values[tokens] = 0
    return sums


def _entries(activations: Activations, feature: np.int64) -> slice:
    """Where one feature's activations stand."""
    first, last = activations.bounds[feature - activations.first :][:2]
    return slice(first, last)
