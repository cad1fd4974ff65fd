"""What is done to a hidden vector before a dictionary reads it, and undone in what it decodes.

    none           nothing
    centred        less the mean of its entries: what a model gives whose weights were centred
    layer_norm     that, divided by their standard deviation (of n - 1, and 1e-5 more)
    constant_norm  multiplied to length sqrt(d_in)

Scales that are the same for every vector are part of the weights instead; a loader puts them there.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float

Standardisation = Literal["none", "centred", "layer_norm", "constant_norm"]
STANDARDISATIONS: tuple[Standardisation, ...] = get_args(Standardisation)

_EPS = 1e-5
"""SAELens and OpenAI's sparse_autoencoder add it to the standard deviation before dividing."""


@dataclass(frozen=True)
class Standardised:
    """Vectors as they are read, and the way back: `decoded * scale + shift`."""

    vectors: Float[torch.Tensor, "batch d_in"]
    shift: Float[torch.Tensor, "batch 1"]
    scale: Float[torch.Tensor, "batch 1"]
    """How long one unit of a direction is in the model's own vectors."""


def standardise(how: Standardisation, hidden: Float[torch.Tensor, "batch d_in"]) -> Standardised:
    """The vectors that a dictionary reads, and what was taken from them."""
    zeros = torch.zeros(len(hidden), 1, device=hidden.device)
    if how == "none":
        return Standardised(hidden, zeros, zeros + 1)
    hidden = hidden.float()
    if how == "constant_norm":
        scale = hidden.norm(dim=1, keepdim=True) / math.sqrt(hidden.shape[1])
        return Standardised(hidden / scale, zeros, scale)
    mean = hidden.mean(dim=1, keepdim=True)
    centred = hidden - mean
    if how == "centred":
        return Standardised(centred, mean, zeros + 1)
    spread = centred.std(dim=1, keepdim=True)
    return Standardised(centred / (spread + _EPS), mean, spread)
