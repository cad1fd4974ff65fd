"""What Live answers with: numbers on one text, as numpy arrays. Loads no torch.

The positions of a text are its tokens, from 0. A BOS that the model was given in front of them has
no position here: no number counts it, as in the store.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64

MAX_BYTES = 64 * 1024
"""Longest text that is tokenised, as UTF-8."""

MAX_TOKENS = 512
"""Most tokens that are run, unless the model reads fewer."""


@dataclass(frozen=True)
class Limits:
    """How much text is taken; more is refused, never cut."""

    n_bytes: int = MAX_BYTES
    n_tokens: int = MAX_TOKENS


@dataclass(frozen=True)
class Tokens:
    """A text as the model reads it."""

    ids: tuple[int, ...]
    texts: tuple[str, ...]
    """Each token's own text; bytes that are no text as <0xE2>."""
    has_bos: bool
    """Whether the model is given a BOS before them, as the build gave it."""
    notes: tuple[str, ...] = ()
    """What was done to the text, in sentences."""


@dataclass(frozen=True)
class TextActivations:
    """Non-zero activations of one dictionary's features on a text, by feature and position."""

    dictionary_id: str
    n_tokens: int
    feature: Int64[np.ndarray, " n_entries"]
    pos: Int32[np.ndarray, " n_entries"]
    value: Float32[np.ndarray, " n_entries"]

    @property
    def n_active(self) -> Int64[np.ndarray, " n_tokens"]:
        """Number of active features at each token."""
        return np.bincount(self.pos, minlength=self.n_tokens).astype(np.int64)


@dataclass(frozen=True)
class Reading:
    """A text's tokens, and what each dictionary's features do on them."""

    tokens: Tokens
    activations: tuple[TextActivations, ...]


@dataclass(frozen=True)
class Substitution:
    """How well a dictionary stands in for the model's vectors on a text, token by token."""

    dictionary_id: str
    n_active: Int64[np.ndarray, " n_tokens"]
    error: Float64[np.ndarray, " n_tokens"]
    """Length of what is lost, as a share of the vector's own."""
    kl: Float64[np.ndarray, " n_tokens"]
    """KL divergence, in nats, of the next token's distribution when what is decoded stands in for
    the vectors of all tokens at once, from the clean one."""
    control_kl: Float64[np.ndarray, "n_draws n_tokens"]
    """The same with the error replaced by one of the same length in a random direction."""
    seed: int


@dataclass(frozen=True)
class Edit:
    """What to do with one feature's activation."""

    dictionary_id: str
    feature: int
    mode: Literal["ablate", "scale", "clamp"]
    """Set it to zero; multiply it; set it to a value."""
    value: float = 0.0
    positions: tuple[int, ...] = ()
    """Where; everywhere, on what is written after the text too, if empty."""


@dataclass(frozen=True)
class NextToken:
    """A token that may come next, and its probability before and after an intervention."""

    token: str
    before: float
    after: float


@dataclass(frozen=True)
class Continuation:
    """What the model writes after a text, before and after an intervention."""

    way: Literal["greedy", "sampled"]
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True)
class Intervention:
    """What edits of features do to the model's output."""

    kl: Float64[np.ndarray, " n_tokens"]
    """KL divergence, in nats, of each next token's distribution after from before."""
    control_kl: Float64[np.ndarray, "n_draws n_tokens"]
    """The same for changes as long in random directions."""
    n_changed: int
    """Pairs of feature and token whose activation was changed."""
    pos: int
    """The token whose next one `next_tokens` tells."""
    next_tokens: tuple[NextToken, ...]
    """The most likely before or after, and those that changed most, by probability before."""
    continuations: tuple[Continuation, ...]


@dataclass(frozen=True)
class Recomputed:
    """A stored context run again, compared with all that the store holds of it."""

    n_features: int
    """Features with an example of this context."""
    n_values: int
    """Their activations there, zeros too."""
    largest: float
    """Largest absolute difference."""
    feature: int | None
    """Where it is; None if the store holds no example of the context."""
    pos: int | None
    step: float
    """What storing in 8 bits may change there: 1/254 of the context's largest activation."""
    n_beyond: int
    """Differences larger than their step and 1e-5 of the largest activation on the context."""
