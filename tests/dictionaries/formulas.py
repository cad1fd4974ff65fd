"""Compare a dictionary with its format's formulas, a token at a time in float64."""

from collections.abc import Callable

import numpy as np
import torch

from featurestore.dictionaries.base import Dictionary

Numbers = dict[str, np.ndarray]


def numbers(weights: dict[str, torch.Tensor]) -> Numbers:
    """Weights for a formula."""
    return {name: weight.double().numpy() for name, weight in weights.items()}


def made_up(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Weights of these shapes."""
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(*shape, generator=generator) for name, shape in shapes.items()}


def kept(values: np.ndarray, k: int) -> np.ndarray:
    """The k largest of a token, and zeros."""
    found = values.copy()
    found[np.argsort(-found)[k:]] = 0
    return found


def check(
    dictionary: Dictionary,
    encode: Callable[[np.ndarray], np.ndarray],
    decode: Callable[[np.ndarray, np.ndarray, int], np.ndarray],
    n_tokens: int = 1,
) -> None:
    """`encode(x)`, and `decode(x, activations, token)`; x is far from having a mean of 0."""
    generator = torch.Generator().manual_seed(1)
    hidden = 2 * torch.randn(20, dictionary.d_in, generator=generator) + 0.5
    tokens = torch.arange(20) % n_tokens
    activations = dictionary.encode(hidden)
    decoded = dictionary.decode(activations, tokens, hidden)
    assert activations.count_nonzero() > 0
    for i, vector in enumerate(hidden):
        x = vector.double().numpy()
        f = encode(x)
        assert np.allclose(activations[i], f, atol=2e-5)
        assert np.allclose(decoded[i], decode(x, f, int(tokens[i])), atol=2e-5)
