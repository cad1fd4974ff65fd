"""Files as arrays: all features of a pair at once, and how active those of a dictionary are."""

from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from featurestore.dictionary_file import DictionaryFile
from featurestore.errors import NotCompared
from featurestore.pairs import PairFile, check_comparable, in_order, pair_path
from featurestore.records import DictionaryInfo
from featurestore.store_file import stamp
from featurestore.track_records import N_NEAREST, Activity, Beside, BothWays

MOST_KEPT = 48
"""Pairs, and dictionaries: a pair of 16,384 features takes 4 MB."""

_MATCHES = """
    select side = 'a' as is_a, feature, coalesce(rank, -1) as rank, other, is_matched,
        cosine, correlation
    from matches where other is not null
"""
_ACTIVITY = """
    select n_active, density, max_activation from features order by feature
"""


def read_beside(store: Path, one: DictionaryInfo, other: DictionaryInfo) -> BothWays:
    """All rows of two dictionaries: those of the first given, then those of the second.

    Raises:
        MatchError: the two cannot be compared.
        NotCompared: they were not, or not as they are now.
        DamagedStore: their file cannot be read.
    """
    check_comparable(one, other)
    path = pair_path(store, one, other)
    names = f"{one.dictionary_id} {other.dictionary_id}"
    if not path.exists():
        raise NotCompared(
            f"'{one.dictionary_id}' and '{other.dictionary_id}' were not compared, or not as they "
            f"are now. Compare them: python -m featurestore match {names} --store {store}"
        )
    a, b = _sides(path, stamp(path))
    return (a, b) if in_order(one, other)[0] is one else (b, a)


@lru_cache(maxsize=MOST_KEPT)
def _sides(path: Path, _stamp: object) -> BothWays:
    """Kept, since a page about training asks for the same files with every click."""
    with closing(PairFile(path)) as file:
        info = file.info
        rows = file.arrays(_MATCHES)
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


def read_activity(info: DictionaryInfo) -> Activity:
    """How active every feature of a dictionary is.

    Raises:
        DamagedStore: its file cannot be read.
    """
    return _activity(Path(info.path), stamp(Path(info.path)))


@lru_cache(maxsize=MOST_KEPT)
def _activity(path: Path, _stamp: object) -> Activity:
    with closing(DictionaryFile(path)) as file:
        return Activity(**file.arrays(_ACTIVITY))
