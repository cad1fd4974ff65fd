"""The format of Neel Nanda's 1L-Sparse-Autoencoder: a file `25.pt` with `25_cfg.json` beside it.

Tensors: W_enc (d_in, n_features), b_enc (n_features), W_dec (n_features, d_in), b_dec (d_in).

    activations = relu((x - b_dec) W_enc + b_enc)
    decoded     = activations W_dec + b_dec

The hook point is `act_name` of the JSON file.

The recipe needs `path`, and `hook_name` if the JSON file does not say it.
"""

from pathlib import Path

from featurestore.config import DictionaryConfig
from featurestore.dictionaries.base import (
    Dictionary,
    Nonlinearity,
    Origin,
    check_hook_name,
    check_weights,
    preferred,
)
from featurestore.dictionaries.files import only_tensors, read_json, read_torch, torch_keys
from featurestore.errors import DictionaryError

_SHAPES = {
    "W_enc": "d_in n_features",
    "b_enc": "n_features",
    "W_dec": "n_features d_in",
    "b_dec": "d_in",
}


def recognises(path: Path) -> bool:
    """Whether a path is a file of this format."""
    return torch_keys(path) == _SHAPES.keys()


def load(said: DictionaryConfig) -> Dictionary:
    """Read a dictionary of this format; a recipe's hook point goes before its own.

    Raises:
        DictionaryError: a tensor is wrong, the settings are not there or cannot be read, or nothing
            says where it reads.
    """
    file = Path(said.path)
    weights = only_tensors(file, read_torch(file))
    check_weights(file, weights, _SHAPES, {})
    weights = {name: weight.float() for name, weight in weights.items()}
    act_name = _act_name(file)
    hook_name = check_hook_name(file, preferred(said, "hook_name", act_name))
    return Dictionary(
        origin=Origin("sae", hook_name, said.hook_name_out or hook_name),
        readers=weights["W_enc"],
        reader_bias=weights["b_enc"],
        pre_bias=weights["b_dec"],
        directions=weights["W_dec"],
        direction_bias=weights["b_dec"],
        nonlinearity=Nonlinearity("relu"),
    )


def _act_name(file: Path) -> str | None:
    """The hook point in the settings, which must be there: others name their tensors so too."""
    settings = file.with_name(f"{file.stem}_cfg.json")
    if not settings.is_file():
        raise DictionaryError(
            f"{file}: its tensors are those of Neel Nanda's format, but '{settings.name}', which "
            "belongs to that, is not beside it. Put it there; without it these names could mean "
            "another format."
        )
    name = read_json(settings).get("act_name")
    if not isinstance(name, str | None):
        raise DictionaryError(f"{settings}: 'act_name' is {name!r}; expected a hook point's name.")
    return name
