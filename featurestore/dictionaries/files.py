"""Files of weights and settings, read without running anything that is in them.

Whatever is wrong with a file is a DictionaryError that names it.
"""

import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from featurestore.errors import DictionaryError

_DAMAGED = (
    *(OSError, RuntimeError, EOFError, ValueError, UnpicklingError),
    *(AssertionError, AttributeError, IndexError, KeyError, TypeError, zipfile.BadZipFile),
)
"""What torch raises at a damaged file, by where the damage is."""


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        DictionaryError: it cannot be read, or holds something else.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DictionaryError(f"{file}: not readable as JSON ({error}).") from error
    if not isinstance(content, dict):
        raise DictionaryError(f"{file}: expected a JSON object, found {type(content).__name__}.")
    return content


def read_safetensors(file: Path) -> dict[str, torch.Tensor]:
    """Tensors by name.

    Raises:
        DictionaryError: it is a pointer, or cannot be read.
    """
    try:
        refuse_pointer(file)
        return load_file(file)
    except OSError as error:
        raise DictionaryError(f"{file}: cannot be read: {error.strerror or error}.") from error
    except SafetensorError as error:
        raise DictionaryError(
            f"{file}: not readable as safetensors ({error}). If it was cut short, fetch it again."
        ) from error


class StandIn:
    """What an object of a foreign class held; of the class itself nothing is there to run.

    Each name has a class of its own, called so in full: `autoencoders.learned_dict.TiedSAE`.
    """

    state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state


def read_torch(file: Path) -> dict[str, Any]:
    """What a `.pt` file holds by name: tensors, and plain values.

    Raises:
        DictionaryError: it holds anything that could run code, or is damaged.
    """
    content = _load(file)
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise DictionaryError(
            f"{file}: expected a state_dict, which is tensors by name; found "
            f"{type(content).__name__}. Save the dictionary's own state_dict."
        )
    return content


def read_torch_objects(file: Path, names: Sequence[str]) -> object:
    """What a `.pt` file holds, with a StandIn for every object of the classes named.

    Raises:
        DictionaryError: it holds anything else that could run code, or is damaged.
    """
    return _load(file, names)


def torch_keys(file: Path) -> frozenset[str]:
    """Names in a `.pt` file, without reading its tensors; none if it is not readable."""
    try:
        content = _load(file, mmap=True)
    except DictionaryError:
        return frozenset()
    names = content if isinstance(content, dict) else ()
    return frozenset(name for name in names if isinstance(name, str))


def foreign_classes(file: Path) -> list[str]:
    """Names of what a `.pt` file holds beside tensors and plain values; none if not readable."""
    try:
        _check_archive(file)
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(file))
    except _DAMAGED:
        return []


def _load(file: Path, names: Sequence[str] = (), mmap: bool = False) -> object:
    """The content of a `.pt` file, with a StandIn for every object of the classes named."""
    if os.environ.get("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"):
        raise DictionaryError(
            f"{file}: TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD is set, which lets a .pt file run code. "
            "Unset it and try again."
        )
    try:
        refuse_pointer(file)
        _check_archive(file)
        stand_ins = [(type(name, (StandIn,), {}), name) for name in names]
        with torch.serialization.safe_globals(stand_ins):
            return torch.load(file, weights_only=True, map_location="cpu", mmap=mmap)
    except _DAMAGED as error:
        foreign = [name for name in foreign_classes(file) if name not in names]
        if foreign and isinstance(error, UnpicklingError):
            raise DictionaryError(
                f"{file}: refused, it holds more than tensors and could run code "
                f"({', '.join(foreign)}). Save the state_dict alone, or better as safetensors."
            ) from error
        raise DictionaryError(
            f"{file}: not readable as a torch file ({error}). If it was cut short, fetch it again; "
            "else save its state_dict again with torch.save."
        ) from error


def only_tensors(file: Path, content: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The same, if all of it are tensors in memory.

    Raises:
        DictionaryError: something else is among them.
    """
    for name, value in content.items():
        if not _is_plain(value):
            raise DictionaryError(
                f"{file}: expected a state_dict of plain tensors, but its {name!r} is "
                f"{_kind(value)}. Save the dictionary's own state_dict."
            )
    return content


def refuse_pointer(file: Path) -> None:
    """Raise DictionaryError if a Git LFS pointer stands where the weights should."""
    start = b"version https://git-lfs"
    with file.open("rb") as stream:
        if stream.read(len(start)) == start:
            raise DictionaryError(
                f"{file}: a Git LFS pointer, not the weights. Fetch them there: git lfs pull"
            )


def _check_archive(file: Path) -> None:
    """Raise ValueError unless a file is the uncompressed archive that torch writes since 1.6."""
    if not zipfile.is_zipfile(file):
        raise ValueError("no zip archive: cut short, or written by pickle or by an old torch")
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
