"""A map of the features: directions that are alike lie close together, beside a map of chance.

Places are a UMAP of the unit directions (McInnes, Healy and Melville, arXiv 1802.03426), their
nearest neighbours found exactly; clusters are found on a second one, of more dimensions. A map
shows patterns whatever it is given, so as many random directions of the same dimension go the same
way, and every measure of the map stands beside theirs.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from jaxtyping import Bool, Float32, Float64, Int64
from sklearn.manifold import trustworthiness

from featurestore.activations import ActivationFiles, Activations
from featurestore.passes.base import Pass, Run, Tables
from featurestore.passes.clusters import (
    Neighbours,
    count_clusters,
    find_clusters,
    name_clusters,
    silhouette,
)
from featurestore.threads import in_threads, one_thread

N_NEIGHBOURS = 15
"""Of each direction, itself included: what UMAP sees of it."""
MIN_DIST = 0.05
N_EPOCHS = 200
"""Rounds of the places' optimisation."""
CLUSTER_DIMS = 10
"""Dimensions of the map that clusters are found on."""
CLUSTER_EPOCHS = 100
"""Rounds there; more find as many clusters."""
FEW = N_NEIGHBOURS + 1
"""Up to so many directions lie by their principal components, without clusters."""
LEAST = 3
"""Fewer directions are not laid out."""
MOST = 100_000
"""Of more directions a sample of so many is laid out: time grows with their square."""
N_JUDGED = 2_000
"""Directions that trustworthiness is taken over, at most: memory grows with their square."""
N_PROMOTED = 6
"""A feature's promoted tokens that may name its cluster."""
COSINES_AT_ONCE = 2**24
"""Numbers in one product of matrices: 64 MB in each thread."""

MEASURES = ("clustered", "n_clusters", "silhouette", "trustworthiness")
Measures = dict[str, tuple[float | None, int]]
"""By name, a value and what it was taken over; no value where that is too little."""


@dataclass(frozen=True)
class Map:
    """Where directions lie, and how good the map is."""

    places: Float32[np.ndarray, "n_rows 2"]
    cluster: Int64[np.ndarray, " n_rows"]
    """The largest is 0; -1 for directions in none."""
    measures: Measures


class Layout(Pass):
    """Places and clusters in `features`; the tables `clusters`, `control_map` and `measures`."""

    name = "layout"

    def __init__(self, run: Run) -> None:
        self._directions = run.dictionary.directions
        self._is_wanted, self._seed = run.settings.map, run.seed
        self._promoted = [np.zeros((2, 0), dtype=np.int64)]

    def prepare(self, files: ActivationFiles) -> None:
        """Lay out the features that are alive and whose direction has a length; and the control."""
        if not self._is_wanted:
            return
        is_chosen = (self._directions != 0).any(dim=1).numpy() & (files.n_entries > 0)
        chosen = np.flatnonzero(is_chosen)
        if len(chosen) > MOST:
            sampler = np.random.default_rng(_salted("sample of the map", self._seed))
            chosen = np.sort(sampler.choice(chosen, MOST, replace=False))
        if len(chosen) < LEAST:
            chosen = chosen[:0]
        self._row = np.full(len(is_chosen), -1)
        self._row[chosen] = np.arange(len(chosen))
        generator = torch.Generator().manual_seed(_salted("control of the map", self._seed))
        random = torch.randn(len(chosen), self._directions.shape[1], generator=generator)
        self._map = lay_out(self._directions[torch.from_numpy(chosen)], self._seed)
        self._control = lay_out(random, self._seed)

    def rows(self, activations: Activations) -> Tables:
        """Place and cluster of each feature; null for what is not on the map."""
        if not self._is_wanted:
            return {}
        row = self._row[activations.features]
        places = np.zeros((len(row), 2), dtype=np.float32)
        cluster = np.full(len(row), -1)
        places[row >= 0] = self._map.places[row[row >= 0]]
        cluster[row >= 0] = self._map.cluster[row[row >= 0]]
        return {"features": pa.table(_columns(places, cluster, is_left_out=row < 0))}

    def follow_up(self, activations: Activations, found: Tables) -> Tables:
        """Keep the tokens that may name a cluster; they are rows of nothing yet."""
        if self._is_wanted and "promoted" in found["features"].column_names:
            column = found["features"]["promoted"].combine_chunks()
            lists = pc.list_slice(column, 0, N_PROMOTED)
            row = self._row[activations.features][pc.list_parent_indices(lists).to_numpy()]
            pairs = np.stack([row, pc.list_flatten(lists).to_numpy()])
            self._promoted.append(pairs[:, row >= 0])
        return {}

    def conclude(self) -> Tables:
        """The clusters and their names, the control's map, and the measures of both."""
        if not self._is_wanted:
            return {}
        numbers = pa.array(np.arange(len(self._control.places), dtype=np.int32))
        is_left_out = np.zeros(len(numbers), dtype=bool)
        control = _columns(self._control.places, self._control.cluster, is_left_out)
        return {
            "clusters": self._clusters(),
            "control_map": pa.table({"number": numbers} | control),
            "measures": _side_by_side(self._map.measures, self._control.measures),
        }

    def _clusters(self) -> pa.Table:
        cluster = self._map.cluster
        names = name_clusters(cluster, *np.concatenate(self._promoted, axis=1))
        members = [np.flatnonzero(cluster == number) for number in range(len(names))]
        middle = np.array([np.median(self._map.places[own], axis=0) for own in members])
        x, y = middle.reshape(-1, 2).T.astype(np.float32)
        return pa.table(
            {
                "cluster": pa.array(range(len(names)), pa.int32()),
                "n_features": pa.array([len(own) for own in members], pa.int32()),
                "x": pa.array(x),
                "y": pa.array(y),
                "tokens": pa.array([each.tokens for each in names], pa.list_(pa.int32())),
                "shares": pa.array([each.shares for each in names], pa.list_(pa.float64())),
            }
        )


