"""Contexts to look at: the sampled tokens of each feature, with its activations around them.

An example holds every non-zero activation of the feature in the context, in 8 bits: 127 stands for
the largest of the context, so a value is right to 1/254 of that; the sampled one is kept exactly.
"""

from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Int8, Int16, Int64

from featurestore.activations import Activations, stable_order
from featurestore.passes import samplers
from featurestore.passes.base import (
    Pass,
    Run,
    in_tiles,
    is_new,
    list_column,
    place_in_slice,
    ragged,
)
from featurestore.passes.samplers import Sample

LEVELS = 127


class Examples(Pass):
    """Tables `bands` and `examples`, and the columns `peak_tokens` and `peak_counts`."""

    name = "examples"

    def __init__(self, run: Run) -> None:
        self._settings = run.settings
        self._seed = run.seed
        self._tokens = run.corpus.tokens
        self._valid = samplers.valid_tokens(run.corpus)

    def rows(self, activations: Activations) -> dict[str, pa.Table]:
        """Bands and examples of every sampler, and the tokens that the top contexts peak on."""
        return in_tiles(activations, self._tile)

    def _tile(self, activations: Activations) -> dict[str, pa.Table]:
        n = self._settings
        samples = {
            "interval": samplers.interval(activations, n.n_bands, n.n_per_band, self._seed),
            "quantile": samplers.quantile(activations, n.n_bands, n.n_per_band, self._seed),
            "random": samplers.random(activations, n.n_random, self._seed),
            "top": samplers.top(activations, self._tokens, n.n_top),
            "zero": samplers.zero(activations, self._valid, n.n_zero, self._seed),
        }
        names = sorted(samples)
        sampler, sample = _together([samples[name] for name in names])
        key = {
            "feature": (sample.band_owner + activations.first).astype(np.int32),
            "sampler": sampler,
            "band": sample.band_number.astype(np.int16),
        }
        key_of_tokens = {name: np.repeat(column, sample.n_sampled) for name, column in key.items()}
        bands = _key_columns(key, names) | _band_columns(sample)
        examples = _key_columns(key_of_tokens, names) | self._columns(sample, activations)
        return {
            "bands": pa.table(bands),
            "examples": pa.table(examples),
            "features": self._peak_tokens(samples["top"], activations.n_features),
        }

    def _columns(self, sample: Sample, activations: Activations) -> dict[str, pa.Array]:
        """The columns of `examples` beside the key's first three."""
        context_length = self._tokens.shape[1]
        stretches = _stretches(activations, context_length)
        around = _around(sample, stretches, activations, self._tokens.shape)
        entries, bounds = ragged(stretches.starts[around], stretches.lengths[around])
        context, peak = np.divmod(sample.token, context_length)
        return {
            "rank": pa.array(place_in_slice(sample.n_sampled).astype(np.int16)),
            "context": pa.array(context.astype(np.int32)),
            "peak": pa.array(peak.astype(np.int16)),
            "activation": pa.array(sample.value),
            "scale": pa.array(stretches.scale[around]),
            "pos": list_column(stretches.pos[entries], bounds, pa.int16()),
            "q": list_column(stretches.q[entries], bounds, pa.int8()),
        }

    def _peak_tokens(self, top: Sample, n_features: int) -> pa.Table:
        """For each feature the tokens that its top contexts peak on, the most frequent first."""
        owner, token = top.owner, self._tokens.reshape(-1)[top.token]
        order = stable_order(owner, token)
        owner, token = owner[order], token[order]
        first = np.flatnonzero(is_new(owner, token))
        counts = np.diff(first, append=len(owner))
        owner, token = owner[first], token[first]
        order = stable_order(owner, counts.max(initial=0) - counts)  # by token where equal
        bounds = np.searchsorted(owner, np.arange(n_features + 1))
        return pa.table(
            {
                "peak_tokens": list_column(token[order], bounds, pa.int32()),
                "peak_counts": list_column(counts[order], bounds, pa.int32()),
            }
        )


def _together(samples: list[Sample]) -> tuple[Int8[np.ndarray, " n_bands"], Sample]:
    """All samples as one, by feature, sample, band and rank; and the sample of each band."""
    each = {
        field.name: np.concatenate([getattr(sample, field.name) for sample in samples])
        for field in fields(Sample)
    }
    sizes = [len(sample.band_owner) for sample in samples]
    number = np.repeat(np.arange(len(samples), dtype=np.int8), sizes)
    order = stable_order(each["band_owner"])
    starts = np.cumsum(each["n_sampled"]) - each["n_sampled"]
    tokens, _ = ragged(starts[order], each["n_sampled"][order])
    of_tokens = ("entry", "token", "value")
    ordered = {k: v[tokens if k in of_tokens else order] for k, v in each.items()}
    return number[order], Sample(**ordered)


def _key_columns(key: dict[str, np.ndarray], samplers: list[str]) -> dict[str, pa.Array]:
    """Columns of a key in which numbers stand for samplers."""
    columns = {name: pa.array(values) for name, values in key.items()}
    names = pa.array(samplers, pa.string())
    sampler = pa.DictionaryArray.from_arrays(columns["sampler"], names).dictionary_decode()
    return columns | {"sampler": sampler}


def _band_columns(sample: Sample) -> dict[str, pa.Array]:
    """The columns of `bands` beside the key."""
    return {
        "low": pa.array(sample.low),
        "high": pa.array(sample.high),
        "n_band": pa.array(sample.n_band),
        "n_sampled": pa.array(sample.n_sampled.astype(np.int32)),
    }


@dataclass(frozen=True)
class _Stretches:
    """What examples show: each feature's activations in each context. The last stretch is empty."""

    starts: Int64[np.ndarray, " n_stretches"]
    lengths: Int64[np.ndarray, " n_stretches"]
    scale: Float32[np.ndarray, " n_stretches"]
    pos: Int16[np.ndarray, " n_entries"]
    q: Int8[np.ndarray, " n_entries"]


def _stretches(activations: Activations, context_length: int) -> _Stretches:
    values = activations.values
    starts = np.append(activations.starts(context_length), len(values))
    lengths = np.diff(starts, append=len(values))
    scale = np.zeros(len(starts), dtype=np.float32)
    if len(values):
        scale[:-1] = np.maximum.reduceat(np.abs(values), starts[:-1])
    q = np.rint(values.astype(np.float64) / np.repeat(scale, lengths) * LEVELS).astype(np.int8)
    pos = (activations.tokens % context_length).astype(np.int16)
    return _Stretches(starts, lengths, scale, pos, q)


def _around(
    sample: Sample, stretches: _Stretches, activations: Activations, shape: tuple[int, int]
) -> Int64[np.ndarray, " n_sampled"]:
    """The stretch that each sampled token stands in; of a silent one perhaps the empty one."""
    n_contexts, context_length = shape
    first, empty = stretches.starts[:-1], len(stretches.starts) - 1
    number = np.repeat(np.arange(empty + 1), stretches.lengths)
    around = number[sample.entry] if len(number) else np.zeros_like(sample.entry)
    is_silent = sample.entry < 0
    key = activations.owner[first] * n_contexts + activations.tokens[first] // context_length
    wanted = sample.owner[is_silent] * n_contexts + sample.token[is_silent] // context_length
    found = np.searchsorted(key, wanted)
    is_found = np.append(key, -1)[found] == wanted
    around[is_silent] = np.where(is_found, found, empty)
    return around
