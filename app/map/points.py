"""A map as columns of numbers, and as the bytes that the browser gets. Pure.

A map of 100,000 features as records would be half a million Python objects, and Streamlit collects
garbage after every run. So the records are turned into arrays once, and those are kept.
"""

import base64
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from app.annotations.words import MARKS
from app.token_text import alone, label_text
from featurestore.detail_records import Cluster, FeatureMap, MapPoint, Measure

N_COLOURS = 8
"""Clusters with a colour of their own, which the legend names: the largest."""
N_PROMOTED = 3
"""Promoted tokens of a point that are told."""
VERDICTS = (None, *(verdict.value for verdict in MARKS))
"""What a point's verdict is numbered by."""

_NAMING = 3
"""Tokens in a cluster's name."""


@dataclass(frozen=True)
class Points:
    """Where the features of a dictionary stand: one entry of each array per feature."""

    feature: np.ndarray
    """Rising."""
    place: np.ndarray
    """x and y."""
    cluster: np.ndarray
    """-1 for none."""
    density: np.ndarray
    effect: np.ndarray
    """KL percentile, NaN where nothing was switched off; so for `share`, where the token
    share tells nothing."""
    share: np.ndarray
    draws: np.ndarray
    """Random directions that the KL percentile is of; 0 where nothing was switched off."""
    promoted: np.ndarray
    """Indices into `tokens`, N_PROMOTED a feature; -1 for none."""
    tokens: tuple[str, ...]
    clusters: tuple[Cluster, ...]
    control_place: np.ndarray
    control_cluster: np.ndarray
    measures: Mapping[str, Measure]

    def __len__(self) -> int:
        """Number of features on the map."""
        return len(self.feature)

    def indices(self, features: Collection[int]) -> np.ndarray:
        """Where those of some features that are on the map stand in the arrays, rising."""
        return np.flatnonzero(np.isin(self.feature, np.fromiter(features, np.int64)))


@dataclass(frozen=True)
class Said:
    """What was said of a dictionary's features, by number."""

    verdicts: Mapping[int, str] = field(default_factory=dict)
    labels: Mapping[int, str] = field(default_factory=dict)
    """By people."""
    explanations: Mapping[int, str] = field(default_factory=dict)
    """By programs; told where people gave no label."""


def columns(found: FeatureMap) -> Points:
    """The records of a map as arrays."""
    points, n = found.points, len(found.points)
    tokens: dict[str, int] = {}
    promoted = np.full((n, N_PROMOTED), -1, np.int32)
    for row, point in enumerate(points):
        for rank, token in enumerate(point.promoted[:N_PROMOTED]):
            promoted[row, rank] = tokens.setdefault(token, len(tokens))
    return Points(
        feature=np.array([point.feature for point in points], np.int64),
        place=np.array([(point.x, point.y) for point in points], np.float32).reshape(n, 2),
        cluster=np.array([_or(point.cluster, -1) for point in points], np.int32),
        density=np.array([point.density for point in points], np.float64),
        effect=_floats(points, "kl_percentile"),
        share=_floats(points, "token_share"),
        draws=np.array([point.n_controls or 0 for point in points], np.int32),
        promoted=promoted,
        tokens=tuple(tokens),
        clusters=found.clusters,
        control_place=np.array([one[:2] for one in found.control], np.float32).reshape(-1, 2),
        control_cluster=np.array([_or(one[2], -1) for one in found.control], np.int32),
        measures=found.measures,
    )


def cluster_name(cluster: Cluster) -> str:
    """A cluster by the tokens that tell it from the others; by its number if there are none.

    Spaces around them are left out, to leave room on the map.
    """
    tokens = [near.token for near in cluster.tokens[:_NAMING]]
    named = " · ".join(alone(token.strip(" ") or token) for token in tokens)
    return named or f"cluster {cluster.cluster}"


def coloured(clusters: Sequence[Cluster]) -> list[int]:
    """Where the clusters stand that have a colour of their own, the largest first."""
    largest = sorted(range(len(clusters)), key=lambda at: -clusters[at].n_features)
    return largest[:N_COLOURS]


def draws_each(draws: np.ndarray) -> str:
    """How many random directions stand beside a feature, of those that have any."""
    known = draws[draws > 0]
    if not known.size:
        return "none"
    low, high = int(known.min()), int(known.max())
    return f"{low} each" if low == high else f"{low} to {high} each"


def points_part(points: Points, key: str) -> bytes:
    """The part of a map that a file decides."""
    colours = {at: colour for colour, at in enumerate(coloured(points.clusters))}
    clusters = [
        {"number": one.cluster, "name": cluster_name(one), "n": one.n_features}
        | {"x": one.x, "y": one.y, "colour": colours.get(at, -1)}
        for at, one in enumerate(points.clusters)
    ]
    arrays = {
        "feature": points.feature.astype("<u4"),
        "place": points.place.astype("<f4"),
        "cluster": points.cluster.astype("<i4"),
        "density": points.density.astype("<f4"),
        "effect": points.effect.astype("<f4"),
        "share": points.share.astype("<f4"),
        "draws": points.draws.astype("<i4"),
        "promoted": points.promoted.astype("<i4"),
        "control_place": points.control_place.astype("<f4"),
        "control_cluster": points.control_cluster.astype("<i4"),
    }
    header = {"map": key, "part": "points", "clusters": clusters}
    return packed(header | {"tokens": [alone(token) for token in points.tokens]}, arrays)


def said_part(points: Points, said: Said, key: str) -> tuple[np.ndarray, bytes]:
    """What people and programs decide: each point's verdict, and the part with labels too.

    A verdict is its place in VERDICTS. A label goes with 1 if it is a program's.
    """
    known = {**said.explanations, **said.labels}
    numbers = points.feature.tolist()
    labels = [
        [at, label_text(known[numbers[at]]), int(numbers[at] not in said.labels)]
        for at in points.indices(known).tolist()
    ]
    verdict = np.zeros(len(points), np.uint8)
    for at in points.indices(said.verdicts).tolist():
        verdict[at] = VERDICTS.index(said.verdicts[numbers[at]])
    header = {"map": key, "part": "said", "labels": labels}
    return verdict, packed(header, {"verdict": verdict})


def packed(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays behind a JSON header that says where each begins, all at multiples of four bytes."""
    placed, chunks, at = {}, [], 0
    for name, array in arrays.items():
        body = np.ascontiguousarray(array).tobytes()
        body += b"\0" * (-len(body) % 4)
        placed[name] = [array.dtype.str.lstrip("<|"), array.size, at]
        chunks.append(body)
        at += len(body)
    text = json.dumps({**header, "arrays": placed}).encode()
    text += b" " * (-len(text) % 4)
    return b"".join([len(text).to_bytes(4, "little"), text, *chunks])


def mask(points: Points, features: Collection[int]) -> str:
    """Which points are among some features: a bit each, the lowest first, in base 64."""
    bits = np.zeros(len(points), np.uint8)
    bits[points.indices(features)] = 1
    return base64.b64encode(np.packbits(bits, bitorder="little").tobytes()).decode()


def _or(value: int | None, other: int) -> int:
    return other if value is None else value


def _floats(points: Sequence[MapPoint], column: str) -> np.ndarray:
    values = (getattr(point, column) for point in points)
    return np.array([np.nan if value is None else value for value in values], np.float64)
