"""Contexts to look at: the sampled tokens of each feature, with its activations around them.

An example holds every non-zero activation of the feature in the context, in 8 bits: 127 stands for
the largest of the context, so a value is right to 1/254 of that; the sampled one is kept exactly.
"""

import numpy as np
import pyarrow as pa

from featurestore.activations import Activations
from featurestore.passes import samplers
from featurestore.passes.base import Pass, Run, list_column, place_in_group, ragged
from featurestore.passes.samplers import Sample

LEVELS = 127


class Examples(Pass):
    """Tables `bands` and `examples`, and the columns `peak_tokens` and `peak_counts`."""

    name = "examples"

    def __init__(self, run: Run) -> None:
        self._settings = run.settings
        self._seed = run.seed
        self._n_tokens = run.corpus.n_tokens
        self._context_length = run.corpus.tokens.shape[1]
        self._corpus_tokens = run.corpus.tokens.reshape(-1)
        self._windows = samplers.window_hashes(run.corpus)
        self._zero_pool = samplers.zero_pool(run.corpus, run.settings.n_zero, run.seed)

    def rows(self, activations: Activations) -> dict[str, pa.Table]:
        """Bands and examples of every sampler, and the tokens that the top contexts peak on."""
        n = self._settings
        top = samplers.top(activations, self._windows, self._context_length, n.n_top)
        samples = [
            top,
            samplers.interval(activations, n.n_bands, n.n_per_band, self._seed),
            samplers.quantile(activations, n.n_bands, n.n_per_band, self._seed),
            samplers.random(activations, n.n_random, self._seed),
            samplers.zero(activations, self._zero_pool, self._n_tokens, n.n_zero),
        ]
        return {
            "bands": pa.concat_tables([_band_rows(s, activations.first) for s in samples]),
            "examples": pa.concat_tables([self._example_rows(s, activations) for s in samples]),
            "features": self._peak_tokens(top, activations.n_features),
        }

    def _example_rows(self, sample: Sample, activations: Activations) -> pa.Table:
        n_contexts = len(self._windows) // self._context_length
        context = sample.token // self._context_length
        entry_group = activations.owner * n_contexts + activations.tokens // self._context_length
        group = sample.owner * n_contexts + context
        starts = np.searchsorted(entry_group, group, side="left")
        lengths = np.searchsorted(entry_group, group, side="right") - starts
        entries, bounds = ragged(starts, lengths)
        values = activations.values[entries].astype(np.float64)
        scale = np.zeros(len(group), dtype=np.float32)
        filled = lengths > 0
        if filled.any():
            scale[filled] = np.maximum.reduceat(np.abs(values), bounds[:-1][filled])
        q = np.rint(values / np.repeat(scale, lengths) * LEVELS)
        return pa.table(
            {
                "feature": pa.array((sample.owner + activations.first).astype(np.int32)),
                "sampler": pa.array([sample.sampler] * len(group), pa.string()),
                "band": pa.array(sample.band.astype(np.int16)),
                "rank": pa.array(place_in_group(sample.owner, sample.band).astype(np.int16)),
                "context": pa.array(context.astype(np.int32)),
                "peak": pa.array((sample.token % self._context_length).astype(np.int16)),
                "activation": pa.array(sample.value),
                "scale": pa.array(scale),
                "pos": list_column(
                    activations.tokens[entries] % self._context_length, bounds, pa.int16()
                ),
                "q": list_column(q.astype(np.int8), bounds, pa.int8()),
            }
        )

    def _peak_tokens(self, top: Sample, n_features: int) -> pa.Table:
        """For each feature the tokens that its top contexts peak on, the most frequent first."""
        d_vocab = int(self._corpus_tokens.max()) + 1
        key = top.owner * d_vocab + self._corpus_tokens[top.token]
        key, counts = np.unique(key, return_counts=True)
        owner, token = np.divmod(key, d_vocab)
        order = np.lexsort((token, -counts, owner))
        bounds = np.searchsorted(owner[order], np.arange(n_features + 1))
        return pa.table(
            {
                "peak_tokens": list_column(token[order], bounds, pa.int32()),
                "peak_counts": list_column(counts[order], bounds, pa.int32()),
            }
        )


def _band_rows(sample: Sample, first: int) -> pa.Table:
    sampled = {}
    for owner, band in zip(sample.owner.tolist(), sample.band.tolist(), strict=True):
        sampled[owner, band] = sampled.get((owner, band), 0) + 1
    keys = zip(sample.band_owner.tolist(), sample.band_number.tolist(), strict=True)
    return pa.table(
        {
            "feature": pa.array((sample.band_owner + first).astype(np.int32)),
            "sampler": pa.array([sample.sampler] * len(sample.band_owner), pa.string()),
            "band": pa.array(sample.band_number.astype(np.int16)),
            "low": pa.array(sample.low.astype(np.float32)),
            "high": pa.array(sample.high.astype(np.float32)),
            "n_band": pa.array(sample.n_band.astype(np.int64)),
            "n_sampled": pa.array([sampled.get(key, 0) for key in keys], pa.int32()),
        }
    )
