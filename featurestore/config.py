"""Recipes: a TOML file that says which model, dictionaries and corpus, checked before any work.

Every table of the file is a dataclass here, every key a field with a sentence under it. Reading a
recipe imports nothing heavy, so a mistake is reported at once.
"""

import difflib
import os
import re
import tomllib
import types
import typing
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from featurestore.errors import RecipeError

Table = TypeVar("Table")

ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
"""What a dictionary's id may be: it becomes a folder's name and a part of URLs."""


MAY_BE_NONE = ("n_ablated_top", "n_ablated_bands", "n_dependences", "n_neighbours")
"""Settings of passes that may be 0."""

DTYPE_NAMES = ("float32", "bfloat16")

BASELINES = {
    "neurons": ("signs",),
    "identity": ("signs",),
    "random": ("n_features",),
    "pca": ("n_features", "signs"),
    "ica": ("n_features", "signs"),
}
"""Dictionaries that a build makes itself, and the keys that are theirs alone."""

OF_ANY_BASELINE = ("id", "baseline", "hook_name", "like", "family")
OF_A_BASELINE_ONLY = ("baseline", "like", "n_features", "signs")

SIGNS = ("split", "signed")


@dataclass(frozen=True)
class ModelConfig:
    """`[model]`: the language model."""

    name: str
    """Folder written by `save_pretrained` (relative to the recipe), or a name on the hub."""
    revision: str | None = None
    """Branch, tag or commit on the hub."""
    title: str | None = None
    """What to call it; the name, or the last part of a folder's, if absent."""
    step: int | None = None
    """The model's own training step, shown beside its title."""


@dataclass(frozen=True)
class DictionaryConfig:
    """`[[dictionaries]]`: one dictionary to build."""

    id: str
    """Name in the store and in URLs: letters, digits, '.', '_' and '-'."""
    path: str | None = None
    """Its folder or file, relative to the recipe."""
    hook_name: str | None = None
    """Hook point it reads, if its file does not say or says it wrongly."""
    hook_name_out: str | None = None
    """Hook point it writes to, likewise."""
    family: str | None = None
    """Training run or sweep it belongs to, likewise."""
    step: int | None = None
    """Dictionary-training step, likewise."""
    k: int | None = None
    """Active features of a token, for a format that does not say it."""
    index: int | None = None
    """Which one, from 0, of a file that holds several."""
    centred: bool | None = None
    """Whether it was trained on residual vectors less the mean of their entries, as models give
    whose weights TransformerLens centred; likewise."""
    baseline: str | None = None
    """Instead of a path, what the build makes itself: neurons, identity, random, pca or ica."""
    like: str | None = None
    """For a baseline: id of the dictionary that it is compared with, whose hook point it reads."""
    n_features: int | None = None
    """For a baseline: how many, both signs counted; all that there are, or as `like` has."""
    signs: str | None = None
    """For a baseline: "split" makes two features of a direction, one for each sign, as if absent;
    "signed" one whose activations may be negative."""


@dataclass(frozen=True)
class CorpusConfig:
    """`[corpus]`: the text that dashboards are computed on."""

    files: tuple[str, ...]
    """Patterns of UTF-8 text files relative to the recipe, such as `texts/**/*.txt`."""
    name: str = "text files"
    """What to call it."""
    context_length: int = 128
    """Tokens in a context, BOS included."""
    prepend_bos: bool = True
    """Whether each context opens with the model's BOS token."""
    max_tokens: int | None = None
    """Stop after this many tokens; all of them if absent."""


@dataclass(frozen=True)
class PassesConfig:
    """`[passes]`: how much to keep of each feature."""

    n_top: int = 24
    """Contexts with the highest activations."""
    n_bands: int = 10
    """Interval bands, and as many rank bands."""
    n_per_band: int = 5
    """Examples sampled from each band."""
    n_random: int = 20
    """Examples sampled from all active tokens."""
    n_zero: int = 20
    """Examples sampled from tokens where the feature is silent."""
    n_lens_tokens: int = 12
    """Tokens kept at either end of the logit lens."""
    n_bins: int = 50
    """Bins of a histogram."""
    n_ablated_top: int = 4
    """Of the top contexts, those on which the feature is switched off; 0 for none."""
    n_ablated_bands: int = 4
    """Interval bands, spread evenly, from which one more context each is taken; 0 for none."""
    n_control_draws: int = 2
    """Random directions that are taken off, for each of these contexts, as a control."""
    n_dependences: int = 2
    """Of the top contexts, those whose earlier tokens are deleted one by one; 0 for none."""
    n_deleted: int = 16
    """Tokens before the peak that are deleted, at most."""
    n_neighbours: int = 10
    """Nearest directions kept of each feature, and as many that are active with it; 0 for none."""
    map: bool = True
    """Whether features are laid out on a map, and random directions beside them."""


