"""What the synthetic store says of causes and geometry: made up, but in proportion.

Features lie in three clusters and a few between them; every fifth feature has less effect than its
controls; dead features have neither effects nor places.
"""

from typing import Any

import numpy as np

N_CLUSTERS = 3
Rows = dict[str, list[dict[str, Any]]]


def details(
    vocab: tuple[str, ...], tokens: np.ndarray, values: np.ndarray, tables: Rows
) -> tuple[list[dict[str, Any]], Rows]:
    """More columns of each feature, and the rows of the tables; `values` are finite."""
    rng = np.random.default_rng(6)
    n_features = values.shape[-1]
    is_alive = (values != 0).any(axis=(0, 1))
    columns = [
        {}
        | (_measures(rng, vocab, tokens, values[..., feature]) if is_alive[feature] else {})
        | _decoder(rng, feature)
        for feature in range(n_features)
    ]
    found: Rows = {"ablated_contexts": [], "dependences": []}
    for feature in np.flatnonzero(is_alive).tolist():
        columns[feature] |= _place(rng, feature) | _ablation(rng, feature, len(vocab))
        tops = [
            example
            for example in tables["examples"]
            if example["feature"] == feature and example["sampler"] == "top"
        ]
        for rank, top in enumerate(tops[:3]):
            found["ablated_contexts"].append(_ablated(rng, feature, rank, top, tokens.shape[1]))
            found["dependences"].append(_dependence(rng, feature, rank, top))
    neighbours, nearest = _neighbours(rng, values, is_alive)
    for feature, cos in nearest.items():
        columns[feature]["nearest_cos"] = cos
    placed = [(number, row) for number, row in enumerate(columns) if "x" in row]
    found |= {"neighbours": neighbours, "clusters": _clusters(placed, tables["features"])}
    found["control_map"] = [
        {"number": i, "x": rng.normal(0, 5), "y": rng.normal(0, 5), "cluster": None}
        for i in range(len(placed))
    ]
    found["measures"] = [
        {"name": name, "value": value, "n": len(placed), "control": control}
        | {"n_control": len(placed)}
        for name, value, control in (
            ("clustered", 0.8, 0.02),
            ("embedding_cos", 0.41, 0.27),
            ("embedding_cos_p95", 0.7, 0.31),
            ("n_clusters", float(N_CLUSTERS), 0.0),
            ("trustworthiness", 0.93, 0.61),
        )
    ]
    return columns, found


def _measures(
    rng: np.random.Generator, vocab: tuple[str, ...], tokens: np.ndarray, values: np.ndarray
) -> dict[str, Any]:
    sums = np.bincount(tokens.ravel(), np.abs(values).ravel(), len(vocab))
    shares = sums / sums.sum()
    strongest = np.argsort(-sums, kind="stable")[:4].tolist()
    cosines = np.sort(rng.uniform(0.1, 0.7, 4))[::-1].tolist()
    return {
        "token_share": shares.max(),
        "share_token": strongest[0],
        "token_entropy": float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum()),
        "n_unigrams": int((sums > sums.max() / 4).sum()),
        "unigrams": strongest[:2],
        "unigram_activations": [values.max(), values.max() / 2],
        "unigram_cos": cosines[0],
        "unigram_cos_token": strongest[0],
        "unigram_cos_raw": cosines[0] + 0.1,
        "embedding_tokens": strongest,
        "embedding_cos": cosines,
    }


def _decoder(rng: np.random.Generator, feature: int) -> dict[str, Any]:
    weights = np.sort(rng.uniform(0.1, 0.4, 8))[::-1] * rng.choice([-1, 1], 8)
    share = 0.83 if feature % 16 == 15 else float(weights[0] ** 2)
    return {
        "top_dims": rng.permutation(64)[:8].tolist(),
        "top_dim_weights": weights.tolist(),
        "dim_share": share,
        "reader_bias": float(rng.normal(-0.5, 0.2)),
        "reader_cos": float(rng.uniform(0.3, 0.95)),
    }


def _place(rng: np.random.Generator, feature: int) -> dict[str, Any]:
    cluster = None if feature % 7 == 6 else feature % N_CLUSTERS
    angle = 2 * np.pi * (feature % N_CLUSTERS) / N_CLUSTERS
    spread = 3.0 if cluster is None else 0.8
    x, y = (5 * f(angle) + rng.normal(0, spread) for f in (np.cos, np.sin))
    return {"x": float(x), "y": float(y), "cluster": cluster}


