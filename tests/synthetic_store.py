"""A small store made by numpy alone: dictionaries whose features are known, one full of traps.

`python -m tests.synthetic_store FOLDER` writes it, to look at the app without a build.

    planted   120 features on made-up text: 0 rivers, 1 numbers, 2 newlines, 3 dense, 4 signed,
              5 dead, 6 with NaN on some tokens, 118 on a few tokens, the others each on a word
              or two, some dead
    early     40 features of the same family, at an earlier step
    hostile   16 features whose tokens try to break out of the page
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from featurestore.writer import StoreWriter
from tests.small_store import in_key_order
from tests.synthetic_details import details
from tests.synthetic_scores import scores, substituted_tokens

LENGTH = 48
RIVER, NUMBERS, NEWLINES, DENSE, SIGNED, DEAD, NONFINITE = range(7)
RARE = 118

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![](http://outside.example/x.png)",
    "[a](javascript:alert(1))",
    "$x$",
    ":smile:",
    "**b**",
    "\u202eabc",
    "\u200b",
    "\0",
    "<0xE2>",
    "\ufffd",
    "x" * 5000,
    "=1+1",
    '"><b>',
    "\u0301",
    "\ud7ff\u2028",
    "\r\n\t",
    "😀",
    "",
)
"""Tokens that a page must show as plain text."""

_PLACES = " river, bank, lake, sea, harbour, coast, bridge, valley".split(",")
_PEOPLE = " captain, farmer, teacher, sailor, widow, child, doctor, miller".split(",")
_DEEDS = " crossed, saw, left, reached, painted, remembered, followed, sold".split(",")
_COUNTS = " one, two, three, seven, twelve, forty, ninety".split(",")
_LOOKS = " old, quiet, grey, broken, narrow, golden, empty, cold".split(",")
_TIMES = " Monday, winter, midnight, spring, autumn, morning".split(",")
_FUNCTION = [" the", " a", " of", " and", " in", " before", " with", ",", ".", "\n", " days", " it"]
WORDS = (*_PLACES, *_PEOPLE, *_DEEDS, *_COUNTS, *_LOOKS, *_TIMES, *_FUNCTION, "The", "ation", "ing")


@dataclass(frozen=True)
class Planted:
    """A dictionary before it is written."""

    dictionary_id: str
    vocab: tuple[str, ...]
    tokens: np.ndarray  # context pos
    activations: np.ndarray  # context pos n_features; NaN allowed
    manifest: dict[str, Any] = field(default_factory=dict)
    quality: float | None = None
    """How well it decodes; None for one without scores."""


def write_store(folder: Path) -> Path:
    """Write all dictionaries."""
    for planted in (_planted("planted", 120, 4000), _planted("early", 40, 500), _hostile()):
        write_dictionary(folder, planted)
    return folder


def write_dictionary(folder: Path, planted: Planted) -> Path:
    """Write one dictionary's file."""
    with StoreWriter(folder, planted.dictionary_id, "run1") as writer:
        for table, rows in _tables(planted).items():
            writer.append(table, pa.Table.from_pylist(in_key_order(table, rows)))
        return writer.publish(_manifest(planted))


def _planted(dictionary_id: str, n_features: int, step: int) -> Planted:
    rng = np.random.default_rng(step)
    tokens = _text(np.random.default_rng(0), n_contexts=260)
    noise = rng.gamma(2.0, 0.5, (*tokens.shape, n_features)).astype(np.float32)
    values = np.zeros_like(noise)
    for feature in range(n_features):
        words = rng.choice(len(WORDS), 2, replace=False)
        strength = rng.uniform(0.3, 6)
        values[..., feature] = np.isin(tokens, words) * strength * noise[..., feature]
        values[..., feature] += (rng.random(tokens.shape) < 0.004) * noise[..., feature] * 0.1
    river, numbers = WORDS.index(" river"), [WORDS.index(word) for word in _COUNTS]
    values[..., RIVER] = (tokens == river) * 3 * noise[..., 0] + (tokens == river + 1) * 0.4
    values[..., NUMBERS] = np.isin(tokens, numbers) * noise[..., 1]
    values[..., NEWLINES] = (tokens == WORDS.index("\n")) * (1 + noise[..., 2])
    values[..., DENSE] = noise[..., 3] * (rng.random(tokens.shape) < 0.6)
    values[..., SIGNED] = (tokens < 8) * noise[..., 4] - (tokens > 40) * 0.5 * noise[..., 4]
    values[..., DEAD] = 0
    values[..., 20:n_features:17] = 0
    values[2:, :, RARE : RARE + 1] = 0
    values[0, :3, NONFINITE] = np.nan
    family = {"family": "planted", "step": step}
    quality = 0.9 if dictionary_id == "planted" else 0.7
    return Planted(dictionary_id, WORDS, tokens, values, family, quality)


