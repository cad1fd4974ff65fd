"""What every dictionary is, whatever its file format: readers, directions and a nonlinearity.

    read, shift, scale = standardise(hidden)
    pre         = (read - pre_bias) @ readers + reader_bias
    activations = nonlinearity(pre)
    decoded     = activations @ directions + direction_bias [+ lookup[token]] [+ hidden @ skip]
    decoded     = decoded * scale + shift

A format's loader fills in these fields; nothing downstream knows formats. Activations are the ones
the source defines: directions are not rescaled, and their lengths are stored beside.
"""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, Int

from featurestore.config import DictionaryConfig
from featurestore.dictionaries.standardisation import Standardisation, standardise
from featurestore.errors import DictionaryError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Nonlinearity:
    """What turns pre-activations into activations."""

    name: Literal["relu", "jumprelu", "topk", "signed_topk", "abs_topk", "identity"]
    """relu keeps what is positive; jumprelu what is strictly above the feature's threshold; topk
    the k largest of a token, if positive; signed_topk these whatever their sign; abs_topk the k
    farthest from zero; identity everything."""
    k: int | None = None
    """For topk, signed_topk and abs_topk."""
    threshold: Float[torch.Tensor, " n_features"] | None = None
    """For jumprelu."""

    def __call__(
        self, pre: Float[torch.Tensor, "batch n_features"]
    ) -> Float[torch.Tensor, "batch n_features"]:
        """Activations; NaN stays NaN, so that it is counted instead of passing for silence."""
        if self.name == "identity":
            return pre
        if self.name == "relu":
            return torch.relu(pre)
        if self.name == "jumprelu":
            return torch.where(pre <= self.threshold, 0.0, torch.relu(pre))
        indices = _largest(pre.abs() if self.name == "abs_topk" else pre, self.k)
        values = pre.gather(-1, indices)
        kept = torch.relu(values) if self.name == "topk" else values
        return torch.zeros_like(pre).scatter_(-1, indices, kept)


def _largest(pre: Float[torch.Tensor, "batch n_features"], k: int) -> Int[torch.Tensor, "batch k"]:
    """Where the k largest of each row stand; of equal ones the first, which topk leaves open."""
    found = pre.topk(k, dim=-1, sorted=False)
    smallest = found.values.amin(dim=-1, keepdim=True)
    is_open = ((pre >= smallest).sum(dim=-1) > k) | smallest.isnan().squeeze(-1)
    indices = found.indices
    if is_open.any():
        ordered = pre[is_open].sort(dim=-1, descending=True, stable=True).indices
        indices[is_open] = ordered[:, :k]
    return indices


KINDS = tuple(
    "sae topk jumprelu gated tokenized transcoder pca ica random neurons identity".split()
)


@dataclass(frozen=True)
class Origin:
    """Where a dictionary stands: what it reads, where it writes, and what it was trained on."""

    kind: str
    """One of KINDS."""
    hook_name: str
    """Hook point that it reads."""
    hook_name_out: str
    """Hook point that it writes to; the same but for a transcoder."""
    family: str | None = None
    """Name of the training run or sweep that it belongs to."""
    step: int | None = None
    """Dictionary-training step."""


