"""Open a dictionary, whatever its format.

A format is recognised by its files and keys, never by the shape of a matrix.
"""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

from featurestore.config import DictionaryConfig
from featurestore.dictionaries import (
    dictionary_learning,
    gemma_scope,
    gemma_scope_2,
    native,
    neel_nanda,
    openai,
    sae_lens,
    sparse_coding,
    sparsify,
    tokenized,
)
from featurestore.dictionaries.base import Dictionary
from featurestore.errors import DictionaryError

FORMATS = (
    *(native, sae_lens, sparsify, gemma_scope, gemma_scope_2),
    *(openai, tokenized, neel_nanda, sparse_coding),
    dictionary_learning,  # last: every other .pt file is taken for one of its
)
"""Modules of `recognises(path)` and `load(config)`, asked in this order."""


def load_dictionary(config: DictionaryConfig) -> Dictionary:
    """Read and check the dictionary that a recipe names.

    Raises:
        DictionaryError: nothing is there, no format knows it, or its weights are wrong.
    """
    path = Path(config.path)
    if not path.exists():
        raise DictionaryError(
            f"Dictionary '{config.id}': '{path}' does not exist. Mend 'path' in the recipe; it is "
            "relative to the recipe's folder."
        )
    return _with_overrides(format_of(config).load(config), config)


def format_of(config: DictionaryConfig) -> ModuleType:
    """The module of the format that a dictionary is in.

    Raises:
        DictionaryError: none knows it.
    """
    path = Path(config.path)
    for format_ in FORMATS:
        if format_.recognises(path):
            return format_
    found = sorted(p.name for p in path.iterdir())[:8] if path.is_dir() else [path.name]
    raise DictionaryError(
        f"Dictionary '{config.id}': no known format in '{path}' (found: "
        f"{', '.join(found) or 'an empty folder'}). "
        "See the formats: python -m featurestore formats"
    )


def _with_overrides(dictionary: Dictionary, config: DictionaryConfig) -> Dictionary:
    """What the recipe says of a training run goes before what the file says."""
    said = {
        name: getattr(config, name)
        for name in ("family", "step")
        if getattr(config, name) is not None
    }
    found = replace(dictionary, origin=replace(dictionary.origin, **said))
    if config.centred is None or found.standardisation == "layer_norm":  # that centres anyway
        return found
    if found.standardisation == "constant_norm":
        raise DictionaryError(
            f"Dictionary '{config.id}': 'centred' is said of one that brings vectors to a constant "
            "length, which cannot be done here together. Leave it out."
        )
    return replace(found, standardisation="centred" if config.centred else "none")
