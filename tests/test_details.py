from pathlib import Path

import numpy as np

from featurestore.store import Store
from tests.synthetic_store import RARE, RIVER


def test_a_map_has_no_share_where_it_tells_nothing(synthetic_store: Path) -> None:
    store = Store(synthetic_store)
    shares = {point.feature: point.token_share for point in store.map("planted").points}
    assert shares[RARE] is None
    assert shares[RIVER] == store.feature("planted", RIVER).token_measures.share.value
    store.close()


def test_clusters_are_asked_for_by_number(synthetic_store: Path) -> None:
    store = Store(synthetic_store)
    known = store.clusters("planted")
    assert list(known) == [0, 1, 2]
    assert [known[number] for number in known] == list(store.map("planted").clusters)
    assert store.clusters("planted", np.array([2, 0, 2, 77])) == {0: known[0], 2: known[2]}
    assert store.clusters("planted", []) == {}
    assert store.cluster("planted", 1) == known[1]
    store.close()
