"""The format of Gemma Scope: a folder with `params.npz`, or such a file.

Arrays: W_enc (d_in, n_features), b_enc (n_features), W_dec (n_features, d_out), b_dec (d_out),
threshold (n_features). Activations are x W_enc + b_enc where that is above its threshold; nothing
is subtracted first. The files say nothing of where they read, but the folders of the release do:
`...-res/layer_20/width_16k/average_l0_71` reads `blocks.20.hook_resid_post`. What is in a folder
`embedding` was trained on rows of the embedding matrix; the model multiplies them by sqrt(d_in),
and so are W_dec and b_dec here, while W_enc is divided by it.

The recipe needs `path`, and `hook_name` if the folders are called otherwise.
"""

import math
import re
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch

from featurestore.config import DictionaryConfig
from featurestore.dictionaries.base import (
    Dictionary,
    Nonlinearity,
    Origin,
    check_weights,
    preferred,
)
from featurestore.dictionaries.files import refuse_pointer
from featurestore.errors import DictionaryError

WEIGHTS = "params.npz"
_DAMAGED = (
    *(OSError, ValueError, TypeError, EOFError, KeyError, IndexError, RuntimeError, MemoryError),
    *(OverflowError, SyntaxError, struct.error, zlib.error, zipfile.error),
)
"""What numpy and zipfile raise at a damaged file, by where the damage is."""

MOST_UNPACKED = 10
"""Weights hardly shrink when packed; what does is no dictionary."""

_SHAPES = {
    "W_enc": "d_in n_features",
    "b_enc": "n_features",
    "W_dec": "n_features d_out",
    "b_dec": "d_out",
    "threshold": "n_features",
}
_HOOKS = {"res": "hook_resid_post", "mlp": "hook_mlp_out", "att": "attn.hook_z"}
_RELEASE = re.compile(r"gemma-scope-.*-(res|mlp|att)(?:-.*)?")
_LAYER, _EMBEDDING = re.compile(r"layer_(\d+)"), "embedding"


def recognises(path: Path) -> bool:
    """Whether a path is an `.npz` file, or a folder with `params.npz`."""
    return path.suffix == ".npz" or (path / WEIGHTS).is_file()


def load(said: DictionaryConfig) -> Dictionary:
    """Read a dictionary of this format.

    Raises:
        DictionaryError: the file is damaged or holds something else, or its hook point is not
            known.
    """
    path = Path(said.path)
    file = path if path.suffix == ".npz" else path / WEIGHTS
    weights = _read(file)
    check_weights(file, weights, _SHAPES, {})
    hook_name = preferred(said, "hook_name", _hook_name(file))
    if hook_name is None:
        raise DictionaryError(
            f"{file}: this format does not hold the hook point, and no folders as in "
            "'gemma-scope-2b-pt-res/layer_20' name it. Add to the recipe, under this dictionary: "
            'hook_name = "blocks.20.hook_resid_post" (or wherever it reads).'
        )
    scale = math.sqrt(len(weights["W_enc"])) if _is_of_embeddings(file) else 1.0
    return Dictionary(
        origin=Origin("jumprelu", hook_name, said.hook_name_out or hook_name),
        readers=weights["W_enc"] / scale,
        reader_bias=weights["b_enc"],
        pre_bias=torch.zeros(len(weights["W_enc"])),
        directions=weights["W_dec"] * scale,
        direction_bias=weights["b_dec"] * scale,
        nonlinearity=Nonlinearity("jumprelu", threshold=weights["threshold"]),
    )


def _read(file: Path) -> dict[str, torch.Tensor]:
    try:
        refuse_pointer(file)
        _check_size(file)
        with np.load(file, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]).float() for name in arrays.files}
    except _DAMAGED as error:
        raise DictionaryError(
            f"{file}: not readable as arrays of numpy, which hold no objects ({error})."
        ) from error


def _check_size(file: Path) -> None:
    """Raise ValueError if a file unpacks to far more than weights ever do."""
    with zipfile.ZipFile(file) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > MOST_UNPACKED * file.stat().st_size:
        raise ValueError(f"it unpacks to {size:,} bytes, more than {MOST_UNPACKED} times its size")


def _is_of_embeddings(file: Path) -> bool:
    """Whether the nearest folder that names a place is the one of embeddings."""
    names = (folder.name for folder in file.absolute().parents)
    return next((n for n in names if n == _EMBEDDING or _LAYER.fullmatch(n)), None) == _EMBEDDING


def _hook_name(file: Path) -> str | None:
    """Where it reads, by the names of the folders that it is in, if they tell."""
    if _is_of_embeddings(file):
        return "hook_embed"
    names = [folder.name for folder in file.absolute().parents]
    release = next((found[1] for found in map(_RELEASE.fullmatch, names) if found), None)
    layer = next((found[1] for found in map(_LAYER.fullmatch, names) if found), None)
    return None if release is None or layer is None else f"blocks.{layer}.{_HOOKS[release]}"
