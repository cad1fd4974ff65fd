"""The format of HoagyC/sparse_coding: a file `learned_dicts.pt`, or a folder with it.

It is a list of pairs, an object and its hyperparameters; where there are several, `index` says
which, from 0. Of the objects only what they hold is read, never their classes. Matrices are
(n_features, d_in):

    TiedSAE           relu(encoder x + encoder_bias), decoded by encoder's rows at length 1; where
                      `norm_encoder`, these encode too. A centred one reads center_scale *
                      (center_rot (x - center_trans)), and undoes it in what is decoded
    UntiedSAE         relu(encoder x + encoder_bias), decoded by decoder's rows at length 1
    RandomDict        relu(encoder x + encoder_bias), decoded by encoder's rows
    TopKLearnedDict   relu of the `sparsity` largest of dict x, decoded by dict's rows
    PCAEncoder        the `sparsity` of pca_dict x that are farthest from 0, whatever their sign,
                      decoded by pca_dict's rows
    Identity          x
    IdentityPositive  relu(x) and relu(-x)
    IdentityReLU      relu(x + bias)

ReverseSAE decodes other numbers than its activations, ICAEncoder and NMFEncoder are objects of
scikit-learn: these cannot be read. The step is the number of its folder, as in
`_3/learned_dicts.pt`.

The recipe needs `path` and `hook_name`, and `index` where there are several.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float

from featurestore.config import DictionaryConfig
from featurestore.dictionaries.base import (
    Dictionary,
    Nonlinearity,
    Origin,
    check_hook_name,
    check_k,
    check_weights,
)
from featurestore.dictionaries.files import (
    StandIn,
    foreign_classes,
    only_tensors,
    read_torch_objects,
)
from featurestore.errors import DictionaryError

FILE = "learned_dicts.pt"
MOST_NEURONS = 2**15
"""An identity is a matrix that no file has to hold; larger ones are refused."""

_PACKAGE = "autoencoders."
_STEP = re.compile(r"_(\d+)")

Held = dict[str, Any]
"""What an object holds: tensors, those that are weights in float32, and plain values."""

Rows = Float[torch.Tensor, "n_features d_in"]


@dataclass(frozen=True)
class _Class:
    """One class of the library: its tensors, and what they mean."""

    kind: str
    make: Callable[[Held, Path], dict[str, Any]]
    """What it holds, and the file for errors, to fields of a Dictionary; biases may be absent."""
    shapes: dict[str, str] = field(default_factory=dict)
    optional: dict[str, str] = field(default_factory=dict)


def recognises(path: Path) -> bool:
    """Whether a path is a file of this format, or a folder with it."""
    if path.is_dir():
        return (path / FILE).is_file()
    return any(name.startswith(_PACKAGE) for name in foreign_classes(path))


def load(said: DictionaryConfig) -> Dictionary:
    """Read one dictionary of a file.

    Raises:
        DictionaryError: the file could run code, or holds several and the recipe does not say
            which; its class cannot be read, or the recipe does not say where it reads.
    """
    path = Path(said.path)
    file = path / FILE if path.is_dir() else path
    chosen = _chosen(file, _read(file), said.index)
    name = type(chosen).__name__.removeprefix(_PACKAGE)
    if name not in CLASSES:
        raise DictionaryError(
            f"{file}: the dictionary is of the class {name}; of this format can be read: "
            f"{', '.join(CLASSES)}."
        )
    found = CLASSES[name]
    fields = _with_zeros(found.make(_held(file, chosen, found), file))
    hook_name = check_hook_name(file, said.hook_name)
    step = _STEP.fullmatch(file.absolute().parent.name)
    origin = Origin(
        found.kind, hook_name, said.hook_name_out or hook_name, step=int(step[1]) if step else None
    )
    return Dictionary(origin=origin, **fields)


def _read(file: Path) -> list[tuple[StandIn, Held]]:
    """The pairs of a file."""
    names = foreign_classes(file)
    others = [name for name in names if not name.startswith(_PACKAGE)]
    if others:
        raise DictionaryError(
            f"{file}: refused, it holds more than tensors and could run code "
            f"({', '.join(others)}), as ICAEncoder and NMFEncoder do with objects of scikit-learn. "
            "Save the list again without such dictionaries."
        )
    pairs = read_torch_objects(file, names)
    if not isinstance(pairs, list) or not pairs or not all(map(_is_pair, pairs)):
        raise DictionaryError(
            f"{file}: expected a list of pairs, a dictionary and its hyperparameters each; found "
            f"{type(pairs).__name__}, empty or of something else."
        )
    return pairs


def _is_pair(value: object) -> bool:
    is_pair = isinstance(value, tuple) and len(value) == 2
    return is_pair and isinstance(value[0], StandIn) and isinstance(value[1], dict)


def _chosen(file: Path, pairs: list[tuple[StandIn, Held]], index: int | None) -> StandIn:
    """The object that the recipe says, or the only one."""
    if index is None and len(pairs) == 1:
        index = 0
    if index is None or not 0 <= index < len(pairs):
        found = "\n".join(f"  {i}: {_described(*pair)}" for i, pair in enumerate(pairs))
        raise DictionaryError(
            f"{file}: 'index' is {'missing' if index is None else index}, and it holds "
            f"{len(pairs)} dictionaries. Add to the recipe, under this dictionary, the number of "
            f"one of them, as in: index = 0\n{found}"
        )
    return pairs[index][0]


def _described(chosen: StandIn, settings: Held) -> str:
    """Class, size and hyperparameters on a line."""
    held = chosen.state if isinstance(chosen.state, dict) else {}
    matrix = next((held[name] for name in _MATRICES if name in held), None)
    n_features = len(matrix) if isinstance(matrix, torch.Tensor) and matrix.ndim else None
    facts = {"n_features": n_features or held.get("n_feats")} | settings
    plain = [f"{k} = {v!r:.40}" for k, v in facts.items() if isinstance(v, int | float | str)]
    return ", ".join([type(chosen).__name__.rpartition(".")[2], *plain])


def _held(file: Path, chosen: StandIn, found: _Class) -> Held:
    held = chosen.state if isinstance(chosen.state, dict) else {}
    names = [name for name in found.shapes | found.optional if held.get(name) is not None]
    weights = only_tensors(file, {name: held[name] for name in names})
    check_weights(file, weights, found.shapes, found.optional)
    return held | {name: weight.detach().float() for name, weight in weights.items()}


def _with_zeros(fields: dict[str, Any]) -> dict[str, Any]:
    """The same with zeros for the biases that are absent."""
    d_in, n_features = fields["readers"].shape
    sizes = {"reader_bias": n_features, "pre_bias": d_in, "direction_bias": d_in}
    return {name: torch.zeros(size) for name, size in sizes.items()} | fields


def _unit(rows: Rows) -> Rows:
    """Rows at length 1; the library's own way with those that are nearly zero."""
    return rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-8)


