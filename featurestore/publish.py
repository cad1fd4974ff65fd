"""From a run's blocks to its file in the store: every pass over every range of features."""

import platform
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from featurestore.activations import ActivationFiles, Activations
from featurestore.config import Recipe
from featurestore.dictionary_file import KEYS
from featurestore.inference import LanguageModel
from featurestore.kept_rows import KeptRows
from featurestore.passes.ablation import Ablation
from featurestore.passes.base import Keep, Pass, Run, Tables, keep_nothing
from featurestore.passes.decoder import Decoder
from featurestore.passes.dependence import Dependence
from featurestore.passes.examples import Examples
from featurestore.passes.layout import Layout
from featurestore.passes.logit_lens import LogitLens
from featurestore.passes.neighbours import Neighbours
from featurestore.passes.scores import Scores
from featurestore.passes.statistics import Statistics
from featurestore.passes.tokens import Tokens
from featurestore.passes.unigrams import Unigrams
from featurestore.plan import Job, Plan, title
from featurestore.precision import dtype_change
from featurestore.stop import Stop
from featurestore.threads import one_thread
from featurestore.vocabulary import context_texts, token_texts
from featurestore.writer import StoreWriter

PASSES = (
    Statistics,
    Examples,
    LogitLens,
    Tokens,
    Unigrams,
    Decoder,
    Neighbours,
    Layout,
    Ablation,
    Dependence,
    Scores,
)

LIBRARIES = (
    *("torch", "transformers", "transformer-lens", "numpy", "scipy", "scikit-learn"),
    *("umap-learn", "duckdb", "pyarrow"),
)

CONTEXTS_AT_ONCE = 20_000


def publish(job: Job, plan: Plan, model: LanguageModel, stop: Stop) -> Path:
    """Run the passes over a dictionary's activations and publish its file.

    `model` is the recipe's in float32, whatever the sweep's precision.

    Raises:
        BuildFailed: a block is missing or damaged, or the disk is full.
        Stopped: a signal came; nothing is published.
    """
    blocks = [job.workspace.block(number) for number in plan.blocks]
    activations = ActivationFiles(blocks, job.dictionary.n_features)
    kept = KeptRows(job.workspace.folder, job.run_id)
    passes = make_passes(job, plan, model, stop, kept.rows)
    is_shown = np.zeros(len(plan.corpus.tokens), dtype=bool)
    with one_thread(), StoreWriter(plan.order.store, job.config.id, job.run_id) as writer:
        for each in passes:
            stop.check()
            each.prepare(activations)
        for first, last in tqdm(activations.ranges(), job.config.id, unit="range", leave=False):
            for table, rows in all_rows(passes, activations.read(first, last), stop).items():
                stop.check()
                writer.append(table, rows)
                if table == "examples":
                    is_shown[rows["context"].to_numpy()] = True
        for table, rows in _concluded(passes).items():
            writer.append(table, rows)
        for rows in _context_rows(plan, np.flatnonzero(is_shown)):
            writer.append("contexts", rows)
        texts = token_texts(plan.model.tokenizer, plan.model.d_vocab)
        ids = pa.array(range(len(texts)), pa.int32())
        writer.append("vocab", pa.table({"token_id": ids, "token": texts}))
        stop.check()
        path = writer.publish(
            _manifest(job, plan) | {"dtype_change": dtype_change(job, plan, model)}
        )
    job.workspace.remove()
    return path


def make_passes(
    job: Job, plan: Plan, model: LanguageModel, stop: Stop, keep: Keep = keep_nothing
) -> list[Pass]:
    """Every pass, told of the run."""
    run = Run(
        dictionary=job.dictionary,
        corpus=plan.corpus,
        model=model,
        unembedding=model.unembedding(),
        to_residual=model.to_residual(job.dictionary.origin.hook_name_out),
        settings=plan.order.recipe.passes,
        seed=plan.order.recipe.seed,
        stop=stop,
        keep=keep,
    )
    return [make_pass(run) for make_pass in PASSES]


def all_rows(passes: list[Pass], activations: Activations, stop: Stop) -> Tables:
    """What every pass makes of a range of features."""
    results = []
    for each in passes:
        stop.check()
        results.append(each.rows(activations))
    found = _merged(results)
    for each in passes:
        stop.check()
        found = _merged([found, each.follow_up(activations, found)])
    return found


def _concluded(passes: list[Pass]) -> Tables:
    """Rows that are not by feature, of all passes together, in the order of their key."""
    parts: dict[str, list[pa.Table]] = defaultdict(list)
    for each in passes:
        for table, rows in each.conclude().items():
            parts[table].append(rows)
    return {
        table: pa.concat_tables(rows).sort_by(
            [(key, "ascending") for key in KEYS[table].split(", ")]
        )
        for table, rows in parts.items()
    }


def _merged(results: list[Tables]) -> Tables:
    """Rows of all passes: their columns of `features` side by side, all else as it is."""
    merged: Tables = {}
    for tables in results:
        for table, rows in tables.items():
            if table not in merged:
                merged[table] = rows
                continue
            for name in rows.column_names:
                merged[table] = merged[table].append_column(name, rows[name])
    return merged


def _context_rows(plan: Plan, contexts: np.ndarray) -> Iterator[pa.Table]:
    """Rows of some contexts, a part at a time."""
    corpus = plan.corpus
    for start in range(0, len(contexts), CONTEXTS_AT_ONCE):
        part = contexts[start : start + CONTEXTS_AT_ONCE]
        documents = [corpus.documents[corpus.document[context]] for context in part]
        tokens = [corpus.tokens[c, : corpus.n_valid[c]] for c in part]
        yield pa.table(
            {
                "context": pa.array(part, pa.int32()),
                "document": pa.array(documents, pa.string()),
                "start": pa.array(corpus.start[part]),
                "tokens": pa.array(tokens, pa.list_(pa.int32())),
                "text": pa.array(context_texts(plan.model.tokenizer, tokens), pa.string()),
            }
        )


def _manifest(job: Job, plan: Plan) -> dict[str, Any]:
    dictionary, corpus, recipe = job.dictionary, plan.corpus, plan.order.recipe
    versions = {name: version(name) for name in LIBRARIES}
    return {
        "run_id": job.run_id,
        "dictionary_id": job.config.id,
        **asdict(dictionary.origin),
        "model_name": title(recipe),
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
        "dtype": recipe.dtype,
        "built_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "git_commit": _git_commit(),
        "recipe": _shareable(recipe),
        "digests": job.digests,
        "versions": {
            "python": platform.python_version(),
            **versions,
            "machine": f"{platform.machine()} {plan.order.device}",
        },
    }


def _shareable(recipe: Recipe) -> dict[str, Any]:
    """Every setting, with folders cut from paths: a store may be sent to others."""
    settings = asdict(recipe)
    settings["model"]["name"] = Path(recipe.model.name).name
    corpus = recipe.corpus
    if corpus.files is not None:
        settings["corpus"]["files"] = [Path(pattern).name for pattern in corpus.files]
    if corpus.dataset is not None and Path(corpus.dataset).is_dir():
        settings["corpus"]["dataset"] = Path(corpus.dataset).name
    for dictionary in settings["dictionaries"]:
        if dictionary["path"] is not None:
            dictionary["path"] = Path(dictionary["path"]).name
    return settings


def _git_commit() -> str | None:
    command = ["git", "rev-parse", "HEAD"]
    try:
        found = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return found.stdout.strip() or None
