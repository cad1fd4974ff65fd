from pathlib import Path

import numpy as np
import pytest

from featurestore.activations import ActivationFiles, write_block
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


def test_a_block_without_entries_can_be_read(tmp_path: Path) -> None:
    nothing = np.zeros(0, dtype=np.int64)
    path = tmp_path / "block.safetensors"
    write_block(path, nothing, nothing.astype(np.uint32), nothing.astype(np.float32))
    found = ActivationFiles([path], 3).read(0, 3)
    assert found.n_active.tolist() == found.n_nonfinite.tolist() == [0, 0, 0]


def test_a_block_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    one = np.ones(1, dtype=np.int64)
    with pytest.raises(OSError, match="No space"):
        write_block(tmp_path / "b", one, one.astype(np.uint32), one.astype(np.float32))
    assert list(tmp_path.iterdir()) == []