def _tied(held: Held, file: Path) -> dict[str, Any]:
    normed = held.get("norm_encoder")
    if type(normed) is not bool:
        raise DictionaryError(f"{file}: 'norm_encoder' is {normed!r}; expected true or false.")
    directions = _unit(held["encoder"])
    rows = directions if normed else held["encoder"]
    d_in = rows.shape[1]
    scale, rotation = held.get("center_scale"), held.get("center_rot")
    if scale is not None:
        if not scale.all():
            raise DictionaryError(f"{file}: 'center_scale' is 0 somewhere, so it has no inverse.")
        rows, directions = rows * scale, directions / scale
    if rotation is not None:
        rows, directions = rows @ rotation, directions @ rotation
    shift = held.get("center_trans")
    shift = torch.zeros(d_in) if shift is None else shift
    return _relu(rows, held["encoder_bias"], directions) | {
        "pre_bias": shift,
        "direction_bias": shift,
    }


def _untied(held: Held, _: Path) -> dict[str, Any]:
    return _relu(held["encoder"], held["encoder_bias"], _unit(held["decoder"]))


def _random(held: Held, _: Path) -> dict[str, Any]:
    return _relu(held["encoder"], held["encoder_bias"], held["encoder"])


def _topk(held: Held, file: Path) -> dict[str, Any]:
    rows, k = held["dict"], held.get("sparsity")
    check_k(file, k, len(rows), "sparsity")
    return _linear(rows, rows, Nonlinearity("topk", k=k))


def _pca(held: Held, file: Path) -> dict[str, Any]:
    rows, k = held["pca_dict"], held.get("sparsity")
    check_k(file, k, len(rows), "sparsity")
    return _linear(rows, rows, Nonlinearity("abs_topk", k=k))


def _identity(held: Held, file: Path) -> dict[str, Any]:
    eye = _eye(held.get("activation_size"), file)
    return _linear(eye, eye, Nonlinearity("identity"))


def _identity_positive(held: Held, file: Path) -> dict[str, Any]:
    eye = _eye(held.get("activation_size"), file)
    rows = torch.cat([eye, -eye])
    return _linear(rows, rows, Nonlinearity("relu"))


def _identity_relu(held: Held, file: Path) -> dict[str, Any]:
    eye = _eye(len(held["bias"]), file)
    return _relu(eye, held["bias"], eye)


def _eye(size: object, file: Path) -> Float[torch.Tensor, "d_in d_in"]:
    if type(size) is not int or not 0 < size <= MOST_NEURONS:
        raise DictionaryError(
            f"{file}: 'activation_size' is {size!r}; expected a whole number from 1 to "
            f"{MOST_NEURONS}."
        )
    return torch.eye(size)


def _relu(rows: Rows, bias: Float[torch.Tensor, " n_features"], directions: Rows) -> dict[str, Any]:
    return _linear(rows, directions, Nonlinearity("relu")) | {"reader_bias": bias}


def _linear(rows: Rows, directions: Rows, nonlinearity: Nonlinearity) -> dict[str, Any]:
    readers = rows.T.contiguous()
    return {"readers": readers, "directions": directions, "nonlinearity": nonlinearity}


_MATRICES = ("encoder", "dict", "pca_dict")
_ENCODER = {"encoder": "n_features d_in", "encoder_bias": "n_features"}
_CENTRE = {"center_trans": "d_in", "center_rot": "d_in d_in", "center_scale": "d_in"}
CLASSES = {
    "learned_dict.TiedSAE": _Class("sae", _tied, _ENCODER, _CENTRE),
    "learned_dict.UntiedSAE": _Class("sae", _untied, _ENCODER | {"decoder": "n_features d_in"}),
    "learned_dict.RandomDict": _Class("random", _random, _ENCODER),
    "topk_encoder.TopKLearnedDict": _Class("topk", _topk, {"dict": "n_features d_in"}),
    "pca.PCAEncoder": _Class("pca", _pca, {"pca_dict": "n_features d_in"}),
    "learned_dict.Identity": _Class("identity", _identity),
    "learned_dict.IdentityPositive": _Class("identity", _identity_positive),
    "learned_dict.IdentityReLU": _Class("identity", _identity_relu, {"bias": "n_features"}),
}
