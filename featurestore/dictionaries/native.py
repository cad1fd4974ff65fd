"""Our own format: a folder with `dictionary.json` and `dictionary.safetensors`.

Tensors: W_enc (d_in, n_features), b_enc (n_features), W_dec (n_features, d_out), b_dec (d_out);
optional: b_pre (d_in), threshold (n_features), lookup (d_vocab, d_out), W_skip (d_in, d_out). The
JSON file holds `format`, `kind`, `nonlinearity` (relu, jumprelu, topk, signed_topk, abs_topk,
identity), `k` where it is a topk, and optionally `hook_name`, `hook_name_out`, `standardisation`
(none, centred, layer_norm, constant_norm), `family`, `step` and notes of any name.

The recipe needs `path`, and `hook_name` if the JSON file does not say it.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from featurestore.config import DictionaryConfig
from featurestore.dictionaries.base import (
    KINDS,
    Dictionary,
    Nonlinearity,
    Origin,
    check_hook_name,
    check_k,
    check_weights,
    preferred,
)
from featurestore.dictionaries.files import read_json, read_safetensors
from featurestore.dictionaries.standardisation import STANDARDISATIONS
from featurestore.errors import DictionaryError

FORMAT = "featurestore-dictionary-1"
SETTINGS = "dictionary.json"
WEIGHTS = "dictionary.safetensors"
REQUIRED = {
    "W_enc": "d_in n_features",
    "b_enc": "n_features",
    "W_dec": "n_features d_out",
    "b_dec": "d_out",
}
OPTIONAL = {
    "b_pre": "d_in",
    "threshold": "n_features",
    "lookup": "d_vocab d_out",
    "W_skip": "d_in d_out",
}
NONLINEARITIES = ("relu", "jumprelu", "topk", "signed_topk", "abs_topk", "identity")


def recognises(path: Path) -> bool:
    """Whether a path is a folder of this format."""
    return (path / SETTINGS).is_file()


def save(folder: Path, settings: dict[str, Any], weights: dict[str, torch.Tensor]) -> None:
    """Write a dictionary; `settings` are the keys of the JSON file but `format`."""
    folder.mkdir(parents=True, exist_ok=True)
    own = {name: weight.detach().clone().contiguous() for name, weight in weights.items()}
    save_file(own, folder / WEIGHTS)
    text = json.dumps({"format": FORMAT, **settings}, indent=1, sort_keys=True)
    (folder / SETTINGS).write_text(text + "\n", encoding="utf-8")


def load(said: DictionaryConfig) -> Dictionary:
    """Read a dictionary of this format; a recipe's hook point goes before its own.

    Raises:
        DictionaryError: a key or tensor is missing, unknown or wrong.
    """
    folder = Path(said.path)
    settings = _read_settings(folder / SETTINGS)
    weights = _read_weights(folder / WEIGHTS)
    read_at = preferred(said, "hook_name", settings.get("hook_name"))
    check_hook_name(folder / SETTINGS, read_at)
    origin = Origin(
        kind=settings["kind"],
        hook_name=read_at,
        hook_name_out=preferred(said, "hook_name_out", settings.get("hook_name_out")) or read_at,
        family=settings.get("family"),
        step=settings.get("step"),
    )
    return Dictionary(
        origin=origin,
        readers=weights["W_enc"],
        reader_bias=weights["b_enc"],
        pre_bias=weights.get("b_pre", torch.zeros(weights["W_enc"].shape[0])),
        directions=weights["W_dec"],
        direction_bias=weights["b_dec"],
        nonlinearity=_nonlinearity(settings, weights, folder / SETTINGS),
        lookup=weights.get("lookup"),
        skip=weights.get("W_skip"),
        standardisation=settings.get("standardisation", "none"),
    )


def _read_settings(path: Path) -> dict[str, Any]:
    settings = read_json(path)
    if settings.get("format") != FORMAT:
        raise DictionaryError(
            f"{path}: 'format' is {settings.get('format')!r}; it must be '{FORMAT}'."
        )
    known = {"kind": KINDS, "nonlinearity": NONLINEARITIES}
    for key, allowed in known.items():
        if settings.get(key) not in allowed:
            found = repr(settings[key]) if key in settings else "missing"
            raise DictionaryError(f"{path}: '{key}' is {found}; allowed: {', '.join(allowed)}.")
    how = settings.get("standardisation", "none")
    if how not in STANDARDISATIONS:
        raise DictionaryError(
            f"{path}: 'standardisation' is {how!r}; allowed: {', '.join(STANDARDISATIONS)}."
        )
    optional = {"hook_name": str, "hook_name_out": str, "family": str, "step": int}
    for key, kind in optional.items():
        if not isinstance(settings.get(key), kind | None):
            raise DictionaryError(
                f"{path}: key '{key}' is {settings[key]!r}; expected {kind.__name__} or nothing."
            )
    return settings


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    weights = {name: weight.float() for name, weight in read_safetensors(path).items()}
    check_weights(path, weights, REQUIRED, OPTIONAL)
    return weights


def _nonlinearity(
    settings: dict[str, Any], weights: dict[str, torch.Tensor], path: Path
) -> Nonlinearity:
    name, k = settings["nonlinearity"], settings.get("k")
    if name in ("relu", "identity"):
        return Nonlinearity(name)
    if name == "jumprelu":
        if "threshold" not in weights:
            raise DictionaryError(f"{path}: 'jumprelu' needs a tensor 'threshold'.")
        return Nonlinearity("jumprelu", threshold=weights["threshold"])
    check_k(path, k, weights["W_dec"].shape[0])
    return Nonlinearity(name, k=k)