@dataclass(frozen=True)
class Dictionary:
    """A set of directions with encode and decode."""

    origin: Origin
    readers: Float[torch.Tensor, "d_in n_features"]
    reader_bias: Float[torch.Tensor, " n_features"]
    pre_bias: Float[torch.Tensor, " d_in"]
    """Subtracted from the hidden vector first; zeros where the source has none."""
    directions: Float[torch.Tensor, "n_features d_out"]
    direction_bias: Float[torch.Tensor, " d_out"]
    nonlinearity: Nonlinearity
    lookup: Float[torch.Tensor, "d_vocab d_out"] | None = None
    """A vector for each token that a tokenized SAE adds to what it decodes."""
    skip: Float[torch.Tensor, "d_in d_out"] | None = None
    """What a skip transcoder adds of the hidden vector itself."""
    standardisation: Standardisation = "none"
    """What is done to each hidden vector first."""

    @property
    def d_in(self) -> int:
        """Length of the hidden vectors that it reads."""
        return self.readers.shape[0]

    @property
    def d_out(self) -> int:
        """Length of its directions."""
        return self.directions.shape[1]

    @property
    def n_features(self) -> int:
        """Number of its directions."""
        return self.directions.shape[0]

    @cached_property
    def fused_bias(self) -> Float[torch.Tensor, " n_features"]:
        """Both biases in one, so that encoding is a single fused multiply and add."""
        return self.reader_bias - self.pre_bias @ self.readers

    def encode(
        self, hidden: Float[torch.Tensor, "batch d_in"]
    ) -> Float[torch.Tensor, "batch n_features"]:
        """Activations of every feature."""
        read = standardise(self.standardisation, hidden).vectors
        return self.nonlinearity(torch.addmm(self.fused_bias, read, self.readers))

    def decode(
        self,
        activations: Float[torch.Tensor, "batch n_features"],
        tokens: Int[torch.Tensor, " batch"],
        hidden: Float[torch.Tensor, "batch d_in"],
    ) -> Float[torch.Tensor, "batch d_out"]:
        """The vectors that activations of `hidden` on `tokens` stand for."""
        written = torch.addmm(self.direction_bias, activations, self.directions)
        return self.decode_written(written, tokens, hidden)

    def decode_written(
        self,
        written: Float[torch.Tensor, "batch d_out"],
        tokens: Int[torch.Tensor, " batch"],
        hidden: Float[torch.Tensor, "batch d_in"],
    ) -> Float[torch.Tensor, "batch d_out"]:
        """The same from `activations @ directions + direction_bias`."""
        if self.lookup is not None:
            written = written + self.lookup[tokens]
        if self.skip is not None:
            written = written + hidden @ self.skip
        found = standardise(self.standardisation, hidden)
        return written * found.scale + found.shift

    def scale(self, hidden: Float[torch.Tensor, "batch d_in"]) -> Float[torch.Tensor, "batch 1"]:
        """How long one unit of a direction is where these are the hidden vectors."""
        return standardise(self.standardisation, hidden).scale

    def digest(self) -> str:
        """SHA-256 of what it computes: weights, nonlinearity and hook points."""
        settings = (self.nonlinearity.name, self.nonlinearity.k, self.origin.hook_name)
        settings = (*settings, self.origin.hook_name_out)
        if self.standardisation != "none":
            settings = (*settings, self.standardisation)
        digest = hashlib.sha256(repr(settings).encode())
        for name, weight in self._weights():
            array = weight.contiguous().numpy()
            digest.update(f"{name}{array.dtype}{array.shape}".encode() + array.tobytes())
        return digest.hexdigest()

    def _weights(self) -> Iterator[tuple[str, torch.Tensor]]:
        for name in ("readers", "reader_bias", "pre_bias", "directions", "direction_bias"):
            yield name, getattr(self, name)
        if self.nonlinearity.threshold is not None:
            yield "threshold", self.nonlinearity.threshold
        for name in ("lookup", "skip"):
            if getattr(self, name) is not None:
                yield name, getattr(self, name)


def gate_as_threshold(
    readers: Float[torch.Tensor, "d_in n_features"],
    gate_bias: Float[torch.Tensor, " n_features"],
    log_gain: Float[torch.Tensor, " n_features"],
    magnitude_bias: Float[torch.Tensor, " n_features"],
) -> tuple[
    Float[torch.Tensor, "d_in n_features"], Float[torch.Tensor, " n_features"], Nonlinearity
]:
    """Readers, bias and nonlinearity of a gated dictionary, as a jumprelu one.

    With z = x readers and g = exp(log_gain): relu(g z + magnitude_bias) where z + gate_bias > 0,
    which is where g z + magnitude_bias is above magnitude_bias - g gate_bias.
    """
    gain = log_gain.exp()
    threshold = magnitude_bias - gain * gate_bias
    return readers * gain, magnitude_bias, Nonlinearity("jumprelu", threshold=threshold)


