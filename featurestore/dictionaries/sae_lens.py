"""The format of SAELens: a folder with `cfg.json` and `sae_weights.safetensors`.

Tensors: W_enc (d_in, n_features), b_enc (n_features), W_dec (n_features, d_out), b_dec (d_out),
with more of its own for an architecture. With pre = (x - b_dec) W_enc + b_enc, or without b_dec
first where `apply_b_dec_to_input` is false:

    standard              relu(pre)
    gated                 relu(z exp(r_mag) + b_mag) where z + b_gate > 0; z is (x - b_dec) W_enc
    jumprelu              pre, where it is above threshold (older files: exp(log_threshold))
    topk                  the k largest of relu(pre)
    abstopk               the k of pre that are farthest from 0, whatever their sign
    batchtopk             pre, where it is above topk_threshold; of a training checkpoint, as is
                          matryoshka_batchtopk. Finished ones are jumprelu
    (jumprelu_)transcoder the same for another hook point; subtracts nothing first. Its
                          (jumprelu_)skip_transcoder writes x W_skip.T too; W_skip (d_out, d_in)

With `rescale_acts_by_decoder_norm`, pre is multiplied by each direction's length and directions
are divided by it. A training checkpoint holds weights for vectors that were multiplied by the
scaling_factor of its `activation_scaler.json`, and is read as SAELens would finish it. Vectors
that were normalised one by one, or are of a model with centred weights, are standardised first.
Files from before version 6 are read too.

The recipe needs `path`, and `hook_name` if cfg.json does not say it.
"""

from pathlib import Path
from typing import Any

import torch

from featurestore.config import DictionaryConfig
from featurestore.dictionaries.base import (
    Dictionary,
    Nonlinearity,
    check_k,
    check_weights,
    gate_as_threshold,
)
from featurestore.dictionaries.files import read_safetensors
from featurestore.dictionaries.sae_lens_settings import (
    SETTINGS,
    find_origin,
    find_scale,
    find_standardisation,
    read_settings,
)
from featurestore.errors import DictionaryError

WEIGHTS = "sae_weights.safetensors"
_MATRICES = {"W_enc": "d_in n_features", "W_dec": "n_features d_out", "b_dec": "d_out"}
_SHAPES = _MATRICES | {"b_enc": "n_features"}
_THRESHOLD = {"threshold": "n_features"}
_SKIP = {"W_skip": "d_out d_in"}
_ARCHITECTURES = {
    "standard": ("sae", _SHAPES),
    "gated": ("gated", _MATRICES | {n: "n_features" for n in ("b_gate", "b_mag", "r_mag")}),
    "jumprelu": ("jumprelu", _SHAPES | _THRESHOLD),
    "topk": ("topk", _SHAPES),
    "abstopk": ("topk", _SHAPES),
    "batchtopk": ("topk", _SHAPES | {"topk_threshold": ""}),
    "matryoshka_batchtopk": ("topk", _SHAPES | {"topk_threshold": ""}),
    "transcoder": ("transcoder", _SHAPES),
    "skip_transcoder": ("transcoder", _SHAPES | _SKIP),
    "jumprelu_transcoder": ("transcoder", _SHAPES | _THRESHOLD),
    "jumprelu_skip_transcoder": ("transcoder", _SHAPES | _THRESHOLD | _SKIP),
}
"""Kinds, and the tensors that must be there."""


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
    settings, file = read_settings(folder / SETTINGS), folder / WEIGHTS
    architecture = _architecture(folder / SETTINGS, settings)
    kind, shapes = _ARCHITECTURES[architecture]
    origin = find_origin(folder / SETTINGS, kind, settings, said)
    scale = find_scale(folder, settings)
    standardisation = find_standardisation(folder / SETTINGS, settings, origin, said)
    weights = _read_weights(file)
    if origin.kind != "transcoder":
        shapes = {name: shape.replace("d_out", "d_in") for name, shape in shapes.items()}
    check_weights(file, weights, shapes, {})
    directions = weights["W_dec"] / scale
    lengths = torch.ones(len(directions))
    if settings.get("rescale_acts_by_decoder_norm", False):
        lengths = directions.norm(dim=1)
        if "topk_threshold" in weights:
            weights["topk_threshold"] = weights["topk_threshold"] / scale
    readers, reader_bias, nonlinearity = _encoder(architecture, weights, settings, file)
    subtracts = settings.get("apply_b_dec_to_input", True) and kind != "transcoder"
    d_in = len(readers)
    return Dictionary(
        origin=origin,
        readers=readers * lengths * scale,
        reader_bias=reader_bias * lengths,
        pre_bias=weights["b_dec"] / scale if subtracts else torch.zeros(d_in),
        directions=directions / lengths[:, None].clamp(min=1e-8),
        direction_bias=weights["b_dec"] / scale,
        nonlinearity=nonlinearity,
        skip=weights["W_skip"].T.contiguous() if "W_skip" in shapes else None,
        standardisation=standardisation,
    )


def _architecture(file: Path, settings: dict[str, Any]) -> str:
    architecture = settings["architecture"]
    if not isinstance(architecture, str) or architecture not in _ARCHITECTURES:
        raise DictionaryError(
            f"{file}: 'architecture' is {architecture!r}; of this format can be read: "
            f"{', '.join(_ARCHITECTURES)}."
        )
    return architecture


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
    if architecture in ("topk", "abstopk"):
        k = settings.get("k")
        k = int(k) if isinstance(k, float) and k.is_integer() else k
        check_k(file.with_name(SETTINGS), k, len(bias))
        return readers, bias, Nonlinearity("topk" if architecture == "topk" else "abs_topk", k=k)
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
