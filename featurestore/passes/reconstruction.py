"""How near a dictionary's reconstruction comes to the model's own vectors.

With x the vectors and y what is decoded, over n tokens of d dimensions, all sums in float64:

    mse                 sum |x - y|^2 / (n d)
    explained_variance  1 - sum |x - y|^2 / sum |x - mean x|^2, over all tokens and dimensions at
                        once (a global R^2; means of ratios by token or batch are other numbers)
    cosine              mean of cos(x, y); tokens with x = 0 are left out, y = 0 counts as 0
    length_ratio        mean of |y| / |x|
    l0, l1              mean over tokens of the number of active features, and of sum |f|
    l1_written          mean of sum |f| |direction|, which rescaling a direction does not change
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int64

TOKENS_AT_ONCE = 1024


@dataclass(frozen=True)
class Reconstruction:
    """Tokens, the model's vectors on them, and what a dictionary makes of these."""

    written: Float32[torch.Tensor, "n_tokens d_out"]
    """The model's own, at the hook point that the dictionary writes to."""
    decoded: Float32[torch.Tensor, "n_tokens d_out"]
    n_active: Int64[np.ndarray, " n_tokens"]
    l1: Float64[np.ndarray, " n_tokens"]
    l1_written: Float64[np.ndarray, " n_tokens"]

    def select(self, chosen: Bool[np.ndarray, " n_tokens"]) -> "Reconstruction":
        """Some of the tokens."""
        mask = torch.from_numpy(chosen)
        return Reconstruction(
            self.written[mask],
            self.decoded[mask],
            self.n_active[chosen],
            self.l1[chosen],
            self.l1_written[chosen],
        )

    def measures(self) -> dict[str, tuple[float, int]]:
        """Value and n of each; NaN where it has none."""
        n, d_out = self.written.shape
        mean = self.written.double().mean(dim=0)
        error = spread = 0.0
        cosines, ratios = [], []
        for x, y in zip(
            self.written.split(TOKENS_AT_ONCE), self.decoded.split(TOKENS_AT_ONCE), strict=True
        ):
            x, y = x.double(), y.double()
            error += (x - y).square().sum().item()
            spread += (x - mean).square().sum().item()
            length, other = x.norm(dim=1), y.norm(dim=1)
            product = (x * y).sum(dim=1)
            is_long = length > 0
            lengths = (length * other)[is_long]
            cosines.append(torch.where(lengths > 0, product[is_long] / lengths, 0.0))
            ratios.append((other / length)[is_long])
        cosine, ratio = (torch.cat(each) if each else torch.empty(0) for each in (cosines, ratios))
        return {
            "mse": (_divided(error, n * d_out), n),
            "explained_variance": (1 - _divided(error, spread), n),
            "cosine": (cosine.mean().item(), len(cosine)),
            "length_ratio": (ratio.mean().item(), len(ratio)),
            "l0": (_divided(int(self.n_active.sum(dtype=np.int64)), n), n),
            "l1": (_divided(float(self.l1.sum()), n), n),
            "l1_written": (_divided(float(self.l1_written.sum()), n), n),
        }


def _divided(dividend: float | int, divisor: float | int) -> float:
    return dividend / divisor if divisor else float("nan")
