"""The part of a model that comes after a hook point, run on its own.

To see what a change at a hook point does, only the blocks from there on need to run again: what
goes into the first of them is kept from one whole run.
"""

import re
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from featurestore.inference import Hook, LanguageModel

_IN_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)")
_AFTER_BLOCK = ("hook_resid_post", "hook_out")


@dataclass(frozen=True)
class Clean:
    """A whole run of some contexts, left as it is."""

    tokens: Int[np.ndarray, "batch pos"]
    residual: Float[torch.Tensor, "batch pos d_model"] | None
    """What goes into the first block that runs again; None if none is spared."""
    logits: Float[torch.Tensor, "batch pos d_vocab"]


class Remainder:
    """What a model makes of changes at one hook point."""

    def __init__(self, model: LanguageModel, hook_name: str) -> None:
        self._model, self._hook_name = model, hook_name
        match = _IN_BLOCK.fullmatch(hook_name)
        self._is_residual = bool(match) and match[2] in _AFTER_BLOCK
        self.first_layer = int(match[1]) + self._is_residual if match else 0
        """The first block that runs again; the number of blocks if none does."""
        self._seen_at = hook_name if self._is_residual else f"blocks.{self.first_layer}.hook_in"

    @torch.inference_mode()
    def clean(self, tokens: Int[np.ndarray, "batch pos"]) -> Clean:
        """Run contexts through the whole model."""
        found: list[torch.Tensor] = []
        hooks: list[tuple[str, Hook]] = [(self._seen_at, found.append)] if self.first_layer else []
        logits = self._model.logits(tokens, hooks)
        return Clean(tokens, found[0] if found else None, logits)

    @torch.inference_mode()
    def logits(
        self,
        clean: Clean,
        rows: Int[np.ndarray, " n_rows"],
        change: Float[torch.Tensor, "n_rows pos d_out"],
        at: tuple[Int[np.ndarray, " n_at"], Int[np.ndarray, " n_at"]],
    ) -> Float[torch.Tensor, "n_at d_vocab"]:
        """Logits once `change` is added to the vectors at the hook point, for some clean contexts.

        A context may stand in several rows, with other changes. `at` names rows, from 0 in these,
        and positions.
        """
        tokens = clean.tokens[rows]
        hooks: list[tuple[str, Hook]] = [(self._hook_name, _adding(change))]
        if clean.residual is None:
            return self._model.logits(tokens, hooks, at=at)
        residual = clean.residual[torch.from_numpy(rows).to(clean.residual.device)]
        if self._is_residual:
            residual, hooks = hooks[0][1](residual), []
        with self._model.starting_at(self.first_layer, residual):
            return self._model.logits(tokens, hooks, at=at)


def _adding(change: Float[torch.Tensor, "n_rows pos d_out"]) -> Hook:
    return lambda vectors: vectors + change.to(vectors.device, vectors.dtype)
