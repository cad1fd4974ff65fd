"""From a recipe to work: the model, the corpus, and for each dictionary a run with its name.

A run is named by a hash of everything that decides its numbers. What is already published under
that name is not computed again, and a changed setting never mixes with an old one.
"""

import hashlib
import json
import logging
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from featurestore.baselines.fitted import Source, fit_missing
from featurestore.baselines.spec import Baseline
from featurestore.config import DictionaryConfig, Recipe
from featurestore.corpus import Corpus, read_corpus
from featurestore.dictionaries.base import Dictionary
from featurestore.dictionaries.load import load_dictionary
from featurestore.dictionary_file import SCHEMA_VERSION
from featurestore.digests import folder_digest
from featurestore.errors import RecipeError
from featurestore.hub import on_this_machine
from featurestore.inference import LanguageModel, load_model
from featurestore.places import place_of, write_place
from featurestore.served_files import ServedFiles
from featurestore.stop import Stop
from featurestore.suitability import check_hook_points, check_processing, width
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
        settings, seed = self.recipe.model, self.recipe.seed
        return load_model(
            settings.name, settings.revision, self.device, dtype, settings.embedding, seed
        )


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


def make_plan(order: Order, stop: Stop | None = None) -> Plan:
    """Load what a recipe names, fit its baselines, and find out what is to be done.

    Where weights and texts stand is noted, for Live and for matches.

    Raises:
        BadInput: a dictionary, the model or the corpus cannot be used.
        BuildFailed: the store cannot be written to.
        Stopped: a signal came.
    """
    recipe, stop = order.recipe, stop or Stop()
    configs = [_fetched(config) for config in _chosen(order)]
    given = _given(recipe, configs)
    baselines = [Baseline.of(c, given.get(c.like)) for c in configs if c.baseline]
    stop.check()
    model = order.load_model(order.dtype)
    stop.check()
    for config in recipe.dictionaries:
        if config.id in given:
            check_hook_points(config, given[config.id], model)
    for baseline in baselines:
        baseline.check_width(width(baseline.id, baseline.hook_name, model))
    corpus = read_corpus(recipe.corpus, model)
    stop.check()
    shared = {
        "model": model.digest(),
        "tokenizer": hashlib.sha256(model.tokenizer_description().encode()).hexdigest(),
        "corpus": corpus.digest(),
        "code": _code_digest(),
    }
    source = Source(model, corpus, shared, recipe.dtype, recipe.seed)
    folders = fit_missing(order.store, baselines, source, stop)
    configs = [_at(config, folders) for config in configs]
    dictionaries = [given.get(config.id) or load_dictionary(config) for config in configs]
    jobs = [
        _job(order, config, dictionary, shared | {"dictionary": dictionary.digest()})
        for config, dictionary in zip(configs, dictionaries, strict=True)
    ]
    missing = [job for job in jobs if not job.workspace.published.exists()]
    _tell_published(order.store, [job for job in jobs if job.workspace.published.exists()])
    for job in (each for each in missing if each.config.id not in folders):
        check_processing(job.config, job.dictionary, model, corpus)
    for job in jobs:
        write_place(order.store, job.run_id, place_of(order.recipe, job.config))
    return Plan(order, model, corpus, tuple(missing))


def exact_model(order: Order, model: LanguageModel) -> LanguageModel:
    """The recipe's model in float32, which passes use whatever the sweep's precision."""
    return model if order.dtype == torch.float32 else order.load_model(torch.float32)


def title(recipe: Recipe) -> str:
    """What to call the model."""
    settings = recipe.model
    name = Path(settings.name).name if Path(settings.name).is_dir() else settings.name
    control = f", embedding {settings.embedding}" if settings.embedding else ""
    return settings.title or name + control


def _chosen(order: Order) -> list[DictionaryConfig]:
    known = [config.id for config in order.recipe.dictionaries]
    for name in order.only:
        if name not in known:
            listed = ", ".join(known)
            raise RecipeError(f"--only {name}: the recipe has no such id. It has: {listed}.")
    return [c for c in order.recipe.dictionaries if not order.only or c.id in order.only]


def _fetched(config: DictionaryConfig) -> DictionaryConfig:
    """With its path on this machine, whose place is noted: Live fetches nothing."""
    return replace(config, path=on_this_machine(config.path)) if config.path else config


def _given(recipe: Recipe, configs: list[DictionaryConfig]) -> dict[str, Dictionary]:
    """Dictionaries with files, by id: those to build, and those that baselines are like."""
    names = {name for config in configs for name in (config.id, config.like)}
    return {
        config.id: load_dictionary(_fetched(config))
        for config in recipe.dictionaries
        if config.path is not None and config.id in names
    }


def _at(config: DictionaryConfig, folders: dict[str, Path]) -> DictionaryConfig:
    """A baseline as the file that it has become; others as they are."""
    if config.id not in folders:
        return config
    path = str(folders[config.id])
    return DictionaryConfig(config.id, path, family=config.family)


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


def _tell_published(store: Path, jobs: list[Job]) -> None:
    """Say what is there already, and where another run of its dictionary is what is shown."""
    if not jobs:
        return
    with closing(ServedFiles(store)) as served:
        shown = {info.dictionary_id: info for info in served.catalogue().dictionaries}
    for job in jobs:
        job.workspace.remove()  # of a build killed just after it published
        logger.info("%s: run %s is already in the store", job.config.id, job.run_id)
        other = shown.get(job.config.id)
        if other is not None and other.run_id != job.run_id:
            logger.warning(
                "%s: the app shows run %s instead, built later with other settings. "
                "To show %s again, move %s out of the store.",
                *(job.config.id, other.run_id, job.run_id, other.path),
            )


def _code_digest() -> str:
    """Digest of the code that decides numbers: another version of it is another run."""
    folder = Path(__file__).parent
    parts = [folder_digest(folder / name, "*.py") for name in ("dictionaries", "passes")]
    modules = (
        "activations blocks corpus decoding embedding_control encoder hook_points inference "
        "perturbation publish remainder sweep threads vocabulary"
    )
    parts += [(folder / f"{name}.py").read_text(encoding="utf-8") for name in modules.split()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
