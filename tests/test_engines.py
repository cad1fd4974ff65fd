"""Whoever sweeps, in whatever order, and however often it is stopped: the same to the last bit."""

import os
import random
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from featurestore.build import build
from featurestore.plan import Job, Order, Plan
from featurestore.publish import publish
from featurestore.recipes import read_recipe
from featurestore.stop import Stop
from tests.builder import Build, Builder, wait_until
from tests.tiny_model import LONG_PASSES_OFF, save_dictionary, save_recipe
from tests.tiny_plan import (
    block_files,
    build_of_many_blocks,
    check_blocks,
    moved,
    plan_of,
    sweep_blocks,
    tables,
)

pytestmark = pytest.mark.long

N_SHARDINGS = 50
PUBLISHED_EVERY = 5
N_KILLS = 20
BLOCKS = "work/*/block-*.safetensors"


# Every sharding


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Two dictionaries on 13 blocks."""
    folder = tmp_path_factory.mktemp("shardings")
    path = save_recipe(folder, **LONG_PASSES_OFF)
    late = {"hook_name": "blocks.1.hook_resid_post", "nonlinearity": "signed_topk", "k": 3}
    save_dictionary(folder / "late", n_features=8, **late)
    path.write_text(path.read_text() + '[[dictionaries]]\nid = "late"\npath = "late"\n')
    plan = plan_of(path, folder / "store")
    assert len(plan.blocks) == 13
    return plan


def published(job: Job, plan: Plan) -> dict[str, dict]:
    """Tables of one of its dictionaries."""
    publish(job, plan, plan.model, Stop())
    return tables(plan.order.store, job.config.id)


def make_twice(plan: Plan, numbers: list[int], twin: Path) -> None:
    """Blocks that two shards computed at the same time: the later file takes the place."""
    other = moved(plan, twin)
    sweep_blocks(other, numbers)
    for job, again in zip(plan.jobs, other.jobs, strict=True):
        for number in numbers:
            made = again.workspace.name(number).path(again.workspace.folder)
            os.replace(made, job.workspace.folder / made.name)


def test_every_sharding_gives_the_same_tables(template: Plan, tmp_path: Path) -> None:
    undisturbed = moved(template, tmp_path / "undisturbed")
    sweep_blocks(undisturbed, template.blocks)
    blocks = block_files(undisturbed.order.store)
    wanted = [published(job, undisturbed) for job in undisturbed.jobs]
    n_twice = n_killed = 0
    for seed in range(N_SHARDINGS):
        rng = random.Random(seed)
        plan = moved(template, tmp_path / f"{seed}")
        n_shards = rng.randint(1, 8)
        shards = [list(plan.blocks[i::n_shards]) for i in range(n_shards)]
        rng.shuffle(shards)
        for shard in shards:
            rng.shuffle(shard)
            overlap = rng.sample(plan.blocks, rng.randint(0, 3))
            sweep_blocks(plan, shard + overlap)
        twice = rng.sample(plan.blocks, rng.randint(0, 3))
        make_twice(plan, twice, tmp_path / f"{seed}-twin")
        killed = rng.sample(plan.blocks, rng.randint(0, 4))
        for job in plan.jobs:
            for number in killed:
                path = job.workspace.name(number).path(job.workspace.folder)
                path.rename(path.with_suffix(".7.tmp"))
        sweep_blocks(plan, rng.sample(killed, len(killed)))
        assert plan.missing() == []
        assert block_files(plan.order.store) == blocks, f"sharding {seed}"
        if seed % PUBLISHED_EVERY == 0:  # the others are made of the same blocks too
            chosen = seed // PUBLISHED_EVERY % len(plan.jobs)
            assert published(plan.jobs[chosen], plan) == wanted[chosen], f"sharding {seed}"
        n_twice, n_killed = n_twice + len(twice), n_killed + len(killed)
    assert n_twice > N_SHARDINGS and n_killed > N_SHARDINGS


# Stopped on the way


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_of_many_blocks(tmp_path_factory.mktemp("many"), 5)


def order(folder: Path, store: Path) -> Order:
    return Order(read_recipe(folder / "recipe.toml"), store)


def command(folder: Path, store: Path, *options: object) -> list[object]:
    return ["build", folder / "recipe.toml", "--store", store, *options]


def times(store: Path) -> dict[str, int]:
    """When each block was written."""
    found = {}
    for path in store.glob(BLOCKS):
        try:
            found[path.name] = path.stat().st_mtime_ns
        except FileNotFoundError:  # published meanwhile
            return {}
    return found


def is_swept_or_ended(started: Build, store: Path, n_blocks: int) -> bool:
    return len(times(store)) == n_blocks or started.code() is not None


def n_published(store: Path) -> int:
    return len(list(store.glob("dictionaries/*/*")))


def check_whole(folder: Path, store: Path) -> None:
    """The store is what the undisturbed build made, and nothing is left beside it."""
    assert tables(store) == tables(folder / "store")
    assert list((store / "work").iterdir()) == []
    assert n_published(store) == 1


def test_a_build_that_is_killed_goes_on_where_it_stopped(
    run: Path, tmp_path: Path, builds: Builder
) -> None:
    rng = random.Random(1)
    n_blocks = len(plan_of(run / "recipe.toml", tmp_path / "plan").blocks)
    assert n_blocks > 100
    kills = {"sweep": 0, "publish": 0}
    n_stores, store, before = 0, tmp_path / "0", {}
    while min(kills.values()) < N_KILLS / 2:
        is_late = kills["sweep"] >= N_KILLS / 2
        started = builds.start(*command(run, store))
        if is_late:
            wait_until(partial(is_swept_or_ended, started, store, n_blocks))
        time.sleep(rng.uniform(0, 0.25 if is_late else 0.6))
        started.send(signal.SIGKILL)
        code = started.wait()
        after = times(store)
        if n_published(store):  # it ended by itself, or was killed just after
            build(order(run, store))
            check_whole(run, store)
            n_stores, before = n_stores + 1, {}
            store = tmp_path / f"{n_stores}"
            continue
        assert code == -signal.SIGKILL, started.log
        assert {name: after.get(name) for name in before} == before  # none was computed twice
        kills["publish" if len(after) == n_blocks else "sweep"] += 1
        unfinished = list(store.glob("work/*/*block-*.tmp"))
        assert len(unfinished) <= sum(kills.values())  # one a kill is lost at most
        before = after
    build(order(run, store))
    check_whole(run, store)


STOPS = [("build", signal.SIGINT), ("build", signal.SIGTERM), ("shard", signal.SIGTERM)]


@pytest.mark.parametrize(("what", "number"), STOPS)
def test_a_build_that_is_told_to_stop_does_so_in_good_order(
    run: Path, tmp_path: Path, builds: Builder, what: str, number: int
) -> None:
    options = ["--shard", "1/1"] if what == "shard" else []
    for more in (1, 10):  # long before the end, as the test may be slower than the build
        n = len(times(tmp_path)) + more  # written by this one, so it listens to signals
        started = builds.start(*command(run, tmp_path, *options))
        wait_until(lambda n=n: len(times(tmp_path)) >= n)
        start = time.monotonic()
        assert started.send(number)
        assert started.wait() == 128 + number
        assert time.monotonic() - start < 10
        assert "stopped by a signal; the same command goes on: swept blocks" in started.log
        assert "Traceback" not in started.log
        assert n_published(tmp_path) == 0
        assert list(tmp_path.glob("work/*/*.tmp")) == []
        before = times(tmp_path)
        assert len(check_blocks(plan_of(run / "recipe.toml", tmp_path))) == len(before) >= n
    finished = builds.start(*command(run, tmp_path, *options))
    assert finished.wait() == 0, finished.log
    if what == "shard":
        assert {name: times(tmp_path)[name] for name in before} == before
        assert "shard 1 of 1 is swept; merge when all are" in finished.log
        merge = builds.start("merge", run / "recipe.toml", "--store", tmp_path)
        assert merge.wait() == 0
        assert "1 published in" in merge.log
    check_whole(run, tmp_path)


def test_a_signal_while_it_is_published(run: Path, tmp_path: Path, builds: Builder) -> None:
    shard = builds.start(*command(run, tmp_path, "--shard", "1/1"))
    assert shard.wait() == 0
    before = times(tmp_path)
    started = builds.start(*command(run, tmp_path))
    wait_until(lambda: list(tmp_path.glob("work/*/*.duckdb")))
    assert started.send(signal.SIGTERM)
    assert started.wait(10) == 143, started.log
    assert n_published(tmp_path) == 0
    assert list(tmp_path.glob("work/*/*.duckdb*")) == []
    assert times(tmp_path) == before
    build(order(run, tmp_path))
    check_whole(run, tmp_path)


def test_two_builds_at_once(run: Path, tmp_path: Path, builds: Builder) -> None:
    first = builds.start(*command(run, tmp_path))
    wait_until(lambda: len(times(tmp_path)) >= 3)
    first.send(signal.SIGSTOP)
    second = builds.start(*command(run, tmp_path))
    assert second.wait() == 1
    assert "of 'sae' is being built by another process. Wait for it to end" in second.log
    first.send(signal.SIGCONT)
    assert first.wait() == 0, first.log
    check_whole(run, tmp_path)


def test_a_merge_waits_for_no_shard(run: Path, tmp_path: Path, builds: Builder) -> None:
    """It is refused while one runs, and names what one that died did not make."""
    shards = []
    for i in (1, 2):  # each is halted at its first block: none may be done before the other began
        shards.append(builds.start(*command(run, tmp_path, "--shard", f"{i}/2")))
        wait_until(lambda first=f"block-00000{i - 1}.safetensors": first in times(tmp_path))
        assert shards[-1].send(signal.SIGSTOP)
    merge = ["merge", run / "recipe.toml", "--store", tmp_path]
    refused = builds.start(*merge)
    assert refused.wait() == 1
    assert "is being built (shard 1-of-2) by another process." in refused.log
    shards[0].send(signal.SIGCONT)
    assert shards[0].wait() == 0, shards[0].log
    refused = builds.start(*merge)
    assert refused.wait() == 1
    assert "is being built (shard 2-of-2) by another process." in refused.log
    shards[1].send(signal.SIGKILL)
    assert shards[1].wait() == -9
    refused = builds.start(*merge)
    assert refused.wait() == 1
    assert "are missing in" in refused.log and "error: Blocks " in refused.log
    assert n_published(tmp_path) == 0
    assert builds.start(*command(run, tmp_path, "--shard", "2/2")).wait() == 0
    assert builds.start(*merge).wait() == 0
    check_whole(run, tmp_path)
