"""The hidden vectors that baselines are fitted on: those of the corpus's first tokens.

Documents stand in the order of a hash of their names, so the first of them are as good as any. The
vectors are those that the sweep sees: valid tokens alone, contexts that run together as there. How
contexts make blocks does not matter here, so it changes no baseline.
"""

import numpy as np
import torch
from jaxtyping import Float, Float32
from tqdm import tqdm

from featurestore.baselines.moments import Moments
from featurestore.corpus import Corpus
from featurestore.errors import ModelError
from featurestore.inference import LanguageModel
from featurestore.stop import Stop

FIT_TOKENS = 200_000
"""Tokens whose vectors make the mean and the covariance, at most."""

KEPT_TOKENS = 50_000
"""Of these the first, whose vectors are kept for ICA and for densities, at most."""


class Sample:
    """Of one hook point: moments of all vectors, and the first of them."""

    def __init__(self, d: int, n_kept: int) -> None:
        self.moments = Moments(d)
        self._kept: Float32[np.ndarray, "n d"] = np.empty((n_kept, d), dtype=np.float32)

    @property
    def vectors(self) -> Float32[np.ndarray, "n d"]:
        """Those that are kept."""
        return self._kept[: self.moments.n]

    def add(self, vectors: Float[torch.Tensor, "batch d"]) -> None:
        """Take in vectors, in the order of the corpus."""
        room = self._kept[self.moments.n :]
        if len(room):
            first = vectors[: len(room)].float().cpu().numpy()
            room[: len(first)] = first
        self.moments.add(vectors)


def read_samples(
    model: LanguageModel, corpus: Corpus, hook_names: set[str], stop: Stop
) -> dict[str, Sample]:
    """A sample for each hook point, all from the same forwards.

    Raises:
        ModelError: a vector holds NaN or an infinite number.
        Stopped: a signal came.
    """
    if not hook_names:
        return {}
    n_tokens = min(FIT_TOKENS, corpus.n_tokens)
    samples = {
        name: Sample(model.width(name), min(KEPT_TOKENS, n_tokens)) for name in sorted(hook_names)
    }
    at_once = model.contexts_at_once(corpus.tokens.shape[1])
    n_left = n_tokens
    with tqdm(total=n_tokens, unit="tok", unit_scale=True, desc="baselines", leave=False) as bar:
        for start in range(0, len(corpus.tokens), at_once):
            stop.check()
            if n_left == 0:
                break
            rows = slice(start, start + at_once)
            is_valid = torch.from_numpy(corpus.is_valid(rows))
            hidden = model.hidden(corpus.tokens[rows], hook_names)
            for name, vectors in hidden.items():
                samples[name].add(vectors[is_valid.to(vectors.device)][:n_left])
            n_new = min(n_left, int(is_valid.sum()))
            n_left -= n_new
            bar.update(n_new)
    for name, sample in samples.items():
        if not np.isfinite(sample.moments.spread).all():
            raise ModelError(
                f"Hook point '{name}' of model '{model.name}' gives NaN or infinite numbers on "
                "this corpus, so no baseline can be fitted there. Choose another hook point, or "
                'take out dtype = "bfloat16" if the recipe has it.'
            )
    return samples
