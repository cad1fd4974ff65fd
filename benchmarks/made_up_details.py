"""What a made-up store says of effects, tokens, directions and neighbours: columns and rows.

A feature is switched off on 8 contexts and has 20 neighbours; where there are more than 100,000
features it is one context and none, as in a build, which compares no more than 65,536 directions.
"""

import numpy as np
import pyarrow as pa

N_NEIGHBOURS = 10
N_EFFECTS = 12
N_ABLATED = 8
N_DEPENDENCES = 2
N_DELETED = 16
N_NAMED = 8


def add_columns(rng: np.random.Generator, features: pa.Table, d_vocab: int, d: int) -> pa.Table:
    """The columns of `features` that are not there yet; null where a dead one has none."""
    n, is_dead = len(features), features["n_active"].to_numpy() == 0
    control = rng.lognormal(np.log(5e-3), 0.5, n)
    of_live = {
        "n_ablated": np.full(n, N_ABLATED, np.int32),
        "n_effects": rng.integers(8, 400, n),
        "ablation_kl": control * rng.lognormal(0.8, 0.9, n),
        "ablation_kl_se": control / 4,
        "n_controls": np.full(n, 2 * N_ABLATED, np.int32),
        "control_kl": control,
        "kl_percentile": 100 * rng.beta(2.0, 1.0, n),
        "loss_effect": rng.normal(0.01, 0.02, n),
        "loss_effect_se": rng.uniform(0.001, 0.01, n),
        "token_share": rng.beta(1.0, 2.0, n),
        "share_token": rng.integers(0, d_vocab, n, np.int32),
        "token_entropy": rng.gamma(3.0, 1.0, n),
    }
    weights = np.sort(rng.uniform(0.02, 0.3, (n, N_NAMED)).astype(np.float32))[:, ::-1]
    of_all = {
        "n_unigrams": rng.integers(0, 900, n),
        "unigram_cos": rng.uniform(0.05, 0.7, n),
        "unigram_cos_token": rng.integers(0, d_vocab, n, np.int32),
        "unigram_cos_raw": rng.uniform(0.1, 0.8, n),
        "dim_share": rng.beta(1.0, 30.0, n),
        "reader_bias": rng.normal(-0.5, 0.2, n).astype(np.float32),
        "reader_cos": rng.uniform(0.3, 0.95, n),
        "nearest_cos": rng.beta(3.0, 4.0, n),
        "unigrams": _lists(rng.integers(0, d_vocab, (n, N_EFFECTS), np.int32)),
        "unigram_activations": _lists(rng.random((n, N_EFFECTS), np.float32)),
        "embedding_tokens": _lists(rng.integers(0, d_vocab, (n, N_NAMED), np.int32)),
        "embedding_cos": _lists(rng.random((n, N_NAMED), np.float32)),
        "top_dims": _lists(rng.integers(0, d, (n, N_NAMED), np.int32)),
        "top_dim_weights": _lists(weights),
    }
    for name, sign in (("fall", 1), ("rise", -1)):
        effects = np.sort(rng.uniform(0.05, 0.9, (n, N_EFFECTS)).astype(np.float32))[:, ::-1]
        of_all |= {
            f"{name}s": _lists(rng.integers(0, d_vocab, (n, N_EFFECTS), np.int32)),
            f"{name}_effects": _lists(sign * effects),
            f"{name}_se": _lists(effects / 10),
            f"{name}_probabilities": _lists(rng.random((n, N_EFFECTS), np.float32)),
        }
    for name, values in (of_all | of_live).items():
        if name not in features.column_names:
            mask = is_dead if name in of_live else None
            features = features.append_column(name, pa.array(values, mask=mask))
    return features


def rows(
    rng: np.random.Generator, live: np.ndarray, n_contexts: int, length: int, n_features: int
) -> dict[str, pa.Table]:
    """Of some features that are alive: contexts without them, dependences and neighbours."""
    is_many = n_features <= 100_000
    n_ablated, n_dependences = (N_ABLATED, N_DEPENDENCES) if is_many else (1, 0)
    feature, rank = _by_rank(live, n_ablated)
    n, along = len(feature), length // 2
    found = {
        "ablated_contexts": pa.table(
            {"feature": feature, "rank": rank, "sampler": pa.repeat("top", n)}
            | {"band": np.zeros(n, np.int16), "context": rng.integers(0, n_contexts, n, np.int32)}
            | {"n_effects": rng.integers(1, 50, n, np.int32), "kl": rng.random(n)}
            | {"control_kl": rng.random(n), "start": rng.integers(0, along - 1, n, np.int16)}
            | {"scale": rng.random(n, np.float32)}
            | {"q": _lists(rng.integers(-127, 128, (n, along), np.int8))}
        )
    }
    feature, rank = _by_rank(live, n_dependences)
    n = len(feature)
    found["dependences"] = pa.table(
        {"feature": feature, "rank": rank, "context": rng.integers(0, n_contexts, n, np.int32)}
        | {"peak": np.full(n, N_DELETED + 1, np.int16), "start": np.ones(n, np.int16)}
        | {"activation": rng.random(n, np.float32)}
        | {"changes": _lists(rng.normal(-0.1, 0.2, (n, N_DELETED)).astype(np.float32))}
    )
    if is_many:
        found["neighbours"] = _neighbours(rng, live, n_features)
    return found


def _neighbours(rng: np.random.Generator, live: np.ndarray, n_features: int) -> pa.Table:
    feature, rank = _by_rank(live, 2 * N_NEIGHBOURS)
    n = len(feature)
    measure = np.where(rank < N_NEIGHBOURS, "coactivation", "cosine")
    numbers = {name: rng.random(n) for name in ("cosine", "jaccard", "conditional", "correlation")}
    return pa.table(
        {"feature": feature, "measure": measure, "rank": (rank % N_NEIGHBOURS).astype(np.int16)}
        | {"neighbour": rng.integers(0, n_features, n, np.int32)}
        | {"n_both": rng.integers(0, 9000, n), "pmi": rng.normal(2, 1, n)}
        | numbers
    )


def _by_rank(features: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Each feature `n` times, with ranks from 0."""
    return np.repeat(features, n), np.tile(np.arange(n, dtype=np.int16), len(features))


def _lists(values: np.ndarray) -> pa.ListArray:
    """A list of each row."""
    offsets = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    return pa.ListArray.from_arrays(offsets, np.ascontiguousarray(values).ravel())
