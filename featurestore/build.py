"""Build dashboards: recipe -> model, dictionaries, corpus -> one sweep -> passes -> one file each.

A run is named by a hash of everything that decides its numbers. What is already published under
that name is not computed again, and a changed setting never mixes with an old one.
"""

import hashlib
import json
import logging
import platform
import shutil
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from featurestore.activations import ActivationFiles
from featurestore.config import DictionaryConfig, Recipe
from featurestore.corpus import Corpus, make_corpus, read_documents
from featurestore.dictionaries.base import Dictionary
from featurestore.dictionaries.load import load_dictionary
from featurestore.dictionary_file import SCHEMA_VERSION
from featurestore.digests import folder_digest
from featurestore.errors import DictionaryError, RecipeError
from featurestore.inference import LanguageModel, load_model
from featurestore.passes.base import Run
from featurestore.passes.examples import Examples
from featurestore.passes.logit_lens import LogitLens
from featurestore.passes.statistics import Statistics
from featurestore.sweep import Target, block_path, n_blocks, sweep
from featurestore.vocabulary import token_texts
from featurestore.writer import StoreWriter

logger = logging.getLogger(__name__)

PASSES = (Statistics, Examples, LogitLens)

LIBRARIES = ("torch", "transformers", "transformer-lens", "numpy", "duckdb", "pyarrow")


@dataclass(frozen=True)
class _Job:
    """One dictionary of a run, and where its results go."""

    config: DictionaryConfig
    dictionary: Dictionary
    run_id: str
    digests: dict[str, str]
    work: Path


def build(recipe: Recipe, store: Path, only: tuple[str, ...] = ()) -> list[Path]:
    """Build the dictionaries of a recipe into a store; returns the files published now.

    Raises:
        BadInput: a dictionary, the model or the corpus cannot be used.
        BuildFailed: the run could not be finished; the store is as it was.
    """
    configs = _chosen(recipe, only)
    dictionaries = [load_dictionary(config) for config in configs]
    model = load_model(recipe.model.name, recipe.model.revision)
    for config, dictionary in zip(configs, dictionaries, strict=True):
        _check_fit(config, dictionary, model)
    corpus = _read_corpus(recipe, model)
    jobs = _open_jobs(recipe, configs, dictionaries, model, corpus, store)
    if not jobs:
        return []
    targets = [Target(job.dictionary, job.work) for job in jobs]
    sweep(model, corpus, targets, recipe.contexts_per_block)
    return [_publish(job, recipe, model, corpus, store) for job in jobs]


def _chosen(recipe: Recipe, only: tuple[str, ...]) -> list[DictionaryConfig]:
    known = [config.id for config in recipe.dictionaries]
    for name in only:
        if name not in known:
            raise RecipeError(f"--only {name}: the recipe has no such id. It has: {known}.")
    return [config for config in recipe.dictionaries if not only or config.id in only]


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


def _open_jobs(
    recipe: Recipe,
    configs: list[DictionaryConfig],
    dictionaries: list[Dictionary],
    model: LanguageModel,
    corpus: Corpus,
    store: Path,
) -> list[_Job]:
    """The dictionaries whose run is not yet in the store."""
    shared = {
        "model": model.digest(),
        "tokenizer": hashlib.sha256(model.tokenizer_description().encode()).hexdigest(),
        "corpus": corpus.digest(),
        "code": _code_digest(),
    }
    jobs = []
    for config, dictionary in zip(configs, dictionaries, strict=True):
        digests = shared | {"dictionary": dictionary.digest()}
        decisive = {
            "schema_version": SCHEMA_VERSION,
            "digests": digests,
            "passes": asdict(recipe.passes),
            "seed": recipe.seed,
            "contexts_per_block": recipe.contexts_per_block,
            "shown": [config.id, asdict(dictionary.origin), _title(recipe), recipe.model.step],
            "corpus_name": recipe.corpus.name,
        }
        text = json.dumps(decisive, sort_keys=True)
        run_id = hashlib.sha256(text.encode()).hexdigest()[:16]
        work = store / "work" / run_id
        if (store / "dictionaries" / config.id / f"{run_id}.duckdb").exists():
            logger.info("%s: run %s is already in the store", config.id, run_id)
            shutil.rmtree(work, ignore_errors=True)  # of a build killed just after it published
            continue
        jobs.append(_Job(config, dictionary, run_id, digests, work))
    return jobs


