"""Numbers as text: three significant digits, thousands separators, small ones as 4.2e-5."""

import math
import re

NONE = "–"
"""Stands for a number that does not exist."""


def short(value: float | None) -> str:
    """A number to read; counts in full."""
    if value is None or math.isnan(value):
        return NONE
    if value < 0:
        return f"−{short(-value)}"
    if isinstance(value, int):
        return f"{value:,}"
    size = abs(value)
    if size == 0 or math.isinf(value):
        return f"{value:g}"
    if size < 1e-3 or size >= 1e9:
        digits, _, power = f"{value:.2e}".partition("e")
        return f"{digits}e{int(power)}"
    if size >= 100:
        return f"{value:,.0f}"
    decimals = 2 - math.floor(math.log10(float(f"{size:.2e}")))
    return f"{value:.{decimals}f}"


def exact(value: float | None) -> str:
    """A number in full, for hovering over the short one."""
    if value is None:
        return "does not exist"
    return f"{value:,}" if isinstance(value, int) else repr(value)


def percent(share: float) -> str:
    """A share as percent; neither 0% nor 100% unless it is."""
    if 0 < share < 1e-4:
        return "<0.01%"
    text = short(100.0 * share)
    return ">99.9%" if text == "100" and share < 1 else f"{text}%"


def chance_of(least: int, n: int, share: float) -> float:
    """P(X >= least) for X binomial: of n independent cases, each with the chance `share`."""
    return sum(_chance_of_exactly(k, n, share) for k in range(least, n + 1))


def _chance_of_exactly(k: int, n: int, share: float) -> float:
    return math.comb(n, k) * share**k * (1 - share) ** (n - k)


def beyond_chance(share: float, n: int, at_most: float = 0.01) -> int | None:
    """The fewest of n independent cases that are more than chance, each one by chance with `share`.

    The smallest k with P(X >= k) < `at_most`; None if not even n of n are so many.
    """
    chance, fewest = 0.0, None
    for k in range(n, -1, -1):
        chance += _chance_of_exactly(k, n, share)
        if chance >= at_most:
            break
        fewest = k
    return fewest


def share_of(percentage: float, n: int) -> str:
    """A percentage of n as a count, for an n that may be small: 4 of 4. A tie counts half."""
    return f"{round(percentage * n / 100, 1):g} of {n:,}"


def natural(name: str) -> list[tuple[str, int]]:
    """A key that sorts the numbers in a name as numbers."""
    return [(text, int(digits or -1)) for text, digits in re.findall(r"([^0-9]*)([0-9]*)", name)]