def lay_out(directions: Float32[torch.Tensor, "n_rows d"], seed: int) -> Map:
    """Lay out directions, none of length 0; places are UMAP's, or principal components of FEW."""
    # By their largest component first: the square of a tiny one would vanish.
    unit = directions / directions.abs().amax(dim=1, keepdim=True)
    unit = torch.nn.functional.normalize(unit, dim=1)
    n_rows, d = unit.shape
    if n_rows <= FEW:
        places = principal_components(unit, 2).astype(np.float32)
        return Map(places, np.full(n_rows, -1), dict.fromkeys(MEASURES, (None, n_rows)))
    neighbours = nearest(unit, N_NEIGHBOURS)
    with one_thread():  # numba sets the number of OpenMP's threads, torch's too, and leaves it so
        places, inner = _umap(unit, neighbours, seed)
    cluster = find_clusters(inner, neighbours, d)
    return Map(places, cluster, _measures(unit, places, cluster, seed))


def nearest(unit: Float32[torch.Tensor, "n_rows d"], n: int) -> Neighbours:
    """The `n` nearest of each unit vector by cosine, itself first; all pairs are compared."""

    def of_rows(first: int) -> tuple[torch.Tensor, torch.Tensor]:
        cosines = unit[first : first + at_once] @ unit.T
        cosines.clamp_(max=1)
        cosines.diagonal(first).fill_(2)  # so that none of its doubles comes before itself
        return cosines.topk(n, dim=1)

    at_once = max(1, COSINES_AT_ONCE // len(unit))
    parts = in_threads(of_rows, range(0, len(unit), at_once))
    cosines, indices = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
    cosines[:, 0] = 1
    return Neighbours(indices.astype(np.int32), cosines)


def principal_components(
    vectors: Float32[torch.Tensor, "n_rows d"], n_dims: int
) -> Float64[np.ndarray, "n_rows n_dims"]:
    """Scores on the first principal components; zeros where the vectors have fewer dimensions.

    Of each component, the entry that is largest in size is positive.
    """
    centred = vectors.double()
    centred -= centred.mean(dim=0)
    axes = torch.linalg.eigh(centred.T @ centred).eigenvectors.flip(1)[:, :n_dims]
    largest = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))
    scores = np.zeros((len(vectors), n_dims))
    scores[:, : axes.shape[1]] = (centred @ (axes * largest.sign())).numpy()
    return scores


