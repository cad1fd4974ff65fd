"""The format of OpenAI's sparse_autoencoder: a `.pt` file.

Tensors: pre_bias (d_in), encoder.weight (n_features, d_in), latent_bias (n_features),
decoder.weight (d_in, n_features), or decoder.linear.weight (n_features, d_in) if it is tied. Beside
them stands the name of the `activation`, with its settings in `activation_state_dict`:

    ReLU      relu(z) with z = W (x - pre_bias) + latent_bias; if there is no name, too
    Identity  z
    TopK      the k largest of z, then `postact_fn` (ReLU or Identity); x is first less its mean and
              divided by its standard deviation, which is undone in what is decoded

The file does not say where it reads. The published ones are named in this way:
mlp_post_act is mlp.hook_post, resid_delta_attn hook_attn_out, resid_post_attn hook_resid_mid,
resid_delta_mlp hook_mlp_out, and resid_post_mlp hook_resid_post.

The recipe needs `path` and `hook_name`.
"""

from pathlib import Path

from featurestore.config import DictionaryConfig
from featurestore.dictionaries.base import (
    Dictionary,
    Nonlinearity,
    Origin,
    check_hook_name,
    check_k,
    check_weights,
)
from featurestore.dictionaries.files import only_tensors, read_torch, torch_keys
from featurestore.errors import DictionaryError

_SHAPES = {"encoder.weight": "n_features d_in", "pre_bias": "d_in", "latent_bias": "n_features"}
_UNTIED, _TIED = "decoder.weight", "decoder.linear.weight"
_STATISTICS = ("stats_last_nonzero", "latents_activation_frequency", "latents_mean_square")
_AFTER_TOPK = {"ReLU": "topk", "Identity": "signed_topk"}


def recognises(path: Path) -> bool:
    """Whether a path is a file of this format."""
    return {"pre_bias", "latent_bias"} <= torch_keys(path)


def load(said: DictionaryConfig) -> Dictionary:
    """Read a dictionary of this format.

    Raises:
        DictionaryError: a tensor is missing, unknown or wrong, its activation is not known, or the
            recipe does not say where it reads.
    """
    file = Path(said.path)
    content = read_torch(file)
    activation = content.pop("activation", "ReLU")
    settings = content.pop("activation_state_dict", {})
    for name in _STATISTICS:
        content.pop(name, None)
    weights = only_tensors(file, content)
    is_tied = _UNTIED not in weights and _TIED in weights
    decoder = {_TIED: "n_features d_in"} if is_tied else {_UNTIED: "d_in n_features"}
    check_weights(file, weights, _SHAPES | decoder, {})
    weights = {name: weight.float() for name, weight in weights.items()}
    nonlinearity = _nonlinearity(file, activation, settings, len(weights["latent_bias"]))
    hook_name = check_hook_name(file, said.hook_name)
    kind = "topk" if activation == "TopK" else "sae"
    return Dictionary(
        origin=Origin(kind, hook_name, said.hook_name_out or hook_name),
        readers=weights["encoder.weight"].T.contiguous(),
        reader_bias=weights["latent_bias"],
        pre_bias=weights["pre_bias"],
        directions=weights[_TIED] if is_tied else weights[_UNTIED].T.contiguous(),
        direction_bias=weights["pre_bias"],
        nonlinearity=nonlinearity,
        standardisation="layer_norm" if activation == "TopK" else "none",
    )


def _nonlinearity(
    file: Path, activation: object, settings: object, n_features: int
) -> Nonlinearity:
    if activation == "ReLU":
        return Nonlinearity("relu")
    if activation == "Identity":
        return Nonlinearity("identity")
    if activation != "TopK" or not isinstance(settings, dict):
        raise DictionaryError(
            f"{file}: 'activation' is {activation!r} with the settings {settings!r}; of this "
            "format can be read: 'ReLU', 'Identity', and 'TopK' with {'k': 32, 'postact_fn': "
            "'ReLU'}."
        )
    k, after = settings.get("k"), settings.get("postact_fn")
    check_k(file, k, n_features)
    if after not in tuple(_AFTER_TOPK):
        raise DictionaryError(
            f"{file}: 'postact_fn' is {after!r}; it must be {' or '.join(map(repr, _AFTER_TOPK))}."
        )
    return Nonlinearity(_AFTER_TOPK[after], k=k)
