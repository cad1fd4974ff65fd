"""What the features of a list have in common. Pure."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from app.map.points import VERDICTS, Points, cluster_name, draws_each
from featurestore.spreadsheet import as_json, table_csv

_TOKENS = 12
_CLUSTERS = 5


@dataclass(frozen=True)
class Summary:
    """Of those of the chosen features that are on the map."""

    n: int
    n_elsewhere: int
    """Chosen, but not on the map."""
    mean_density: float | None
    median_effect: float | None
    n_effects: int
    """Features whose KL percentile is known."""
    draws: str
    """How many random directions each of these is a percentage of."""
    tokens: tuple[tuple[str, int], ...]
    """Promoted tokens that most of them share, with how many do; of each its first N_PROMOTED."""
    clusters: tuple[tuple[str, int], ...]
    verdicts: tuple[tuple[str | None, int], ...]
    """None for no verdict."""


def summary(points: Points, chosen: Collection[int], verdict: np.ndarray) -> Summary:
    """Count what a list holds; `verdict` holds each point's place in VERDICTS."""
    at = points.indices(chosen)
    effect = points.effect[at]
    effect = effect[np.isfinite(effect)]
    tokens = points.promoted[at].ravel()
    clusters = points.cluster[at]
    names = {one.cluster: cluster_name(one) for one in points.clusters}
    codes = np.bincount(verdict[at], minlength=len(VERDICTS))
    return Summary(
        n=len(at),
        n_elsewhere=len(chosen) - len(at),
        mean_density=float(points.density[at].mean()) if len(at) else None,
        median_effect=float(np.median(effect)) if len(effect) else None,
        n_effects=len(effect),
        draws=draws_each(points.draws[at]),
        tokens=tuple((points.tokens[one], n) for one, n in _commonest(tokens, _TOKENS)),
        clusters=tuple((names[one], n) for one, n in _commonest(clusters, _CLUSTERS)),
        verdicts=tuple((one, int(codes[code])) for code, one in enumerate(VERDICTS)),
    )


def points_csv(points: Points, chosen: Collection[int] = ()) -> bytes:
    """The places of some features, or of all, as CSV."""
    rows = points.indices(chosen) if chosen else range(len(points))
    names = {one.cluster: as_json([t.token for t in one.tokens]) for one in points.clusters}
    header = ["feature", "x", "y", "cluster", "cluster_tokens", "promoted"]
    lines = (
        [
            int(points.feature[at]),
            *(float(str(one)) for one in points.place[at]),
            _or_empty(int(points.cluster[at])),
            names.get(int(points.cluster[at]), ""),
            as_json([points.tokens[one] for one in points.promoted[at] if one >= 0]),
        ]
        for at in rows
    )
    return table_csv(header, lines)


def _or_empty(cluster: int) -> int | str:
    return cluster if cluster >= 0 else ""


def _commonest(values: np.ndarray, most: int) -> list[tuple[int, int]]:
    """Values from 0 on and how often each comes, the commonest first; ties by value."""
    found, counts = np.unique(values[values >= 0], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:most]
    return [(int(found[at]), int(counts[at])) for at in order]
