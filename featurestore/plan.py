"""From a recipe to work: the model, the corpus, and for each dictionary a run with its name.

A run is named by a hash of everything that decides its numbers. What is already published under
that name is not computed again, and a changed setting never mixes with an old one.
"""

import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from featurestore.config import DictionaryConfig, Recipe
from featurestore.corpus import Corpus, make_corpus, read_documents
from featurestore.dictionaries.base import Dictionary
from featurestore.dictionaries.load import load_dictionary
from featurestore.dictionary_file import SCHEMA_VERSION
from featurestore.digests import folder_digest
from featurestore.errors import DictionaryError, RecipeError
from featurestore.inference import LanguageModel, load_model
from featurestore.places import Place, write_place
from featurestore.workspace import Workspace

logger = logging.getLogger(__name__)

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Order:
    """What to build, where and on which device; it can be sent to another process."""

    recipe: Recipe
    store: Path
    only: tuple[str, ...] = ()
    device: str = "cpu"

    @property
    def dtype(self) -> torch.dtype:
        """Of the model and of encoding."""
        return DTYPES[self.recipe.dtype]

    def load_model(self, dtype: torch.dtype) -> LanguageModel:
        """The recipe's model."""
        settings = self.recipe.model
        return load_model(settings.name, settings.revision, self.device, dtype)


@dataclass(frozen=True)
class Job:
    """One dictionary, and the run that it gets."""

    config: DictionaryConfig
    dictionary: Dictionary
    digests: dict[str, str]
    workspace: Workspace

    @property
    def run_id(self) -> str:
        """Of its run."""
        return self.workspace.run_id


@dataclass(frozen=True)
class Plan:
    """All that a build needs; jobs are those whose run is not yet in the store."""

    order: Order
    model: LanguageModel
    corpus: Corpus
    jobs: tuple[Job, ...]

    @property
    def blocks(self) -> range:
        """Numbers of the corpus's blocks."""
        return range(-(-len(self.corpus.tokens) // self.order.recipe.contexts_per_block))

    def contexts(self, block: int) -> range:
        """Contexts of a block."""
        n = self.order.recipe.contexts_per_block
        return range(block * n, min((block + 1) * n, len(self.corpus.tokens)))

    def missing(self) -> list[int]:
        """Blocks that some job lacks."""
        workspaces = [job.workspace for job in self.jobs]
        return [n for n in self.blocks if not all(each.has(n) for each in workspaces)]


def make_plan(order: Order) -> Plan:
    """Load what a recipe names, find out what is to be done, and note where all of it stands.

    Raises:
        BadInput: a dictionary, the model or the corpus cannot be used.
    """
    configs = _chosen(order)
    dictionaries = [load_dictionary(config) for config in configs]
    model = order.load_model(order.dtype)
    for config, dictionary in zip(configs, dictionaries, strict=True):
        _check_fit(config, dictionary, model)
    corpus = _read_corpus(order.recipe, model)
    shared = {
        "model": model.digest(),
        "tokenizer": hashlib.sha256(model.tokenizer_description().encode()).hexdigest(),
        "corpus": corpus.digest(),
        "code": _code_digest(),
    }
    jobs = [
        _job(order, config, dictionary, shared | {"dictionary": dictionary.digest()})
        for config, dictionary in zip(configs, dictionaries, strict=True)
    ]
    for job in jobs:
        model_at, texts = order.recipe.model, order.recipe.corpus.files
        place = Place(model_at.name, model_at.revision, job.config, texts)
        write_place(order.store, job.run_id, place)
    return Plan(order, model, corpus, tuple(job for job in jobs if not _is_published(job)))


def exact_model(order: Order, model: LanguageModel) -> LanguageModel:
    """The recipe's model in float32, which passes use whatever the sweep's precision."""
    return model if order.dtype == torch.float32 else order.load_model(torch.float32)


def title(recipe: Recipe) -> str:
    """What to call the model."""
    name = recipe.model.name
    return recipe.model.title or (Path(name).name if Path(name).is_dir() else name)


def _chosen(order: Order) -> list[DictionaryConfig]:
    known = [config.id for config in order.recipe.dictionaries]
    for name in order.only:
        if name not in known:
            raise RecipeError(f"--only {name}: the recipe has no such id. It has: {known}.")
    return [c for c in order.recipe.dictionaries if not order.only or c.id in order.only]


def _check_fit(config: DictionaryConfig, dictionary: Dictionary, model: LanguageModel) -> None:
    """Raise unless the hook points exist and carry vectors as long as the dictionary's."""
    origin = dictionary.origin
    sides = ((origin.hook_name, dictionary.d_in), (origin.hook_name_out, dictionary.d_out))
    for hook_name, found in sides:
        expected = model.width(hook_name)
        if found != expected:
            raise DictionaryError(
                f"Dictionary '{config.id}' ({config.path}) has vectors of {found} dimensions, but "
                f"'{hook_name}' of model '{model.name}' has {expected}. "
                "Check the model, the dictionary and its hook point in the recipe."
            )


def _read_corpus(recipe: Recipe, model: LanguageModel) -> Corpus:
    settings = recipe.corpus
    if settings.context_length > model.context_limit:
        raise RecipeError(
            f"'corpus.context_length' is {settings.context_length}, but model '{model.name}' "
            f"reads at most {model.context_limit} tokens."
        )
    return make_corpus(
        read_documents(settings.files),
        model.tokenizer,
        settings.context_length,
        settings.prepend_bos,
        settings.max_tokens,
    )


def _job(
    order: Order, config: DictionaryConfig, dictionary: Dictionary, digests: dict[str, str]
) -> Job:
    recipe = order.recipe
    settings = {
        "schema_version": SCHEMA_VERSION,
        "digests": digests,
        "passes": asdict(recipe.passes),
        "seed": recipe.seed,
        "dtype": recipe.dtype,
        "contexts_per_block": recipe.contexts_per_block,
        "dictionary": {"id": config.id, **asdict(dictionary.origin)},
        "model": {"title": title(recipe), "step": recipe.model.step},
        "corpus": {"name": recipe.corpus.name},
    }
    text = json.dumps(settings, sort_keys=True)
    run_id = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Job(config, dictionary, digests, Workspace(order.store, run_id, config.id, settings))


def _is_published(job: Job) -> bool:
    if not job.workspace.published.exists():
        return False
    logger.info("%s: run %s is already in the store", job.config.id, job.run_id)
    job.workspace.remove()  # of a build killed just after it published
    return True


def _code_digest() -> str:
    """Digest of the code that decides numbers: another version of it is another run."""
    folder = Path(__file__).parent
    parts = [folder_digest(folder / name, "*.py") for name in ("dictionaries", "passes")]
    modules = (
        "activations blocks corpus encoder inference publish remainder sweep threads vocabulary"
    )
    parts += [(folder / f"{name}.py").read_text(encoding="utf-8") for name in modules.split()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
