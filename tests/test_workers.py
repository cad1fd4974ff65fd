import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from featurestore import workers
from featurestore.build import build
from featurestore.errors import BuildFailed, Stopped
from featurestore.plan import Order, Plan, make_plan
from featurestore.recipes import read_recipe
from featurestore.stop import Stop
from featurestore.workers import (
    publish_in_processes,
    publish_job,
    run_ids_of,
    sweep_block,
    sweep_in_processes,
)
from tests.builder import Builder, is_alive, wait_until
from tests.tiny_model import save_dictionary, save_recipe
from tests.tiny_plan import build_of_many_blocks, check_blocks, plan_of, sweep_blocks, tables

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_of_many_blocks(tmp_path_factory.mktemp("workers"), 7)


def names(store: Path) -> set[str]:
    return {path.name for path in store.glob("work/*/block-*.safetensors")}


# Real processes


def test_workers_that_are_stopped_and_killed_change_nothing(
    run: Path, tmp_path: Path, builds: Builder
) -> None:
    command = ["build", run / "recipe.toml", "--store", tmp_path, "--workers", 2]
    # Control-C, which every process of the terminal gets.
    started = builds.start(*command)
    wait_until(lambda: len(names(tmp_path)) > 1)
    pids = started.workers()
    assert len(pids) == 2
    begun = time.monotonic()
    assert started.send(signal.SIGINT, to_all=True)
    assert started.wait(10) == 130, started.log
    assert time.monotonic() - begun < 10
    assert not any(map(is_alive, pids))
    assert "stopped by a signal" in started.log and "Traceback" not in started.log
    assert "leaked" not in started.log
    assert list(tmp_path.glob("work/*/*.tmp")) == []
    before = names(tmp_path)
    assert len(check_blocks(plan_of(run / "recipe.toml", tmp_path))) == len(before) > 1

    # One that dies is replaced.
    started = builds.start(*command)
    wait_until(lambda: len(names(tmp_path)) > len(before) + 1)
    pids = started.workers()
    os.kill(pids[0], signal.SIGKILL)
    assert started.wait() == 0, started.log
    assert "a worker died; " in started.log and " starting workers anew" in started.log
    assert "leaked" not in started.log  # by DuckDB, of a worker that ends in good order
    assert not any(map(is_alive, pids))
    assert tables(tmp_path) == tables(run / "store")
    assert list((tmp_path / "work").iterdir()) == []


def test_no_worker_outlives_its_build(run: Path, tmp_path: Path, builds: Builder) -> None:
    command = ["build", run / "recipe.toml", "--store", tmp_path, "--workers", 2]
    started = builds.start(*command)
    wait_until(lambda: len(started.workers()) == 2)
    pids = started.workers()  # that are starting
    begun = time.monotonic()
    assert started.send(signal.SIGTERM)
    assert started.wait(10) == 143, started.log
    assert time.monotonic() - begun < 10
    assert not any(map(is_alive, pids))
    assert "Traceback" not in started.log

    started = builds.start(*command)
    n_before = len(names(tmp_path))
    wait_until(lambda: len(names(tmp_path)) > n_before + 3)
    pids = started.workers()
    assert len(pids) == 2
    assert started.send(signal.SIGKILL)
    assert started.wait() == -9
    wait_until(lambda: not any(map(is_alive, pids)), 10)
    build(Order(read_recipe(run / "recipe.toml"), tmp_path))
    assert tables(tmp_path) == tables(run / "store")


def test_a_worker_that_reads_other_files_is_refused(tmp_path: Path) -> None:
    plan = plan_of(save_recipe(tmp_path), tmp_path / "store")
    save_dictionary(tmp_path / "sae", seed=5)
    (theirs,) = make_plan(plan.order).jobs
    with pytest.raises(BuildFailed) as caught:
        sweep_in_processes(plan, [0, 1], Stop(), lambda _: None, n_workers=1)
    assert f"would compute runs {theirs.run_id}, the build is {plan.jobs[0].run_id}" in str(
        caught.value
    )
    assert "model, dictionaries, texts or code differ" in str(caught.value)
    assert names(tmp_path / "store") == set()


def test_dictionaries_are_published_side_by_side(tmp_path: Path) -> None:
    recipe = save_recipe(tmp_path)
    save_dictionary(tmp_path / "other", seed=5)
    with recipe.open("a") as file:
        file.write('[[dictionaries]]\nid = "other"\npath = "other"\n')
    plan = plan_of(recipe, tmp_path / "store")
    sweep_blocks(plan, plan.blocks)
    found = {
        job.run_id: path for job, path in publish_in_processes(plan, plan.jobs, Stop(), n_workers=2)
    }
    assert found == {job.run_id: job.workspace.published for job in plan.jobs}
    assert list((tmp_path / "store" / "work").iterdir()) == []
    build(Order(read_recipe(recipe), tmp_path / "again"))
    for name in ("sae", "other"):
        assert tables(tmp_path / "store", name) == tables(tmp_path / "again", name)
    with pytest.raises(BuildFailed, match=f"the build is {plan.jobs[0].run_id}"):
        publish_job(plan.order, plan.jobs[0].run_id)  # it is published


# The same in one process


@pytest.fixture
def plan(run: Path, tmp_path: Path) -> Plan:
    return plan_of(run / "recipe.toml", tmp_path / "store")


def test_a_block_is_swept_by_its_number(plan: Plan) -> None:
    sweep_block(plan.order, run_ids_of(plan), 3)
    assert names(plan.order.store) == {"block-000003.safetensors"}
    with pytest.raises(BuildFailed, match="the build is other: model, dictionaries"):
        sweep_block(plan.order, ("other",), 4)
    assert names(plan.order.store) == {"block-000003.safetensors"}


def dying(plan: Plan, monkeypatch: pytest.MonkeyPatch, written: list[list[int]]) -> list[int]:
    """Workers that write some blocks and die, each time; what each was given first."""
    given: list[int] = []

    def sweep_once(_plan: Plan, numbers: list[int], _stop: Stop, _n_workers: int) -> Iterator[int]:
        given.append(len(numbers))
        for number in written[len(given) - 1] if len(given) <= len(written) else []:
            sweep_blocks(plan, [number])
            yield number
        raise BrokenProcessPool

    monkeypatch.setattr(workers, "_sweep_once", sweep_once)
    return given


def test_workers_that_keep_dying_are_given_up(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    given = dying(plan, monkeypatch, [[], [], [4], [], [1]])
    reported: list[int] = []
    message = "Workers died 6 times without writing a block; perhaps memory is short for 3 of them"
    with pytest.raises(BuildFailed, match=message):
        sweep_in_processes(plan, [0, 1, 4], Stop(), reported.append, n_workers=3)
    assert given == [3, 3, 3, 2, 2, *[1] * 6]  # each block starts the count anew
    assert reported == [4, 1]


def test_what_a_dead_worker_had_written_is_not_made_again(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep_blocks(plan, [5, 7])
    given = dying(plan, monkeypatch, [[6]])
    reported: list[int] = []
    sweep_in_processes(plan, [5, 6, 7], Stop(), reported.append, n_workers=2)
    assert given == [3]
    assert reported == [6, 5, 7]


def test_workers_that_a_signal_ended_are_not_started_anew(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, stop = dying(plan, monkeypatch, []), Stop()
    stop.ask(signal.SIGTERM)
    with pytest.raises(Stopped):
        sweep_in_processes(plan, [0], stop, lambda _: None, n_workers=2)
    assert given == [1]
