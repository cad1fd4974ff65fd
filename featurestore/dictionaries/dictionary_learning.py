"""The format of saprmarks/dictionary_learning: a folder with `ae.pt` and `config.json`, or a file.

A class is told by its keys, and where two share them by `trainer.dict_class` of the config.json,
which stands beside the file or, for `checkpoints/ae_<step>.pt`, one folder up. Linear weights are
(out, in), so such matrices are turned.

    AutoEncoder             relu(W (x - bias) + encoder.bias)
    AutoEncoderNew          relu(W x + encoder.bias): nothing is subtracted first
    GatedAutoEncoder        relu(exp(r_mag) z + mag_bias) where z + gate_bias > 0, with
                            z = W (x - decoder_bias)
    JumpReluAutoEncoder     x W_enc + b_enc, where it is above its threshold
    AutoEncoderTopK         relu, then the k largest of a token
    BatchTopKSAE            relu, where it is above one threshold, as its authors run it on new text
    MatryoshkaBatchTopKSAE  the same; all groups are active

A file `checkpoints/ae_<step>.pt` says its `step`, and the two folders above its `family`; of the
last one, `ae.pt`, the step is `trainer.steps` of the config.json, if that says it.

The recipe needs `path`, and `hook_name` if neither config.json nor a folder's name says it.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from featurestore.config import DictionaryConfig
from featurestore.dictionaries.base import (
    Dictionary,
    Nonlinearity,
    Origin,
    check_k,
    check_weights,
    gate_as_threshold,
    preferred,
)
from featurestore.dictionaries.files import only_tensors, read_json, read_torch
from featurestore.errors import DictionaryError

Weights = dict[str, torch.Tensor]

_LAYOUT = re.compile(r"(embed)|(?:attn_out|mlp_out|resid_out|resid_post)_layer_?(\d+)")
_HOOKS = {"attn_out": "hook_attn_out", "mlp_out": "hook_mlp_out"}
_CHECKPOINT = re.compile(r"ae_(\d+)")


@dataclass(frozen=True)
class _Class:
    """One class of the library: its tensors, and what they mean."""

    shapes: dict[str, str]
    make: Callable[[Weights, Path], dict[str, Any]]
    """Tensors, and the file for errors, to fields of a Dictionary, with `kind`."""
    optional: dict[str, str] = field(default_factory=dict)


def recognises(path: Path) -> bool:
    """Whether a path is a `.pt` file, or a folder with `ae.pt`."""
    return path.suffix == ".pt" or (path / "ae.pt").is_file()


def load(said: DictionaryConfig) -> Dictionary:
    """Read a dictionary of this format.

    Where no hook point is given, it is read from the config.json or from the name of a folder, as
    in `resid_out_layer3/10_32768/ae.pt`.

    Raises:
        DictionaryError: unsafe content, an unknown class, or no hook point.
    """
    path = Path(said.path)
    file = path if path.suffix == ".pt" else path / "ae.pt"
    content = read_torch(file)
    trainer = _trainer(file)
    norm_factor = 1.0
    if isinstance(content.get("ae"), dict):
        content, trainer, norm_factor = _unpacked(file, content, trainer)
    weights = only_tensors(file, content)
    name = _class_of(file, weights, trainer)
    found = CLASSES[name]
    check_weights(file, weights, found.shapes, found.optional)
    fields = found.make({n: w if n == "k" else w.float() for n, w in weights.items()}, file)
    kind = fields.pop("kind")
    hook_name = preferred(said, "hook_name", _hook_name(file, trainer))
    if hook_name is None:
        raise DictionaryError(
            f"{file}: neither config.json nor a folder's name says where it reads. Add to the "
            'recipe, under this dictionary: hook_name = "blocks.0.hook_resid_post" (or wherever it '
            "reads)."
        )
    written = said.hook_name_out or hook_name
    origin = Origin(kind, hook_name, written, *_run_and_step(file, trainer))
    return _with_scaled_biases(Dictionary(origin=origin, **fields), norm_factor)


def _trainer(file: Path) -> dict[str, Any]:
    """The `trainer` table of the config.json that belongs to a file; empty if there is none."""
    folder = file.parent.parent if file.parent.name == "checkpoints" else file.parent
    path = folder / "config.json"
    if not path.is_file():
        return {}
    trainer = read_json(path).get("trainer")
    if not isinstance(trainer, dict):
        raise DictionaryError(f"{path}: key 'trainer' is {trainer!r}; expected a table.")
    return trainer


def _unpacked(
    file: Path, content: dict[str, Any], trainer: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any], float]:
    """State, settings and scale of a backup, which training goes on from.

    What was trained on vectors divided by `norm_factor` has biases to be multiplied by it, as the
    library does when it writes any other file.
    """
    scale = content.get("norm_factor")
    scale = 1.0 if scale is None else scale  # vectors were not divided
    if isinstance(scale, torch.Tensor) and scale.numel() == 1:
        scale = scale.item()
    if not isinstance(scale, int | float) or not 0 < scale < math.inf:
        raise DictionaryError(f"{file}: 'norm_factor' is {scale!r}; expected a number above 0.")
    config = content.get("config")
    return content["ae"], trainer or (config if isinstance(config, dict) else {}), float(scale)


def _class_of(file: Path, weights: Weights, trainer: dict[str, Any]) -> str:
    """The class that tensors are of; settings decide between those of the same names."""
    said = trainer.get("dict_class")
    likely = next((names for mark, names in _MARKS.items() if mark in weights), ())
    unexpected = sorted(weights.keys() - _KNOWN)
    if unexpected and not likely:
        raise DictionaryError(
            f"{file}: of no format that is known for a .pt file: unexpected tensors "
            f"{', '.join(unexpected[:8])}{', ...' if len(unexpected) > 8 else ''}. "
            "See the formats: python -m featurestore formats"
        )
    if said is None and len(likely) > 1:
        raise DictionaryError(
            f"{file}: its tensors are those of {' and of '.join(likely)}, which encode in other "
            f"ways. Put the run's config.json into '{file.parent}': its trainer.dict_class tells "
            "them apart."
        )
    possible = [name for name in likely if said in (None, name, _WRITTEN_AS.get(name))]
    if not possible:
        raise DictionaryError(
            f"{file}: tensors {', '.join(sorted(weights))} with dict_class {said!r} in config.json "
            f"are none of {', '.join(CLASSES)}."
        )
    return possible[0]


def _hook_name(file: Path, trainer: dict[str, Any]) -> str | None:
    """Where it reads, by the config.json or by the name of a folder that it is in, if they tell."""
    names = [trainer.get("submodule_name"), *(folder.name for folder in file.absolute().parents)]
    for name in names:
        found = _LAYOUT.fullmatch(name) if isinstance(name, str) else None
        if found:
            is_embedding, layer = found.groups()
            if is_embedding:
                return "hook_embed"
            return f"blocks.{layer}.{_HOOKS.get(name.partition('_layer')[0], 'hook_resid_post')}"
    return None


def _with_scaled_biases(dictionary: Dictionary, scale: float) -> Dictionary:
    threshold = dictionary.nonlinearity.threshold
    return replace(
        dictionary,
        reader_bias=dictionary.reader_bias * scale,
        pre_bias=dictionary.pre_bias * scale,
        direction_bias=dictionary.direction_bias * scale,
        nonlinearity=replace(
            dictionary.nonlinearity, threshold=None if threshold is None else threshold * scale
        ),
    )


def _run_and_step(file: Path, trainer: dict[str, Any]) -> tuple[str | None, int | None]:
    """Family and step of a checkpoint, or of what a run ended with if its settings say `steps`.

    Its run is the folder above `checkpoints`, that of the last `ae.pt` and the settings, and the
    folder above: runs are called trainer_0, trainer_1 for every layer, so one folder's name would
    not tell them apart.
    """
    found, run = _CHECKPOINT.fullmatch(file.stem), file.absolute().parent
    if found is None:
        steps = trainer.get("steps")
        is_last = file.name == "ae.pt" and type(steps) is int and steps > 0 and run.name
        return (f"{run.parent.name}/{run.name}", steps) if is_last else (None, None)
    is_of_run = run.name == "checkpoints" and run.parent.name
    family = f"{run.parent.parent.name}/{run.parent.name}" if is_of_run else None
    return family, int(found[1])


def _linear(weights: Weights, bias: str, has_pre_bias: bool = True) -> dict[str, Any]:
    """Fields of the classes that are made of torch's linear layers."""
    return {
        "readers": weights["encoder.weight"].T.contiguous(),
        "reader_bias": weights.get("encoder.bias"),
        "pre_bias": weights[bias] if has_pre_bias else torch.zeros_like(weights[bias]),
        "directions": weights["decoder.weight"].T.contiguous(),
        "direction_bias": weights[bias],
    }


