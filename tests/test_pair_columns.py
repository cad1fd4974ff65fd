from pathlib import Path

import numpy as np
import pytest

from featurestore.errors import DamagedStore, MatchError, NotCompared
from featurestore.store import Store
from featurestore.track_records import MATCH, OWN
from tests.small_store import publish
from tests.tracked_store import compare, directions, write_tracked


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(write_tracked(tmp_path))


def test_every_row_stands_in_its_columns(store: Store) -> None:
    t1, t2 = (store.dictionary(name) for name in ("t1", "t2"))
    there, back = store.pairs.beside(t1, t2)
    assert there.other.shape == back.other.shape == (5, 5)
    assert there.other[:, MATCH].tolist() == [0, 1, 2, 3, -1]
    assert there.other[:, OWN].tolist() == [0, 1, 2, 3, -1]
    assert there.cosine[:, MATCH] == pytest.approx([1, 0.95, 0.95, 0.8, np.nan], nan_ok=True)
    assert there.other[4].tolist() == [-1] * 5  # no direction
    assert back.other[4, 0] >= 0 and back.other[4, MATCH] == -1
    both = directions()
    for feature in range(4):
        cosines = both["t1"][feature] @ both["t2"].T
        assert there.cosine[feature, :3] == pytest.approx(np.sort(cosines)[::-1][:3])
        assert there.correlation[feature, :3] == pytest.approx(np.sort(cosines)[::-1][:3] / 2)


def test_the_first_given_comes_first(store: Store) -> None:
    t1, t2 = (store.dictionary(name) for name in ("t1", "t2"))
    there, back = store.pairs.beside(t1, t2)
    swapped = store.pairs.beside(t2, t1)
    assert swapped == (back, there)
    assert swapped[0] is back  # kept, not read again


def test_another_file_in_its_place_is_read_anew(store: Store) -> None:
    t1, t2 = (store.dictionary(name) for name in ("t1", "t2"))
    assert store.pairs.beside(t1, t2)[0].correlation is not None
    compare(store.folder, ("t1", "t2"), directions(), has_tokens=False)
    there, _ = store.pairs.beside(t1, t2)
    assert there.correlation is None
    assert np.isnan(there.values("correlation")).all()


def test_what_cannot_be_read_says_why(store: Store) -> None:
    t1, t2 = (store.dictionary(name) for name in ("t1", "t2"))
    with pytest.raises(MatchError, match="given twice"):
        store.pairs.beside(t1, t1)
    path = store.folder / "pairs" / "run-t1--run-t2.duckdb"
    path.write_bytes(b"nothing")
    with pytest.raises(DamagedStore, match="match the two dictionaries again"):
        store.pairs.beside(t1, t2)
    path.unlink()
    with pytest.raises(NotCompared, match="python -m featurestore match t2 t1 --store"):
        store.pairs.beside(t2, t1)


def test_activity_of_every_feature(tmp_path: Path) -> None:
    publish(tmp_path)
    found = Store(tmp_path).activity("one")
    assert found.n_active.tolist() == [5, 1, 5, 0, 50]
    assert found.density.tolist() == [0.05, 0.01, 0.05, 0.0, 0.5]
    assert found.max_activation == pytest.approx([2, 9, 2, np.nan, 7], nan_ok=True)
