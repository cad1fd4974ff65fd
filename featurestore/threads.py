"""How many processors are used, and by what.

A product of matrices may differ in its last bits between one thread and several (of 350 shapes
tried with MKL, 115 do), so whatever decides numbers runs torch in one thread. Several processors
are used by doing several things at once: blocks in processes, tiles of a pass in threads.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

MOST_THREADS = 16
"""More would wait for the interpreter, and each holds a tile in memory."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def n_processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux: less than all under taskset, Slurm or Docker
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread, here and in threads started here."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def spare_one() -> Iterator[None]:
    """Let torch use all processors but one, which is left to whoever looks at other pages."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, n_processors() - 1))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """The function of every item, in order, on many processors.

    It is for functions that spend their time in numpy or torch, which let go of the interpreter.
    """
    n_threads = min(n_processors(), MOST_THREADS)
    if n_threads == 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(function, items))