def _autoencoder(weights: Weights, _: Path) -> dict[str, Any]:
    return _linear(weights, "bias") | {"kind": "sae", "nonlinearity": Nonlinearity("relu")}


def _autoencoder_new(weights: Weights, _: Path) -> dict[str, Any]:
    made = _linear(weights, "decoder.bias", has_pre_bias=False)
    return made | {"kind": "sae", "nonlinearity": Nonlinearity("relu")}


def _gated(weights: Weights, _: Path) -> dict[str, Any]:
    made = _linear(weights, "decoder_bias")
    gate = (weights[name] for name in ("gate_bias", "r_mag", "mag_bias"))
    readers, bias, nonlinearity = gate_as_threshold(made["readers"], *gate)
    more = {"readers": readers, "reader_bias": bias, "nonlinearity": nonlinearity}
    return made | more | {"kind": "gated"}


def _topk(weights: Weights, file: Path) -> dict[str, Any]:
    k = weights["k"].item()
    check_k(file, k, len(weights["encoder.bias"]))
    return _linear(weights, "b_dec") | {"kind": "topk", "nonlinearity": Nonlinearity("topk", k=k)}


def _batch_topk(weights: Weights, file: Path) -> dict[str, Any]:
    above = _above_one_threshold(weights, file, len(weights["encoder.bias"]))
    return _linear(weights, "b_dec") | {"kind": "topk", "nonlinearity": above}


