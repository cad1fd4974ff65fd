"""The format of EleutherAI/sparsify: a folder with `cfg.json` and `sae.safetensors`.

Tensors: encoder.weight (n_features, d_in), turned here; encoder.bias (n_features); W_dec
(n_features, d_out); b_dec (d_out). Activations are the k largest of relu(encoder(x - b_dec)); a
transcoder (`transcode`) subtracts nothing. With `skip_connection`, x W_skip.T is written too, with
W_skip (d_out, d_in). The folder is named after the module that was read, as
in `layers.3` or `layers.3.mlp`: a dictionary reads its output, a transcoder its input too.

The recipe needs `path`, and `hook_name`, of a transcoder `hook_name_out` too, if the
folder is called otherwise.
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
    check_k,
    check_weights,
    preferred,
)
from featurestore.dictionaries.files import read_json, read_safetensors
from featurestore.errors import DictionaryError

SETTINGS, WEIGHTS = "cfg.json", "sae.safetensors"
_SHAPES = {
    "encoder.weight": "n_features d_in",
    "encoder.bias": "n_features",
    "W_dec": "n_features d_out",
    "b_dec": "d_out",
}
_SKIP = {"W_skip": "d_out d_in"}
_MODULE = re.compile(
    r"(?:gpt_neox\.|transformer\.|model\.)*(?:(?P<embedding>embed_tokens|embed_in|wte)"
    r"|(?:layers|h)\.(?P<layer>\d+)(?:\.(?P<part>mlp|attention|attn|self_attn))?)"
)


def recognises(path: Path) -> bool:
    """Whether a path is a folder of this format."""
    return (path / SETTINGS).is_file() and (path / WEIGHTS).is_file()


def load(said: DictionaryConfig) -> Dictionary:
    """Read a dictionary or transcoder of this format.

    Raises:
        DictionaryError: it has a part that cannot be read, or its hook point is not known.
    """
    folder = Path(said.path)
    settings, file = read_json(folder / SETTINGS), folder / WEIGHTS
    _refuse_others(folder / SETTINGS, settings)
    weights = {name: weight.float() for name, weight in read_safetensors(file).items()}
    is_transcoder = settings.get("transcode", False)
    shapes = _SHAPES | (_SKIP if settings.get("skip_connection", False) else {})
    if not is_transcoder:
        shapes = {name: shape.replace("d_out", "d_in") for name, shape in shapes.items()}
    check_weights(file, weights, shapes, {})
    k = settings.get("k")
    check_k(folder / SETTINGS, k, len(weights["encoder.bias"]))
    readers = weights["encoder.weight"].T.contiguous()
    return Dictionary(
        origin=_origin(folder, is_transcoder, said),
        readers=readers,
        reader_bias=weights["encoder.bias"],
        pre_bias=torch.zeros(len(readers)) if is_transcoder else weights["b_dec"],
        directions=weights["W_dec"],
        direction_bias=weights["b_dec"],
        nonlinearity=Nonlinearity("topk", k=k),
        skip=weights["W_skip"].T.contiguous() if "W_skip" in shapes else None,
    )


def _refuse_others(file: Path, settings: dict[str, Any]) -> None:
    """Raise DictionaryError at settings of what is not read here."""
    readable = {
        "activation": ("topk",),
        "skip_connection": (False, True),
        "signed": (False,),
        "transcode": (False, True),
    }
    for key, allowed in readable.items():
        value = settings.get(key, allowed[0])
        if value not in allowed:
            raise DictionaryError(
                f"{file}: '{key}' is {value!r}; of this format can be read: "
                f"{' or '.join(map(repr, allowed))}."
            )


def _origin(folder: Path, is_transcoder: bool, said: DictionaryConfig) -> Origin:
    """Where it reads and writes: as the recipe says, else as the folder's name does."""
    kind = "transcoder" if is_transcoder else "topk"
    read, written = _hook_names(folder.absolute().name, is_transcoder)
    if not is_transcoder and said.hook_name:
        written = said.hook_name
    read = preferred(said, "hook_name", read)
    written = preferred(said, "hook_name_out", written)
    if read is None or written is None:
        raise DictionaryError(
            f"{folder}: the folder's name is none of a module, such as 'layers.3' or "
            "'layers.3.mlp', which would say where it reads. Add to the recipe, under this "
            'dictionary: hook_name = "blocks.3.hook_resid_post" (or wherever it reads)'
            + (' and hook_name_out = "blocks.3.hook_mlp_out".' if is_transcoder else ".")
        )
    return Origin(kind, read, written)


def _hook_names(module: str, is_transcoder: bool) -> tuple[str | None, str | None]:
    """Hook points that a module's name stands for; None where it stands for none."""
    found = _MODULE.fullmatch(module)
    if found is None or (is_transcoder and found["part"] != "mlp"):
        return None, None
    if found["embedding"]:
        return "hook_embed", "hook_embed"
    name = {None: "resid_post", "mlp": "mlp_out"}.get(found["part"], "attn_out")
    written = f"blocks.{found['layer']}.hook_{name}"
    return (f"blocks.{found['layer']}.mlp.hook_in" if is_transcoder else written), written
