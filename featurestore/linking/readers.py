"""What each feature of a dictionary reads, as a direction in the residual stream.

At a hook point of the stream itself these are the dictionary's readers. Behind a normalisation

    normalised = (x - mean(x)) / spread(x) * gain + shift      RMS norms take no mean off

a direction d of the stream changes what reader e sees by  centred(d) · (gain e) / spread(x),  which
is d times the reader `centred(gain e)`, but for the spread: a factor of each token, the same for
all directions and readers there, that is left out. So is the scale of a dictionary that
standardises what it reads; one that takes the mean off has its readers centred.

Every architecture keeps its gains elsewhere, and some are stored less one. So they are measured:
the slope, in float64, of what comes out of the normalisation over what is in it before its gains.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64

from featurestore.dictionaries.base import Dictionary
from featurestore.errors import LinkError, ModelError
from featurestore.inference import LanguageModel
from featurestore.link_records import Reading
from featurestore.linking.stream import STEPS, place

N_TOKENS = 512
"""Tokens that a gain is measured on, spread over the vocabulary."""
CONTEXT_LENGTH = 8
LARGEST_MISFIT = 0.02
"""Share of the spread that a gain may leave unexplained: bfloat16 rounds to a 256th."""

_BEFORE_GAINS = "hook_normalized"


@dataclass(frozen=True)
class Readers:
    """Readers of a dictionary in the residual stream, and what is left out of them."""

    vectors: Float64[np.ndarray, "n_features d_model"]
    reading: Reading
    is_scaled: bool
    """Whether a factor of each token is left out."""


def readers_of(dictionary: Dictionary, model: LanguageModel | None) -> Readers:
    """The readers; the model is only asked for behind a normalisation.

    Raises:
        LinkError: the model has no normalisation there.
    """
    vectors = dictionary.readers.double().numpy().T
    how = dictionary.standardisation
    if how in ("centred", "layer_norm"):
        vectors = _centred(vectors)
    is_standardised = how in ("layer_norm", "constant_norm")
    if model is None:
        return Readers(vectors, "stream", is_standardised)
    vectors = vectors * gain(model, dictionary.origin.hook_name)
    if model.has_layer_norm:
        return Readers(_centred(vectors), "layer norm", True)
    return Readers(vectors, "RMS norm", True)


def check_order(model: LanguageModel, upstream: str, downstream: str) -> None:
    """Raise LinkError if an MLP stands beside the attention that is to feed it, by hook points."""
    written, read = place(upstream), place(downstream)
    if (written.step % STEPS, read.step % STEPS, read.step - written.step) != (2, 4, 2):
        return
    try:
        model.width(f"blocks.{read.step // STEPS}.hook_resid_mid")
    except ModelError as error:
        raise LinkError(
            f"In '{model.name}' attention and MLP of a block stand side by side: nothing that "
            f"{upstream} adds is read at {downstream}. It is from the next block on."
        ) from error


def gain(model: LanguageModel, hook_name: str) -> Float64[np.ndarray, " d_model"]:
    """What the normalisation at a hook point multiplies each dimension by.

    Raises:
        LinkError: what comes out is no multiple of what goes in, or nothing is normalised.
    """
    block, _, point = hook_name.rpartition(".")
    if point == _BEFORE_GAINS:
        return np.ones(model.d_model)
    norm = {"mlp": "ln2", "attn": "ln1"}.get(block.rpartition(".")[2], block.rpartition(".")[2])
    before = f"{block.rpartition('.')[0]}.{norm}.{_BEFORE_GAINS}"
    tokens = np.linspace(0, model.d_vocab - 1, N_TOKENS).astype(np.int64)
    try:
        found = model.hidden(tokens.reshape(-1, CONTEXT_LENGTH), {before, hook_name})
    except (ModelError, AttributeError) as error:
        raise LinkError(
            f"'{model.name}' has no normalisation {before} to read {hook_name} through: {error}"
        ) from error
    x, y = (_deviations(found[name]) for name in (before, hook_name))
    squares = (x**2).sum(axis=0)
    slope = (x * y).sum(axis=0) / np.where(squares > 0, squares, 1)
    misfit = np.sqrt(((y - slope * x) ** 2).sum() / max((y**2).sum(), np.finfo(float).tiny))
    if misfit > LARGEST_MISFIT:
        raise LinkError(
            f"{hook_name} of '{model.name}' is not {before} times a gain: {misfit:.0%} of its "
            "spread is something else. A link cannot end there."
        )
    return slope


def _deviations(hidden: torch.Tensor) -> Float64[np.ndarray, "n_tokens d_model"]:
    values = hidden.flatten(0, 1).double().cpu().numpy()
    return values - values.mean(axis=0)


def _centred(
    vectors: Float64[np.ndarray, "n_features d_model"],
) -> Float64[np.ndarray, "n_features d_model"]:
    return vectors - vectors.mean(axis=1, keepdims=True)
