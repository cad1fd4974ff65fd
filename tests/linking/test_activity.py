from pathlib import Path

import numpy as np
import pytest

from featurestore.linking import activity
from featurestore.linking.activity import flow
from featurestore.matching.activity import Sweeps
from featurestore.passes.pairs import Pairs
from featurestore.store import Store
from tests.matching.test_activity import dense


@pytest.mark.parametrize(("up", "down"), [("early", "late"), ("mlp", "late")])
def test_flow_is_that_of_dense_activations(
    linking_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, up: str, down: str
) -> None:
    monkeypatch.setattr(activity, "FEATURES_AT_ONCE", 9)  # several ranges
    store = Store(linking_project / "store")
    a, b = store.dictionary(up), store.dictionary(down)
    every = np.indices((a.n_features, b.n_features)).reshape(2, -1)[:, ::-1]  # in no order
    every = np.concatenate([every, every[:, :5]], axis=1)  # some twice
    found = flow(Sweeps(store.folder, tmp_path), a, b, Pairs(*every))
    x, y = dense(store, up)[:, every[0]], dense(store, down)[:, every[1]]
    both = (x != 0) & (y != 0)
    assert np.array_equal(found.relations.n_both, both.sum(0))
    with np.errstate(invalid="ignore"):
        expected = np.where(both, x, 0).sum(0) / both.sum(0)
    assert np.isnan(expected).any() and np.nanstd(expected) > 0.1
    np.testing.assert_allclose(found.mean, expected, rtol=1e-5)
