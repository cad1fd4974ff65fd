"""The format of tdooms/tokenized-sae: a `.pt` file, as in `gpt2_resid_pre_5_ot30.pt`.

Tensors: W_enc (n_features, d_in), W_dec (d_in, n_features), which are both turned here; b_enc
(n_features), b_dec (d_in), lookup.W_lookup.weight (d_vocab, d_in).

    activations = the k largest of W_enc (x - b_dec) + b_enc, whatever their sign
    decoded     = W_dec activations + b_dec + lookup[token]

The file does not hold `k`. The hook point is read from the file's name. These
dictionaries were trained on a model that TransformerLens had processed, which takes the mean of the
entries from every residual vector; the same is done here, unless the recipe says `centred = false`.

The recipe needs `path` and `k`, and `hook_name` if the file's name does not say it.
"""

import re
from pathlib import Path

from featurestore.config import DictionaryConfig
from featurestore.dictionaries.base import (
    Dictionary,
    Nonlinearity,
    Origin,
    check_hook_name,
    check_k,
    check_weights,
    preferred,
)
from featurestore.dictionaries.files import only_tensors, read_torch, torch_keys
from featurestore.errors import DictionaryError

LOOKUP = "lookup.W_lookup.weight"
_SHAPES = {
    "W_enc": "n_features d_in",
    "W_dec": "d_in n_features",
    "b_enc": "n_features",
    "b_dec": "d_in",
    LOOKUP: "d_vocab d_in",
}
_HOOK = re.compile(r"(?:^|_)(resid_(?:pre|mid|post)|attn_out|mlp_out)_(\d+)(?:_|$)")
_K = re.compile(r"_[a-z]+(\d+)$")


def recognises(path: Path) -> bool:
    """Whether a path is a file of this format."""
    return LOOKUP in torch_keys(path)


def load(said: DictionaryConfig) -> Dictionary:
    """Read a dictionary of this format; a recipe's hook point goes before that of the name.

    Raises:
        DictionaryError: a tensor is missing, unknown or wrong, or neither recipe nor name says
            where it reads, or the recipe not how many features are active.
    """
    file = Path(said.path)
    weights = only_tensors(file, read_torch(file))
    check_weights(file, weights, _SHAPES, {})
    weights = {name: weight.float() for name, weight in weights.items()}
    _check_k(file, said.k, len(weights["b_enc"]))
    named = _HOOK.search(file.stem)
    in_name = f"blocks.{int(named[2])}.hook_{named[1]}" if named else None
    hook_name = check_hook_name(file, preferred(said, "hook_name", in_name))
    return Dictionary(
        origin=Origin("tokenized", hook_name, said.hook_name_out or hook_name),
        readers=weights["W_enc"].T.contiguous(),
        reader_bias=weights["b_enc"],
        pre_bias=weights["b_dec"],
        directions=weights["W_dec"].T.contiguous(),
        direction_bias=weights["b_dec"],
        nonlinearity=Nonlinearity("signed_topk", k=said.k),
        lookup=weights[LOOKUP],
        standardisation="none" if said.centred is False else "centred",
    )


def _check_k(file: Path, k: int | None, n_features: int) -> None:
    if k is None:
        named = _K.search(file.stem)
        hint = f"the file's name suggests {named[1]}" if named else "what it was trained with"
        raise DictionaryError(
            f"{file}: it does not say how many features are active on a token. Add to the recipe, "
            f"under this dictionary: k = {named[1] if named else 30} ({hint})."
        )
    check_k(file, k, n_features)
