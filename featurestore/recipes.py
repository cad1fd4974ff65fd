"""From a TOML file to a recipe that holds together, checked before any work.

Reading one imports nothing heavy, so a mistake is reported at once.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from featurestore.config import EMBEDDINGS, CorpusConfig, DictionaryConfig, PassesConfig, Recipe
from featurestore.errors import RecipeError
from featurestore.toml_tables import read_table

ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
"""What a dictionary's id may be: it becomes a folder's name and a part of URLs."""

MAY_BE_NONE = ("n_ablated_top", "n_ablated_bands", "n_dependences", "n_neighbours", "n_scored")
"""Settings of passes that may be 0."""

TOP_LEVEL = ("seed", "dtype", "contexts_per_block")
"""Keys that belong to no table."""

DTYPE_NAMES = ("float32", "bfloat16")

STEP_IN_REVISION = re.compile(r"(?:step|checkpoint-)(\d+)")
"""How model families call the checkpoints of their training on the hub."""

DATASET_NAME = re.compile(r"[\w.-]+/[\w.-]+")
"""Of a data set on the hub. Names without an owner are readers in the library, not data sets."""

KINDS_OF_CORPUS = ("files", "dataset", "vocabulary")
ONLY_FOR = {
    "subset": ("dataset",),
    "split": ("dataset",),
    "column": ("files", "dataset"),
    "context_length": ("files", "dataset"),
    "max_tokens": ("files", "dataset"),
}
"""Keys of `[corpus]` that say nothing of the other kinds."""

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


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe; its relative paths become relative to where you are.

    Raises:
        RecipeError: the file, a key, a type or a value is wrong.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        others = {other.name for other in path.parent.glob("*.toml")} - {path.name}
        close = difflib.get_close_matches(path.name, others, n=1)
        hint = f" Nearest: '{path.parent / close[0]}'." if close else ""
        raise RecipeError(f"Recipe '{path}' cannot be read: {error.strerror}.{hint}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"Recipe '{path}' is not valid TOML: {error}.") from error
    _check_top_level(content, path)
    recipe = read_table(Recipe, content, str(path))
    _check(recipe, path)
    _check_corpus(recipe.corpus, content["corpus"].keys(), path)
    return _resolved(recipe, path)


def _check_top_level(content: dict[str, Any], path: Path) -> None:
    """Raise RecipeError at a key of the top level below a table, which TOML puts into that."""
    for name, value in content.items():
        for table in value if isinstance(value, list) else [value]:
            for key in TOP_LEVEL:
                if isinstance(table, dict) and key in table:
                    raise RecipeError(
                        f"{path}: '{key}' stands below [{name}]; it goes above the first table, to "
                        "the top of the file."
                    )


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
    choices = {
        "dtype": (recipe.dtype, DTYPE_NAMES),
        "model.embedding": (recipe.model.embedding, EMBEDDINGS),
    }
    for key, (value, allowed) in choices.items():
        if value is not None and value not in allowed:
            raise RecipeError(
                f"{path}: '{key}' is {value!r}; expected one of {', '.join(allowed)}."
            )
    for i, dictionary in enumerate(recipe.dictionaries):
        _check_source(dictionary, recipe, f"{path}: 'dictionaries[{i}]'")
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


def _check_corpus(corpus: CorpusConfig, given: Iterable[str], path: Path) -> None:
    """Raise unless it is of one kind, and every key that is given says something of that kind."""
    kinds = [name for name in KINDS_OF_CORPUS if getattr(corpus, name) not in (None, False)]
    if len(kinds) != 1:
        raise RecipeError(
            f"{path}: [corpus] has {' and '.join(kinds) or 'none'} of 'files', 'dataset' and "
            "'vocabulary = true'; expected exactly one."
        )
    if corpus.files == ():
        raise RecipeError(f"{path}: 'corpus.files' is []; expected at least one pattern.")
    for key in given:
        if kinds[0] not in ONLY_FOR.get(key, KINDS_OF_CORPUS):
            raise RecipeError(
                f"{path}: 'corpus.{key}' says nothing of a corpus with '{kinds[0]}'; it goes with "
                f"{' or '.join(ONLY_FOR[key])}. Take it out."
            )


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
    if config.path is not None and config.path.startswith(("https://", "http://")):
        raise RecipeError(
            f"{where}: 'path' is {config.path!r}, an address of the web. Of a model on the Hugging "
            "Face hub write hub:owner/name/path; fetch anything else, and give its file."
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
    """The same recipe: paths hold from the working directory, what follows is filled in."""

    def here(name: str) -> str:
        if name.startswith("hub:"):
            return name
        return str(path.parent / os.path.expanduser(name))

    model, folder = recipe.model, here(recipe.model.name)
    checkpoint = STEP_IN_REVISION.fullmatch(model.revision or "")
    if model.step is None and checkpoint:
        model = replace(model, step=int(checkpoint[1]))
    if Path(folder).is_dir():
        model = replace(model, name=folder)
    elif model.name.startswith((".", "/", "~")):
        raise RecipeError(
            f"{path}: 'model.name' is {model.name!r}, but there is no folder '{folder}'."
        )
    dictionaries = tuple(
        d if d.path is None else replace(d, path=here(d.path)) for d in recipe.dictionaries
    )
    corpus = _resolved_corpus(recipe.corpus, here, path)
    return replace(recipe, model=model, dictionaries=dictionaries, corpus=corpus)


def _resolved_corpus(corpus: CorpusConfig, here: Callable[[str], str], path: Path) -> CorpusConfig:
    if corpus.vocabulary:
        length = 1 + int(corpus.prepend_bos)
        return replace(corpus, name=corpus.name or "vocabulary", context_length=length)
    if corpus.files is not None:
        files = tuple(here(name) for name in corpus.files)
        return replace(corpus, name=corpus.name or "text files", files=files)
    folder = Path(here(corpus.dataset))
    if folder.is_dir():
        return replace(corpus, name=corpus.name or folder.name, dataset=str(folder))
    if corpus.dataset.startswith(".") or not DATASET_NAME.fullmatch(corpus.dataset):
        raise RecipeError(
            f"{path}: 'corpus.dataset' is {corpus.dataset!r}, but there is no folder '{folder}', "
            "and on the hub names are like 'owner/name'."
        )
    if corpus.max_tokens is None:
        raise RecipeError(
            f"{path}: key 'corpus.max_tokens' is missing; a data set on the hub is read up to it, "
            "such as 1_000_000."
        )
    return replace(corpus, name=corpus.name or corpus.dataset)
