"""Live activations of a stored context against those in the store."""

import numpy as np

from featurestore.live.records import Recomputed, TextActivations
from featurestore.records import StoredActivations

LEVELS = 254
"""Stored in 8 bits, an activation is right to this part of the context's largest."""

ROUNDING = 1e-5
"""What products of another shape may change, as a share of the largest activation of all."""


def compare(stored: tuple[StoredActivations, ...], live: TextActivations, n_bos: int) -> Recomputed:
    """Every position of every feature that has an example of the context, zeros too.

    NaN and infinity are left out, as the store leaves them out.
    """
    largest, at, n_beyond = 0.0, None, 0
    values = np.where(np.isfinite(live.value), live.value, 0)
    rounding = ROUNDING * np.abs(values).max(initial=0.0)
    for one in stored:
        shown = np.zeros(live.n_tokens)
        exact = np.zeros(live.n_tokens, dtype=bool)
        for pos, value in one.activations.items():
            shown[pos - n_bos] = value
        exact[[pos - n_bos for pos in one.exact]] = True
        found = np.zeros(live.n_tokens)
        mine = slice(*np.searchsorted(live.feature, [one.feature, one.feature + 1]))
        found[live.pos[mine]] = values[mine]
        difference = np.abs(found - shown)
        allowed = np.where(exact, 0, one.scale / LEVELS) + rounding
        n_beyond += int((difference > allowed).sum())
        worst = int(difference.argmax())
        if at is None or difference[worst] > largest:
            largest, at = float(difference[worst]), (one, worst)
    return Recomputed(
        n_features=len(stored),
        n_values=len(stored) * live.n_tokens,
        largest=largest,
        feature=at[0].feature if at else None,
        pos=at[1] if at else None,
        step=at[0].scale / LEVELS if at else 0.0,
        n_beyond=n_beyond,
    )
