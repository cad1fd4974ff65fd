"""Which tokens of a feature are shown: five ways to choose, none with a running random state.

A sampled token is one with a small hash of (seed, feature, place); of those on which a feature is
silent, which are too many to hash, one whose number is drawn by hashes of (seed, feature). So a
sample is the same however the work was split, is uniform, is without replacement, and is another
one for each feature.

    top       the highest activation of each context, highest first; of contexts whose peak and the
              15 tokens before it are the same, the highest stands for all
    interval  n equal-width bands (M j / n, M (j + 1) / n] of the range up to the maximum M
    quantile  n bands of equal counts, by rank
    random    all active tokens
    zero      valid tokens on which the feature is silent
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64, Integer, UInt64

from featurestore.activations import Activations, rising_bits, stable_order
from featurestore.corpus import Corpus
from featurestore.passes.base import is_new, place_in_slice, ragged
from featurestore.passes.statistics import extremes

DUPLICATE_WINDOW = 16
NEAR_THE_TOP = 1.25
"""Top contexts are first looked for among this many times as many, which is nearly always enough;
where duplicates use these up, among four times as many, and so on."""
_SALT = 0x51E27
"""Random numbers of silent tokens; salted, lest they be the hashes of the first tokens."""


@dataclass(frozen=True)
class Sample:
    """Sampled tokens, and the bands that they stand for: by feature, band and rank."""

    band_owner: Int64[np.ndarray, " n_bands"]
    """Feature of the range, from 0."""
    band_number: Int64[np.ndarray, " n_bands"]
    low: Float32[np.ndarray, " n_bands"]
    """For an interval its open lower edge; else the smallest activation of the band."""
    high: Float32[np.ndarray, " n_bands"]
    n_band: Int64[np.ndarray, " n_bands"]
    n_sampled: Int64[np.ndarray, " n_bands"]
    entry: Int64[np.ndarray, " n_sampled"]
    """Which of the range's activations was sampled; -1 for a silent token."""
    token: Int64[np.ndarray, " n_sampled"]
    """Place in the corpus."""
    value: Float32[np.ndarray, " n_sampled"]

    @property
    def owner(self) -> Int64[np.ndarray, " n_sampled"]:
        """Feature of the range, from 0, of each token."""
        return np.repeat(self.band_owner, self.n_sampled)

    @property
    def band(self) -> Int64[np.ndarray, " n_sampled"]:
        """Band of each token."""
        return np.repeat(self.band_number, self.n_sampled)


def hashes(seed: int, features: np.ndarray, tokens: np.ndarray) -> UInt64[np.ndarray, " n"]:
    """A hash of (seed, feature, token), by the finaliser of splitmix64 (Steele et al. 2014)."""
    return _mix(_feature_hashes(seed, features) ^ _mix(tokens.astype(np.uint64)))


def _feature_hashes(seed: int, features: np.ndarray) -> UInt64[np.ndarray, " n"]:
    return _mix(np.uint64(seed) + _mix(features.astype(np.uint64)))


def _priority(activations: Activations, seed: int) -> UInt64[np.ndarray, " n_entries"]:
    """The hash of each entry. No two of a feature are equal: tokens are mixed one to one."""
    features = np.repeat(_feature_hashes(seed, activations.features), activations.n_active)
    return _mix(features ^ _mix(activations.tokens.astype(np.uint64)))


def _mix(x: UInt64[np.ndarray, " n"]) -> UInt64[np.ndarray, " n"]:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x ^= x >> 30
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> 27
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> 31
    return x


def window_hashes(
    tokens: Integer[np.ndarray, "n_contexts pos"], places: Int64[np.ndarray, " n"]
) -> UInt64[np.ndarray, " n"]:
    """For some places of a corpus, a hash of the token and the 15 before it in the context."""
    pos = places % tokens.shape[1]
    state = np.zeros(len(places), dtype=np.uint64)
    for shift in range(DUPLICATE_WINDOW - 1, -1, -1):
        earlier = tokens.reshape(-1)[np.maximum(places - shift, 0)].astype(np.uint64)
        earlier += np.uint64(1)  # 0 stands for what would be before the context
        state = _mix(state ^ np.where(pos >= shift, earlier, 0))
    return state


