"""Files that were cut short or hit by something."""

from collections.abc import Iterator

import numpy as np


def damaged(whole: bytes, n: int = 300, seed: int = 0) -> Iterator[bytes]:
    """Copies with eight bytes changed anywhere; every third is cut short first."""
    rng = np.random.default_rng(seed)
    for i in range(n):
        copy = bytearray(whole[: rng.integers(len(whole))] if i % 3 == 0 else whole)
        for place in rng.integers(0, max(1, len(copy)), 8):
            copy[place : place + 1] = bytes([rng.integers(256)])
        yield bytes(copy)
