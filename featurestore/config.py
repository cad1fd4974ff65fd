"""Recipes: a TOML file that says which model, dictionaries and corpus, checked before any work.

Every table of the file is a dataclass here, every key a field with a sentence under it. Reading a
recipe imports nothing heavy, so a mistake is reported at once.
"""

import os
import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from featurestore.errors import RecipeError
from featurestore.toml_tables import read_table

ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
"""What a dictionary's id may be: it becomes a folder's name and a part of URLs."""


MAY_BE_NONE = ("n_ablated_top", "n_ablated_bands", "n_dependences", "n_neighbours", "n_scored")
"""Settings of passes that may be 0."""

DTYPE_NAMES = ("float32", "bfloat16")
EMBEDDINGS = ("shuffled", "random")

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
    """The model's own training step, shown beside its title; that of a revision such as `step3000`
    or `checkpoint-3000`, if absent."""
    embedding: str | None = None
    """A control for dictionaries of the embedding: `shuffled` gives each token the row of another,
    `random` a random row as long as its own. The unembedding stays as it is."""


@dataclass(frozen=True)
class DictionaryConfig:
    """`[[dictionaries]]`: one dictionary to build."""

    id: str
    """Name in the store and in URLs: letters, digits, '.', '_' and '-'."""
    path: str
    """Its folder or file, relative to the recipe; or `hub:owner/name/path[@revision]`."""
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


@dataclass(frozen=True)
class CorpusConfig:
    """`[corpus]`: what dashboards are computed on; exactly one of the first three keys."""

    files: tuple[str, ...] | None = None
    """Patterns of files relative to the recipe, such as `texts/**/*.txt`: UTF-8 text, JSON lines
    (`.jsonl`, `.ndjson`, also with `.gz`) or Parquet."""
    dataset: str | None = None
    """A data set on the hub (`owner/name`), or a folder relative to the recipe: of `save_to_disk`,
    or of data files."""
    vocabulary: bool = False
    """Whether every token of the model's vocabulary is a context of its own."""
    column: str = "text"
    """Column of rows that holds their text, or lists of token ids."""
    subset: str | None = None
    """Configuration of the data set, if it has several."""
    split: str = "train"
    """Split of the data set."""
    name: str | None = None
    """What to call it; "text files", the data set's name or "vocabulary", if absent."""
    context_length: int = 128
    """Tokens in a context, BOS included."""
    prepend_bos: bool = True
    """Whether each context opens with the model's BOS token."""
    max_tokens: int | None = None
    """Stop after this many tokens; all of them if absent, which a data set on the hub forbids."""


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
    n_scored: int = 64
    """Contexts on which the model runs with the dictionary's vectors in place of its own; 0 for
    none."""
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
    recipe = read_table(Recipe, content, str(path))
    _check(recipe, path)
    _check_corpus(recipe.corpus, content["corpus"].keys(), path)
    return _resolved(recipe, path)


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
    limits = {
        "model.step": (recipe.model.step, 0, 2**62),
        **{
            f"dictionaries[{i}].step": (dictionary.step, 0, 2**62)
            for i, dictionary in enumerate(recipe.dictionaries)
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
    dictionaries = tuple(replace(d, path=here(d.path)) for d in recipe.dictionaries)
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
