"""From rows of a file, as DuckDB gives them, to records."""

from collections import Counter
from dataclasses import fields
from typing import Any

from featurestore.detail_records import (
    Ablation,
    DecoderWeights,
    NearToken,
    Place,
    TokenEffect,
    TokenMeasures,
)
from featurestore.records import (
    Example,
    Feature,
    FeatureSummary,
    Histogram,
    LensToken,
    StoredActivations,
)


def _peaks(row: dict[str, Any], text: dict[int, str]) -> tuple[tuple[str, int], ...]:
    counts = Counter()
    for token, count in zip(row["peak_tokens"] or [], row["peak_counts"] or [], strict=True):
        counts[text[token]] += count
    return tuple(counts.most_common())


def to_summary(row: dict[str, Any], text: dict[int, str]) -> FeatureSummary:
    """A row of the table of features; `text` holds that of its tokens, as below."""
    shared = {field.name for field in fields(FeatureSummary)} & row.keys()
    values = {name: row[name] for name in shared}
    values["promoted"] = tuple(text[token] for token in row["promoted"] or [])
    values["peak_tokens"] = _peaks(row, text)
    values["histogram"] = tuple(row["histogram"] or [])
    return FeatureSummary(**values)


def to_feature(row: dict[str, Any], text: dict[int, str]) -> Feature:
    """All columns of a feature."""

    def tokens(kind: str) -> tuple[LensToken, ...]:
        pairs = zip(row[kind] or [], row[f"{kind}_logits"] or [], strict=True)
        return tuple(LensToken(text[token], logit) for token, logit in pairs)

    def bins(counts: str, low: str, high: str) -> Histogram | None:
        if not row[counts]:
            return None
        return Histogram(row[low], row[high], tuple(row[counts]))

    values = {field.name: row.get(field.name) for field in fields(Feature)}
    values["histogram"] = bins("histogram", "min_activation", "max_activation")
    values["logit_histogram"] = bins("logit_histogram", "logit_low", "logit_high")
    values["promoted"], values["suppressed"] = tokens("promoted"), tokens("suppressed")
    values["peak_tokens"] = _peaks(row, text)
    values["ablation"] = _ablation(row, text)
    values["token_measures"] = _token_measures(row, text)
    weights = zip(row["top_dims"] or [], row["top_dim_weights"] or [], strict=True)
    values["decoder_weights"] = DecoderWeights(
        tuple(weights), row["dim_share"], row["reader_bias"], row["reader_cos"]
    )
    is_placed = row["x"] is not None
    values["place"] = Place(row["x"], row["y"], row["cluster"]) if is_placed else None
    return Feature(**values)


def _ablation(row: dict[str, Any], text: dict[int, str]) -> Ablation:
    def effects(tokens: str, kind: str) -> tuple[TokenEffect, ...]:
        columns = (row[f"{kind}_{each}"] or [] for each in ("effects", "se", "probabilities"))
        return tuple(
            TokenEffect(text[token], *numbers)
            for token, *numbers in zip(row[tokens] or [], *columns, strict=True)
        )

    return Ablation(
        n_ablated=row["n_ablated"] or 0,
        n_effects=row["n_effects"] or 0,
        n_controls=row["n_controls"] or 0,
        kl=row["ablation_kl"],
        kl_se=row["ablation_kl_se"],
        control_kl=row["control_kl"],
        kl_percentile=row["kl_percentile"],
        loss_effect=row["loss_effect"],
        loss_effect_se=row["loss_effect_se"],
        falls=effects("falls", "fall"),
        rises=effects("rises", "rise"),
    )


def _token_measures(row: dict[str, Any], text: dict[int, str]) -> TokenMeasures:
    def near(token: str, value: str) -> NearToken | None:
        return None if row[token] is None else NearToken(text[row[token]], row[value])

    def list_of(tokens: str, values: str) -> tuple[NearToken, ...]:
        pairs = zip(row[tokens] or [], row[values] or [], strict=True)
        return tuple(NearToken(text[token], value) for token, value in pairs)

    return TokenMeasures(
        share=near("share_token", "token_share"),
        entropy=row["token_entropy"],
        n_unigrams=row["n_unigrams"],
        unigrams=list_of("unigrams", "unigram_activations"),
        unigram_cos=near("unigram_cos_token", "unigram_cos"),
        unigram_cos_raw=row["unigram_cos_raw"],
        lookup_cos=near("lookup_cos_token", "lookup_cos"),
        embeddings=list_of("embedding_tokens", "embedding_cos"),
    )


LISTED_TOKENS = (
    "promoted",
    "suppressed",
    "peak_tokens",
    "falls",
    "rises",
    "unigrams",
    "embedding_tokens",
)
"""Columns of `features` that hold lists of tokens."""
SINGLE_TOKENS = ("share_token", "unigram_cos_token", "lookup_cos_token")


def tokens_of(row: dict[str, Any]) -> set[int]:
    """Every token that a row of `features` names."""
    singles = {row[name] for name in SINGLE_TOKENS} - {None}
    return token_ids([row], *LISTED_TOKENS) | singles


def token_ids(rows: list[dict[str, Any]], *columns: str) -> set[int]:
    """Every token that columns of lists hold."""
    return {token for row in rows for column in columns for token in row[column] or []}


def _activations(row: dict[str, Any]) -> dict[int, float]:
    """Of an example, by position: from 8 bits, but for the sampled one."""
    pairs = zip(row["pos"], row["q"], strict=True)
    activations = {pos: q / 127 * row["scale"] for pos, q in pairs}
    if row["activation"]:
        activations[row["peak"]] = row["activation"]
    return activations


def to_stored(feature: int, examples: list[dict[str, Any]]) -> StoredActivations:
    """Examples that a feature has of one context: they differ in the position that is exact."""
    activations = _activations(examples[0])
    activations |= {row["peak"]: row["activation"] for row in examples if row["activation"]}
    exact = frozenset(row["peak"] for row in examples)
    return StoredActivations(feature, examples[0]["scale"], activations, exact)


def to_example(row: dict[str, Any], text: dict[int, str]) -> Example:
    """A row of `examples` joined to its context."""
    return Example(
        context=row["context"],
        document=row["document"],
        start=row["start"],
        tokens=tuple(text[token] for token in row["tokens"]),
        token_ids=tuple(row["tokens"]),
        peak=row["peak"],
        activation=row["activation"],
        activations=_activations(row),
    )
