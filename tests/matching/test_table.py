import numpy as np
import pytest

from featurestore.matching.activity import Relations
from featurestore.matching.assignment import Matching
from featurestore.matching.similarity import Nearest
from featurestore.matching.table import pairs_of, side_rows, with_relations

NEAREST = Nearest(
    np.array([[4, 2], [-1, -1], [0, -1], [4, 0]]),
    np.array([[0.9, 0.5], [np.nan, np.nan], [0.3, np.nan], [0.8, 0.1]]),
)
MATCHING = Matching("assignment", np.array([0, 3]), np.array([4, 1]), np.array([0.9, -0.2]))


def test_a_row_for_each_that_is_near_and_for_the_match() -> None:
    rows = side_rows("a", NEAREST, MATCHING).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        ("a", 0, 0, 4, 0.9, True),
        ("a", 0, 1, 2, 0.5, False),
        ("a", 1, 0, None, None, False),
        ("a", 2, 0, 0, 0.3, False),
        ("a", 3, 0, 4, 0.8, False),
        ("a", 3, 1, 0, 0.1, False),
        ("a", 3, None, 1, -0.2, True),
    ]


def test_a_row_for_the_same_number_unless_it_has_one() -> None:
    same = np.array([0.2, np.nan, -0.3, 0.6])
    rows = side_rows("a", NEAREST, MATCHING, same).to_pylist()
    had = side_rows("a", NEAREST, MATCHING).to_pylist()
    assert [tuple(row.values()) for row in rows if row not in had] == [
        ("a", 0, None, 0, 0.2, False),
        ("a", 2, None, 2, -0.3, False),
        ("a", 3, None, 3, 0.6, False),
    ]
    near = Nearest(np.array([[0], [1]]), np.array([[0.7], [0.6]]))
    matched = Matching("assignment", np.array([1]), np.array([1]), np.array([0.6]))
    rows = side_rows("a", near, matched, np.array([0.7, 0.6])).to_pylist()
    assert [(row["rank"], row["other"], row["is_matched"]) for row in rows] == [
        (0, 0, False),
        (0, 1, True),
    ]


def test_the_other_side_is_matched_the_other_way() -> None:
    own = Nearest(np.array([[0], [3], [2], [2], [0]]), np.full((5, 1), 0.7))
    rows = side_rows("b", own, MATCHING).to_pylist()
    matched = [(row["feature"], row["rank"], row["other"]) for row in rows if row["is_matched"]]
    assert matched == [(1, 0, 3), (4, 0, 0)]


def test_relations_go_to_the_rows_that_are_pairs() -> None:
    nobody = Matching("mutual", np.zeros(0, int), np.zeros(0, int), np.zeros(0))
    a, b = pairs_of(side_rows("b", NEAREST, nobody))
    assert (a.tolist(), b.tolist()) == ([4, 2, 0, 4, 0], [0, 0, 2, 3, 3])
    a, b = pairs_of(side_rows("a", NEAREST, MATCHING))
    assert (a.tolist(), b.tolist()) == ([0, 0, 2, 3, 3, 3], [4, 2, 0, 4, 0, 1])
    values = np.array([0.1, 0.2, np.nan, 0.4, 0.5, 0.6])
    relations = Relations(9, np.arange(6), values, values)
    found = with_relations(side_rows("a", NEAREST, MATCHING), relations).to_pylist()
    assert [row["n_both"] for row in found] == [0, 1, None, 2, 3, 4, 5]
    assert [row["jaccard"] for row in found] == pytest.approx([0.1, 0.2, None, None, 0.4, 0.5, 0.6])