def _umap(
    unit: Float32[torch.Tensor, "n_rows d"], neighbours: Neighbours, seed: int
) -> tuple[Float32[np.ndarray, "n_rows 2"], Float32[np.ndarray, "n_rows n_dims"]]:
    """Places on a plane, and those that clusters are found on.

    Both start at the principal components, which always exist: a spectral start needs an iterative
    solver, which can fail. The optimisation runs in one thread. The functions before it share
    their rows among threads, but no result depends on how.
    """
    # Here, because it takes seconds and no other pass needs it.
    from umap import layouts, umap_

    # Compiled anew in every process, these would take 10 seconds more.
    umap_.smooth_knn_dist.enable_caching()
    umap_.compute_membership_strengths.enable_caching()
    layouts._nb_optimize_layout_euclidean_single_epoch.enable_caching()

    random_state = np.random.RandomState(_salted("map", seed))
    start = principal_components(unit, CLUSTER_DIMS)
    # Else equal directions would never part, and a column of zeros could not be scaled.
    start += random_state.normal(scale=1e-4, size=start.shape)
    graph, *_ = umap_.fuzzy_simplicial_set(
        unit.numpy(),
        N_NEIGHBOURS,
        random_state,
        "cosine",
        knn_indices=neighbours.indices,
        knn_dists=1 - neighbours.cosines,
    )

    def places(n_dims: int, min_dist: float, n_epochs: int) -> np.ndarray:
        a, b = umap_.find_ab_params(1.0, min_dist)
        found, _ = umap_.simplicial_set_embedding(
            data=unit.numpy(),
            graph=graph,
            n_components=n_dims,
            initial_alpha=1.0,
            a=a,
            b=b,
            gamma=1.0,
            negative_sample_rate=5,
            n_epochs=n_epochs,
            init=start[:, :n_dims],
            random_state=random_state,
            metric="cosine",
            metric_kwds={},
            densmap=False,
            densmap_kwds={},
            output_dens=False,
        )
        return found

    return places(2, MIN_DIST, N_EPOCHS), places(CLUSTER_DIMS, 0.0, CLUSTER_EPOCHS)


def _measures(
    unit: Float32[torch.Tensor, "n_rows d"],
    places: Float32[np.ndarray, "n_rows 2"],
    cluster: Int64[np.ndarray, " n_rows"],
    seed: int,
) -> Measures:
    n_rows, n_clustered = len(cluster), int((cluster >= 0).sum())
    sampler = np.random.default_rng(_salted("judged", seed))
    judged = np.sort(sampler.permutation(n_rows)[:N_JUDGED])
    # By torch, whose products are those of one thread: numpy's depend on the processors.
    vectors = unit[torch.from_numpy(judged)].double()
    distances = (1 - vectors @ vectors.T).clamp(min=0).numpy()
    trust = None
    if 2 * N_NEIGHBOURS < len(judged):
        asked = {"n_neighbors": N_NEIGHBOURS, "metric": "precomputed"}
        trust = float(trustworthiness(distances, places[judged], **asked))
    return {
        "clustered": (n_clustered / n_rows, n_rows),
        "n_clusters": (float(count_clusters(cluster)), n_rows),
        "silhouette": (silhouette(unit, cluster), n_clustered),
        "trustworthiness": (trust, len(judged)),
    }


def _side_by_side(found: Measures, control: Measures) -> pa.Table:
    columns = zip(*((name, *found[name], *control[name]) for name in MEASURES), strict=True)
    kinds = {
        "name": pa.string(),
        "value": pa.float64(),
        "n": pa.int64(),
        "control": pa.float64(),
        "n_control": pa.int64(),
    }
    return pa.table(dict(zip(kinds, columns, strict=True)), schema=pa.schema(kinds))


def _columns(
    places: Float32[np.ndarray, "n_rows 2"],
    cluster: Int64[np.ndarray, " n_rows"],
    is_left_out: Bool[np.ndarray, " n_rows"],
) -> dict[str, pa.Array]:
    """Columns x, y and cluster; null where that is asked for, and where there is no cluster."""
    x, y = np.ascontiguousarray(places.T)
    return {
        "x": pa.array(x, mask=is_left_out),
        "y": pa.array(y, mask=is_left_out),
        "cluster": pa.array(cluster.astype(np.int32), mask=cluster < 0),
    }


def _salted(purpose: str, seed: int) -> int:
    """A seed of 32 bits for one purpose, lest random directions of a dictionary share it."""
    return int.from_bytes(hashlib.sha256(f"{purpose} {seed}".encode()).digest()[:4])
