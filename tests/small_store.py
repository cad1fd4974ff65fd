"""Five hand-written features, for tests that want to see every row."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from featurestore.dictionary_file import KEYS
from featurestore.writer import StoreWriter

TOKENS = ["cat", " cat", " Cat", "dog", "\n", '"', "%", "'; drop table vocab; --"]


def _feature(feature: int, n_active: int, **columns: Any) -> dict[str, Any]:  # noqa: ANN401
    row = {"feature": feature, "n_active": n_active, "density": n_active / 100, "n_nonfinite": 0}
    return row | {"decoder_norm": 1.0, "n_contexts_active": 1} | columns


ROWS: dict[str, list[dict[str, Any]]] = {
    "vocab": [{"token_id": i, "token": token} for i, token in enumerate(TOKENS)],
    "contexts": [
        {"context": 3, "document": "a.txt", "start": 0, "tokens": [0, 3, 1]}
        | {"text": "catdog cat"},
        {"context": 5, "document": "b.txt", "start": 8, "tokens": [4, 4], "text": "\n\n"},
    ],
    "features": [
        # 0 and 2 are equally dense; 3 is dead; 4 is dense and has seen a NaN
        _feature(0, 5, max_activation=2.0, min_activation=0.5, histogram=[4, 1], skewness=None)
        | {"mean_activation": 1.0, "std_activation": 0.5, "kurtosis": 3.0}
        | {"peak_tokens": [1, 2, 0], "peak_counts": [2, 1, 1]}
        | {"promoted": [0, 3], "promoted_logits": [2.0, 1.0]}
        | {"suppressed": [4], "suppressed_logits": [-1.0], "logit_std": 0.5, "logit_kurtosis": 9.0}
        | {"logit_low": -1.0, "logit_high": 2.0, "logit_histogram": [1, 7]},
        _feature(1, 1, max_activation=9.0, skewness=-1.0, promoted=[1], peak_tokens=[3])
        | {"peak_counts": [1]},
        _feature(2, 5, max_activation=2.0, skewness=0.5, suppressed=[3]),
        _feature(3, 0),
        _feature(4, 50, max_activation=7.0, n_nonfinite=2, skewness=0.5, promoted=[7]),
    ],
    "bands": [
        {"feature": 0, "sampler": "top", "band": 0, "low": None, "high": 2.0, "n_band": 5},
        {"feature": 0, "sampler": "quantile", "band": 0, "low": 1.0, "high": 2.0, "n_band": 3},
        {"feature": 0, "sampler": "quantile", "band": 1, "low": 0.5, "high": 1.0, "n_band": 2},
    ],
    "examples": [
        {"feature": 0, "sampler": "top", "band": 0, "rank": 0, "context": 3, "peak": 2}
        | {"activation": 2.0, "scale": 2.0, "pos": [0, 2], "q": [64, 127]},
        {"feature": 0, "sampler": "top", "band": 0, "rank": 1, "context": 5, "peak": 0}
        | {"activation": 0.5, "scale": 1.0, "pos": [0, 1], "q": [64, 127]},
        {"feature": 0, "sampler": "quantile", "band": 1, "rank": 0, "context": 5, "peak": 1}
        | {"activation": 1.0, "scale": 1.0, "pos": [0, 1], "q": [64, 127]},
    ],
    "promoted_tokens": [
        {"token_id": token, "is_promoted": is_promoted, "rank": rank, "feature": feature}
        | {"logit": logit}
        for token, is_promoted, rank, feature, logit in [
            (0, True, 0, 0, 2.0),
            (1, True, 0, 1, 1.0),
            (3, True, 1, 0, 1.0),
            (3, False, 0, 2, -1.0),
            (4, False, 0, 0, -1.0),
            (7, True, 0, 4, 1.0),
        ]
    ],
}


def manifest(dictionary_id: str, run_id: str, built_at: str) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "dictionary_id": dictionary_id,
        "kind": "sae",
        "model_name": "made-up",
        "hook_name": "blocks.0.hook_resid_post",
        "hook_name_out": "blocks.0.hook_resid_post",
        "d_in": 4,
        "d_out": 4,
        "n_features": 5,
        "context_length": 3,
        "n_contexts": 34,
        "n_tokens": 100,
        "token_mask": "none",
        "corpus_name": "made up",
        "seed": 0,
        "dtype": "float32",
        "built_at": built_at,
        "recipe": {"seed": 0},
        "digests": {"dictionary": f"digest of {dictionary_id}"},
        "versions": {},
    }


def in_key_order(table: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows as a writer wants them."""
    key = KEYS[table].split(", ")
    return sorted(rows, key=lambda row: [row[column] for column in key])


def publish(
    store: Path,
    dictionary_id: str = "one",
    run_id: str = "run1",
    built_at: str = "2026-01-01T00:00:00+00:00",
    **changes: Any,  # noqa: ANN401
) -> Path:
    """Write the rows above as one dictionary's file, but for the tables and facts given."""
    facts = manifest(dictionary_id, run_id, built_at)
    tables = ROWS | {name: rows for name, rows in changes.items() if isinstance(rows, list)}
    facts |= {name: fact for name, fact in changes.items() if name not in tables}
    with StoreWriter(store, dictionary_id, run_id) as writer:
        for table, rows in tables.items():
            writer.append(table, pa.Table.from_pylist(in_key_order(table, rows)))
        return writer.publish(facts | {"n_features": len(tables["features"])})
