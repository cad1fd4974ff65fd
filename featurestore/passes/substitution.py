"""What a model's predictions lose when its own vectors are replaced, token by token.

Replaced are the vectors of all counted tokens of a context at once: by what the dictionary decodes,
by zero, by their mean over the sample; and, as a control, moved as far as the dictionary's error is
long, in random directions (Gurnee, "SAE reconstruction errors are (empirically) pathological",
2024). Losses are of the token that comes next, and KL is of the clean distribution from the other
one, in nats.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int32, Int64

from featurestore.perturbation import divergence
from featurestore.remainder import Clean, Remainder

N_DRAWS = 3
"""Random directions that the control is taken over."""

POSITIONS_AT_ONCE = 64

_SALT = 0x5C07E
"""Keeps controls apart from random directions that a dictionary drew with the same seed."""


@dataclass(frozen=True)
class Losses:
    """For each counted token that has a next one: its id, its context, and loss and KL
    of each replacement."""

    tokens: Int64[np.ndarray, " n_tokens"]
    contexts: Int64[np.ndarray, " n_tokens"]
    """Number in the corpus of the context that each stands in."""
    clean: Float64[np.ndarray, " n_tokens"]
    loss: dict[str, Float64[np.ndarray, " n_tokens"]]
    kl: dict[str, Float64[np.ndarray, " n_tokens"]]
    """Of both the keys are decoded, zero, mean, and control-0 to control-2."""

    @staticmethod
    def joined(parts: list["Losses"]) -> "Losses":
        """One after the other."""
        return Losses(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("tokens", "contexts", "clean")
            ),
            *(
                {
                    name: np.concatenate([getattr(part, kind)[name] for part in parts])
                    for name in getattr(parts[0], kind)
                }
                for kind in ("loss", "kl")
            ),
        )


@dataclass(frozen=True)
class Batch:
    """Some contexts: the model's vectors at a hook point, and a dictionary's."""

    contexts: Int64[np.ndarray, " batch"]
    """Their numbers in the corpus."""
    tokens: Int32[np.ndarray, "batch pos"]
    is_counted: Bool[np.ndarray, "batch pos"]
    """Which positions are replaced and looked at."""
    has_next: Bool[np.ndarray, "batch pos"]
    written: Float32[torch.Tensor, "n_counted d_out"]
    decoded: Float32[torch.Tensor, "n_counted d_out"]

    def replacements(
        self, mean: Float[torch.Tensor, " d_out"], seed: int
    ) -> Iterator[tuple[str, Float[torch.Tensor, "n_counted d_out"]]]:
        """Name and change of each."""
        yield "decoded", self.decoded - self.written
        yield "zero", -self.written
        yield "mean", mean - self.written
        lengths = (self.written - self.decoded).norm(dim=1, keepdim=True)
        for draw in range(N_DRAWS):
            yield f"control-{draw}", lengths * self._directions(seed, draw)

    def _directions(self, seed: int, draw: int) -> Float32[torch.Tensor, "n_counted d_out"]:
        """Of length 1, for each context its own whatever else is in the batch."""
        shape = self.tokens.shape[1], self.written.shape[1]
        drawn = [
            np.random.default_rng([_SALT, seed, context, draw]).standard_normal(shape)[counted]
            for context, counted in zip(self.contexts.tolist(), self.is_counted, strict=True)
        ]
        directions = torch.from_numpy(np.concatenate(drawn))
        return (directions / directions.norm(dim=1, keepdim=True)).float()


def losses(
    remainder: Remainder,
    batch: Batch,
    mean: Float[torch.Tensor, " d_out"],
    seed: int,
    check: Callable[[], None] = lambda: None,
) -> Losses:
    """Run a batch clean and with each replacement; `check` is called before each run."""
    clean = remainder.clean(batch.tokens)
    at = np.nonzero(batch.is_counted & batch.has_next)
    following = torch.from_numpy(batch.tokens[at[0], at[1] + 1]).long()
    before = clean.logits[at]
    ids, contexts = batch.tokens[at].astype(np.int64), batch.contexts[at[0]]
    found = Losses(ids, contexts, _loss(before, following), {}, {})
    for name, change in batch.replacements(mean, seed):
        check()
        after = _changed(remainder, clean, batch, change, at)
        found.loss[name], found.kl[name] = _loss(after, following), divergence(before, after)
    return found


def _changed(
    remainder: Remainder,
    clean: Clean,
    batch: Batch,
    change: Float[torch.Tensor, "n_counted d_out"],
    at: tuple[np.ndarray, np.ndarray],
) -> Float[torch.Tensor, "n_at d_vocab"]:
    whole = torch.zeros(*batch.tokens.shape, change.shape[1])
    whole[torch.from_numpy(batch.is_counted)] = change
    return remainder.logits(clean, np.arange(len(batch.tokens)), whole, at)


def _loss(
    logits: Float[torch.Tensor, "n d_vocab"], following: Int64[torch.Tensor, " n"]
) -> Float64[np.ndarray, " n"]:
    parts = [
        torch.nn.functional.cross_entropy(each.double(), wanted.to(each.device), reduction="none")
        for each, wanted in zip(
            logits.split(POSITIONS_AT_ONCE), following.split(POSITIONS_AT_ONCE), strict=True
        )
    ]
    return torch.cat(parts).cpu().numpy()
