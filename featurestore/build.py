"""Build dashboards: recipe -> plan -> one sweep for all dictionaries -> passes -> one file each.

Who sweeps is an engine's choice: this process, several, or a cluster. All write the same blocks
into the same folders, so the results are the same to the last bit.
"""

import contextlib
import functools
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tqdm import tqdm

from featurestore.errors import BuildFailed
from featurestore.inference import LanguageModel
from featurestore.plan import Job, Order, Plan, exact_model, make_plan
from featurestore.publish import publish
from featurestore.stop import Stop
from featurestore.sweep import OnBlock, sweep
from featurestore.workers import publish_in_processes, sweep_in_processes, useful_workers

logger = logging.getLogger(__name__)

Engine = Callable[[Plan, list[int], Stop, OnBlock], None]
"""Writes blocks that are missing. `sweep` does it here; with none chosen, a build starts processes
if the work left is worth it."""

SHARDS_START_S = 10.0
"""How long a shard waits for others that start in the same moment."""

BYTES_OF_A_FEATURE = 8_000
"""Disk that a feature's rows take while a file is published: measured 3 to 4 kB, and a margin."""

RUN_S = 0.008
"""What an ablation of a context takes, until some were seen: those of the demo do."""


def build(
    order: Order, stop: Stop | None = None, engine: Engine | None = None, discard: bool = False
) -> list[Path]:
    """Build the dictionaries of a recipe into a store; returns the files published now.

    Raises:
        BadInput: a dictionary, the model or the corpus cannot be used, or an unfinished run of
            the same dictionary has other settings and `discard` does not allow to drop it.
        BuildFailed: the run could not be finished; the store is as it was.
        Stopped: a signal came; the same build goes on with what is not finished.
    """
    stop = stop or Stop()
    return build_plan(make_plan(order, stop), stop, engine, discard)


def build_plan(
    plan: Plan, stop: Stop | None = None, engine: Engine | None = None, discard: bool = False
) -> list[Path]:
    """The same, once all is loaded."""
    stop = stop or Stop()
    with _open(plan, discard):
        _sweep(plan, list(plan.blocks), stop, engine)
        return _publish_all(plan, stop, may_split=engine is not sweep)


def sweep_shard(
    order: Order, shard: tuple[int, int], stop: Stop | None = None, discard: bool = False
) -> Plan:
    """Write every n-th block from the i-th on (from 1), and publish nothing; raises as `build`."""
    i, n = shard
    stop = stop or Stop()
    plan = make_plan(order, stop)
    with _open(plan, discard, f"{i}-of-{n}"):
        _sweep(plan, list(plan.blocks[i - 1 :: n]), stop, sweep)
    return plan


def merge(order: Order, stop: Stop | None = None) -> list[Path]:
    """Publish runs whose blocks are all there, written by shards.

    Raises:
        BuildFailed: a block is missing or damaged, or a shard is still running.
    """
    stop = stop or Stop()
    plan = make_plan(order, stop)
    with _open(plan):
        missing = plan.missing()
        if missing:
            raise BuildFailed(
                f"Blocks {_spans(missing)} of {len(plan.blocks)} are missing in "
                f"'{order.store / 'work'}'. Run the shards that make them, then merge again; or "
                "run build, which makes them here."
            )
        for job in plan.jobs:  # all of them, before the first is published
            for number in plan.blocks:
                job.workspace.block(number)
        return _publish_all(plan, stop)


@contextlib.contextmanager
def _open(plan: Plan, discard: bool = False, shard: str | None = None) -> Iterator[None]:
    """Folders and locks of all jobs."""
    with contextlib.ExitStack() as locks:
        for job in plan.jobs:
            job.workspace.open(discard)
            if shard is None:
                locks.enter_context(job.workspace.alone())
                job.workspace.check_no_shard_runs()
                continue
            with job.workspace.alone(wait_s=SHARDS_START_S):  # no build of the whole run
                pass
            locks.enter_context(job.workspace.alone(shard))
        yield


