from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from featurestore.activations import Activations
from featurestore.corpus import Corpus
from featurestore.passes import samplers
from featurestore.passes.samplers import Sample
from tests.small_run import (
    CONSTANT,
    DEAD,
    DENSE,
    N_FEATURES,
    NEGATIVE,
    NONFINITE,
    SIGNED,
    SPARSE,
    STEPS,
    active,
    make_corpus,
    make_dense,
    read_dense,
)

LENGTH = 20
CORPUS = make_corpus(length=LENGTH)
DENSE_VALUES = make_dense(CORPUS)
ACTIVE = [active(DENSE_VALUES, CORPUS, feature) for feature in range(N_FEATURES)]
VALID = samplers.valid_tokens(CORPUS)
ALIVE = [feature for feature in range(N_FEATURES) if ACTIVE[feature]]


@pytest.fixture(scope="module")
def activations(tmp_path_factory: pytest.TempPathFactory) -> Activations:
    return read_dense(tmp_path_factory.mktemp("blocks"), DENSE_VALUES, CORPUS).read(0, N_FEATURES)


def from_values(*values: float) -> Activations:
    """One feature, active on the tokens 0, 1, 2 and so on."""
    nothing = np.zeros(0, dtype=np.int64)
    bounds, tokens = np.array([0, len(values)]), np.arange(len(values))
    return Activations(0, bounds, tokens, np.float32(values), nothing, nothing)


def sampled(sample: Sample, feature: int, band: int | None = None) -> list[int]:
    """Places sampled for a feature, in their order."""
    kept = (sample.owner == feature) & (True if band is None else sample.band == band)
    return sample.token[kept].tolist()


def counts(sample: Sample, feature: int) -> dict[int, int]:
    kept = sample.band_owner == feature
    return dict(zip(sample.band_number[kept].tolist(), sample.n_band[kept].tolist(), strict=True))


def bounds(sample: Sample, feature: int) -> dict[int, tuple[float, float]]:
    kept = np.flatnonzero(sample.band_owner == feature)
    return {int(sample.band_number[i]): (sample.low[i], sample.high[i]) for i in kept}


def window(corpus: Corpus, place: int) -> tuple[int, ...]:
    """A token and the 15 before it, fewer at the start of a context."""
    context, pos = divmod(place, corpus.tokens.shape[1])
    return tuple(corpus.tokens[context, max(0, pos - 15) : pos + 1].tolist())


@pytest.mark.parametrize("length", [8, 20])
def test_windows_hash_alike_if_and_only_if_they_are_the_same(length: int) -> None:
    corpus = make_corpus(length=length)
    found = samplers.window_hashes(corpus.tokens, np.arange(corpus.tokens.size)).tolist()
    windows = [window(corpus, place) for place in range(corpus.tokens.size)]
    assert len(set(windows)) < len(windows)
    assert len(set(zip(windows, found, strict=True))) == len(set(windows)) == len(set(found))


def test_hashes_are_those_of_splitmix64() -> None:
    def mix(x: int) -> int:
        x = (x + 0x9E3779B97F4A7C15) % 2**64
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
        return x ^ x >> 31

    assert mix(0) == 0xE220A8397B1DCDAF  # the first number that the published code gives
    cases = [(0, 0, 0), (1, 2, 3), (2**40, 2**31, 2**63)]
    for seed, feature, token in cases:
        found = samplers.hashes(seed, np.array([feature]), np.array([token], dtype=np.uint64))
        assert found.tolist() == [mix(mix((seed + mix(feature)) % 2**64) ^ mix(token))]