def check_weights(
    file: Path,
    weights: dict[str, torch.Tensor],
    required: dict[str, str],
    optional: dict[str, str],
) -> None:
    """Raise DictionaryError unless the tensors are those of a format, agree, and are finite.

    A shape is written as "d_in n_features"; the first tensor that names a dimension sets its size.
    """
    missing, unknown = required.keys() - weights, weights.keys() - required - optional.keys()
    if missing or unknown:
        wrong = {"missing tensors": missing, "unknown tensors": unknown}
        found = "; ".join(f"{what}: {', '.join(sorted(it))}" for what, it in wrong.items() if it)
        more = f" and optionally {', '.join(sorted(optional))}" if optional else ""
        raise DictionaryError(
            f"{file}: {found}. Expected {', '.join(sorted(required))}{more}. "
            "See the formats: python -m featurestore formats"
        )
    sizes: dict[str, int] = {}
    for name, shape in (required | optional).items():
        if name in weights:
            _check_shape(file, name, tuple(weights[name].shape), shape.split(), sizes)
            n_bad = int((~torch.isfinite(weights[name])).sum())
            if n_bad:
                raise DictionaryError(
                    f"{file}: '{name}' holds {n_bad:,} values that are NaN or infinite, of "
                    f"{weights[name].numel():,}. Every weight must be finite; export it again."
                )


def _check_shape(
    file: Path, name: str, found: tuple[int, ...], dimensions: list[str], sizes: dict[str, int]
) -> None:
    is_right = _fits(found, dimensions, sizes)
    if not is_right or 0 in found:
        wanted = ", ".join(f"{d} = {sizes[d]}" if d in sizes else d for d in dimensions)
        hint = ", none of them 0" if 0 in found else ""
        if not is_right and len(found) == 2 and _fits(found[::-1], dimensions, sizes):
            hint = "; perhaps it, or another tensor, is transposed"
        raise DictionaryError(f"{file}: '{name}' has shape {found}, expected ({wanted}){hint}.")
    sizes.update(zip(dimensions, found, strict=True))


def _fits(found: tuple[int, ...], dimensions: list[str], sizes: dict[str, int]) -> bool:
    """Whether a shape agrees with the sizes that are known, and with itself."""
    if len(found) != len(dimensions):
        return False
    known = dict(sizes)
    return all(known.setdefault(d, n) == n for d, n in zip(dimensions, found, strict=True))


def check_k(file: Path, k: object, n_features: int, key: str = "k") -> None:
    """Raise DictionaryError unless `k`, which the source calls `key`, can be the k of a topk."""
    if type(k) is not int or not 0 < k <= n_features:
        found = "missing" if k is None else repr(k)
        raise DictionaryError(
            f"{file}: '{key}' is {found}; it must be a whole number from 1 to {n_features}, the "
            "number of features."
        )


def preferred(said: DictionaryConfig, key: str, own: Any) -> Any:  # noqa: ANN401
    """What the recipe says under a key, else what the file does; the log says where they differ."""
    in_recipe = getattr(said, key)
    if in_recipe is None:
        return own
    if own is not None and own != in_recipe:
        logger.warning(
            "%s: its file says %s %s, the recipe says %s: using %s",
            *(said.id, key, own, in_recipe, in_recipe),
        )
    return in_recipe


def check_hook_name(file: Path, hook_name: str | None) -> str:
    """The hook point, unless nothing told it: then a DictionaryError with the line to add."""
    if not hook_name:
        raise DictionaryError(
            f"{file}: nothing says where it reads. Add to the recipe, under this dictionary: "
            'hook_name = "blocks.0.hook_resid_post" (or wherever it reads).'
        )
    return hook_name
