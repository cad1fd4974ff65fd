"""A store of small dictionaries, two of which were compared: every row is known."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from featurestore.pair_file import PairFile
from featurestore.small_file import write_whole
from tests.small_store import ROWS, TOKENS, publish

HOSTILE = "<img src=x onerror=alert(1)>"
N_BINS = 40
_COLUMNS = "side feature rank other cosine is_matched n_both jaccard correlation".split()
MATCHES = [
    ("a", 0, 0, 2, 0.95, True, 4, 0.5, 0.8),
    ("a", 0, 1, 1, 0.4, False, 0, 0.0, -0.1),
    ("a", 1, 0, 2, 0.3, False, 1, 0.25, 0.2),
    ("a", 1, None, 1, 0.1, True, 0, 0.0, None),
    ("a", 2, 0, 4, 0.7, True, 5, 0.1, 0.9),
    ("a", 3, 0, None, None, False, None, None, None),  # its direction has no length
    ("a", 4, 0, 0, 0.2, True, 2, 0.04, 0.3),
    ("b", 0, 0, 4, 0.2, True, 2, 0.04, 0.3),
    ("b", 1, 0, 0, 0.4, False, 0, 0.0, -0.1),
    ("b", 1, None, 1, 0.1, True, 0, 0.0, None),
    ("b", 2, 0, 0, 0.95, True, 4, 0.5, 0.8),
    ("b", 3, 0, None, None, False, None, None, None),
    ("b", 4, 0, 2, 0.7, True, 5, 0.1, 0.9),
]
"""Of `early`, which is A, and of `late`."""


def _side(name: str, dictionary_id: str, run_id: str, mmcs: float) -> dict[str, Any]:
    """One of the two; four of its five features have a length, one of them is above 0.9."""
    best = [match[4] for match in MATCHES if match[0] == name and match[2] == 0]
    histogram = [0] * N_BINS
    for cosine in best:
        if cosine is not None:
            histogram[int((cosine + 1) / 2 * N_BINS)] += 1
    return {
        "dictionary_id": dictionary_id,
        "run_id": run_id,
        "hook_name": "blocks.0.hook_resid_post",
        "n_features": 5,
        "n": 4,
        "mmcs": mmcs,
        "share_above": 0.25,
        "floor": 0.4,
        "histogram": histogram,
    }


def _with_logits(row: dict[str, Any]) -> dict[str, Any]:
    """A feature whose page can be opened: every token has its logit."""
    tokens = {name: row.get(name) or [] for name in ("promoted", "suppressed")}
    return row | {f"{name}_logits": [1.0 for _ in found] for name, found in tokens.items()}


PAIR = {
    "a": _side("a", "early", "run1", 0.5375),
    "b": _side("b", "late", "run2", 0.5625),
    "d_out": 4,
    "is_same_model": True,
    "is_absolute": False,
    "method": "assignment",
    "n_matched": 4,
    "mean_matched": 0.4875,
    "n_tokens": 100,
    "built_at": "2026-01-01T00:00:00+00:00",
}


def write_pair_store(store: Path, **changes: object) -> Path:
    """`early` and `late` of a family, compared, but for the `changes` of the pair; `apart`, which
    was compared with neither, and `wide`, which cannot be.
    """
    hostile = [{"token_id": i, "token": token} for i, token in enumerate([HOSTILE, *TOKENS[1:]])]
    features = [_with_logits(row) for row in ROWS["features"]]
    publish(store, "early", "run1", family="kin", step=250, vocab=hostile, features=features)
    publish(store, "late", "run2", family="kin", step=4000, features=features)
    publish(store, "apart", "run3")
    publish(store, "wide", "run4", d_out=8)
    (store / "work").mkdir(exist_ok=True)
    rows = pa.Table.from_pylist([dict(zip(_COLUMNS, row, strict=True)) for row in MATCHES])
    write_whole(
        PairFile, store / "pairs" / "run1--run2.duckdb", store / "work", PAIR | changes, rows
    )
    return store
