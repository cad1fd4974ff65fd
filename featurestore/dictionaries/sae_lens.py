"""The format of SAELens: a folder with `cfg.json` and `sae_weights.safetensors`.

Tensors: W_enc (d_in, n_features), b_enc (n_features), W_dec (n_features, d_out), b_dec (d_out),
with more of its own for an architecture. With pre = (x - b_dec) W_enc + b_enc, or without b_dec
first where `apply_b_dec_to_input` is false:

    standard              relu(pre)
    gated                 relu(z exp(r_mag) + b_mag) where z + b_gate > 0; z is (x - b_dec) W_enc
    jumprelu              pre, where it is above threshold (older files: exp(log_threshold))
    topk                  the k largest of relu(pre)
    batchtopk             pre, where it is above topk_threshold; of a training checkpoint, as is
                          matryoshka_batchtopk. Finished ones are jumprelu
    (jumprelu_)transcoder the same for another hook point; subtracts nothing first

With `rescale_acts_by_decoder_norm`, pre is multiplied by each direction's length and directions
are divided by it. A training checkpoint holds weights for vectors that were multiplied by the
scaling_factor of its `activation_scaler.json`. Files from before version 6 are read too.
"""

import math
import re
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
)
from featurestore.dictionaries.files import read_json, read_safetensors
from featurestore.errors import DictionaryError

SETTINGS, WEIGHTS, SCALER = "cfg.json", "sae_weights.safetensors", "activation_scaler.json"
_MATRICES = {"W_enc": "d_in n_features", "W_dec": "n_features d_out", "b_dec": "d_out"}
_SHAPES = _MATRICES | {"b_enc": "n_features"}
_THRESHOLD = {"threshold": "n_features"}
_ARCHITECTURES = {
    "standard": ("sae", _SHAPES),
    "gated": ("gated", _MATRICES | {n: "n_features" for n in ("b_gate", "b_mag", "r_mag")}),
    "jumprelu": ("jumprelu", _SHAPES | _THRESHOLD),
    "topk": ("topk", _SHAPES),
    "batchtopk": ("topk", _SHAPES | {"topk_threshold": ""}),
    "matryoshka_batchtopk": ("topk", _SHAPES | {"topk_threshold": ""}),
    "transcoder": ("transcoder", _SHAPES),
    "jumprelu_transcoder": ("transcoder", _SHAPES | _THRESHOLD),
}
"""Kinds, and the tensors that must be there."""

_BEFORE_VERSION_6 = {
    "hook_point": "hook_name",
    "hook_point_head_index": "hook_head_index",
    "activation_fn_str": "activation_fn",
}
_NORMALISED = re.compile(r"blocks\.(\d+)\.ln2\.hook_normalized")


def recognises(path: Path) -> bool:
    """Whether a path is a folder of this format."""
    return (path / SETTINGS).is_file() and (path / WEIGHTS).is_file()


def load(said: DictionaryConfig) -> Dictionary:
    """Read a dictionary of this format.

    Raises:
        DictionaryError: a tensor is missing, unknown or wrong, it needs what cannot be done here,
            or its hook point is not known.
    """
    folder = Path(said.path)
    settings, file = _read_settings(folder / SETTINGS), folder / WEIGHTS
    architecture = settings["architecture"]
    kind, shapes = _ARCHITECTURES[architecture]
    scale = _input_scale(folder, settings)
    origin = _origin(folder / SETTINGS, kind, settings, said)
    weights = _read_weights(file)
    if origin.kind != "transcoder":
        shapes = {name: shape.replace("d_out", "d_in") for name, shape in shapes.items()}
    check_weights(file, weights, shapes, {})
    lengths = torch.ones(len(weights["W_dec"]))
    if settings.get("rescale_acts_by_decoder_norm", False):
        lengths = weights["W_dec"].norm(dim=1)
    readers, reader_bias, nonlinearity = _encoder(architecture, weights, settings, file)
    subtracts = settings.get("apply_b_dec_to_input", True) and kind != "transcoder"
    d_in = len(readers)
    return Dictionary(
        origin=origin,
        readers=readers * lengths * scale,
        reader_bias=reader_bias * lengths,
        pre_bias=weights["b_dec"] / scale if subtracts else torch.zeros(d_in),
        directions=weights["W_dec"] / (lengths[:, None].clamp(min=1e-8) * scale),
        direction_bias=weights["b_dec"] / scale,
        nonlinearity=nonlinearity,
    )


