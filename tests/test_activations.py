from pathlib import Path

import numpy as np
import pytest

from featurestore.activations import rising_bits, stable_order
from tests.small_run import DEAD, N_FEATURES, NONFINITE, active, make_corpus, make_dense, read_dense


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    corpus = make_corpus()
    dense = make_dense(corpus)
    found = read_dense(tmp_path, dense, corpus).read(0, N_FEATURES)
    for feature in range(N_FEATURES):
        entries = slice(*found.bounds[feature : feature + 2])
        wanted = active(dense, corpus, feature)
        assert found.tokens[entries].tolist() == sorted(wanted)
        assert found.values[entries].tolist() == [wanted[place] for place in sorted(wanted)]
        assert (found.owner[entries] == feature).all()
        assert found.n_active[feature] == len(wanted)
    bad = ~np.isfinite(dense[..., NONFINITE]) & corpus.is_valid(slice(0, len(dense)))
    assert found.n_nonfinite.tolist() == [
        bad.sum() if feature == NONFINITE else 0 for feature in range(N_FEATURES)
    ]
    assert sorted(found.nonfinite_tokens) == np.flatnonzero(bad).tolist()
    assert found.n_active[DEAD] == 0


@pytest.mark.parametrize("entries_at_once", [1, 100, 500, 10**6])
def test_ranges_cover_every_feature_once(tmp_path: Path, entries_at_once: int) -> None:
    corpus = make_corpus()
    files = read_dense(tmp_path, make_dense(corpus), corpus)
    ranges = files.ranges(entries_at_once)
    assert [f for first, last in ranges for f in range(first, last)] == list(range(N_FEATURES))
    for first, last in ranges:
        assert last - first == 1 or files.n_entries[first:last].sum() <= entries_at_once
    whole = files.read(0, N_FEATURES)
    parts = [files.read(first, last) for first, last in ranges]
    assert np.concatenate([part.features for part in parts]).tolist() == list(range(N_FEATURES))
    for name in ("tokens", "values", "n_active", "n_nonfinite", "nonfinite_tokens"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        assert np.array_equal(joined, getattr(whole, name)), name


@pytest.mark.parametrize("features_at_once", [1, 3, 100])
def test_ranges_hold_few_features(tmp_path: Path, features_at_once: int) -> None:
    corpus = make_corpus()
    files = read_dense(tmp_path, make_dense(corpus), corpus)
    ranges = files.ranges(10**6, features_at_once)
    assert [f for first, last in ranges for f in range(first, last)] == list(range(N_FEATURES))
    assert max(last - first for first, last in ranges) == min(features_at_once, N_FEATURES)
    assert len(ranges) == -(-N_FEATURES // features_at_once)


@pytest.mark.parametrize(("entries", "features"), [(1, 100), (300, 100), (10**6, 3), (10**6, 100)])
def test_a_tile_is_what_reading_its_features_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entries: int, features: int
) -> None:
    monkeypatch.setattr("featurestore.activations.ENTRIES_IN_CACHE", entries)
    monkeypatch.setattr("featurestore.activations.FEATURES_IN_CACHE", features)
    corpus = make_corpus()
    files = read_dense(tmp_path, make_dense(corpus), corpus)
    tiles = list(files.read(1, N_FEATURES).tiles())
    assert np.concatenate([tile.features for tile in tiles]).tolist() == list(range(1, N_FEATURES))
    for tile in tiles:
        assert tile.n_features == 1 or len(tile.values) <= entries
        assert tile.n_features <= features
        read = files.read(tile.first, tile.first + tile.n_features)
        for name in ("bounds", "tokens", "values", "nonfinite_owner", "nonfinite_tokens"):
            assert np.array_equal(getattr(tile, name), getattr(read, name)), name


def test_values_fall_and_equal_ones_stand_by_token(tmp_path: Path) -> None:
    corpus = make_corpus()
    found = read_dense(tmp_path, make_dense(corpus), corpus).read(0, N_FEATURES)
    wanted = np.lexsort((found.tokens, -found.values, found.owner))
    assert found.falling.tolist() == wanted.tolist()


def test_starts_are_the_first_entries_in_their_contexts(tmp_path: Path) -> None:
    corpus = make_corpus(length=20)
    found = read_dense(tmp_path, make_dense(corpus), corpus).read(0, N_FEATURES)
    pairs = list(zip(found.owner.tolist(), (found.tokens // 20).tolist(), strict=True))
    assert found.starts(20).tolist() == [pairs.index(pair) for pair in sorted(set(pairs))]


@pytest.mark.parametrize("highest", [0, 5, 2**16, 2**63])
def test_stable_order_is_a_lexsort(highest: int) -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 4, 1000)
    second = rng.integers(0, highest, 1000, dtype=np.uint64, endpoint=True)
    second[500:] = second[:500]
    assert stable_order(first, second).tolist() == np.lexsort((second, first)).tolist()
    assert stable_order(first[:0], second[:0]).tolist() == []


def test_bits_rise_with_the_values() -> None:
    values = np.float32([-np.inf, -1e30, -1, -1e-45, 0, 1e-45, 1, 1 + 1e-6, 1e30, np.inf])
    assert (np.diff(rising_bits(values).astype(np.int64)) > 0).all()
    assert rising_bits(np.float32([0])) == rising_bits(np.float32([-0.0]))
