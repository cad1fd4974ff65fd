"""Open a dictionary, whatever its format.

A format is recognised by its files and keys, never by the shape of a matrix.
"""

import difflib
import itertools
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
from featurestore.dictionaries.base import Dictionary, preferred
from featurestore.errors import DictionaryError, command

FORMATS = (
    *(native, sae_lens, sparsify, gemma_scope, gemma_scope_2),
    *(openai, tokenized, neel_nanda, sparse_coding),
    dictionary_learning,  # last: every other .pt file is taken for one of its
)
"""Modules of `recognises(path)` and `load(config)`, asked in this order."""

NEEDED_BY = {"k": tokenized, "index": sparse_coding}
"""Keys of a recipe that say what only one format leaves open."""


def load_dictionary(config: DictionaryConfig) -> Dictionary:
    """Read and check the dictionary that a recipe names.

    Raises:
        DictionaryError: nothing is there, no format knows it, or its weights are wrong.
    """
    path = Path(config.path)
    if not path.exists():
        raise DictionaryError(
            f"Dictionary '{config.id}': '{path}' does not exist.{_nearest(path)} Mend 'path' in "
            "the recipe; it is relative to the recipe's folder."
        )
    format_ = format_of(config)
    dictionary = format_.load(config)
    for key, owner in NEEDED_BY.items():
        if getattr(config, key) is not None and format_ is not owner:
            raise DictionaryError(
                f"Dictionary '{config.id}': '{key}' says nothing of '{path}', whose format needs "
                "none. Take it out of the recipe."
            )
    return _with_overrides(dictionary, config)


def _nearest(path: Path) -> str:
    """Names beside a path that is not there, if some are like it."""
    there = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, there, n=3)
    return f" Nearest there: {', '.join(close)}." if close else ""


def format_of(config: DictionaryConfig) -> ModuleType:
    """The module of the format that a dictionary is in.

    Raises:
        DictionaryError: none knows it.
    """
    path = Path(config.path)
    found = _recognised(path)
    if found:
        return found
    inside = sorted(path.iterdir()) if path.is_dir() else []
    holds = ", ".join(entry.name for entry in inside[:8]) or "an empty folder"
    raise DictionaryError(
        f"Dictionary '{config.id}': no known format in '{path}'"
        + (f" (found: {holds}). " if path.is_dir() else ". ")
        + _what_else(path)
        + "See the formats: python -m featurestore formats"
    )


def _what_else(path: Path) -> str:
    """What a path that no format knows may be: a store, above dictionaries or in one, a model."""
    if any(path.glob("dictionaries/*/*.duckdb")):
        return f"It is a store, no dictionary: {command('info', '--store', path)}. "
    below = itertools.islice(path.rglob("*"), _LOOKED_AT) if path.is_dir() else ()
    known = sorted(str(entry) for entry in below if _recognised(entry))
    if known:
        more = f" and {len(known) - 4:,} more" if len(known) > 4 else ""
        return f"Give the one that you mean as 'path': {', '.join(known[:4])}{more}. "
    if (path / "config.json").is_file():
        return "It looks like a model's: that is named under [model]. "
    if path.suffix == ".toml":
        return f"It looks like a recipe: {command('build', path)}. "
    if path.is_file() and _recognised(path.parent):
        return f"Give the folder: {path.parent}. "
    return ""


_LOOKED_AT = 2_000
"""Files and folders below a path among which dictionaries are looked for."""


def _recognised(path: Path) -> ModuleType | None:
    return next((format_ for format_ in FORMATS if format_.recognises(path)), None)


def _with_overrides(dictionary: Dictionary, config: DictionaryConfig) -> Dictionary:
    """What the recipe says of a training run goes before what the file says."""
    said = {
        name: preferred(config, name, getattr(dictionary.origin, name))
        for name in ("family", "step")
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
