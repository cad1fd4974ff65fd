import os
import threading
import time

import pytest
import torch

from featurestore import threads, workers
from featurestore.threads import in_threads, n_processors, one_thread, spare_one


def test_torch_has_one_thread_inside_and_in_threads_started_there() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
            assert in_threads(lambda _: torch.get_num_threads(), range(4)) == [1] * 4
        assert torch.get_num_threads() == 3
        with pytest.raises(ZeroDivisionError), one_thread():
            1 / 0  # noqa: B018
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(("processors", "wanted"), [(1, 1), (2, 1), (3, 2), (8, 7)])
def test_torch_leaves_one_processor_to_others(
    monkeypatch: pytest.MonkeyPatch, processors: int, wanted: int
) -> None:
    monkeypatch.setattr(threads, "n_processors", lambda: processors)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with spare_one():
            assert torch.get_num_threads() == wanted
        assert torch.get_num_threads() == 3
        with pytest.raises(ZeroDivisionError), spare_one():
            1 / 0  # noqa: B018
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_results_stand_in_the_order_of_items(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "n_processors", lambda: 4)
    names = set()

    def slow_first(i: int) -> int:
        names.add(threading.get_ident())
        time.sleep(0.02 if i == 0 else 0)
        return i * i

    assert in_threads(slow_first, iter(range(50))) == [i * i for i in range(50)]
    assert len(names) > 1 and threading.get_ident() not in names


def test_an_error_in_a_thread_arrives() -> None:
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda i: 1 // i, [1, 0])


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux alone can bind a process")
def test_processors_are_those_that_may_be_used() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert n_processors() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert n_processors() == len(before)


@pytest.mark.parametrize(
    ("seconds", "processors", "fit", "wanted"),
    [
        (0, 8, 99, 1),
        (30, 8, 99, 1),
        (60, 8, 99, 3),
        (1e6, 8, 99, 8),
        (1e6, 8, 3, 3),
        (1e6, 8, 0, 1),
    ],
)
def test_workers_are_started_where_they_are_worth_it(
    monkeypatch: pytest.MonkeyPatch, seconds: float, processors: int, fit: int, wanted: int
) -> None:
    used = workers.psutil.Process().memory_info().rss
    memory = workers.psutil.virtual_memory()._replace(available=int(used * (fit + 0.5)))
    monkeypatch.setattr(workers.psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(workers, "n_processors", lambda: processors)
    assert workers.useful_workers(seconds) == wanted
