"""Dictionaries of any size made by numpy, as realistic as the time that a question takes needs.

Densities are log-normal and some features dead; few tokens are popular and short, most are not: 128
of them make about 560 characters, as in English; every column holds something. A feature has 70
examples, and 8 where there are more than 100,000 features, so that a million of them are written in
minutes. Features lie on a map of 300 clusters, with as many random directions.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.made_up_details import add_columns
from benchmarks.made_up_details import rows as details
from featurestore.annotations.records import Verdict
from featurestore.dictionary_file import KEYS, SCHEMA_VERSION
from featurestore.writer import StoreWriter

N_TOKENS = 10_000_000
LENGTH = 128
D = 768
N_BINS = 50
N_LENS = 12
N_LABELS = 24_000
DEAD_SHARE = 0.05
MOST_CONTEXTS = 65_536
MOST_ON_MAP = 105_263  # of which 100,000 are alive
N_CLUSTERS = 300
CLUSTERED_SHARE = 0.6
CHUNK = 16_384

# (sampler, bands, examples in each)
MANY = (("top", 1, 20), ("interval", 5, 4), ("quantile", 5, 3), ("random", 1, 10), ("zero", 1, 5))
FEW = (("top", 1, 4), ("quantile", 2, 2))
FEW_ABOVE = 100_000

_SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]


def _words() -> list[str]:
    """A vocabulary of 32,000 tokens: each word with and without a space before it and a capital."""
    plain = ["".join(parts) for n in (1, 2, 3) for parts in itertools.product(_SYLLABLES, repeat=n)]
    plain = plain[:8000]
    return [form for word in plain for form in (f" {word}", word, f" {word.title()}", word.title())]


VOCAB = _words()


class MadeUpRemarks:
    """A verdict and a label of three words for 24,000 features, and as many explanations."""

    def __init__(self, n_features: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        features = rng.permutation(n_features)[:N_LABELS].tolist()
        verdicts = rng.choice([str(verdict) for verdict in Verdict], len(features))
        words = np.array(VOCAB[::4])[rng.integers(0, len(VOCAB) // 4, (len(features), 3))]
        self._verdicts = dict(zip(features, verdicts.tolist(), strict=True))
        self._labels = [
            (feature, "label", "".join(label).strip())
            for feature, label in zip(features, words, strict=True)
        ]

    def verdicts(self, digest: str) -> dict[int, str]:
        """Of whichever dictionary."""
        return self._verdicts

    def texts(self, digest: str, place: str) -> list[tuple[int, str, str]]:
        """Of whichever dictionary, the same everywhere."""
        return self._labels


def dictionary_id(n_features: int) -> str:
    """The name of the made-up dictionary of this size."""
    return f"made-up-{n_features}"


def write_dictionary(store: Path, n_features: int, seed: int) -> Path:
    """Write a dictionary into a store, unless it is there already."""
    rng = np.random.default_rng(seed)
    n_contexts = min(MOST_CONTEXTS, 4 * n_features)
    layout = FEW if n_features > FEW_ABOVE else MANY
    with StoreWriter(store, dictionary_id(n_features), _run_id(seed)) as writer:
        if writer.path.exists():
            return writer.path
        drawn = _map(np.random.default_rng(seed + 1), n_features)
        more = np.random.default_rng(seed + 2)
        token_ids = np.arange(len(VOCAB), dtype=np.int32)
        writer.append("vocab", pa.table({"token_id": token_ids, "token": VOCAB}))
        writer.append("contexts", _contexts(rng, n_contexts))
        for start in range(0, n_features, CHUNK):
            ids = np.arange(start, min(start + CHUNK, n_features), dtype=np.int32)
            features, promoted_tokens = _features(rng, ids)
            features = _on_map(features, drawn["features"])
            features = add_columns(more, features, len(VOCAB), D)
            writer.append("features", features)
            writer.append("promoted_tokens", promoted_tokens)
            live = ids[features["n_active"].to_numpy() > 0]
            parts = list(_examples(rng, live, layout, n_contexts))
            for table in ("bands", "examples"):
                rows = pa.concat_tables(rows for name, rows in parts if name == table)
                key = [(column, "ascending") for column in KEYS[table].split(", ")]
                writer.append(table, rows.sort_by(key))
            for table, rows in details(more, live, n_contexts, LENGTH, n_features).items():
                writer.append(table, rows)
        for table in ("clusters", "control_map", "measures"):
            writer.append(table, drawn[table])
        return writer.publish(_manifest(n_features, n_contexts, seed))


def _run_id(seed: int) -> str:
    return f"schema{SCHEMA_VERSION}-full-seed{seed}"


def _popular(rng: np.random.Generator, *shape: int, skew: int = 2) -> np.ndarray:
    """Token ids, of which the first are the most frequent."""
    return (len(VOCAB) * rng.random(shape, np.float32) ** skew).astype(np.int32) % len(VOCAB)


def _contexts(rng: np.random.Generator, n_contexts: int) -> pa.Table:
    context = np.arange(n_contexts, dtype=np.int32)
    tokens = _popular(rng, n_contexts, LENGTH, skew=3)
    return pa.table(
        {
            "context": context,
            "document": [f"text-{i // 16:05}" for i in range(n_contexts)],
            "start": context % 16 * LENGTH,
            "tokens": _lists(tokens),
            "text": ["".join(VOCAB[token] for token in row) for row in tokens],
        }
    )


def _features(rng: np.random.Generator, ids: np.ndarray) -> tuple[pa.Table, pa.Table]:
    """Rows of `features` and of `promoted_tokens`."""
    n = len(ids)
    density = np.minimum(rng.lognormal(np.log(1e-3), 1.5, n), 1.0)
    n_active = np.where(rng.random(n) < DEAD_SHARE, 0, np.round(density * N_TOKENS)).astype(int)
    is_dead = n_active == 0
    largest = rng.lognormal(1.0, 0.7, n).astype(np.float32)
    n_peaks = np.where(is_dead, 0, rng.integers(1, 9, n))
    tail = np.exp(-np.arange(N_BINS) / 8)
    bell = np.exp(-(np.linspace(-4, 4, N_BINS) ** 2) / 2)

    def if_live(values: np.ndarray) -> pa.Array:
        return pa.array(values, mask=is_dead)

    columns = {
        "feature": ids,
        "n_active": n_active,
        "n_nonfinite": (rng.random(n) < 0.002) * rng.integers(1, 9, n),
        "density": n_active / N_TOKENS,
        "max_activation": if_live(largest),
        "min_activation": if_live(largest / 1000),
        "mean_activation": if_live(largest * rng.uniform(0.1, 0.4, n)),
        "std_activation": if_live(largest * rng.uniform(0.05, 0.2, n)),
        "skewness": if_live(rng.gamma(2.0, 1.0, n)),
        "kurtosis": if_live(3 + rng.gamma(2.0, 4.0, n)),
        "histogram": _lists(rng.poisson(np.outer(n_active / tail.sum(), tail)), is_dead),
        "n_contexts_active": n_active // 3,
        "peak_tokens": _ragged(_popular(rng, n, 8, skew=3), n_peaks, is_dead),
        "peak_counts": _ragged(rng.integers(1, 7, (n, 8), np.int32), n_peaks, is_dead),
        "decoder_norm": rng.normal(1.0, 0.02, n),
        "logit_std": rng.lognormal(-2.0, 0.3, n),
        "logit_kurtosis": 3 + rng.gamma(1.0, 3.0, n),
        "logit_low": -rng.lognormal(0.0, 0.3, n).astype(np.float32),
        "logit_high": rng.lognormal(0.0, 0.3, n).astype(np.float32),
        "logit_histogram": _lists(rng.poisson(len(VOCAB) / bell.sum() * bell, (n, N_BINS))),
    }
    inverted = []
    for is_promoted, name in ((True, "promoted"), (False, "suppressed")):
        tokens = _popular(rng, n, N_LENS)
        logits = np.sort(rng.gamma(4.0, 0.2, (n, N_LENS)).astype(np.float32))[:, ::-1]
        logits = logits if is_promoted else -logits
        columns |= {name: _lists(tokens), f"{name}_logits": _lists(logits)}
        inverted.append(_inverted(ids, tokens, logits, is_promoted))
    return pa.table(columns), pa.concat_tables(inverted)


def _map(rng: np.random.Generator, n_features: int) -> dict[str, pa.Table]:
    """Places of features, and the tables of the map."""
    n = min(n_features, MOST_ON_MAP)
    shares = rng.zipf(1.6, N_CLUSTERS).clip(max=50) + 3.0
    cluster = rng.choice(N_CLUSTERS, n, p=shares / shares.sum())
    cluster = np.where(rng.random(n) < CLUSTERED_SHARE, cluster, -1).astype(np.int32)
    middle = rng.normal(0, 6, (N_CLUSTERS + 1, 2))
    middle[-1] = 0
    spread = np.append(rng.uniform(0.1, 0.5, N_CLUSTERS), 6.5)
    place = (middle[cluster] + spread[cluster, None] * rng.normal(0, 1, (n, 2))).astype(np.float32)
    tokens = _popular(rng, N_CLUSTERS, 4)
    control = rng.normal(0, 6, (n, 2)).astype(np.float32)
    return {
        "features": pa.table(
            {"x": place[:, 0], "y": place[:, 1]}
            | {"cluster": pa.array(cluster, mask=cluster < 0)}
            | {"kl_percentile": 100 * rng.beta(2.0, 1.0, n), "token_share": rng.beta(1.0, 2.0, n)}
        ),
        "clusters": pa.table(
            {
                "cluster": np.arange(N_CLUSTERS, dtype=np.int32),
                "n_features": np.bincount(cluster[cluster >= 0], minlength=N_CLUSTERS),
                "x": middle[:-1, 0],
                "y": middle[:-1, 1],
                "tokens": _lists(tokens),
                "shares": _lists(np.sort(rng.uniform(0.1, 0.9, (N_CLUSTERS, 4)))[:, ::-1]),
            }
        ),
        "control_map": pa.table(
            {"number": np.arange(n, dtype=np.int32), "x": control[:, 0], "y": control[:, 1]}
        ),
        "measures": pa.table(
            {
                "name": ["clustered", "n_clusters", "silhouette", "trustworthiness"],
                "value": [CLUSTERED_SHARE, float(N_CLUSTERS), 0.2, 0.8],
                "n": [n] * 4,
                "control": [0.0, 0.0, None, 0.6],
                "n_control": [n] * 4,
            }
        ),
    }


def _on_map(features: pa.Table, placed: pa.Table) -> pa.Table:
    """Rows of `features` with their places; dead ones, and those beyond the map, have none."""
    ids = features["feature"].to_numpy()
    is_off = (features["n_active"].to_numpy() == 0) | (ids >= len(placed))
    taken = placed.take(pa.array(np.minimum(ids, len(placed) - 1)))
    for name in placed.column_names:
        column = taken[name].combine_chunks()
        is_null = is_off | column.is_null().to_numpy(zero_copy_only=False)
        values = column.fill_null(0).to_numpy()
        features = features.append_column(name, pa.array(values, mask=is_null))
    return features


def _inverted(
    ids: np.ndarray, tokens: np.ndarray, logits: np.ndarray, is_promoted: bool
) -> pa.Table:
    return pa.table(
        {
            "token_id": tokens.ravel(),
            "is_promoted": np.full(tokens.size, is_promoted),
            "rank": np.tile(np.arange(N_LENS, dtype=np.int16), len(ids)),
            "feature": np.repeat(ids, N_LENS),
            "logit": logits.ravel(),
        }
    )


def _examples(
    rng: np.random.Generator,
    ids: np.ndarray,
    layout: tuple[tuple[str, int, int], ...],
    n_contexts: int,
) -> Iterator[tuple[str, pa.Table]]:
    """Rows of `bands` and of `examples`, sampler by sampler."""
    for sampler, n_bands, n_sampled in layout:
        key = {
            "feature": np.repeat(ids, n_bands),
            "sampler": pa.repeat(sampler, len(ids) * n_bands),
            "band": np.tile(np.arange(n_bands, dtype=np.int16), len(ids)),
        }
        n = len(ids) * n_bands
        low = rng.random(n, np.float32)
        bounds = {"low": low, "high": low + 1, "n_band": rng.integers(n_sampled, 10_000, n)}
        yield "bands", pa.table(key | bounds | {"n_sampled": np.full(n, n_sampled, np.int32)})
        n *= n_sampled
        pos = rng.integers(1, 9, (n, 16), np.int16).cumsum(axis=1, dtype=np.int16) - 1
        n_pos = rng.integers(1, 17, n)
        scale = rng.gamma(4.0, 0.5, n).astype(np.float32)
        yield (
            "examples",
            pa.table(
                {name: np.repeat(key[name], n_sampled) for name in ("feature", "band")}
                | {
                    "sampler": pa.repeat(sampler, n),
                    "rank": np.tile(np.arange(n_sampled, dtype=np.int16), n // n_sampled),
                    "context": rng.integers(0, n_contexts, n, np.int32),
                    "peak": pos[np.arange(n), n_pos // 2],
                    "activation": scale * (sampler != "zero"),
                    "scale": scale,
                    "pos": _ragged(pos, n_pos),
                    "q": _ragged(rng.integers(1, 128, (n, 16), np.int8), n_pos),
                }
            ),
        )


def _lists(values: np.ndarray, is_null: np.ndarray | None = None) -> pa.ListArray:
    """A list of each row."""
    return _ragged(values, np.full(len(values), values.shape[1]), is_null)


def _ragged(
    values: np.ndarray, lengths: np.ndarray, is_null: np.ndarray | None = None
) -> pa.ListArray:
    """A list of the first few values of each row."""
    offsets = np.concatenate([[0], lengths.cumsum()]).astype(np.int32)
    kept = values[np.arange(values.shape[1]) < lengths[:, None]]
    mask = None if is_null is None else pa.array(is_null)
    return pa.ListArray.from_arrays(offsets, kept, mask=mask)


def _manifest(n_features: int, n_contexts: int, seed: int) -> dict[str, Any]:
    hook_name = "blocks.6.hook_resid_post"
    return {
        "run_id": _run_id(seed),
        "dictionary_id": dictionary_id(n_features),
        "kind": "sae",
        "model_name": "made-up",
        "hook_name": hook_name,
        "hook_name_out": hook_name,
        "d_in": D,
        "d_out": D,
        "n_features": n_features,
        "context_length": LENGTH,
        "n_contexts": n_contexts,
        "n_tokens": N_TOKENS,
        "token_mask": "first token of each context",
        "corpus_name": "made up",
        "seed": seed,
        "dtype": "float32",
        "built_at": "2026-01-01T00:00:00+00:00",
        "recipe": {"seed": seed},
        "digests": {"dictionary": f"digest of {dictionary_id(n_features)}"},
        "versions": {"numpy": np.__version__},
    }