def _ablation(rng: np.random.Generator, feature: int, d_vocab: int) -> dict[str, Any]:
    control = float(rng.uniform(0.002, 0.01))
    kl = control * (0.6 if feature % 5 == 4 else float(rng.uniform(2, 9)))
    tokens = rng.permutation(d_vocab)[:12]
    effects = np.sort(rng.uniform(0.05, 0.9, 12))[::-1]
    found: dict[str, Any] = {
        "n_ablated": 3,
        "n_effects": 41,
        "n_controls": 6,
        "ablation_kl": kl,
        "ablation_kl_se": kl / 8,
        "control_kl": control,
        "kl_percentile": 100.0 * (2 if feature % 5 == 4 else 6) / 6,
        "loss_effect": float(rng.normal(0.01, 0.02)),
        "loss_effect_se": 0.004,
    }
    for name, chosen, sign in (("fall", slice(0, 6), 1), ("rise", slice(6, 12), -1)):
        found |= {
            f"{name}s": tokens[chosen].tolist(),
            f"{name}_effects": (sign * np.sort(effects[chosen])[::-1]).tolist(),
            f"{name}_se": [0.03] * 6,
            f"{name}_probabilities": rng.uniform(0.001, 0.3, 6).tolist(),
        }
    return found


def _ablated(
    rng: np.random.Generator, feature: int, rank: int, top: dict[str, Any], length: int
) -> dict[str, Any]:
    start = min(top["pos"], default=0)
    return {
        "feature": feature,
        "rank": rank,
        "sampler": "top",
        "band": 0,
        "context": top["context"],
        "n_effects": len(top["pos"]),
        "kl": float(rng.uniform(0.005, 0.05)),
        "control_kl": float(rng.uniform(0.002, 0.01)),
        "start": start,
        "scale": 0.6,
        "q": rng.integers(-127, 128, length - 1 - start).tolist(),
    }


def _dependence(
    rng: np.random.Generator, feature: int, rank: int, top: dict[str, Any]
) -> dict[str, Any]:
    start = max(0, top["peak"] - 6)
    return {
        "feature": feature,
        "rank": rank,
        "context": top["context"],
        "peak": top["peak"],
        "activation": top["activation"],
        "start": start,
        "changes": (rng.normal(-0.3, 0.4, top["peak"] - start) * top["activation"]).tolist(),
    }


def _neighbours(
    rng: np.random.Generator, values: np.ndarray, is_alive: np.ndarray
) -> tuple[list[dict[str, Any]], dict[int, float]]:
    """By made-up directions, and by what is really active together."""
    directions = rng.normal(size=(len(is_alive), 8))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    cosines = directions @ directions.T
    active = (values != 0).reshape(-1, len(is_alive))
    both = active.astype(float).T @ active
    n = np.diag(both).copy()
    either = n[:, None] + n - both
    jaccard = np.divide(both, either, out=np.zeros_like(both), where=either > 0)
    rows, nearest = [], {}
    for feature in range(len(is_alive)):
        for measure, by in (("coactivation", jaccard), ("cosine", cosines)):
            order = [int(i) for i in np.argsort(-by[feature]) if i != feature]
            if measure == "coactivation":
                order = [i for i in order if both[feature, i] > 0]
            for rank, other in enumerate(order[:10]):
                pair = both[feature, other]
                rows.append(
                    {"feature": feature, "measure": measure, "rank": rank, "neighbour": other}
                    | {"cosine": cosines[feature, other], "n_both": int(pair)}
                    | {"jaccard": jaccard[feature, other] if either[feature, other] else None}
                    | {"pmi": np.log(len(active) * pair / n[feature] / n[other]) if pair else None}
                    | {"conditional": pair / n[feature] if n[feature] else None}
                    | {"correlation": 0.1 if pair else None}
                )
        nearest[feature] = float(np.sort(cosines[feature])[-2])
    return rows, nearest


def _clusters(
    placed: list[tuple[int, dict[str, Any]]], features: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    found = []
    for cluster in range(N_CLUSTERS):
        members = [(number, row) for number, row in placed if row["cluster"] == cluster]
        tokens = [token for number, _ in members for token in features[number]["promoted"][:2]]
        names, counts = np.unique(tokens, return_counts=True)
        order = np.argsort(-counts, kind="stable")[:5]
        found.append(
            {
                "cluster": cluster,
                "n_features": len(members),
                "x": float(np.median([row["x"] for _, row in members])),
                "y": float(np.median([row["y"] for _, row in members])),
                "tokens": names[order].astype(int).tolist(),
                "shares": (counts[order] / max(1, len(members))).tolist(),
            }
        )
    return [row for row in found if row["n_features"]]