def _hostile() -> Planted:
    rng = np.random.default_rng(1)
    tokens = rng.integers(0, len(HOSTILE), (40, LENGTH))
    values = np.stack([(tokens == t) * rng.gamma(2, 1, tokens.shape) for t in range(16)], axis=-1)
    return Planted("hostile", HOSTILE, tokens, values.astype(np.float32))


def _text(rng: np.random.Generator, n_contexts: int) -> np.ndarray:
    """Sentences of one pattern, cut into contexts."""

    def sentence() -> list[str]:
        pick = [str(rng.choice(group)) for group in (_LOOKS, _PEOPLE, _DEEDS, _PLACES)]
        look, person, deed, place = pick
        end = [" in", " the", str(rng.choice(_TIMES))] if rng.random() < 0.5 else [" with", " it"]
        count = [",", str(rng.choice(_COUNTS)), " days", " before"] if rng.random() < 0.5 else []
        stop = [".", "\n"] if rng.random() < 0.3 else ["."]
        return ["The", look, person, deed, " the", place, *end, *count, *stop]

    words: list[str] = []
    while len(words) < n_contexts * LENGTH:
        words += sentence()
    ids = {word: i for i, word in enumerate(WORDS)}
    return np.array([ids[word] for word in words[: n_contexts * LENGTH]]).reshape(-1, LENGTH)


def _tables(planted: Planted) -> dict[str, list[dict[str, Any]]]:
    tables: dict[str, list[dict[str, Any]]] = {
        "vocab": [{"token_id": i, "token": token} for i, token in enumerate(planted.vocab)],
        "contexts": [
            {"context": i, "document": f"story/{i // 4:03d}.txt", "start": i % 4 * LENGTH}
            | {"tokens": row.tolist(), "text": "".join(planted.vocab[token] for token in row)}
            for i, row in enumerate(planted.tokens)
        ],
        "features": [],
        "bands": [],
        "examples": [],
        "promoted_tokens": [],
    }
    rng = np.random.default_rng(2)
    for feature in range(planted.activations.shape[-1]):
        values = planted.activations[..., feature]
        logits = rng.normal(0, 0.4, len(planted.vocab))
        is_active = np.isfinite(values) & (values != 0)
        logits[planted.tokens[is_active][:2]] += 2
        finite = np.where(np.isfinite(values), values, 0)
        bands, examples = _examples(feature, finite, rng)
        tables["bands"] += bands
        tables["examples"] += examples
        top = [planted.tokens[e["context"], e["peak"]] for e in examples if e["sampler"] == "top"]
        tables["features"].append(
            {"feature": feature, **_statistics(finite), **_lens(logits), **_peaks(top)}
            | {"n_nonfinite": int(values.size - np.isfinite(values).sum())}
        )
        tables["promoted_tokens"] += _promoted(feature, logits)
    finite = np.where(np.isfinite(planted.activations), planted.activations, 0)
    columns, more = details(planted.vocab, planted.tokens, finite, tables)
    for row, added in zip(tables["features"], columns, strict=True):
        row |= added
    if planted.quality is not None:
        more["measures"] += scores(finite, planted.quality)
        more["substituted_tokens"] = substituted_tokens(planted.tokens, planted.quality)
    return tables | more


def _statistics(values: np.ndarray) -> dict[str, Any]:
    active = values[values != 0].astype(float)
    row = {"n_active": active.size, "density": active.size / values.size, "decoder_norm": 1.0}
    if active.size == 0:
        return row
    centred = active - active.mean()
    std = active.std() or 1.0
    return row | {
        "max_activation": active.max(),
        "min_activation": active.min(),
        "mean_activation": active.mean(),
        "std_activation": active.std(),
        "skewness": (centred**3).mean() / std**3,
        "kurtosis": (centred**4).mean() / std**4,
        "histogram": np.histogram(active, bins=40)[0].tolist(),
        "n_contexts_active": int((values != 0).any(axis=1).sum()),
    }


def _lens(logits: np.ndarray) -> dict[str, Any]:
    order = np.argsort(-logits)
    centred = logits - logits.mean()
    return {
        "promoted": order[:10].tolist(),
        "promoted_logits": logits[order[:10]].tolist(),
        "suppressed": order[::-1][:10].tolist(),
        "suppressed_logits": logits[order[::-1][:10]].tolist(),
        "logit_std": logits.std(),
        "logit_kurtosis": (centred**4).mean() / logits.std() ** 4,
        "logit_low": logits.min(),
        "logit_high": logits.max(),
        "logit_histogram": np.histogram(logits, bins=40)[0].tolist(),
    }


