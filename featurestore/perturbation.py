"""Controls of equal size: random directions of given lengths; and how far predictions differ."""

import hashlib

import numpy as np
import torch
from jaxtyping import Float, Float64

POSITIONS_AT_ONCE = 64


def noise(seed: int) -> torch.Generator:
    """Random numbers of controls; salted, lest random directions of a dictionary share its seed."""
    digest = hashlib.sha256(f"control {seed}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7]))


def as_long(
    vectors: Float[torch.Tensor, "*batch d"], generator: torch.Generator
) -> Float[torch.Tensor, "*batch d"]:
    """Vectors of the same lengths in random directions."""
    random = torch.randn(vectors.shape, generator=generator)
    return random * vectors.norm(dim=-1, keepdim=True) / random.norm(dim=-1, keepdim=True)


def divergence(
    before: Float[torch.Tensor, "valid d_vocab"], after: Float[torch.Tensor, "valid d_vocab"]
) -> Float64[np.ndarray, " valid"]:
    """KL(before || after) of the distributions that logits stand for, in nats, a few at a time."""
    found = []
    for p, q in zip(before.split(POSITIONS_AT_ONCE), after.split(POSITIONS_AT_ONCE), strict=True):
        log_p, log_q = (logits.double().log_softmax(dim=1) for logits in (p, q))
        found.append((log_p.exp() * (log_p - log_q)).sum(dim=1))
    return torch.cat(found).clamp(min=0).numpy()