@pytest.mark.parametrize("n", [1, 3, 1000])
def test_top_is_the_best_of_each_context_without_duplicates(
    activations: Activations, n: int
) -> None:
    found = samplers.top(activations, CORPUS.tokens, n)
    n_duplicates = 0
    for feature in range(N_FEATURES):
        best: dict[int, int] = {}
        for place, value in ACTIVE[feature].items():  # in the order of the corpus
            context = place // LENGTH
            if context not in best or value > ACTIVE[feature][best[context]]:
                best[context] = place
        ranked = sorted(best.values(), key=lambda p: (-ACTIVE[feature][p], p))
        kept: list[int] = []
        for place in ranked:
            if window(CORPUS, place) not in [window(CORPUS, other) for other in kept]:
                kept.append(place)
        n_duplicates += len(ranked) - len(kept)
        assert sampled(found, feature) == kept[:n]
        if feature in ALIVE:
            values = ACTIVE[feature].values()
            low, high = min(values), max(values)
            assert counts(found, feature) == {0: len(values)}
            assert bounds(found, feature) == {0: (np.float32(low), np.float32(high))}
    assert found.value.tolist() == [
        ACTIVE[f][t] for f, t in zip(found.owner.tolist(), found.token.tolist(), strict=True)
    ]
    assert n_duplicates > 3


def test_intervals_hold_each_active_token_once(activations: Activations) -> None:
    n_bands = 7
    found = samplers.interval(activations, n_bands, 10**6, seed=0)
    for feature in range(N_FEATURES):
        top = max(ACTIVE[feature].values(), default=0)
        wanted: dict[int, list[int]] = {}
        for place, value in ACTIVE[feature].items():
            inside = [
                j
                for j in range(n_bands)
                if np.float32(top * j / n_bands) < value <= np.float32(top * (j + 1) / n_bands)
            ]
            assert len(inside) == (value > 0)
            for j in inside:
                wanted.setdefault(n_bands - 1 - j, []).append(place)
        assert counts(found, feature) == {band: len(p) for band, p in sorted(wanted.items())}
        for band, places in wanted.items():
            assert sorted(sampled(found, feature, band)) == places
            low, high = bounds(found, feature)[band]
            assert all(low < ACTIVE[feature][place] <= high for place in places)
    assert counts(found, DEAD) == counts(found, NEGATIVE) == {}
    assert counts(found, CONSTANT) == {0: len(ACTIVE[CONSTANT])}


@pytest.mark.parametrize("scale", [1, 0.1, 1e-30, 1e30, 1 / 3])
@pytest.mark.parametrize("n", [4, 10, 1000])
def test_values_on_the_edges_belong_to_the_band_below(n: int, scale: float) -> None:
    top = np.float32(n * scale)
    values = [np.float32(float(top) * j / n) for j in range(1, n + 1)]
    found = samplers.interval(from_values(*values), n, 5, seed=0)
    assert counts(found, 0) == dict.fromkeys(range(n), 1)
    assert found.value.tolist() == values[::-1]


def test_one_value_a_band() -> None:
    found = samplers.interval(from_values(1, 2, 3, 4), 4, 5, seed=0)
    assert found.band.tolist() == [0, 1, 2, 3]
    assert found.value.tolist() == [4, 3, 2, 1]
    assert bounds(found, 0) == {0: (3, 4), 1: (2, 3), 2: (1, 2), 3: (0, 1)}


@pytest.mark.parametrize("n_bands", [1, 3, 10])
def test_quantiles_have_equal_counts_by_rank(activations: Activations, n_bands: int) -> None:
    found = samplers.quantile(activations, n_bands, 10**6, seed=0)
    for feature in range(N_FEATURES):
        values = ACTIVE[feature]
        ranked = sorted(values, key=lambda place: (-values[place], place))
        sizes = [counts(found, feature).get(band, 0) for band in range(n_bands)]
        assert sum(sizes) == len(ranked)
        assert max(sizes) - min(sizes) <= 1
        start = 0
        for band, size in enumerate(sizes):
            places = ranked[start : start + size]
            start += size
            assert sorted(sampled(found, feature, band)) == sorted(places)
            if places:
                wanted = (values[places[-1]], values[places[0]])
                assert bounds(found, feature)[band] == wanted