@dataclass(frozen=True)
class Recipe:
    """A whole file."""

    model: ModelConfig
    dictionaries: tuple[DictionaryConfig, ...]
    corpus: CorpusConfig
    passes: PassesConfig = field(default_factory=PassesConfig)
    seed: int = 0
    """Seed of every sample."""
    dtype: str = "float32"
    """Precision of the model and of encoding: float32, or bfloat16, which is faster on a GPU and on
    processors with AMX; the manifest then says how much it changes the activations."""
    contexts_per_block: int = 64
    """Contexts in a block, the unit of work that is saved: part of the run's identity."""


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe; its relative paths become relative to where you are.

    Raises:
        RecipeError: the file, a key, a type or a value is wrong.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"Recipe '{path}' cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"Recipe '{path}' is not valid TOML: {error}.") from error
    recipe = _read_table(Recipe, content, str(path), "")
    _check(recipe, path)
    return _resolved(recipe, path)


def _read_table(table: type[Table], content: dict[str, Any], path: str, prefix: str) -> Table:
    hints = typing.get_type_hints(table)
    for key in content:
        if key not in hints:
            close = difflib.get_close_matches(key, hints, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            raise RecipeError(
                f"{path}: unknown key '{prefix}{key}'.{hint} Allowed here: {', '.join(hints)}."
            )
    values = {}
    for item in fields(table):
        if item.name in content:
            where = f"{prefix}{item.name}"
            values[item.name] = _read_value(hints[item.name], content[item.name], path, where)
        elif item.default is MISSING and item.default_factory is MISSING:
            expected = _expected(hints[item.name])
            raise RecipeError(f"{path}: key '{prefix}{item.name}' is missing; expected {expected}.")
    return table(**values)


def _read_value(hint: Any, value: Any, path: str, where: str) -> Any:  # noqa: ANN401
    """Check a value against a field's type; tables and lists of tables are read in turn."""
    if isinstance(hint, types.UnionType):
        hint = typing.get_args(hint)[0]
    if is_dataclass(hint):
        if not isinstance(value, dict):
            raise _wrong_type(path, where, hint, value)
        return _read_table(hint, value, path, f"{where}.")
    if typing.get_origin(hint) is tuple:
        element = typing.get_args(hint)[0]
        if not isinstance(value, list):
            raise _wrong_type(path, where, hint, value)
        return tuple(
            _read_value(element, item, path, f"{where}[{i}]") for i, item in enumerate(value)
        )
    if type(value) is not hint:
        raise _wrong_type(path, where, hint, value)
    return value


def _wrong_type(path: str, where: str, hint: Any, value: object) -> RecipeError:  # noqa: ANN401
    return RecipeError(f"{path}: '{where}' is {value!r}; expected {_expected(hint)}.")


def _expected(hint: Any) -> str:  # noqa: ANN401
    """A field's type in words."""
    if typing.get_origin(hint) is tuple:
        return f"a list, each element {_expected(typing.get_args(hint)[0])}"
    if is_dataclass(hint):
        return "a table"
    return {str: "text", int: "a whole number", bool: "true or false"}[hint]


def _check(recipe: Recipe, path: Path) -> None:
    ids = [dictionary.id for dictionary in recipe.dictionaries]
    if not ids:
        raise RecipeError(f"{path}: no [[dictionaries]]. Give at least one, with 'id' and 'path'.")
    for name in ids:
        if not ID_PATTERN.fullmatch(name) or ".." in name:
            raise RecipeError(
                f"{path}: 'dictionaries.id' is {name!r}; allowed are letters, digits, '.', '_' "
                "and '-', at most 80, the first a letter or digit."
            )
        if ids.count(name) > 1:
            raise RecipeError(f"{path}: 'dictionaries.id' {name!r} stands there twice.")
    for i, dictionary in enumerate(recipe.dictionaries):
        _check_source(dictionary, recipe, f"{path}: 'dictionaries[{i}]'")
    if not recipe.corpus.files:
        raise RecipeError(f"{path}: 'corpus.files' is []; expected at least one pattern.")
    if recipe.dtype not in DTYPE_NAMES:
        raise RecipeError(
            f"{path}: 'dtype' is {recipe.dtype!r}; expected one of {', '.join(DTYPE_NAMES)}."
        )
    limits = {
        "model.step": (recipe.model.step, 0, 2**62),
        **{
            f"dictionaries[{i}].{key}": (getattr(dictionary, key), least, most)
            for i, dictionary in enumerate(recipe.dictionaries)
            for key, least, most in (("step", 0, 2**62), ("n_features", 1, 2**24))
        },
        "seed": (recipe.seed, 0, 2**62),
        "corpus.context_length": (recipe.corpus.context_length, 2, 2**15),
        "corpus.max_tokens": (recipe.corpus.max_tokens, 1, 2**40),
        "contexts_per_block": (recipe.contexts_per_block, 1, 2**15),
        **{
            f"passes.{f.name}": (getattr(recipe.passes, f.name), f.name not in MAY_BE_NONE, 1000)
            for f in fields(PassesConfig)
            if f.type is int
        },
    }
    for key, (value, least, most) in limits.items():
        if value is not None and not least <= value <= most:
            raise RecipeError(f"{path}: '{key}' is {value:,}; expected {least:,} to {most:,}.")


def _check_source(config: DictionaryConfig, recipe: Recipe, where: str) -> None:
    """Raise RecipeError unless a dictionary is a file or a baseline, with the keys of that one."""
    given = [item.name for item in fields(config) if getattr(config, item.name) is not None]
    kinds = ", ".join(BASELINES)
    if (config.path is None) == (config.baseline is None):
        found = "neither 'path' nor" if config.path is None else "both 'path' and"
        raise RecipeError(
            f"{where} has {found} 'baseline'. Give one of them: 'path', the folder or file of a "
            f"dictionary, or 'baseline', one of {kinds}."
        )
    if config.baseline not in (None, *BASELINES):
        raise RecipeError(f"{where}: 'baseline' is {config.baseline!r}; expected one of {kinds}.")
    known = [item.name for item in fields(config)]
    if config.baseline is None:
        source, allowed = "'path'", [name for name in known if name not in OF_A_BASELINE_ONLY]
    else:
        source = f"baseline = {config.baseline!r}"
        allowed = [*OF_ANY_BASELINE, *BASELINES[config.baseline]]
    for key in given:
        if key not in allowed:
            raise RecipeError(
                f"{where}: '{key}' does not go with {source}; take one of them out. Allowed beside "
                f"it: {', '.join(name for name in allowed if name not in ('path', 'baseline'))}."
            )
    if config.baseline is not None:
        _check_baseline(config, recipe, where)


def _check_baseline(config: DictionaryConfig, recipe: Recipe, where: str) -> None:
    """Raise RecipeError unless a baseline's keys say all that is needed."""
    files = [dictionary.id for dictionary in recipe.dictionaries if dictionary.path is not None]
    if config.like is not None and config.like not in files:
        raise RecipeError(
            f"{where}: 'like' is {config.like!r}; expected the id of a dictionary of this recipe "
            f"that has a 'path': {', '.join(files) or 'there is none'}."
        )
    if config.hook_name is None and config.like is None:
        raise RecipeError(
            f"{where}: key 'hook_name' is missing. Give it, or in its place 'like', the id of a "
            "dictionary that reads the same hook point."
        )
    if config.baseline == "random" and config.n_features is None and config.like is None:
        raise RecipeError(
            f"{where}: key 'n_features' is missing. Give it, or 'like', the id of a dictionary "
            "that has as many."
        )
    if config.signs not in (None, *SIGNS):
        raise RecipeError(
            f"{where}: 'signs' is {config.signs!r}; expected one of {', '.join(SIGNS)}."
        )
    is_split = config.baseline != "random" and config.signs != "signed"
    if is_split and config.n_features is not None and config.n_features % 2:
        raise RecipeError(
            f"{where}: 'n_features' is {config.n_features:,}, but each direction is two features, "
            'one for each sign. Give an even number, or signs = "signed".'
        )


def _resolved(recipe: Recipe, path: Path) -> Recipe:
    """The same recipe with paths that hold from the working directory."""

    def here(name: str) -> str:
        return str(path.parent / os.path.expanduser(name))

    model, folder = recipe.model, here(recipe.model.name)
    if Path(folder).is_dir():
        model = replace(model, name=folder)
    elif model.name.startswith((".", "/", "~")):
        raise RecipeError(
            f"{path}: 'model.name' is {model.name!r}, but there is no folder '{folder}'."
        )
    dictionaries = tuple(
        d if d.path is None else replace(d, path=here(d.path)) for d in recipe.dictionaries
    )
    corpus = replace(recipe.corpus, files=tuple(here(name) for name in recipe.corpus.files))
    return replace(recipe, model=model, dictionaries=dictionaries, corpus=corpus)
