"""The format of saprmarks/dictionary_learning: a folder with `ae.pt` and `config.json`, or a file.

Linear weights are (out, in), so both matrices are turned. AutoEncoder subtracts its `bias` before
encoding and adds it after decoding; AutoEncoderTopK does the same with `b_dec`, takes the ReLU and
then each token's k largest. The two are told apart by their keys, but AutoEncoderTopK and
BatchTopKSAE share theirs: the folder's config.json must name the class.
"""

import json
import os
import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from featurestore.dictionaries.base import (
    Dictionary,
    Nonlinearity,
    Origin,
    check_k,
    check_weights,
    refuse_pointer,
)
from featurestore.errors import DictionaryError

SUPPORTED = ("AutoEncoder", "AutoEncoderTopK")
_LINEAR = {
    "encoder.weight": "n_features d_in",
    "encoder.bias": "n_features",
    "decoder.weight": "d_in n_features",
}
_DAMAGED = (
    *(OSError, RuntimeError, EOFError, ValueError, UnpicklingError),
    *(AssertionError, IndexError, KeyError, TypeError, zipfile.BadZipFile),
)
"""What torch raises at a damaged file, by where the damage is."""


def recognises(path: Path) -> bool:
    """Whether a path is a `.pt` file, or a folder with `ae.pt`."""
    return path.suffix == ".pt" or (path / "ae.pt").is_file()


def load(path: Path, hook_name: str | None) -> Dictionary:
    """Read a dictionary of this format; its file does not say which hook point it reads.

    Raises:
        DictionaryError: unsafe content, an unknown class, or no hook point in the recipe.
    """
    file = path if path.suffix == ".pt" else path / "ae.pt"
    if hook_name is None:
        raise DictionaryError(
            f"{file}: this format does not hold the hook point. Add to the recipe, under this "
            'dictionary: hook_name = "blocks.0.hook_resid_post" (or wherever it reads).'
        )
    weights = {n: w if n == "k" else w.float() for n, w in read_weights(file).items()}
    dict_class = _read_trainer(file.parent / "config.json").get("dict_class")
    if "bias" in weights and dict_class in {None, "AutoEncoder"}:
        kind, bias, nonlinearity = "sae", "bias", Nonlinearity("relu")
        check_weights(file, weights, _LINEAR | {"bias": "d_in"}, {})
    elif "k" in weights and dict_class == "AutoEncoderTopK":
        check_weights(file, weights, _LINEAR | {"b_dec": "d_in", "k": ""}, {"threshold": ""})
        k = weights["k"].item()
        check_k(file, k, len(weights["encoder.bias"]))
        kind, bias, nonlinearity = "topk", "b_dec", Nonlinearity("topk", k=k)
    else:
        raise DictionaryError(
            f"{file}: tensors {', '.join(sorted(weights))} with dict_class {dict_class!r} in "
            f"config.json are none of {', '.join(SUPPORTED)} (the last only with its config.json)."
        )
    return Dictionary(
        origin=Origin(kind, hook_name, hook_name),
        readers=weights["encoder.weight"].T.contiguous(),
        reader_bias=weights["encoder.bias"],
        pre_bias=weights[bias],
        directions=weights["decoder.weight"].T.contiguous(),
        direction_bias=weights[bias],
        nonlinearity=nonlinearity,
    )


def _read_trainer(path: Path) -> dict[str, Any]:
    """The `trainer` table of a config.json; empty where there is no such file."""
    if not path.is_file():
        return {}
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DictionaryError(f"{path}: not readable as JSON ({error}).") from error
    trainer = config.get("trainer") if isinstance(config, dict) else None
    if not isinstance(trainer, dict):
        raise DictionaryError(f"{path}: key 'trainer' is {trainer!r}; expected a table.")
    return trainer


def read_weights(file: Path) -> dict[str, torch.Tensor]:
    """Tensors of a `.pt` file, read without running anything that is in it.

    Raises:
        DictionaryError: it holds anything but plain tensors, or is damaged.
    """
    if os.environ.get("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"):
        raise DictionaryError(
            f"{file}: TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD is set, which lets a .pt file run code. "
            "Unset it and try again."
        )
    try:
        refuse_pointer(file)
        _check_archive(file)
        content = torch.load(file, weights_only=True, map_location="cpu")
    except _DAMAGED as error:
        foreign = _foreign(file) if isinstance(error, UnpicklingError) else ""
        if foreign:
            raise DictionaryError(
                f"{file}: refused, it holds more than tensors and could run code ({foreign}). "
                "Save the state_dict alone, or better as safetensors."
            ) from error
        raise DictionaryError(f"{file}: not readable as a torch file ({error}).") from error
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise DictionaryError(
            f"{file}: expected a state_dict, which is tensors by name; found "
            f"{type(content).__name__}. Save the dictionary's own state_dict."
        )
    for name, value in content.items():
        if not _is_plain(value):
            raise DictionaryError(
                f"{file}: expected a state_dict of plain tensors, but its {name!r} is "
                f"{_kind(value)}. Save the dictionary's own state_dict."
            )
    return content


def _check_archive(file: Path) -> None:
    """Raise ValueError unless a file is the uncompressed archive that torch writes since 1.6."""
    if not zipfile.is_zipfile(file):
        raise ValueError("no zip archive: cut short, or saved by an old torch or by pickle")
    with zipfile.ZipFile(file) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > file.stat().st_size:
            raise ValueError("compressed, which torch never does")


def _is_plain(value: object) -> bool:
    """Whether a value is a tensor with a number in memory for each of its entries."""
    if not isinstance(value, torch.Tensor) or value.is_quantized or value.device.type != "cpu":
        return False
    if value.layout is not torch.strided:
        return False
    return value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def _kind(value: object) -> str:
    if not isinstance(value, torch.Tensor):
        return f"of type {type(value).__name__}"
    return f"a tensor of shape {tuple(value.shape)} that is sparse, quantised or not all there"


def _foreign(file: Path) -> str:
    """Names of the objects in a file that are no tensors; empty if none can be read."""
    try:
        return ", ".join(torch.serialization.get_unsafe_globals_in_checkpoint(file))
    except _DAMAGED:
        return ""
