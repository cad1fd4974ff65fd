"""The format of saprmarks/dictionary_learning: a folder with `ae.pt` and `config.json`, or a file.

Linear weights are (out, in), so both matrices are turned. AutoEncoder subtracts its `bias` before
encoding and adds it after decoding; AutoEncoderTopK does the same with `b_dec`, takes the ReLU and
then each token's k largest. The two are told apart by their keys, but AutoEncoderTopK and
BatchTopKSAE share theirs: the folder's config.json must name the class.
"""

import json
import os
from pathlib import Path
from pickle import UnpicklingError

import torch

from featurestore.dictionaries.base import Dictionary, Nonlinearity, Origin
from featurestore.errors import DictionaryError

SUPPORTED = ("AutoEncoder", "AutoEncoderTopK")
_LINEAR = frozenset({"encoder.weight", "encoder.bias", "decoder.weight"})


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
    weights = read_weights(file)
    config = file.parent / "config.json"
    trainer = json.loads(config.read_text())["trainer"] if config.is_file() else {}
    keys = frozenset(weights)
    if keys == _LINEAR | {"bias"}:
        kind, bias, nonlinearity = "sae", weights["bias"], Nonlinearity("relu")
    elif keys >= _LINEAR | {"b_dec", "k"} and trainer.get("dict_class") == "AutoEncoderTopK":
        kind, bias = "topk", weights["b_dec"]
        nonlinearity = Nonlinearity("topk", k=int(weights["k"]))
    else:
        raise DictionaryError(
            f"{file}: keys {', '.join(sorted(keys))} with dict_class "
            f"{trainer.get('dict_class')!r} are none of {', '.join(SUPPORTED)}."
        )
    return Dictionary(
        origin=Origin(kind, hook_name, hook_name),
        readers=weights["encoder.weight"].float().T.contiguous(),
        reader_bias=weights["encoder.bias"].float(),
        pre_bias=bias.float(),
        directions=weights["decoder.weight"].float().T.contiguous(),
        direction_bias=bias.float(),
        nonlinearity=nonlinearity,
    )


def read_weights(file: Path) -> dict[str, torch.Tensor]:
    """Tensors of a `.pt` file, read without running anything that is in it.

    Raises:
        DictionaryError: it holds anything but tensors, or is damaged.
    """
    if os.environ.get("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"):
        raise DictionaryError(
            "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD is set, which lets a .pt file run code. "
            "Unset it and try again."
        )
    try:
        content = torch.load(file, weights_only=True, map_location="cpu")
    except UnpicklingError as error:
        raise DictionaryError(
            f"{file}: refused, it holds more than tensors and could run code ({_foreign(file)}). "
            "Save the state_dict alone, or better as safetensors."
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise DictionaryError(f"{file}: not readable as a torch file ({error}).") from error
    if not isinstance(content, dict) or not all(
        isinstance(v, torch.Tensor) for v in content.values()
    ):
        raise DictionaryError(f"{file}: expected a state_dict, found {type(content).__name__}.")
    return content


def _foreign(file: Path) -> str:
    """Names of the objects in a file that are no tensors."""
    try:
        return ", ".join(torch.serialization.get_unsafe_globals_in_checkpoint(file))
    except (OSError, RuntimeError, ValueError):
        return "an old pickle"
