"""Sweep, and publish, in several processes of this machine.

Each process loads the model once and is then sent block numbers, or runs to publish; what it finds
goes to the run's folder, nothing comes back. A process that dies costs the blocks in work: all are
started anew. On Linux they are forked from one that has imported the libraries and done nothing
else: torch's threads do not survive a fork, and elsewhere the system's libraries do not.
"""

import functools
import logging
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from typing import Any

import psutil
from tqdm import tqdm

from featurestore.errors import BuildFailed, Stopped
from featurestore.inference import LanguageModel
from featurestore.plan import Job, Order, Plan, exact_model, make_plan
from featurestore.publish import publish
from featurestore.stop import PATIENCE_S, Stop, end_with
from featurestore.sweep import OnBlock, sweep
from featurestore.threads import n_processors

logger = logging.getLogger(__name__)

WORTH_S = 20.0
"""Work that a process must have to be started: it takes some 7 s to import torch and load."""

_CONTEXT = get_context("forkserver" if sys.platform == "linux" else "spawn")
_CONTEXT.set_forkserver_preload([__name__])

RESTARTS = 5
"""How often in a row workers may die without having written a block."""


def useful_workers(seconds: float) -> int:
    """How many processes are worth their start, for work that takes one of them so long."""
    available = psutil.virtual_memory().available // psutil.Process().memory_info().rss
    return max(1, min(n_processors(), available, int(seconds / WORTH_S)))


def sweep_in_processes(
    plan: Plan, numbers: list[int], stop: Stop, on_block: OnBlock, n_workers: int
) -> None:
    """Write those of some blocks that are missing, in `n_workers` processes.

    Raises:
        BuildFailed: a block could not be written, or workers keep dying.
        Stopped: a signal came; blocks that were begun are finished, unless they take long.
    """
    left, n_failed = list(numbers), 0
    while left:
        n_before = len(left)
        try:
            for number in _sweep_once(plan, left, stop, n_workers):
                on_block(number)
                left.remove(number)
        except BrokenProcessPool as error:
            stop.check()  # a signal may have reached the workers too
            n_failed = n_failed + 1 if len(left) == n_before else 0
            if n_failed > RESTARTS:
                raise BuildFailed(
                    f"Workers died {n_failed} times without writing a block; perhaps memory is "
                    f"short for {n_workers} of them. Use fewer --workers; the same build goes on "
                    "where it stopped."
                ) from error
            logger.warning("a worker died; %d blocks are left, starting workers anew", len(left))
            done = [n for n in left if all(job.workspace.has(n) for job in plan.jobs)]
            for number in done:
                on_block(number)
                left.remove(number)


def publish_in_processes(
    plan: Plan, jobs: Sequence[Job], stop: Stop, n_workers: int
) -> Iterator[tuple[Job, Path]]:
    """Run the passes of several dictionaries side by side; each job with its file, as they end.

    Raises:
        BuildFailed: a dictionary could not be published, or a worker died.
        Stopped: a signal came; what is not published is not in the store.
    """
    calls = [(publish_job, plan.order, job.run_id) for job in jobs]
    try:
        for number, path in _in_processes(calls, stop, n_workers):
            yield jobs[number], path
    except BrokenProcessPool as error:
        stop.check()
        raise BuildFailed(
            f"A worker died while {n_workers} dictionaries were published side by side; perhaps "
            "memory is short. The same build with --workers 1 goes on, one after the other."
        ) from error


def _sweep_once(plan: Plan, numbers: list[int], stop: Stop, n_workers: int) -> Iterator[int]:
    """Numbers of blocks as they are done, until a worker dies."""
    calls = [(sweep_block, plan.order, run_ids_of(plan), number) for number in numbers]
    for i, _ in _in_processes(calls, stop, n_workers):
        yield calls[i][-1]


def _in_processes(calls: list[tuple], stop: Stop, n_workers: int) -> Iterator[tuple[int, Any]]:
    """Functions with arguments, called in other processes: their places and answers, as they come.

    Raises:
        BrokenProcessPool: a worker died.
    """
    pool = ProcessPoolExecutor(
        max_workers=min(n_workers, len(calls)),
        mp_context=_CONTEXT,
        initializer=_start,
    )
    with pool:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # which workers inherit
        futures: dict[Future, int] = {pool.submit(*call): i for i, call in enumerate(calls)}
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        try:
            while futures:
                done, _ = wait(futures, timeout=0.2, return_when=FIRST_COMPLETED)
                for future in done:
                    yield futures.pop(future), future.result()
                stop.check()
        except (Stopped, KeyboardInterrupt):
            left = [future for future in futures if not future.cancel()]
            ended = wait(left, PATIENCE_S).done
            for worker in active_children():
                worker.kill()  # what is not finished leaves nothing
            for future in ended:
                if not future.exception():
                    yield futures[future], future.result()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _start() -> None:
    """Set up a worker. Control-C is for the parent alone, which sends no more blocks after it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    parent = parent_process().sentinel
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    # Bars of several processes would write over each other. With a lock of threads alone: one for
    # processes is named on the machine, and whoever is killed leaves it behind.
    tqdm.set_lock(threading.RLock())
    tqdm.__init__ = functools.partialmethod(tqdm.__init__, disable=True)


def run_ids_of(plan: Plan) -> tuple[str, ...]:
    """What a plan is going to compute."""
    return tuple(job.run_id for job in plan.jobs)


def sweep_block(order: Order, run_ids: tuple[str, ...], number: int) -> None:
    """Write one block, in a process that keeps model and dictionaries for the next.

    Raises:
        BuildFailed: files here are not those that the build was started with.
    """
    plan = _plan(order)
    if run_ids_of(plan) != run_ids:
        raise _other_files(run_ids_of(plan), run_ids)
    sweep(plan, [number], Stop(), lambda _: None)


def publish_job(order: Order, run_id: str) -> Path:
    """Run the passes of one dictionary, in a process that keeps all for the next; its file.

    Raises:
        BuildFailed: it cannot be published, or files here are not those of the build.
    """
    plan = _plan(order)
    for job in plan.jobs:
        if job.run_id == run_id:
            return publish(job, plan, _exact_model(order), Stop())
    raise _other_files(run_ids_of(plan), (run_id,))


def _other_files(found: tuple[str, ...], wanted: tuple[str, ...]) -> BuildFailed:
    return BuildFailed(
        f"A worker would compute runs {', '.join(found) or 'none'}, the build is "
        f"{', '.join(wanted)}: model, dictionaries, texts or code differ there. Make them the "
        "same everywhere and run the same build again."
    )


@functools.lru_cache(maxsize=1)
def _exact_model(order: Order) -> LanguageModel:
    return exact_model(order, _plan(order).model)


@functools.lru_cache(maxsize=1)
def _plan(order: Order) -> Plan:
    return make_plan(order)
