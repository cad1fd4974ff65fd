"""The sweep: each block runs through the model once, for all dictionaries.

A block is a fixed range of contexts, so its number alone says what is in it; who computes it, and
when, changes nothing. Blocks that are on disk are skipped, which is all that resuming takes.
"""

from collections.abc import Callable

import numpy as np

from featurestore.blocks import write_block
from featurestore.corpus import Corpus
from featurestore.encoder import Encoder, Entries, encode_tokens
from featurestore.errors import BuildFailed
from featurestore.inference import LanguageModel
from featurestore.plan import Job, Plan
from featurestore.stop import PATIENCE_S, Stop
from featurestore.threads import one_thread

OnBlock = Callable[[int], None]
"""Called with a block's number once it is on disk."""

ENTRIES_IN_A_BLOCK = 2**25
"""More of them take more than 1 GB while they are grouped."""


def sweep(plan: Plan, numbers: list[int], stop: Stop, on_block: OnBlock) -> None:
    """Write those of some blocks that are missing.

    Raises:
        BuildFailed: a block could not be written, or is too large.
        Stopped: a signal came.
    """
    encoders = [Encoder(job.dictionary, plan.order.dtype, plan.order.device) for job in plan.jobs]
    for number in numbers:
        stop.check()
        targets = [
            (job, encoder)
            for job, encoder in zip(plan.jobs, encoders, strict=True)
            if not job.workspace.has(number)
        ]
        with one_thread():
            found = encode_contexts(plan.model, plan.corpus, plan.contexts(number), targets, stop)
        for (job, _), entries in zip(targets, found, strict=True):
            _write(job, number, entries)
        on_block(number)


def encode_contexts(
    model: LanguageModel,
    corpus: Corpus,
    contexts: range,
    targets: list[tuple[Job, Encoder]],
    stop: Stop,
) -> list[Entries]:
    """Non-zero activations on the valid tokens of some contexts; rows are places in the corpus."""
    if not targets:
        return []
    length = corpus.tokens.shape[1]
    encoders = [(job.dictionary.origin.hook_name, encoder) for job, encoder in targets]
    parts: list[list[Entries]] = [[] for _ in targets]
    for start in contexts[:: model.contexts_at_once(length)]:
        stop.check(PATIENCE_S)
        rows = slice(start, min(start + model.contexts_at_once(length), contexts.stop))
        is_valid = corpus.is_valid(rows)
        places = np.flatnonzero(is_valid) + rows.start * length
        places = places.astype(np.uint32 if corpus.tokens.size < 2**32 else np.uint64)
        found = encode_tokens(model, corpus.tokens[rows], is_valid, encoders)
        for (job, _), part, entries in zip(targets, parts, found, strict=True):
            part.append(Entries(places[entries.rows], entries.features, entries.values))
            _check_size(job, part, len(contexts))
    return [Entries.joined(part) for part in parts]


def _check_size(job: Job, parts: list[Entries], n_contexts: int) -> None:
    n_entries = sum(len(part.rows) for part in parts)
    if n_entries > ENTRIES_IN_A_BLOCK:
        raise BuildFailed(
            f"A block of {n_contexts} contexts has more than {ENTRIES_IN_A_BLOCK:,} non-zero "
            f"activations of '{job.config.id}', which do not fit into memory. Set a smaller "
            "'contexts_per_block' in the recipe."
        )


def _write(job: Job, number: int, entries: Entries) -> None:
    folder, name = job.workspace.folder, job.workspace.name(number)
    try:
        write_block(folder, name, entries.features, entries.rows, entries.values)
    except OSError as error:
        raise BuildFailed(
            f"Block {number} could not be written to '{folder}': {error.strerror}. "
            "Free space there and run the same build again: it goes on where it stopped."
        ) from error