def top(activations: Activations, tokens: Integer[np.ndarray, "n_contexts pos"], n: int) -> Sample:
    """The contexts with the highest activations; `tokens` are those of the corpus."""
    peaks = _peaks(activations, tokens.shape[1])
    starts = np.searchsorted(peaks, activations.bounds)
    n_peaks = np.diff(starts)
    n_looked_at = round(NEAR_THE_TOP * n)
    is_open = n_peaks > 0
    found = [np.zeros(0, dtype=np.int64)]
    while is_open.any():
        lengths = np.where(is_open, np.minimum(n_peaks, n_looked_at), 0)
        best = _distinct(activations, tokens, peaks[ragged(starts[:-1], lengths)[0]], n)
        owner = activations.owner[best]
        n_best = np.bincount(owner, minlength=activations.n_features)
        is_open &= (n_best < n) & (n_looked_at < n_peaks)
        found.append(best[~is_open[owner]])
        n_looked_at *= 4
    chosen = np.sort(np.concatenate(found))
    n_chosen = np.diff(np.searchsorted(chosen, activations.bounds))
    return _one_band(activations, activations.falling[chosen], n_chosen)


def _peaks(activations: Activations, context_length: int) -> Int64[np.ndarray, " n_peaks"]:
    """Places, in the falling order, of each feature's highest activation in each context.

    An activation is the highest if its rank is the smallest; so of equal ones the first is taken.
    """
    starts = activations.starts(context_length)
    if len(starts) == 0:
        return starts
    falling = activations.falling
    place = np.empty_like(falling)
    place[falling] = np.arange(len(falling))
    is_peak = np.zeros(len(falling), dtype=bool)
    is_peak[np.minimum.reduceat(place, starts)] = True
    return np.flatnonzero(is_peak)


def _distinct(
    activations: Activations, tokens: np.ndarray, peaks: np.ndarray, n: int
) -> Int64[np.ndarray, " n_chosen"]:
    """The `n` highest of these peaks of each feature; of those with one window the first alone."""
    owner = activations.owner[peaks]
    window = window_hashes(tokens, activations.tokens[activations.falling[peaks]])
    # Stable, so the best peak of a window comes first among its duplicates.
    by_window = stable_order(owner, window)
    is_best = np.zeros(len(peaks), dtype=bool)
    is_best[by_window] = is_new(owner[by_window], window[by_window])
    n_best = np.bincount(owner[is_best], minlength=activations.n_features)
    return peaks[is_best][place_in_slice(n_best) < n]


def interval(activations: Activations, n_bands: int, n: int, seed: int) -> Sample:
    """Samples of equal-width bands from 0 to the maximum; band 0 is the highest."""
    _, high = extremes(activations)
    edges = np.maximum(high, 0)[:, None].astype(np.float64) * np.arange(n_bands, -1, -1) / n_bands
    edges = edges.astype(np.float32)
    # In the falling order, a band ends before the first value that is not above its lower edge.
    owner = activations.owner.astype(np.uint64) << 32
    keys = (owner | ~rising_bits(activations.values))[activations.falling]
    wanted = ~rising_bits(edges.reshape(-1)).reshape(edges.shape)
    wanted = wanted | (np.arange(activations.n_features, dtype=np.uint64)[:, None] << 32)
    cuts = np.searchsorted(keys, wanted)
    return _banded(activations, cuts, edges[:, 1:], edges[:, :-1], n, seed)


