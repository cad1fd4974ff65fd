"""The format of Gemma Scope 2: a folder with `params.safetensors` and `config.json`.

Tensors: w_enc (d_in, n_features), b_enc (n_features), w_dec (n_features, d_out), b_dec (d_out),
threshold (n_features); optional: affine_skip_connection (d_in, d_out). Activations are
x w_enc + b_enc where that is above its threshold; nothing is subtracted first, and
x affine_skip_connection is written too. The config.json names `hf_hook_point_in`, and
`hf_hook_point_out` for a transcoder, as modules of the published model:

    model.layers.20.output                              blocks.20.hook_resid_post
    model.layers.20.self_attn.o_proj.input              blocks.20.attn.hook_z
    model.layers.20.pre_feedforward_layernorm.output    blocks.20.mlp.hook_in
    model.layers.20.post_feedforward_layernorm.output   blocks.20.hook_mlp_out

The recipe needs `path`, and `hook_name` if config.json names another module.
"""

import re
from pathlib import Path
from typing import Any

import torch

from featurestore.config import DictionaryConfig
from featurestore.dictionaries.base import (
    Dictionary,
    Nonlinearity,
    Origin,
    check_weights,
    preferred,
)
from featurestore.dictionaries.files import read_json, read_safetensors
from featurestore.errors import DictionaryError

SETTINGS, WEIGHTS = "config.json", "params.safetensors"
_SHAPES = {
    "w_enc": "d_in n_features",
    "b_enc": "n_features",
    "w_dec": "n_features d_out",
    "b_dec": "d_out",
    "threshold": "n_features",
}
_SKIP = {"affine_skip_connection": "d_in d_out"}
_HOOKS = {
    "output": "hook_resid_post",
    "self_attn.o_proj.input": "attn.hook_z",
    "pre_feedforward_layernorm.output": "mlp.hook_in",
    "post_feedforward_layernorm.output": "hook_mlp_out",
}
_MODULE = re.compile(r"(?:model\.|language_model\.)*layers\.(\d+)\.(.+)")


def recognises(path: Path) -> bool:
    """Whether a path is a folder of this format."""
    return (path / WEIGHTS).is_file()


def load(said: DictionaryConfig) -> Dictionary:
    """Read a dictionary or transcoder of this format.

    Raises:
        DictionaryError: a tensor is missing, unknown or wrong, it is of several layers, or its
            hook point is not known.
    """
    folder = Path(said.path)
    file, settings = folder / WEIGHTS, read_json(folder / SETTINGS)
    _refuse_others(folder / SETTINGS, settings)
    weights = {name: weight.float() for name, weight in read_safetensors(file).items()}
    _refuse_layers(file, weights)
    origin = _origin(folder / SETTINGS, settings, said)
    shapes = _SHAPES
    if origin.kind != "transcoder":
        shapes = {name: shape.replace("d_out", "d_in") for name, shape in shapes.items()}
    check_weights(file, weights, shapes, _SKIP if origin.kind == "transcoder" else {})
    return Dictionary(
        origin=origin,
        readers=weights["w_enc"],
        reader_bias=weights["b_enc"],
        pre_bias=torch.zeros(len(weights["w_enc"])),
        directions=weights["w_dec"],
        direction_bias=weights["b_dec"],
        nonlinearity=Nonlinearity("jumprelu", threshold=weights["threshold"]),
        skip=weights.get("affine_skip_connection"),
    )


def _refuse_others(file: Path, settings: dict[str, Any]) -> None:
    architecture = settings.get("architecture")
    if architecture != "jump_relu":
        raise DictionaryError(
            f"{file}: 'architecture' is {architecture!r}; of this format can be read: 'jump_relu'."
        )


def _refuse_layers(file: Path, weights: dict[str, torch.Tensor]) -> None:
    """Raise DictionaryError at a matrix that has an axis of layers."""
    for name in ("w_enc", "w_dec"):
        if name in weights and weights[name].ndim == 3:
            raise DictionaryError(
                f"{file}: '{name}' has shape {tuple(weights[name].shape)}: it is of several "
                "layers, as in a crosscoder or a cross-layer transcoder. A dictionary reads one "
                "hook point and writes to one."
            )


def _origin(file: Path, settings: dict[str, Any], said: DictionaryConfig) -> Origin:
    """Where it reads and writes: as the recipe says, else as the settings do."""
    module, module_out = settings.get("hf_hook_point_in"), settings.get("hf_hook_point_out")
    is_transcoder = module_out not in (None, module)
    read = _hook_name(file, said, "hook_name", module)
    if not is_transcoder:
        return Origin("jumprelu", read, said.hook_name_out or read)
    return Origin("transcoder", read, _hook_name(file, said, "hook_name_out", module_out))


def _hook_name(file: Path, said: DictionaryConfig, key: str, module: object) -> str:
    found = _MODULE.fullmatch(module) if isinstance(module, str) else None
    is_known = found is not None and found[2] in _HOOKS
    name = preferred(said, key, f"blocks.{found[1]}.{_HOOKS[found[2]]}" if is_known else None)
    if name is None:
        raise DictionaryError(
            f"{file}: names {module!r} as a hook point; known are, of a layer: "
            f"{', '.join(_HOOKS)}. Add to the recipe, under this dictionary: "
            f'{key} = "blocks.20.hook_resid_post" (or wherever that is).'
        )
    return name
