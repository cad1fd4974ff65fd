"""How far two people agree beyond what chance alone would give."""

from collections import Counter
from collections.abc import Hashable, Sequence


def kappa(pairs: Sequence[tuple[Hashable, Hashable]]) -> float | None:
    """Cohen's kappa of two people's verdicts of the same things.

    (p_o - p_e) / (1 - p_e), with p_o the share of pairs that are equal, and p_e the share that
    would be if each kept their own frequencies and chose at random.

    Returns:
        1 for full agreement, 0 for that of chance, negative below; None where it is 0/0: without
        a pair, or where both always said one and the same.
    """
    n = len(pairs)
    first = Counter(one for one, _ in pairs)
    second = Counter(other for _, other in pairs)
    # In whole numbers, n² times both shares, so that 0/0 is met exactly.
    observed = n * sum(one == other for one, other in pairs)
    expected = sum(first[verdict] * second[verdict] for verdict in first)
    if expected == n * n:
        return None
    return (observed - expected) / (n * n - expected)