def quantile(activations: Activations, n_bands: int, n: int, seed: int) -> Sample:
    """Samples of bands with equal counts by rank; band 0 is the highest."""
    n_active, starts = activations.n_active[:, None], activations.bounds[:-1, None]
    cuts = starts - (-np.arange(n_bands + 1) * n_active // n_bands)  # rounded up
    is_filled = np.diff(cuts, axis=1) > 0
    low, high = (np.zeros(is_filled.shape, dtype=np.float32) for _ in range(2))
    high[is_filled] = activations.values[activations.falling[cuts[:, :-1][is_filled]]]
    low[is_filled] = activations.values[activations.falling[cuts[:, 1:][is_filled] - 1]]
    return _banded(activations, cuts, low, high, n, seed)


def _banded(
    activations: Activations,
    cuts: Int64[np.ndarray, "n_features n_bands_and_1"],
    low: Float32[np.ndarray, "n_features n_bands"],
    high: Float32[np.ndarray, "n_features n_bands"],
    n: int,
    seed: int,
) -> Sample:
    """The `n` entries of smallest hash in each band; bands without an entry are left out.

    `cuts` are the places in the falling order where each feature's bands start and the last ends.
    """
    counts = np.diff(cuts, axis=1)
    entries = activations.falling[ragged(cuts[:, 0], counts.sum(axis=1))[0]]
    counts = counts.reshape(-1)
    chosen = entries[_smallest(_priority(activations, seed)[entries], counts, n)]
    present = np.flatnonzero(counts)
    return Sample(
        band_owner=present // low.shape[1],
        band_number=present % low.shape[1],
        low=low.reshape(-1)[present],
        high=high.reshape(-1)[present],
        n_band=counts[present],
        n_sampled=np.minimum(counts[present], n),
        entry=chosen,
        token=activations.tokens[chosen],
        value=activations.values[chosen],
    )


def random(activations: Activations, n: int, seed: int) -> Sample:
    """Samples of all active tokens."""
    chosen = _smallest(_priority(activations, seed), activations.n_active, n)
    return _one_band(activations, chosen, np.minimum(activations.n_active, n))


def _smallest(
    priority: UInt64[np.ndarray, " n_entries"], counts: Int64[np.ndarray, " n_groups"], n: int
) -> Int64[np.ndarray, " n_chosen"]:
    """Entries of each group with the `n` smallest priorities, for groups laid end to end.

    Priorities are uniform, so nearly all entries can be passed over without sorting: those above a
    bound that some more than `n` of the group are expected to be below.
    """
    share = (n + 2 * np.sqrt(n) + 4) / np.maximum(counts, 1)
    bound = (np.minimum(share, 1 - 2**-52) * 2.0**64).astype(np.uint64)
    bound[share >= 1] = np.iinfo(np.uint64).max
    is_low = priority <= np.repeat(bound, counts)
    ends = np.cumsum(counts)
    low = np.flatnonzero(is_low)
    n_low = np.diff(np.searchsorted(low, ends), prepend=0)
    is_short = n_low < np.minimum(counts, n)
    if is_short.any():
        low = np.flatnonzero(is_low | np.repeat(is_short, counts))
        n_low = np.diff(np.searchsorted(low, ends), prepend=0)
    group = np.repeat(np.arange(len(counts)), n_low)
    return low[stable_order(group, priority[low])[place_in_slice(n_low) < n]]


@dataclass(frozen=True)
class ValidTokens:
    """The valid tokens of a corpus, numbered from 0 in its order."""

    first: Int64[np.ndarray, " n_contexts_and_1"]
    """Number of the first of each context; at the end, how many there are."""
    shift: Int64[np.ndarray, " n_contexts"]
    """Place in the corpus less number, in each context."""
    context_length: int

    def numbers(self, places: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """Of the valid tokens at some places of the corpus."""
        return places - self.shift[places // self.context_length]

    def places(self, numbers: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """Where in the corpus the tokens of these numbers are."""
        return numbers + self.shift[np.searchsorted(self.first, numbers, side="right") - 1]


def valid_tokens(corpus: Corpus) -> ValidTokens:
    """How the corpus's valid tokens are numbered."""
    n_contexts, context_length = corpus.tokens.shape
    ends = np.cumsum(corpus.n_valid.astype(np.int64) - int(corpus.has_bos))
    first = np.concatenate([[0], ends])
    shift = np.arange(n_contexts) * context_length + int(corpus.has_bos) - first[:-1]
    return ValidTokens(first, shift, context_length)


def zero(activations: Activations, valid: ValidTokens, n: int, seed: int) -> Sample:
    """Samples of the tokens on which a feature is silent, drawn for each feature by itself."""
    n_features = activations.n_features
    n_silent = valid.first[-1] - activations.n_active - activations.n_nonfinite
    owner, number = _drawn(_feature_hashes(seed ^ _SALT, activations.features), n_silent, n)
    token = valid.places(_silent(activations, valid, owner, number))
    n_sampled = np.minimum(n_silent, n)
    token = token[_smallest(hashes(seed, owner + activations.first, token), n_sampled, n)]
    nothing = np.zeros(n_features, dtype=np.float32)
    return Sample(
        band_owner=np.arange(n_features),
        band_number=np.zeros(n_features, dtype=np.int64),
        low=nothing,
        high=nothing,
        n_band=n_silent,
        n_sampled=n_sampled,
        entry=np.full(len(token), -1),
        token=token,
        value=np.zeros(len(token), dtype=np.float32),
    )


def _drawn(
    keys: UInt64[np.ndarray, " n_groups"], sizes: Int64[np.ndarray, " n_groups"], n: int
) -> tuple[Int64[np.ndarray, " n_drawn"], Int64[np.ndarray, " n_drawn"]]:
    """Of each group `n` of the numbers below its size, all if there are fewer: group and number.

    Floyd's algorithm (Bentley and Floyd 1987): step by step a number up to a last one is drawn, and
    if it was drawn before, the last one is taken. So any `n` numbers are as likely as any others.
    """
    found = np.full((len(keys), n), -1)
    for step in range(n):
        last = sizes - n + step
        share = (_mix(keys ^ _mix(np.full(1, step, dtype=np.uint64))) >> 11) * 2.0**-53
        number = np.floor(share * (last + 1)).astype(np.int64)
        is_double = (found[:, :step] == number[:, None]).any(axis=1)
        found[:, step] = np.where(last < 0, -1, np.where(is_double, last, number))
    group, step = np.nonzero(found >= 0)
    return group, found[group, step]


def _silent(
    activations: Activations, valid: ValidTokens, owner: np.ndarray, number: np.ndarray
) -> Int64[np.ndarray, " n"]:
    """The numbers among valid tokens of what is number so and so of a feature's silent tokens.

    It is larger by the tokens before it on which the feature is not silent: those that have no more
    than so many silent ones before them.
    """
    tokens, n_each = _not_silent(activations)
    indices, bounds = ragged(np.zeros_like(n_each), n_each)
    key = valid.numbers(tokens) - indices  # silent tokens before
    key += np.repeat(np.arange(len(n_each)) * valid.first[-1], n_each)
    before = np.searchsorted(key, owner * valid.first[-1] + number, side="right") - bounds[owner]
    return number + before


def _not_silent(
    activations: Activations,
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n_features"]]:
    """The tokens, rising, on which each feature is active or not finite; and how many."""
    if len(activations.nonfinite_tokens) == 0:
        return activations.tokens, activations.n_active
    owner = np.concatenate([activations.owner, activations.nonfinite_owner])
    tokens = np.concatenate([activations.tokens, activations.nonfinite_tokens])
    n_each = activations.n_active + activations.n_nonfinite
    return tokens[stable_order(owner, tokens)], n_each


def _one_band(activations: Activations, chosen: np.ndarray, n_chosen: np.ndarray) -> Sample:
    """A sample that stands for all active tokens of its feature."""
    low, high = extremes(activations)
    alive = np.flatnonzero(activations.n_active)
    return Sample(
        band_owner=alive,
        band_number=np.zeros(len(alive), dtype=np.int64),
        low=low[alive],
        high=high[alive],
        n_band=activations.n_active[alive],
        n_sampled=n_chosen[alive],
        entry=chosen,
        token=activations.tokens[chosen],
        value=activations.values[chosen],
    )