def _peaks(tokens: list[int]) -> dict[str, Any]:
    found, counts = np.unique(tokens, return_counts=True)
    order = np.argsort(-counts)
    return {
        "peak_tokens": found[order].astype(int).tolist(),
        "peak_counts": counts[order].tolist(),
    }


def _promoted(feature: int, logits: np.ndarray) -> list[dict[str, Any]]:
    order = np.argsort(-logits)
    return [
        {"token_id": int(token), "is_promoted": is_promoted, "rank": rank, "feature": feature}
        | {"logit": logits[token]}
        for is_promoted, tokens in ((True, order), (False, order[::-1]))
        for rank, token in enumerate(tokens[:10])
    ]


def _examples(
    feature: int, values: np.ndarray, rng: np.random.Generator
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Bands and examples of every sampler, the simplest way: sort, cut, draw."""
    flat = values.ravel()
    active = np.flatnonzero(flat)
    falling = active[np.argsort(-flat[active])]
    peaks = falling[np.unique(falling // LENGTH, return_index=True)[1]]  # best of each context
    peaks = peaks[np.argsort(-flat[peaks])]
    inactive = np.flatnonzero(flat == 0)
    drawn: list[tuple[str, int, float | None, float | None, np.ndarray, int]] = []
    if active.size:
        low, high = flat[active].min(), flat[active].max()
        edges = np.linspace(high, low, 6)
        drawn.append(("top", 0, None, high, peaks, 20))
        drawn.append(("random", 0, None, None, rng.permutation(active), 12))
        for band, (upper, lower) in enumerate(zip(edges, edges[1:], strict=False)):
            inside = (flat <= upper) & (flat > lower) & (flat != 0)
            drawn.append(("interval", band, lower, upper, np.flatnonzero(inside), 5))
        for band, part in enumerate(np.array_split(falling, 5)):
            if part.size:
                drawn.append(("quantile", band, flat[part[-1]], flat[part[0]], part, 5))
    drawn.append(("zero", 0, None, None, rng.permutation(inactive), 12))
    bands, examples = [], []
    for sampler, band, low, high, places, k in drawn:
        key = {"feature": feature, "sampler": sampler, "band": band}
        n_band = active.size if sampler == "top" else places.size
        counts = {"n_band": n_band, "n_sampled": len(places[:k])}
        bands.append({**key, "low": low, "high": high, **counts})
        examples += [
            {**key, "rank": rank, **_example(values, int(place))}
            for rank, place in enumerate(places[:k])
        ]
    return bands, examples


def _example(values: np.ndarray, place: int) -> dict[str, Any]:
    context, peak = divmod(place, LENGTH)
    row = values[context]
    scale = float(np.abs(row).max())
    q = np.round(row / (scale or 1) * 127).astype(int)
    pos = np.flatnonzero(q)
    return {"context": context, "peak": peak, "activation": row[peak], "scale": scale} | {
        "pos": pos.tolist(),
        "q": q[pos].tolist(),
    }


def _manifest(planted: Planted) -> dict[str, Any]:
    n_contexts, _, n_features = planted.activations.shape
    return {
        "run_id": "run1",
        "dictionary_id": planted.dictionary_id,
        "kind": "sae",
        "model_name": "made-up-model",
        "hook_name": "blocks.2.hook_resid_post",
        "hook_name_out": "blocks.2.hook_resid_post",
        "d_in": 64,
        "d_out": 64,
        "n_features": n_features,
        "context_length": LENGTH,
        "n_contexts": n_contexts,
        "n_tokens": n_contexts * LENGTH,
        "token_mask": "first token of each context",
        "corpus_name": "made-up stories",
        "seed": 0,
        "dtype": "float32",
        "built_at": "2026-11-21T12:00:00Z",
        "recipe": {
            "passes": {
                "n_scored": 0 if planted.quality is None else n_contexts,
                "n_top": 24,
                "n_random": 20,
            }
        },
        "digests": {"dictionary": f"digest of {planted.dictionary_id}"}
        | {"corpus": f"{len(planted.vocab)} words"},
        "versions": {"python": "3.11.7", "duckdb": "2.0.0"},
        **planted.manifest,
    }


if __name__ == "__main__":
    write_store(Path(sys.argv[1]))
