import random
from collections import Counter
from fractions import Fraction

import pytest
from sklearn.metrics import cohen_kappa_score

from featurestore.annotations.agreement import kappa
from featurestore.annotations.records import Verdict


def plain(pairs: list[tuple[str, str]]) -> Fraction:
    """The formula with exact fractions, from a table of counts."""
    n, table = len(pairs), Counter(pairs)
    observed = Fraction(sum(table[v, v] for v in Verdict), n)
    expected = sum(
        Fraction(sum(table[v, w] for w in Verdict), n)
        * Fraction(sum(table[w, v] for w in Verdict), n)
        for v in Verdict
    )
    return (observed - expected) / (1 - expected)


def test_a_table_by_hand() -> None:
    """20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: p_o 0.7, p_e 0.5 * 0.6 + 0.5 * 0.4 = 0.5."""
    pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    assert kappa(pairs) == pytest.approx(0.4, abs=1e-15)


@pytest.mark.parametrize("seed", range(20))
def test_four_verdicts(seed: int) -> None:
    rng = random.Random(seed)
    first = rng.choices(list(Verdict), [4, 3, 2, 1], k=rng.randrange(5, 200))
    pairs = [(v, v if rng.random() < seed / 20 else rng.choice(list(Verdict))) for v in first]
    assert kappa(pairs) == pytest.approx(float(plain(pairs)), abs=1e-14)
    oracle = cohen_kappa_score(*([str(v) for v in some] for some in zip(*pairs, strict=True)))
    assert kappa(pairs) == pytest.approx(oracle, abs=1e-12)


def test_the_ends() -> None:
    assert kappa([]) is None
    assert kappa([("a", "a")] * 5) is None
    assert kappa([("a", "b")] * 5) == 0
    assert kappa([("a", "a"), ("b", "b")]) == 1
    assert kappa([("a", "b"), ("b", "a")]) == -1
