"""What a dictionary's file is, in words, before it is built."""

from dataclasses import replace
from pathlib import Path

import torch

from featurestore.config import DictionaryConfig
from featurestore.dictionaries.base import Dictionary, Nonlinearity
from featurestore.dictionaries.load import format_of, load_dictionary
from featurestore.errors import DictionaryError

NOT_SAID = 'not said; the recipe has to, such as: hook_name = "blocks.0.hook_resid_post"'


def describe(path: Path) -> dict[str, str]:
    """Facts by name: the format, what it reads and writes, its size and its weights.

    Raises:
        DictionaryError: it is of no known format, or something in it is wrong.
    """
    if not path.exists():
        raise DictionaryError(
            f"'{path}' does not exist. Give a dictionary's folder or file, or its address on the "
            "hub: hub:owner/name/path"
        )
    asked = DictionaryConfig(path.stem, str(path))
    try:
        dictionary = load_dictionary(asked)
    except DictionaryError:  # perhaps for want of a hook point alone
        dictionary = _without_hook_points(asked)
    origin = dictionary.origin
    writes_elsewhere = origin.hook_name_out != origin.hook_name
    return {
        "format": (format_of(asked).__doc__ or "").partition("\n")[0],
        "kind": origin.kind,
        "hook_name": origin.hook_name,
        **({"hook_name_out": origin.hook_name_out} if writes_elsewhere else {}),
        "family": origin.family or "none",
        "step": "none" if origin.step is None else f"{origin.step:,}",
        "features": f"{dictionary.n_features:,}",
        "d_in, d_out": f"{dictionary.d_in:,}, {dictionary.d_out:,}",
        "nonlinearity": _nonlinearity(dictionary.nonlinearity),
        "standardisation": dictionary.standardisation,
        **_weights(dictionary),
        "digest": dictionary.digest(),
    }


def _without_hook_points(asked: DictionaryConfig) -> Dictionary:
    """The same with words for what it writes to or, where that does not help, for what it reads."""
    try:
        return load_dictionary(replace(asked, hook_name_out=NOT_SAID))
    except DictionaryError:
        return load_dictionary(replace(asked, hook_name=NOT_SAID, hook_name_out=NOT_SAID))


def _nonlinearity(found: Nonlinearity) -> str:
    if found.k is not None:
        return f"{found.name}, k = {found.k}"
    if found.threshold is not None:
        return f"{found.name}, threshold {_spread(found.threshold)}"
    return found.name


def _weights(dictionary: Dictionary) -> dict[str, str]:
    """Lengths, and how far encoder and decoder agree: near 0 if one of them were turned."""
    lengths = dictionary.directions.double().norm(dim=1)
    n_zero = int((lengths == 0).sum())
    facts = {
        "direction lengths": _spread(lengths) + (f"; {n_zero:,} of length 0" if n_zero else ""),
        "pre_bias": "yes" if dictionary.pre_bias.any() else "none",
    }
    if dictionary.d_in == dictionary.d_out:
        cos = torch.cosine_similarity(
            dictionary.readers.T.double(), dictionary.directions.double(), dim=1
        )
        facts["encoder-decoder cosine"] = _spread(cos)
    if dictionary.lookup is not None:
        facts["lookup"] = f"{len(dictionary.lookup):,} tokens"
    if dictionary.skip is not None:
        facts["skip"] = "yes"
    return facts


def _spread(values: torch.Tensor) -> str:
    low, high, median = (f"{each.item():.4g}" for each in (*values.aminmax(), values.median()))
    return low if low == high else f"{low} to {high}, median {median}"