def test_fewer_active_tokens_than_bands() -> None:
    found = samplers.quantile(from_values(3, 1, 2), 10, 5, seed=0)
    assert found.value.tolist() == [3, 2, 1]
    assert set(found.n_band.tolist()) == {1}


SAMPLERS: dict[str, Callable[[Activations, int, int], Sample]] = {
    "interval": lambda activations, n, seed: samplers.interval(activations, 3, n, seed),
    "quantile": lambda activations, n, seed: samplers.quantile(activations, 3, n, seed),
    "random": samplers.random,
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_samples_are_as_large_as_asked_and_without_repeats(
    activations: Activations, name: str
) -> None:
    whole = SAMPLERS[name](activations, 10**6, 0)
    found = SAMPLERS[name](activations, 4, 0)
    for feature in range(N_FEATURES):
        assert counts(found, feature) == counts(whole, feature)
        for band, n_band in counts(found, feature).items():
            places = sampled(found, feature, band)
            assert len(places) == len(set(places)) == min(4, n_band)
            assert set(places) <= set(sampled(whole, feature, band))
        assert len(sampled(whole, feature)) == sum(counts(whole, feature).values())


def test_random_takes_from_all_active_tokens(activations: Activations) -> None:
    whole = samplers.random(activations, 10**6, seed=0)
    for feature in range(N_FEATURES):
        assert sorted(sampled(whole, feature)) == sorted(ACTIVE[feature])


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_token_of_a_band_is_equally_likely(activations: Activations, name: str) -> None:
    n_seeds = 400
    found = [SAMPLERS[name](activations, 4, seed) for seed in range(n_seeds)]
    drawn = Counter(place for sample in found for place in sampled(sample, SPARSE, 0))
    whole = SAMPLERS[name](activations, 10**6, 0)
    places = sampled(whole, SPARSE, 0)
    p = min(1, 4 / len(places))
    spread = 5 * (n_seeds * p * (1 - p)) ** 0.5
    assert set(drawn) == set(places)
    assert all(abs(drawn[place] - n_seeds * p) <= spread for place in places)
    chi2 = sum((drawn[place] - n_seeds * p) ** 2 / (n_seeds * p) for place in places)
    assert chi2 <= len(places) + 5 * (2 * len(places)) ** 0.5


@pytest.mark.parametrize("name", SAMPLERS)
def test_another_seed_or_feature_gives_another_sample(name: str) -> None:
    tokens = np.tile(np.arange(100), 2)
    values = np.tile(np.linspace(1, 2, 100, dtype=np.float32), 2)
    nothing = np.zeros(0, dtype=np.int64)
    twins = Activations(0, np.array([0, 100, 200]), tokens, values, nothing, nothing)
    first, again, other = (SAMPLERS[name](twins, 4, seed) for seed in (0, 0, 1))
    assert first.token.tolist() == again.token.tolist() != other.token.tolist()
    assert sampled(first, 0) != sampled(first, 1)
    moved = Activations(7, twins.bounds, tokens, values, nothing, nothing)
    assert sampled(SAMPLERS[name](moved, 4, 0), 0) != sampled(first, 0)


def is_silent(place: int, feature: int) -> bool:
    context, pos = divmod(place, LENGTH)
    is_valid = CORPUS.is_valid(slice(context, context + 1))[0, pos]
    return bool(is_valid and DENSE_VALUES[context, pos, feature] == 0)


def test_valid_tokens_are_numbered_in_the_order_of_the_corpus() -> None:
    for corpus in (CORPUS, make_corpus(has_bos=False)):
        valid = samplers.valid_tokens(corpus)
        places = np.flatnonzero(corpus.is_valid(slice(0, len(corpus.tokens))))
        assert valid.numbers(places).tolist() == list(range(corpus.n_tokens))
        assert valid.places(np.arange(corpus.n_tokens)).tolist() == places.tolist()


@pytest.mark.parametrize("n", [0, 1, 10, 10**3])
def test_zero_takes_silent_tokens_only(activations: Activations, n: int) -> None:
    found = samplers.zero(activations, VALID, n, seed=0)
    for feature in range(N_FEATURES):
        silent = [place for place in range(CORPUS.tokens.size) if is_silent(place, feature)]
        places = sampled(found, feature)
        assert set(places) <= set(silent)
        assert len(places) == len(set(places)) == min(n, len(silent))
        assert counts(found, feature) == {0: len(silent)}
    assert not found.value.any()
    assert (found.entry == -1).all()
    n_bad = int(activations.n_nonfinite[NONFINITE])
    assert n_bad > 0
    assert counts(found, NONFINITE)[0] == CORPUS.n_tokens - len(ACTIVE[NONFINITE]) - n_bad
    assert len(sampled(found, DENSE)) == 0


def test_every_silent_token_is_equally_likely_at_every_rank(activations: Activations) -> None:
    n_seeds = 300
    drawn: Counter[int] = Counter()
    first: Counter[int] = Counter()
    for seed in range(n_seeds):
        places = sampled(samplers.zero(activations, VALID, 10, seed), STEPS)
        drawn.update(places)
        first.update(places[:5])
    silent = [place for place in range(CORPUS.tokens.size) if is_silent(place, STEPS)]
    for counted, n in ((drawn, 10), (first, 5)):
        p = n / len(silent)
        spread = 5 * (n_seeds * p * (1 - p)) ** 0.5
        assert all(abs(counted[place] - n_seeds * p) <= spread for place in silent)


def test_silent_tokens_of_many_features_are_drawn_apart() -> None:
    """As many different ones as independent draws give; each uniform; none where it is active."""
    n_features, n = 500, 20
    valid = np.flatnonzero(CORPUS.is_valid(slice(0, len(CORPUS.tokens))))
    rng = np.random.default_rng(0)
    active = [np.sort(rng.choice(valid, i % 9 * 20, replace=False)) for i in range(n_features)]
    bounds = np.cumsum([0, *map(len, active)])
    tokens, nothing = np.concatenate(active), np.zeros(0, dtype=np.int64)
    values = np.ones(len(tokens), dtype=np.float32)
    many = Activations(0, bounds, tokens, values, nothing, nothing)
    found = samplers.zero(many, VALID, n, seed=3)
    expected = np.zeros(CORPUS.tokens.size)
    for feature in range(n_features):
        silent = np.setdiff1d(valid, active[feature])
        assert set(sampled(found, feature)) <= set(silent.tolist())
        expected[silent] += n / len(silent)
    counted = np.bincount(found.token, minlength=CORPUS.tokens.size)
    assert (np.abs(counted - expected) <= 5 * np.sqrt(expected)).all()
    few = found.token.reshape(n_features, n)[:, :1].reshape(-1)[:200]
    p = (1 - 1 / len(valid)) ** len(few)  # that a token is drawn by none of these features
    assert (
        abs(len(set(few.tolist())) - len(valid) * (1 - p)) <= 5 * (len(valid) * p * (1 - p)) ** 0.5
    )


def test_silent_tokens_of_a_feature_do_not_depend_on_the_others(activations: Activations) -> None:
    whole = samplers.zero(activations, VALID, 10, seed=7)
    nothing = np.zeros(0, dtype=np.int64)
    places = activations.tokens[slice(*activations.bounds[STEPS : STEPS + 2])]
    values = np.ones(len(places), dtype=np.float32)
    alone = Activations(STEPS, np.array([0, len(places)]), places, values, nothing, nothing)
    found = samplers.zero(alone, VALID, 10, seed=7)
    assert sampled(found, 0) == sampled(whole, STEPS)
    assert sampled(samplers.zero(alone, VALID, 10, seed=8), 0) != sampled(whole, STEPS)


def test_signed_features_have_no_interval_for_what_is_negative(activations: Activations) -> None:
    found = samplers.interval(activations, 5, 10**6, seed=0)
    assert sum(counts(found, SIGNED).values()) == sum(v > 0 for v in ACTIVE[SIGNED].values())
