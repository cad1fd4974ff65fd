"""Whether a dictionary suits a model: its hook points, and how hidden vectors were processed.

TransformerLens used to centre the weights that write to the residual stream. The model's output is
the same, but every residual vector comes out less the mean of its entries, and a dictionary that
was trained on such vectors sees wrong ones in the model as it is published. Few files say which
they were; what a dictionary explains of either kind does.
"""

import logging
from dataclasses import replace

import torch
from jaxtyping import Float

from featurestore.config import DictionaryConfig
from featurestore.corpus import Corpus
from featurestore.dictionaries.base import Dictionary
from featurestore.errors import DictionaryError, ModelError
from featurestore.hook_points import is_residual
from featurestore.inference import LanguageModel

logger = logging.getLogger(__name__)

N_TOKENS = 512
"""Tokens that are looked at; a wrong kind of vectors shows at once."""

MARGIN = 0.1
"""By how much more of the variance another kind of vectors must be explained to be called right."""


def check_hook_points(
    config: DictionaryConfig, dictionary: Dictionary, model: LanguageModel
) -> None:
    """Raise DictionaryError unless the hook points exist and their vectors are as long.

    Raises:
        ModelError: there is no such hook point.
    """
    origin = dictionary.origin
    sides = ((origin.hook_name, dictionary.d_in), (origin.hook_name_out, dictionary.d_out))
    for hook_name, found in sides:
        expected = width(config.id, hook_name, model)
        if found != expected:
            raise DictionaryError(
                f"Dictionary '{config.id}' ({config.path}) has vectors of {found} dimensions, but "
                f"'{hook_name}' of model '{model.name}' has {expected}. "
                "Check the model, the dictionary and its hook point in the recipe; --only builds "
                "the dictionaries that it names, without this one."
            )
    if dictionary.standardisation == "centred" and not _may_be_centred(dictionary, model):
        raise DictionaryError(
            f"Dictionary '{config.id}': 'centred' is for dictionaries that read and write one "
            f"residual hook point of a model with layer norms; this one reads "
            f"'{origin.hook_name}' and writes '{origin.hook_name_out}' of '{model.name}'. Vectors "
            "there are the same either way: say centred = false."
        )


def width(dictionary_id: str, hook_name: str, model: LanguageModel) -> int:
    """Length of a model's vectors where a dictionary stands.

    Raises:
        ModelError: there is no such hook point.
    """
    try:
        return model.width(hook_name)
    except ModelError as error:
        raise ModelError(
            f"Dictionary '{dictionary_id}': {error} Mend its 'hook_name' in the recipe."
        ) from error


def check_processing(
    config: DictionaryConfig, dictionary: Dictionary, model: LanguageModel, corpus: Corpus
) -> None:
    """Raise DictionaryError if centred vectors suit a dictionary far better, or raw ones do.

    Nothing is raised where the recipe says which are right.
    """
    if config.centred is not None or not _may_be_centred(dictionary, model):
        return
    if dictionary.standardisation not in ("none", "centred"):
        return
    share = {
        how: explained_variance(replace(dictionary, standardisation=how), model, corpus)
        for how in ("none", "centred")
    }
    mine = dictionary.standardisation
    other = "centred" if mine == "none" else "none"
    if share[other] - max(share[mine], 0.0) > MARGIN:
        words = {"none": "raw", "centred": "centred"}
        raise DictionaryError(
            f"Dictionary '{config.id}' explains {share[other]:.0%} of the variance of "
            f"{words[other]} vectors at '{dictionary.origin.hook_name}', but {share[mine]:.0%} of "
            f"{words[mine]} ones, which it would be given: it seems made for the others. Add to "
            f"the recipe, under this dictionary: centred = {str(other == 'centred').lower()} "
            f"(or centred = {str(mine == 'centred').lower()}, to go on as it is)."
        )
    if share[mine] < 0:
        logger.warning(
            "%s: what it decodes is farther from the vectors at '%s' than their mean is "
            "(explained variance %.2f on about the corpus's first %d tokens). Is it the right hook "
            "point and model?",
            *(config.id, dictionary.origin.hook_name, share[mine], N_TOKENS),
        )


@torch.inference_mode()
def explained_variance(dictionary: Dictionary, model: LanguageModel, corpus: Corpus) -> float:
    """Share of the variance of what a dictionary reads and writes, on the corpus's first tokens.

    1 - sum |x - decoded|^2 / sum |x - mean x|^2 in float64, of vectors as the dictionary sees
    them: centred if it centres them. BOS and padding are left out.
    """
    hook_name = dictionary.origin.hook_name
    rows = slice(0, -(-N_TOKENS // corpus.tokens.shape[1]))
    tokens = corpus.tokens[rows]
    is_valid = torch.from_numpy(corpus.is_valid(rows))
    hidden = model.hidden(tokens, {hook_name})[hook_name].float().cpu()[is_valid]
    decoded = dictionary.decode(
        dictionary.encode(hidden), torch.from_numpy(tokens)[is_valid].long(), hidden
    )
    error = (hidden - decoded).double().square().sum()
    seen = _centred(hidden) if dictionary.standardisation == "centred" else hidden
    spread = (seen.double() - seen.double().mean(dim=0)).square().sum()
    return float(1 - error / spread) if spread > 0 else 0.0


def _centred(vectors: Float[torch.Tensor, "batch d"]) -> Float[torch.Tensor, "batch d"]:
    return vectors - vectors.mean(dim=1, keepdim=True)


def _may_be_centred(dictionary: Dictionary, model: LanguageModel) -> bool:
    """Whether centring its weights would change what a dictionary reads, and no output."""
    origin = dictionary.origin
    return (
        origin.hook_name == origin.hook_name_out
        and is_residual(origin.hook_name)
        and model.has_layer_norm
    )
