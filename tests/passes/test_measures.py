import numpy as np
import pytest

from featurestore.passes.measures import Measures, recovered, standard_error
from featurestore.passes.substitution import N_DRAWS, Losses

CONTEXTS = np.array([3, 3, 3, 7, 7, 9])


def test_the_error_of_a_mean_counts_contexts_not_tokens() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 9.0])  # mean 4; sums of value - mean: -6, 1, 5
    error, n = standard_error(values, CONTEXTS)
    assert (error, n) == (pytest.approx(np.sqrt(3 / 2 * (36 + 1 + 25)) / 6), 3)
    alone = standard_error(values, np.arange(6))  # then it is the one that everybody knows
    assert alone == (pytest.approx(values.std(ddof=1) / np.sqrt(6)), 6)
    one, n = standard_error(values, np.zeros(6, dtype=np.int64))
    assert np.isnan(one) and n == 1


@pytest.mark.parametrize(
    ("clean", "decoded", "ablated", "error", "share"),
    [
        (3.0, 3.5, 8.0, 0.1, 0.9),
        (3.0, 3.5, 3.25, 0.1, -1.0),  # worse than zeros, which is said
        (3.0, 3.5, 3.25, 0.125, None),  # two errors are not more than two
        (6.35, 5.69, 6.15, 0.04, None),  # zeros help
        (6.35, 6.15, 6.347, 0.001, None),
        (3.0, 3.0, 3.0, 0.0, None),
        (3.0, 3.0, 3.0 + 1e-7, 0.0, None),  # rounding
        (3.0, 3.5, 8.0, float("nan"), None),  # of one context nothing is known
    ],
)
def test_a_share_is_of_something(
    clean: float, decoded: float, ablated: float, error: float, share: float | None
) -> None:
    found = recovered(clean, decoded, ablated, error)
    assert np.isnan(found) if share is None else found == pytest.approx(share)


def test_zeros_and_the_mean_are_judged_apart() -> None:
    clean = np.full(6, 2.0)
    changes = {"decoded": 0.5, "zero": 4.0, "mean": -1.0}
    changes |= {f"control-{draw}": 1.0 for draw in range(N_DRAWS)}
    wobble = np.array([0.1, -0.1, 0.0, 0.2, 0.0, -0.2])
    loss = {name: clean + change + wobble for name, change in changes.items()}
    kl = {name: np.zeros(6) for name in loss}
    measures = Measures()
    measures.add_losses(Losses(np.arange(6), CONTEXTS, clean, loss, kl))
    found = {row.pop("name"): row for row in measures.table().to_pylist()}
    assert found["ce_recovered"]["value"] == pytest.approx((6 - 2.5) / (6 - 2))
    assert found["ce_recovered"]["control"] == pytest.approx((6 - 3) / (6 - 2))
    assert found["ce_recovered_mean"]["value"] is found["ce_recovered_mean"]["control"] is None
    error, _ = standard_error(wobble, CONTEXTS)
    assert found["ce_zero_se"]["value"] == pytest.approx(error) and found["ce_zero_se"]["n"] == 3
    assert found["ce_mean_se"]["value"] == pytest.approx(error)
