"""The shipped demo: what the store says is what its models do."""

from pathlib import Path

import pytest

from featurestore.store import Store
from tests.live_project import loaded

pytestmark = pytest.mark.long


def test_stored_contexts_of_every_demo_dictionary_agree(demo_store: Path) -> None:
    """Recomputed alone instead of in a block, all are right to a step of 8 bits."""
    store = Store(demo_store)
    names = tuple(info.dictionary_id for info in store.catalogue().dictionaries)
    assert len(names) == 14
    runner = loaded(demo_store, names)
    for name in names:
        contexts = {
            band.examples[0].context
            for feature in (0, 340)
            for sampler in ("top", "zero")
            for band in store.bands(name, feature, sampler)
            if band.examples
        }
        found = [runner.recompute(name, context) for context in sorted(contexts)]
        assert len(found) >= 3, name
        assert sum(one.n_values for one in found) > 10_000, name
        assert sum(one.n_beyond for one in found) == 0, name
        assert max(one.largest - one.step for one in found) < 1e-4, name
    runner._store.close()
    store.close()
