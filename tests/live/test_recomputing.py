from dataclasses import replace

import numpy as np

from featurestore.live.recomputing import compare
from featurestore.live.records import TextActivations
from featurestore.records import StoredActivations

LIVE = TextActivations(
    "d",
    n_tokens=3,
    feature=np.array([1, 1, 4]),
    pos=np.array([0, 2, 1], dtype=np.int32),
    value=np.array([2.0, 1.0, 0.5], dtype=np.float32),
)


def test_values_zeros_and_exact_ones_are_compared() -> None:
    stored = (
        StoredActivations(1, 2.0, {1: 2.0, 3: 1.005}, frozenset({1})),  # BOS at 0 counts
        StoredActivations(4, 0.5, {2: 0.5}, frozenset({2})),
        StoredActivations(7, 0.0, {}, frozenset({3})),
    )
    found = compare(stored, LIVE, n_bos=1)
    assert (found.n_features, found.n_values) == (3, 9)
    assert np.isclose(found.largest, 0.005)
    assert (found.feature, found.pos) == (1, 2)
    assert found.step == 2 / 254
    assert found.n_beyond == 0


def test_what_differs_by_more_than_its_step_is_counted() -> None:
    stored = (
        StoredActivations(1, 2.0, {0: 2.0, 2: 1.009}, frozenset({0})),  # more than 2 / 254
        StoredActivations(4, 0.5, {1: 0.501}, frozenset({1})),  # exact, so too far off
        StoredActivations(5, 1.0, {2: 1.0}, frozenset()),  # silent now
    )
    found = compare(stored, LIVE, n_bos=0)
    assert found.n_beyond == 3
    assert (found.feature, found.pos, found.largest) == (5, 2, 1.0)


def test_a_context_without_examples() -> None:
    found = compare((), LIVE, n_bos=0)
    assert (found.n_features, found.n_values, found.largest, found.feature) == (0, 0, 0.0, None)


def test_what_is_no_number_is_left_out_as_in_the_store() -> None:
    odd = replace(LIVE, value=np.array([np.nan, 1.0, np.inf], dtype=np.float32))
    stored = (
        StoredActivations(1, 2.0, {0: 2.0, 2: 1.0}, frozenset({0})),  # was a number, is none
        StoredActivations(4, 1.0, {}, frozenset()),  # is none, and the store left it out
    )
    found = compare(stored, odd, n_bos=0)
    assert (found.n_beyond, found.feature, found.pos, found.largest) == (1, 1, 0, 2.0)
