"""How large the largest of many cosines is by chance.

The cosine of any direction with one drawn evenly from the sphere has a known distribution F (its
square is Beta-distributed), and the largest of n independent ones has F^n, so the expectation needs
no draws:

    E = 1 - integral of F(c)^n dc    from the smallest cosine, -1 or 0, to 1
"""

import numpy as np
from scipy.special import betainc

STEPS = 200_000
"""Of the integral: the rise of F^n from 0 to 1 takes a hundred of them at n of a million."""


def largest_by_chance(d_out: int, n_others: int, is_absolute: bool) -> float:
    """Expected largest cosine of a direction with `n_others` random ones; NaN if there are none.

    It is the same for every direction, so it is also the expected mean of many.
    """
    if n_others == 0 or d_out < 2:  # along a line a cosine is 1 or -1
        return float("nan")
    cosine = np.linspace(0 if is_absolute else -1, 1, STEPS + 1)
    share = betainc(0.5, (d_out - 1) / 2, cosine**2)
    share = share if is_absolute else (1 + np.sign(cosine) * share) / 2
    return float(1 - np.trapezoid(share**n_others, cosine))
