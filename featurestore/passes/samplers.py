"""Which tokens of a feature are shown: five ways to choose, none with a running random state.

A sampled token is one with a small hash of (seed, feature, place), so a sample is the same however
the work was split, is uniform, and is without replacement.

    top       the highest activation of each context, highest first; of contexts whose peak and the
              15 tokens before it are the same, the highest stands for all
    interval  n equal-width bands (M j / n, M (j + 1) / n] of the range up to the maximum M
    quantile  n bands of equal counts, by rank
    random    all active tokens
    zero      valid tokens on which the feature is silent
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64, UInt64

from featurestore.activations import Activations
from featurestore.corpus import Corpus
from featurestore.passes.base import first_of_each, is_new
from featurestore.passes.statistics import extremes

DUPLICATE_WINDOW = 16
NEAR_THE_TOP = 16
"""Top contexts are first looked for among this many times as many entries, which is nearly always
enough; where duplicates use these up, among all."""
ZERO_POOL = 64
"""Silent tokens are looked for among this many times the tokens wanted."""


@dataclass(frozen=True)
class Sample:
    """Sampled tokens, and the bands that they stand for."""

    sampler: str
    owner: Int64[np.ndarray, " n_sampled"]
    """Feature of the range, from 0; then by band and rank."""
    band: Int64[np.ndarray, " n_sampled"]
    token: Int64[np.ndarray, " n_sampled"]
    """Place in the corpus."""
    value: Float32[np.ndarray, " n_sampled"]
    band_owner: Int64[np.ndarray, " n_bands"]
    band_number: Int64[np.ndarray, " n_bands"]
    low: Float32[np.ndarray, " n_bands"]
    """For an interval its open lower edge; else the smallest activation of the band."""
    high: Float32[np.ndarray, " n_bands"]
    n_band: Int64[np.ndarray, " n_bands"]


def hashes(seed: int, features: np.ndarray, tokens: np.ndarray) -> UInt64[np.ndarray, " n"]:
    """A hash of (seed, feature, token), by the finaliser of splitmix64 (Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        key = _mix(np.uint64(seed) + _mix(features.astype(np.uint64)))
        return _mix(key ^ _mix(tokens.astype(np.uint64)))


def _mix(x: np.ndarray) -> np.ndarray:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def window_hashes(corpus: Corpus) -> UInt64[np.ndarray, " n_places"]:
    """For each place of the corpus, a hash of its token and the 15 before it in the context."""
    tokens = corpus.tokens.astype(np.uint64) + np.uint64(1)
    state = np.zeros_like(tokens)
    for shift in range(DUPLICATE_WINDOW - 1, -1, -1):
        earlier = np.zeros_like(tokens)
        earlier[:, shift:] = tokens[:, : max(0, tokens.shape[1] - shift)]
        state = _mix(state ^ earlier)
    return state.reshape(-1)


def top(activations: Activations, windows: np.ndarray, context_length: int, n: int) -> Sample:
    """The contexts with the highest activations."""
    peaks = _peaks(activations, context_length)
    owner, rank = activations.owner[peaks], activations.rank[peaks]
    n_peaks = np.bincount(owner, minlength=activations.n_features)
    is_wide = np.zeros(activations.n_features, dtype=bool)
    while True:
        looked_at = peaks[(rank < NEAR_THE_TOP * n) | is_wide[owner]]
        chosen = _distinct(looked_at, activations, windows, n)
        n_chosen, n_looked_at = (
            np.bincount(activations.owner[entries], minlength=activations.n_features)
            for entries in (chosen, looked_at)
        )
        has_more = (n_chosen < n) & (n_looked_at < n_peaks)
        if not has_more.any():
            return _one_band("top", activations, chosen)
        is_wide |= has_more


def _distinct(
    peaks: np.ndarray, activations: Activations, windows: np.ndarray, n: int
) -> Int64[np.ndarray, " n_chosen"]:
    """The `n` highest peaks of each feature; of those with one window the first alone."""
    peaks = peaks[np.lexsort((activations.rank[peaks], activations.owner[peaks]))]
    owner, window = activations.owner[peaks], windows[activations.tokens[peaks]]
    # Stable, so the best peak of a window comes first among its duplicates.
    by_window = np.lexsort((window, owner))
    is_best = np.zeros(len(peaks), dtype=bool)
    is_best[by_window] = is_new(owner[by_window], window[by_window])
    peaks = peaks[is_best]
    return peaks[first_of_each(activations.owner[peaks], n)]


def _peaks(activations: Activations, context_length: int) -> Int64[np.ndarray, " n_peaks"]:
    """The entry with the highest activation of each feature and context, the first if several."""
    if len(activations.values) == 0:
        return np.zeros(0, dtype=np.int64)
    is_start = is_new(activations.owner, activations.tokens // context_length)
    group = np.cumsum(is_start) - 1
    highest = np.maximum.reduceat(activations.values, np.flatnonzero(is_start))
    ties = np.flatnonzero(activations.values == highest[group])
    return ties[is_new(group[ties])]


def interval(activations: Activations, n_bands: int, n: int, seed: int) -> Sample:
    """Samples of equal-width bands from 0 to the maximum; band 0 is the highest."""
    _, high = extremes(activations)
    edges = np.maximum(high, 0)[:, None].astype(np.float64) * np.arange(n_bands + 1) / n_bands
    edges = edges.astype(np.float32)
    owner, values = activations.owner, activations.values
    with np.errstate(divide="ignore", invalid="ignore"):
        guess = np.ceil(values.astype(np.float64) / edges[owner, -1] * n_bands) - 1
    band = np.clip(np.nan_to_num(guess), 0, n_bands - 1).astype(np.int64)
    band -= values <= edges[owner, band]
    band += (values > edges[owner, np.clip(band, 0, n_bands - 1) + 1]) & (band >= 0)
    is_inside = (band >= 0) & (values > 0)
    number = n_bands - 1 - band
    counts = np.bincount(
        owner[is_inside] * n_bands + number[is_inside], minlength=activations.n_features * n_bands
    )
    low_edges, high_edges = edges[:, :-1][:, ::-1], edges[:, 1:][:, ::-1]
    entries = np.flatnonzero(is_inside)
    return _banded("interval", activations, entries, number, counts, low_edges, high_edges, n, seed)


def quantile(activations: Activations, n_bands: int, n: int, seed: int) -> Sample:
    """Samples of bands with equal counts by rank; band 0 is the highest."""
    n_active = activations.n_active[:, None]
    number = activations.rank * n_bands // activations.n_active[activations.owner]
    starts = -(-np.arange(n_bands + 1) * n_active // n_bands)  # rounded up
    counts = np.diff(starts, axis=1)
    falling = np.empty_like(activations.values)
    falling[activations.bounds[:-1][activations.owner] + activations.rank] = activations.values
    low, high = (np.zeros(counts.shape, dtype=np.float32) for _ in range(2))
    is_filled = counts > 0
    first = (starts[:, :-1] + activations.bounds[:-1, None])[is_filled]
    high[is_filled] = falling[first]
    low[is_filled] = falling[first + counts[is_filled] - 1]
    entries = np.arange(len(falling))
    counts = counts.reshape(-1)
    return _banded("quantile", activations, entries, number, counts, low, high, n, seed)


def random(activations: Activations, n: int, seed: int) -> Sample:
    """Samples of all active tokens."""
    priority = hashes(seed, activations.first + activations.owner, activations.tokens)
    chosen = _smallest(activations.owner, activations.n_active, priority, activations.tokens, n)
    return _one_band("random", activations, chosen)


def zero_pool(corpus: Corpus, n: int, seed: int) -> Int64[np.ndarray, " n_pool"]:
    """Valid tokens of the corpus in an order drawn by the seed, as many as silent ones need."""
    places = np.flatnonzero(corpus.is_valid(slice(0, len(corpus.tokens))))
    priority = hashes(seed, np.zeros(1), places)
    return places[np.lexsort((places, priority))[: n * ZERO_POOL]]


def zero(activations: Activations, pool: np.ndarray, n_tokens: int, n: int) -> Sample:
    """Samples of the tokens on which a feature is silent: the first of the pool that are."""
    n_features = activations.n_features
    owner = np.concatenate([activations.owner, activations.nonfinite_owner])
    tokens = np.concatenate([activations.tokens, activations.nonfinite_tokens])
    by_place = np.argsort(pool)
    found = np.searchsorted(pool[by_place], tokens)
    found = by_place[np.minimum(found, len(pool) - 1)]
    is_hit = pool[found] == tokens
    is_silent = np.ones((n_features, len(pool)), dtype=bool)
    is_silent[owner[is_hit], found[is_hit]] = False
    is_silent &= np.cumsum(is_silent, axis=1) <= n
    owner, place = np.nonzero(is_silent)
    return Sample(
        sampler="zero",
        owner=owner,
        band=np.zeros(len(owner), dtype=np.int64),
        token=pool[place],
        value=np.zeros(len(owner), dtype=np.float32),
        band_owner=np.arange(n_features),
        band_number=np.zeros(n_features, dtype=np.int64),
        low=np.zeros(n_features, dtype=np.float32),
        high=np.zeros(n_features, dtype=np.float32),
        n_band=n_tokens - activations.n_active - activations.n_nonfinite,
    )


def _one_band(sampler: str, activations: Activations, chosen: np.ndarray) -> Sample:
    """A sample that stands for all active tokens of its feature."""
    low, high = extremes(activations)
    alive = np.flatnonzero(activations.n_active)
    return Sample(
        sampler=sampler,
        owner=activations.owner[chosen],
        band=np.zeros(len(chosen), dtype=np.int64),
        token=activations.tokens[chosen],
        value=activations.values[chosen],
        band_owner=alive,
        band_number=np.zeros(len(alive), dtype=np.int64),
        low=low[alive],
        high=high[alive],
        n_band=activations.n_active[alive],
    )


def _banded(
    sampler: str,
    activations: Activations,
    entries: np.ndarray,
    number: np.ndarray,
    counts: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    n: int,
    seed: int,
) -> Sample:
    """The `n` entries of smallest hash in each band; bands without an entry are left out."""
    n_bands = low.shape[1]
    owner, tokens = activations.owner[entries], activations.tokens[entries]
    group = owner * n_bands + number[entries]
    priority = hashes(seed, activations.first + owner, tokens)
    order = _smallest(group, counts, priority, tokens, n)
    present = np.flatnonzero(counts)
    return Sample(
        sampler=sampler,
        owner=owner[order],
        band=number[entries][order],
        token=tokens[order],
        value=activations.values[entries][order],
        band_owner=present // n_bands,
        band_number=present % n_bands,
        low=low.reshape(-1)[present],
        high=high.reshape(-1)[present],
        n_band=counts[present],
    )


def _smallest(
    group: np.ndarray, counts: np.ndarray, priority: np.ndarray, tokens: np.ndarray, n: int
) -> Int64[np.ndarray, " n_chosen"]:
    """Entries of each group with the `n` smallest priorities, groups in order.

    Priorities are uniform, so nearly all entries can be passed over without sorting: those above a
    bound that some more than `n` of the group are expected to be below.
    """
    share = (n + 8 * np.sqrt(n) + 8) / np.maximum(counts, 1)
    bound = (np.minimum(share, 1 - 2**-52) * 2.0**64).astype(np.uint64)
    is_low = (priority < bound[group]) | (share >= 1)[group]
    is_short = np.bincount(group[is_low], minlength=len(counts)) < np.minimum(counts, n)
    entries = np.flatnonzero(is_low | is_short[group])
    order = np.lexsort((tokens[entries], priority[entries], group[entries]))
    entries = entries[order]
    return entries[first_of_each(group[entries], n)]
