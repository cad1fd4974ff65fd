"""A pair's file as arrays: all of its features at once."""

from dataclasses import replace

import numpy as np

from featurestore.pair_file import PairFile
from featurestore.track_records import N_NEAREST, Beside, BothWays

_MATCHES = """
    select side = 'a' as is_a, feature, coalesce(rank, -1) as rank, other, is_matched,
        cosine, correlation
    from matches where other is not null
"""


def both_ways(file: PairFile) -> BothWays:
    """All rows, of A and of B.

    Raises:
        DamagedStore: the file cannot be read.
    """
    info, rows = file.info, file.arrays(_MATCHES)
    is_a = rows.pop("is_a")
    a, b = (
        _beside({name: column[chosen] for name, column in rows.items()}, side.n_features)
        for chosen, side in ((is_a, info.a), (~is_a, info.b))
    )
    if info.n_tokens is None:
        return replace(a, correlation=None), replace(b, correlation=None)
    return a, b


def _beside(rows: dict[str, np.ndarray], n_features: int) -> Beside:
    """Each row in its columns: of the nearest, of the match, of the same number."""
    feature, other = rows["feature"], rows["other"]
    places = [*(rows["rank"] == rank for rank in range(N_NEAREST))]
    places += [rows["is_matched"], feature == other]
    others = np.full((n_features, len(places)), -1)
    values = {name: np.full(others.shape, np.nan) for name in ("cosine", "correlation")}
    for column, chosen in enumerate(places):
        others[feature[chosen], column] = other[chosen]
        for name, found in values.items():
            found[feature[chosen], column] = rows[name][chosen]
    return Beside(others, **values)
