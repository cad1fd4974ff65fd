"""What a `cfg.json` of SAELens says of the vectors that a dictionary was trained on.

TransformerLens may have changed the model's weights (`model_from_pretrained_kwargs`), which then
gives the same logits by other hidden vectors:

    center_writing_weights  residual vectors are less their mean; neurons and heads are the same
    fold_ln                 the gains of layer norms are part of what follows, so that
                            `hook_normalized` comes before them
    fold_value_biases       attn.hook_z is without the biases of the values

Before it reads a vector, SAELens may have normalised it (`normalize_activations`).
"""

import math
import re
from pathlib import Path
from typing import Any

from featurestore.config import DictionaryConfig
from featurestore.dictionaries.base import Origin, preferred
from featurestore.dictionaries.files import read_json
from featurestore.dictionaries.standardisation import Standardisation
from featurestore.errors import DictionaryError
from featurestore.hook_points import is_residual

SETTINGS, SCALER = "cfg.json", "activation_scaler.json"
_BEFORE_VERSION_6 = {
    "hook_point": "hook_name",
    "hook_point_head_index": "hook_head_index",
    "activation_fn_str": "activation_fn",
}
_NORMALISATIONS: dict[str, Standardisation] = {
    "none": "none",
    "expected_average_only_in": "none",
    "layer_norm": "layer_norm",
    "constant_norm_rescale": "constant_norm",
}
"""What is done to each vector; a scale that all share is none of it."""

_CHANGES_OF_HEADS = ("fold_value_biases", "refactor_factored_attn_matrices")
_CHANGES = ("center_writing_weights", "fold_ln", *_CHANGES_OF_HEADS)
_NORMALISED = re.compile(r"(?:blocks\.\d+\.)?(?P<norm>ln\w*)\.hook_normalized")
_SAME_WITH_OTHER_WEIGHTS = re.compile(
    r"blocks\.\d+\.(mlp\.hook_(in|pre|post)|attn\.hook_z)|(blocks\.\d+\.)?ln\w*\.hook_(normalized|out)"
)


def read_settings(file: Path) -> dict[str, Any]:
    """Settings under the names of today, those of `metadata` among the others.

    Raises:
        DictionaryError: one of them is of the wrong type, or needs what cannot be done here.
    """
    found = read_json(file)
    settings = found | _table(file, found, "metadata")
    for old, new in _BEFORE_VERSION_6.items():
        if new not in settings and old in settings:
            settings[new] = settings[old]
    architecture = settings.setdefault("architecture", "standard")
    function = settings.get("activation_fn", "relu")
    if architecture == "standard" and function == "topk":
        k = _table(file, settings, "activation_fn_kwargs").get("k")
        settings |= {"architecture": "topk", "k": k}
    elif function not in ("relu", "topk", None):
        raise DictionaryError(
            f"{file}: 'activation_fn' is {function!r}; 'relu' and 'topk' can be read."
        )
    if settings.get("hook_head_index") is not None:
        raise DictionaryError(
            f"{file}: 'hook_head_index' is {settings['hook_head_index']!r}: it reads one head, but "
            "a hook point is read with all its heads."
        )
    return settings


def _normalisation(file: Path, settings: dict[str, Any]) -> str:
    how = settings.get("normalize_activations")
    if isinstance(how, bool | None):  # before version 4
        how = "expected_average_only_in" if how else "none"
    if not isinstance(how, str) or how not in _NORMALISATIONS:
        raise DictionaryError(
            f"{file}: 'normalize_activations' is {how!r}, which cannot be done here; "
            f"{', '.join(map(repr, _NORMALISATIONS))} can."
        )
    return how


def _other_weights(file: Path, settings: dict[str, Any]) -> set[str]:
    """How the model's weights were changed, of all that changes hidden vectors."""
    said = _table(file, settings, "model_from_pretrained_kwargs")
    return {change for change in _CHANGES if said.get(change)}


def _table(file: Path, settings: dict[str, Any], key: str) -> dict[str, Any]:
    """A table of the settings; empty if it is not there or null."""
    found = settings.get(key)
    if found is not None and not isinstance(found, dict):
        raise DictionaryError(f"{file}: '{key}' is {found!r}; expected a table.")
    return found or {}