def _jumprelu(weights: Weights, _: Path) -> dict[str, Any]:
    nonlinearity = Nonlinearity("jumprelu", threshold=weights["threshold"])
    no_bias = torch.zeros_like(weights["b_dec"])
    return _matrices(weights, no_bias) | {"kind": "jumprelu", "nonlinearity": nonlinearity}


def _matryoshka(weights: Weights, file: Path) -> dict[str, Any]:
    above = _above_one_threshold(weights, file, len(weights["b_enc"]))
    made = _matrices(weights, weights["b_dec"])
    return made | {"kind": "topk", "nonlinearity": above}


def _matrices(weights: Weights, pre_bias: torch.Tensor) -> dict[str, Any]:
    return {
        "readers": weights["W_enc"],
        "reader_bias": weights["b_enc"],
        "pre_bias": pre_bias,
        "directions": weights["W_dec"],
        "direction_bias": weights["b_dec"],
    }


def _above_one_threshold(weights: Weights, file: Path, n_features: int) -> Nonlinearity:
    threshold = weights["threshold"].reshape(1)
    if threshold < 0:
        raise DictionaryError(
            f"{file}: 'threshold' is {threshold.item():g}: it was never set, because training had "
            "not come to it. Take a later checkpoint of the run."
        )
    return Nonlinearity("jumprelu", threshold=threshold.expand(n_features).contiguous())


_DECODER = {"encoder.weight": "n_features d_in", "decoder.weight": "d_in n_features"}
_LINEAR = _DECODER | {"encoder.bias": "n_features"}
_PER_FEATURE = {name: "n_features" for name in ("r_mag", "gate_bias", "mag_bias")}
_TOPK = _LINEAR | {"b_dec": "d_in", "k": ""}
_MATRICES = {
    "W_enc": "d_in n_features",
    "b_enc": "n_features",
    "W_dec": "n_features d_in",
    "b_dec": "d_in",
}
CLASSES = {
    "AutoEncoder": _Class(_LINEAR | {"bias": "d_in"}, _autoencoder),
    "AutoEncoderNew": _Class(_LINEAR | {"decoder.bias": "d_in"}, _autoencoder_new),
    "GatedAutoEncoder": _Class(_DECODER | _PER_FEATURE | {"decoder_bias": "d_in"}, _gated),
    "JumpReluAutoEncoder": _Class(_MATRICES | {"threshold": "n_features"}, _jumprelu),
    "AutoEncoderTopK": _Class(_TOPK, _topk, {"threshold": ""}),
    "BatchTopKSAE": _Class(_TOPK | {"threshold": ""}, _batch_topk),
    "MatryoshkaBatchTopKSAE": _Class(
        _MATRICES | {"k": "", "threshold": "", "group_sizes": "n_groups"}, _matryoshka
    ),
}
_MARKS = {
    "bias": ("AutoEncoder",),
    "decoder.bias": ("AutoEncoderNew",),
    "gate_bias": ("GatedAutoEncoder",),
    "group_sizes": ("MatryoshkaBatchTopKSAE",),
    "W_enc": ("JumpReluAutoEncoder",),
    "k": ("AutoEncoderTopK", "BatchTopKSAE"),
}
"""Tensors that tell a class, the first that is there."""

_KNOWN = {name for found in CLASSES.values() for name in (*found.shapes, *found.optional)}
_WRITTEN_AS = {"AutoEncoderNew": "AutoEncoder"}
"""What a trainer writes as dict_class whichever of the two it trained."""
