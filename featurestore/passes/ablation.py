"""What removing a feature does to the next token, beside what a random direction does.

Error-preserving: x' = x - f d wherever in a context the feature is active, at all these positions
at once, x being the model's own vector at the hook point that the dictionary writes to. Its other
features and its error stay as they are, and a topk dictionary does not choose anew.

The effect on a token v is log p_clean(v) - log p_ablated(v): above 0 the feature promotes v. The
loss effect is that on the token which really comes next, and KL is of the clean distribution from
the ablated one, all in nats. Means are over the active positions that have a next token. Positions
of one context are not independent, so standard errors, which take them to be, are lower bounds.

The control takes off a random direction u of the same length at the same positions: f |d| u, one u
for a context and draw.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Float32, Int32, Int64
from tqdm import tqdm

from featurestore.activations import Activations
from featurestore.passes.base import Pass, Run, Tables, is_new, joined, ragged
from featurestore.passes.effects import Batch, Effects, Places
from featurestore.passes.sites import Sites, choose_sites
from featurestore.remainder import Clean, Remainder

NUMBERS_SUMMED = 2**25
"""Float64 numbers in the sums of features that are worked on together: 256 MB."""

_SALT = 0xAB1A7E
"""Keeps controls apart from random directions that a dictionary drew with the same seed."""


class Ablation(Pass):
    """Columns of `features` on ablation, and the table `ablated_contexts`."""

    name = "ablation"

    def __init__(self, run: Run) -> None:
        self._run = run
        self._remainder = Remainder(run.model, run.dictionary.origin.hook_name_out)

    def follow_up(self, activations: Activations, found: Tables) -> Tables:
        """Switch every feature of the range off on some of its examples."""
        run, last = self._run, activations.first + activations.n_features
        length = run.corpus.tokens.shape[1]
        sites = choose_sites(found["examples"], activations, run.settings, length)
        at_once = max(1, NUMBERS_SUMMED // (3 * run.model.d_vocab))
        parts = []
        with tqdm(total=len(sites), desc="ablation", unit="context", leave=False) as bar:
            for first in range(activations.first, last, at_once):
                features = range(first, min(first + at_once, last))
                a, b = np.searchsorted(sites.feature, (features.start, features.stop))
                few = sites.select(slice(a, b))
                make = partial(self._of, few, features, activations, bar)
                parts.append(run.keep(self.name, features, make))
                bar.update(b - bar.n)  # if they were kept
        return joined(parts)

    def _of(self, sites: Sites, features: range, activations: Activations, bar: tqdm) -> Tables:
        """Rows of a few features, by their sites."""
        run = self._run
        effects = Effects(sites, features, run.settings.n_control_draws, run.model.d_vocab)
        for batch in self._batches(sites, activations):
            run.stop.check()
            self._measure(sites, batch, effects)
            bar.update(len(batch.sites))
        return effects.rows(run.settings.n_lens_tokens)

    def _batches(self, sites: Sites, activations: Activations) -> Iterator[Batch]:
        """All sites, by context, so that each context runs clean once."""
        corpus = self._run.corpus
        length = corpus.tokens.shape[1]
        at_once = self._run.model.contexts_at_once(length)
        order = np.argsort(sites.context, kind="stable")
        number = np.cumsum(is_new(sites.context[order])) - 1
        for group in range(0, len(np.unique(number)), at_once):
            a, b = np.searchsorted(number, (group, group + at_once))
            contexts = np.unique(sites.context[order[a:b]])
            clean = self._remainder.clean(corpus.tokens[contexts])
            scale = self._scale(corpus.tokens[contexts])
            for start in range(a, b, at_once):
                part = order[start : min(start + at_once, b)]
                rows = np.searchsorted(contexts, sites.context[part])
                yield self._batch(clean, scale, rows, part, sites, activations)

    def _scale(
        self, tokens: Int32[np.ndarray, "batch pos"]
    ) -> Float32[np.ndarray, "batch pos"] | None:
        """How long one unit of a direction is at each position; None where that is always 1."""
        dictionary = self._run.dictionary
        if dictionary.standardisation == "none":
            return None
        hook_name = dictionary.origin.hook_name
        hidden = self._run.model.hidden(tokens, {hook_name})[hook_name]
        return dictionary.scale(hidden.cpu().flatten(0, 1)).view(tokens.shape).numpy()

    def _batch(
        self,
        clean: Clean,
        scale: Float32[np.ndarray, "n_clean pos"] | None,
        rows: Int64[np.ndarray, " batch"],
        chosen: Int64[np.ndarray, " batch"],
        sites: Sites,
        activations: Activations,
    ) -> Batch:
        n_active = sites.last[chosen] - sites.first[chosen]
        entries, bounds = ragged(sites.first[chosen], n_active)
        pos = activations.tokens[entries] % clean.tokens.shape[1]
        site = np.repeat(np.arange(len(chosen)), n_active)
        values = activations.values[entries]
        if scale is not None:
            values = values * scale[rows[site], pos]
        last = self._run.corpus.n_valid[sites.context[chosen]].astype(np.int64) - 1
        first = pos[bounds[:-1]]
        along_pos, ends = ragged(first, np.maximum(last - first, 0))
        along = np.repeat(np.arange(len(chosen)), np.diff(ends)), along_pos
        is_active = np.zeros((len(chosen), clean.tokens.shape[1]), dtype=bool)
        is_active[site, pos] = True
        return Batch(
            clean=clean,
            rows=rows,
            sites=chosen,
            active=(site, pos),
            values=values,
            along=along,
            is_counted=is_active[along],
        )

    def _measure(self, sites: Sites, batch: Batch, effects: Effects) -> None:
        """Run a batch ablated and with its controls, and add what they do."""
        directions = self._run.dictionary.directions[sites.feature[batch.sites]]
        lengths = directions.norm(dim=1, keepdim=True)
        controls = [
            self._without(batch, lengths * self._random(sites, batch, draw), batch.counted)
            for draw in range(self._run.settings.n_control_draws)
        ]
        effects.add(batch, self._without(batch, directions, batch.along), controls)

    def _without(
        self, batch: Batch, directions: Float[torch.Tensor, "batch d_out"], at: Places
    ) -> Float[torch.Tensor, "n_at d_vocab"]:
        """Logits once each site's activations, times its direction, are taken off."""
        site, pos = batch.active
        change = torch.zeros(len(batch.sites), batch.clean.tokens.shape[1], directions.shape[1])
        change[site, pos] = -torch.from_numpy(batch.values)[:, None] * directions[site]
        return self._remainder.logits(batch.clean, batch.rows, change, at)

    def _random(self, sites: Sites, batch: Batch, draw: int) -> Float[torch.Tensor, "batch d_out"]:
        """A direction of length 1 for each site, whatever else is in the batch."""
        rows = [
            np.random.default_rng(
                [_SALT, self._run.seed, sites.feature[site], sites.context[site], draw]
            ).standard_normal(self._run.dictionary.d_out)
            for site in batch.sites
        ]
        drawn = torch.from_numpy(np.stack(rows))
        return (drawn / drawn.norm(dim=1, keepdim=True)).float()