def find_origin(file: Path, kind: str, settings: dict[str, Any], said: DictionaryConfig) -> Origin:
    """Where it reads and writes: as the recipe says, else as the settings do.

    Raises:
        DictionaryError: neither says it.
    """
    is_folded = "fold_ln" in _other_weights(file, settings)
    read = preferred(said, "hook_name", _published(settings.get("hook_name"), is_folded))
    written = said.hook_name_out or read
    if kind == "transcoder":
        own = _published(settings.get("hook_name_out"), is_folded)
        written = preferred(said, "hook_name_out", own)
    if not read or not written:
        missing = "hook_name_out" if read else "hook_name"
        example = f"blocks.0.hook_{'mlp_out' if read else 'resid_post'}"
        raise DictionaryError(
            f"{file}: there is no '{missing}' in it. Add to the recipe, under this dictionary: "
            f'{missing} = "{example}" (or wherever it {"writes" if read else "reads"}).'
        )
    return Origin(kind, read, written)


def _published(hook_name: object, is_folded: bool) -> str | None:
    """The name of the same vectors in the model as it is published.

    TransformerLens's `hook_normalized` came after the layer norm's gains, unless these were folded
    away, and now comes before them; what comes after them is what the MLP reads.
    """
    if not isinstance(hook_name, str):
        return None
    found = _NORMALISED.fullmatch(hook_name)
    if found is None or is_folded:
        return hook_name
    if found["norm"] == "ln2":
        return hook_name.replace("ln2.hook_normalized", "mlp.hook_in")
    return hook_name.replace("hook_normalized", "hook_out")


def find_standardisation(
    file: Path, settings: dict[str, Any], origin: Origin, said: DictionaryConfig
) -> Standardisation:
    """What makes the vectors that it was trained on from those of the model as it is published.

    Raises:
        DictionaryError: nothing that is known here does.
    """
    how = _normalisation(file, settings)
    own = _NORMALISATIONS[how]
    is_centred = _is_centred(file, settings, origin, said)
    if origin.kind == "transcoder" and (is_centred or own != "none"):
        raise DictionaryError(
            f"{file}: a transcoder of vectors that were "
            f"{'centred' if is_centred else f'normalised (normalize_activations = {how!r})'}: what "
            "it reads does not tell the mean and the length of what it should write."
        )
    if is_centred and own == "constant_norm":
        raise DictionaryError(
            f"{file}: its vectors were centred, by the model's weights, and then brought to one "
            f"length (normalize_activations = {how!r}); only one of both can be done here."
        )
    return "centred" if is_centred and own == "none" else own


def _is_centred(
    file: Path, settings: dict[str, Any], origin: Origin, said: DictionaryConfig
) -> bool:
    """Whether it was trained on residual vectors less their mean; the recipe goes first."""
    changes = _other_weights(file, settings)
    if said.centred is not None:
        changes -= {"center_writing_weights"}
    is_centred = said.centred or "center_writing_weights" in changes
    names = (origin.hook_name, origin.hook_name_out)
    for name in names:
        if name.endswith("attn.hook_z") and changes.intersection(_CHANGES_OF_HEADS):
            raise DictionaryError(
                f"{file}: it was trained on heads of other weights ({', '.join(sorted(changes))}): "
                f"'{name}' was without the biases of the values, which it has in the model as it "
                "is published, and would feed it wrong vectors."
            )
        is_known = is_residual(name) or _SAME_WITH_OTHER_WEIGHTS.fullmatch(name)
        if (changes or is_centred) and not is_known:
            raise DictionaryError(
                f"{file}: it was trained on a model with other weights "
                f"({', '.join(sorted(changes)) or 'centred'}). What they change at '{name}' is not "
                "known here, and it might be fed wrong vectors."
            )
    return is_centred and any(map(is_residual, names))


def find_scale(folder: Path, settings: dict[str, Any]) -> float:
    """What all vectors were multiplied by before they were read.

    Raises:
        DictionaryError: they were, but nothing says by what.
    """
    how = _normalisation(folder / SETTINGS, settings)
    if how != "expected_average_only_in":
        return 1.0
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