def _sweep(plan: Plan, numbers: list[int], stop: Stop, engine: Engine | None) -> None:
    """Write the blocks that are missing: one here, to see what the others will take."""
    for job in plan.jobs:
        job.workspace.drop_unusable(numbers)
    wanted = set(numbers)
    missing = [number for number in plan.missing() if number in wanted]
    if not missing:
        return
    sizes = {n: int(plan.corpus.is_valid(_rows(plan, n)).sum()) for n in numbers}
    total = sum(sizes.values())
    initial = total - sum(sizes[n] for n in missing)
    with tqdm(
        total=total, initial=initial, unit="tok", unit_scale=True, desc="sweep", leave=False
    ) as bar:
        start = time.perf_counter()
        sweep(plan, missing[:1], stop, lambda n: bar.update(sizes[n]))
        seconds = (time.perf_counter() - start) * (len(missing) - 1)
        _check_space(plan, missing[0], len(missing) - 1)
        engine = engine or _engine_for(seconds)
        engine(plan, missing[1:], stop, lambda n: bar.update(sizes[n]))
    left = [number for number in plan.missing() if number in wanted]
    if left:
        raise BuildFailed(
            f"Blocks {_spans(left)} were not written. Run the same build again: it goes on there."
        )


def _engine_for(seconds: float) -> Engine:
    """Several processes if they are worth it, for work that takes one so long; else this one."""
    n_workers = useful_workers(seconds)
    if n_workers == 1:
        return sweep
    logger.info("sweeping in %d processes; --workers chooses another number", n_workers)
    return functools.partial(sweep_in_processes, n_workers=n_workers)


def _rows(plan: Plan, number: int) -> slice:
    contexts = plan.contexts(number)
    return slice(contexts.start, contexts.stop)


def _check_space(plan: Plan, written: int, n_left: int) -> None:
    """Raise unless the disk holds the blocks that are left, all about as large, and the files."""
    per_block = sum(job.workspace.n_bytes(written) for job in plan.jobs)
    n_features = sum(job.dictionary.n_features for job in plan.jobs)
    needed = n_left * per_block + n_features * BYTES_OF_A_FEATURE
    free = shutil.disk_usage(plan.order.store).free
    if free < needed:
        raise BuildFailed(
            f"The build needs about {needed:,} bytes in '{plan.order.store}' ({n_left:,} blocks of "
            f"{per_block:,} and {n_features:,} features of {BYTES_OF_A_FEATURE:,}), but {free:,} "
            "are free. Free space there, or use another --store; the same build goes on where it "
            "stopped."
        )


def _publish_all(plan: Plan, stop: Stop, may_split: bool = True) -> list[Path]:
    """Run the passes of every dictionary, side by side once they are known to take long."""
    paths: list[Path] = []

    def published(job: Job, path: Path) -> None:
        paths.append(path)
        logger.info("%s: published %s", job.config.id, path)

    model: LanguageModel | None = None
    settings = plan.order.recipe.passes
    n_ablated = settings.n_ablated_top + settings.n_ablated_bands
    of_a_feature = RUN_S * n_ablated * (1 + settings.n_control_draws)  # most of what passes take
    for i, job in enumerate(plan.jobs):
        stop.check()
        rest = plan.jobs[i:]
        seconds = of_a_feature * sum(each.dictionary.n_features for each in rest)
        n_workers = useful_workers(seconds) if may_split else 1
        if min(n_workers, len(rest)) > 1:
            ends = publish_in_processes(plan, rest, stop, n_workers)
            for done, path in tqdm(ends, "passes", len(rest), unit="dictionary", leave=False):
                published(done, path)
            break
        model = model or exact_model(plan.order, plan.model)
        start = time.perf_counter()
        published(job, publish(job, plan, model, stop))
        of_a_feature = (time.perf_counter() - start) / job.dictionary.n_features
    return paths


def _spans(numbers: list[int]) -> str:
    """Numbers as text, runs of them joined: 0-3, 7."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    texts = [str(a) if a == b else f"{a}-{b}" for a, b in spans]
    return ", ".join(texts[:20]) + (", …" if len(texts) > 20 else "")