def _read_settings(file: Path) -> dict[str, Any]:
    """Settings under the names of today, those of `metadata` among the others."""
    found = read_json(file)
    settings = found | _table(file, found, "metadata")
    for old, new in _BEFORE_VERSION_6.items():
        if new not in settings and old in settings:
            settings[new] = settings[old]
    architecture = settings.setdefault("architecture", "standard")
    function = settings.get("activation_fn", "relu")
    if architecture == "standard" and function == "topk":
        k = _table(file, settings, "activation_fn_kwargs").get("k")
        architecture, settings = "topk", settings | {"architecture": "topk", "k": k}
    elif function not in ("relu", "topk", None):
        raise DictionaryError(
            f"{file}: 'activation_fn' is {function!r}; 'relu' and 'topk' can be read."
        )
    if not isinstance(architecture, str) or architecture not in _ARCHITECTURES:
        raise DictionaryError(
            f"{file}: 'architecture' is {architecture!r}; of this format can be read: "
            f"{', '.join(_ARCHITECTURES)}."
        )
    changes = _table(file, settings, "model_from_pretrained_kwargs")
    if changes.get("center_writing_weights") or changes.get("fold_ln"):
        raise DictionaryError(
            f"{file}: it was trained on a model with other weights ({changes}): its hidden vectors "
            "are not those of the model as it is published, and it would be fed wrong ones."
        )
    if settings.get("hook_head_index") is not None:
        raise DictionaryError(
            f"{file}: 'hook_head_index' is {settings['hook_head_index']!r}: it reads one head, but "
            "a hook point is read with all its heads."
        )
    return settings


def _table(file: Path, settings: dict[str, Any], key: str) -> dict[str, Any]:
    """A table of the settings; empty if it is not there or null."""
    found = settings.get(key)
    if found is not None and not isinstance(found, dict):
        raise DictionaryError(f"{file}: '{key}' is {found!r}; expected a table.")
    return found or {}


def _read_weights(file: Path) -> dict[str, torch.Tensor]:
    weights = {name: weight.float() for name, weight in read_safetensors(file).items()}
    if "log_threshold" in weights:
        weights["threshold"] = weights.pop("log_threshold").exp()
    scaling = weights.pop("scaling_factor", None)
    if scaling is not None and not bool((scaling == 1).all()):
        raise DictionaryError(
            f"{file}: 'scaling_factor' is not 1 everywhere: the dictionary was finetuned with it, "
            "and it is not known on which side. Fold it into the weights and save again."
        )
    return weights


def _encoder(
    architecture: str, weights: dict[str, torch.Tensor], settings: dict[str, Any], file: Path
) -> tuple[torch.Tensor, torch.Tensor, Nonlinearity]:
    """Readers, their bias, and what follows; not yet scaled."""
    readers = weights["W_enc"]
    if architecture == "gated":
        return gate_as_threshold(readers, *(weights[n] for n in ("b_gate", "r_mag", "b_mag")))
    bias = weights["b_enc"]
    if architecture == "topk":
        k = settings.get("k")
        k = int(k) if isinstance(k, float) and k.is_integer() else k
        check_k(file.with_name(SETTINGS), k, len(bias))
        return readers, bias, Nonlinearity("topk", k=k)
    if "topk_threshold" in weights:
        threshold = weights["topk_threshold"].item()
        if not threshold > 0:
            raise DictionaryError(
                f"{file}: 'topk_threshold' is {threshold:g}: it was never set. Take a later "
                "checkpoint of the run."
            )
        return readers, bias, Nonlinearity("jumprelu", threshold=torch.full_like(bias, threshold))
    if "threshold" in weights:
        return readers, bias, Nonlinearity("jumprelu", threshold=weights["threshold"])
    return readers, bias, Nonlinearity("relu")


def _input_scale(folder: Path, settings: dict[str, Any]) -> float:
    """What vectors were multiplied by before they were read."""
    how = settings.get("normalize_activations", "none")
    if how == "none" or not how:
        return 1.0
    if how != "expected_average_only_in" and how is not True:
        raise DictionaryError(
            f"{folder / SETTINGS}: 'normalize_activations' is {how!r}, which cannot be done here; "
            "'none' and 'expected_average_only_in' can."
        )
    scale = None
    if (folder / SCALER).is_file():
        scale = read_json(folder / SCALER).get("scaling_factor")
    if type(scale) not in (int, float) or not 0 < scale < math.inf:
        raise DictionaryError(
            f"{folder / SETTINGS}: 'normalize_activations' is {how!r}, but its factor is not known "
            f"('scaling_factor' of {SCALER} is {scale!r}); without it every activation would be "
            f'wrong. Put {SCALER} there: {{"scaling_factor": 0.5}}, with what vectors were '
            "multiplied by, or 1 if the weights hold it already."
        )
    return float(scale)


def _origin(file: Path, kind: str, settings: dict[str, Any], said: DictionaryConfig) -> Origin:
    read = said.hook_name or _published(settings.get("hook_name"))
    written = said.hook_name_out or _published(settings.get("hook_name_out"))
    if kind != "transcoder":
        written = said.hook_name_out or read
    if not read or not written:
        missing = "hook_name_out" if read else "hook_name"
        raise DictionaryError(
            f"{file}: there is no '{missing}' in it. Add to the recipe, under this dictionary: "
            f'{missing} = "blocks.0.hook_mlp_out" (or wherever it {"writes" if read else "reads"}).'
        )
    return Origin(kind, read, written)


def _published(hook_name: object) -> str | None:
    """The name of the same vectors in the model as it is published.

    TransformerLens's `hook_normalized` came after the layer norm's weights, and now comes before
    them; what comes after them is what the MLP reads.
    """
    if not isinstance(hook_name, str):
        return None
    found = _NORMALISED.fullmatch(hook_name)
    return f"blocks.{found[1]}.mlp.hook_in" if found else hook_name