def _publish(job: _Job, recipe: Recipe, model: LanguageModel, corpus: Corpus, store: Path) -> Path:
    """Run the passes over a dictionary's activations and publish its file."""
    blocks = range(n_blocks(corpus, recipe.contexts_per_block))
    paths = [block_path(job.work, block) for block in blocks]
    activations = ActivationFiles(paths, job.dictionary.n_features)
    run = Run(
        dictionary=job.dictionary,
        corpus=corpus,
        unembedding=model.unembedding(),
        to_residual=model.to_residual(job.dictionary.origin.hook_name_out),
        settings=recipe.passes,
        seed=recipe.seed,
    )
    passes = [make_pass(run) for make_pass in PASSES]
    ranges = activations.ranges()
    shown: set[int] = set()
    with StoreWriter(store, job.config.id, job.run_id) as writer:
        for first, last in tqdm(ranges, desc=job.config.id, unit="range", leave=False):
            found = activations.read(first, last)
            tables = _merged([each.rows(found) for each in passes])
            shown.update(tables["examples"]["context"].unique().to_pylist())
            for table, rows in tables.items():
                writer.append(table, rows)
        writer.append("contexts", _context_rows(corpus, np.array(sorted(shown), dtype=np.int64)))
        texts = token_texts(model.tokenizer, model.d_vocab)
        ids = pa.array(range(len(texts)), pa.int32())
        writer.append("vocab", pa.table({"token_id": ids, "token": texts}))
        path = writer.publish(_manifest(job, recipe, corpus))
    shutil.rmtree(job.work, ignore_errors=True)
    logger.info("%s: published %s", job.config.id, path)
    return path


def _merged(results: list[dict[str, pa.Table]]) -> dict[str, pa.Table]:
    """Rows of all passes: their columns of `features` side by side, all else as it is."""
    merged: dict[str, pa.Table] = {}
    for tables in results:
        for table, rows in tables.items():
            if table not in merged:
                merged[table] = rows
                continue
            for name in rows.column_names:
                merged[table] = merged[table].append_column(name, rows[name])
    return merged


def _context_rows(corpus: Corpus, contexts: np.ndarray) -> pa.Table:
    documents = [corpus.documents[corpus.document[context]] for context in contexts]
    tokens = [corpus.tokens[c, : corpus.n_valid[c]].tolist() for c in contexts]
    return pa.table(
        {
            "context": pa.array(contexts, pa.int32()),
            "document": pa.array(documents, pa.string()),
            "start": pa.array(corpus.start[contexts]),
            "tokens": pa.array(tokens, pa.list_(pa.int32())),
        }
    )


def _manifest(job: _Job, recipe: Recipe, corpus: Corpus) -> dict:
    dictionary, origin = job.dictionary, job.dictionary.origin
    versions = {name: version(name) for name in LIBRARIES}
    return {
        "run_id": job.run_id,
        "dictionary_id": job.config.id,
        **asdict(origin),
        "model_name": _title(recipe),
        "model_step": recipe.model.step,
        "d_in": dictionary.d_in,
        "d_out": dictionary.d_out,
        "n_features": dictionary.n_features,
        "context_length": recipe.corpus.context_length,
        "n_contexts": len(corpus.tokens),
        "n_tokens": corpus.n_tokens,
        "token_mask": corpus.token_mask,
        "corpus_name": recipe.corpus.name,
        "seed": recipe.seed,
        "built_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "git_commit": _git_commit(),
        "recipe": _shareable(recipe),
        "digests": job.digests,
        "versions": {"python": platform.python_version(), **versions},
    }


def _title(recipe: Recipe) -> str:
    """What to call the model."""
    name = recipe.model.name
    return recipe.model.title or (Path(name).name if Path(name).is_dir() else name)


def _shareable(recipe: Recipe) -> dict:
    """Every setting, with folders cut from paths: a store may be sent to others."""
    settings = asdict(recipe)
    settings["model"]["name"] = Path(recipe.model.name).name
    settings["corpus"]["files"] = [Path(pattern).name for pattern in recipe.corpus.files]
    for dictionary in settings["dictionaries"]:
        dictionary["path"] = Path(dictionary["path"]).name
    return settings


def _code_digest() -> str:
    """Digest of the code that decides numbers: another version of it is another run."""
    folder = Path(__file__).parent
    parts = [folder_digest(folder / name, "*.py") for name in ("dictionaries", "passes")]
    files = ("activations.py", "corpus.py", "inference.py", "sweep.py", "vocabulary.py")
    parts += [(folder / name).read_text(encoding="utf-8") for name in files]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _git_commit() -> str | None:
    command = ["git", "rev-parse", "HEAD"]
    try:
        found = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return found.stdout.strip() or None
