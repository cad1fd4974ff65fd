"""How large the largest of many cosines is by chance.

The angle t of any direction with one drawn evenly from the sphere in d dimensions has a density
that goes as sin(t)^(d - 2). That gives the distribution F of the cosine c = cos t, and the largest
of n independent ones has F^n, so the expectation needs no draws:

    E = 1 - integral of F(c)^n dc    from the smallest cosine, -1 or 0, to 1
"""

from functools import lru_cache

import numpy as np

STEPS = 200_000
"""Of the integral: the rise of F^n from 0 to 1 takes a hundred of them at n of a million."""


@lru_cache
def largest_by_chance(d_out: int, n_others: int, is_absolute: bool) -> float:
    """Expected largest cosine of a direction with `n_others` random ones; NaN if there are none.

    It is the same for every direction, so it is also the expected mean of many.
    """
    if n_others == 0 or d_out < 2:  # along a line a cosine is 1 or -1
        return float("nan")
    angle = np.linspace(np.pi / 2 if is_absolute else np.pi, 0, STEPS + 1)
    density = np.sin(angle) ** (d_out - 2)
    share = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    share /= share[-1]
    return float(1 - np.trapezoid(share**n_others, np.cos(angle)))
