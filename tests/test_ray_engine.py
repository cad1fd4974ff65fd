"""A cluster of two nodes on this machine, one of which dies."""

import contextlib
import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from featurestore.build import build
from featurestore.errors import BuildFailed, Stopped
from featurestore.plan import Order, Plan
from featurestore.recipes import read_recipe
from featurestore.stop import Stop
from featurestore.sweep import OnBlock
from tests.builder import is_alive, wait_until
from tests.tiny_model import save_dictionary, save_recipe
from tests.tiny_plan import build_of_many_blocks, plan_of, tables

pytestmark = [pytest.mark.ray, pytest.mark.long]

NODE = {"num_cpus": 1, "object_store_memory": 120 * 2**20}


@pytest.fixture(scope="module", autouse=True)
def environment() -> Iterator[None]:
    """Ray's own files in a folder of its own, with a short path because sockets stand in it."""
    folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_AUTH_MODE", "token")
        patched.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        patched.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patched.setenv("RAY_TMPDIR", str(folder))
        patched.setenv("HOME", str(folder))
        patched.delenv("RAY_ADDRESS", raising=False)
        try:
            import ray  # noqa: F401
        except ImportError:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip("Ray is not installed: it is part of requirements-test.txt")
        yield
    shutil.rmtree(folder, ignore_errors=True)


def descendants(pid: int) -> set[int]:
    """All processes that a process started, and these."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            stat = (path / "stat").read_text().rpartition(")")[2].split()
            parents[int(path.name)] = int(stat[1])
    found, new = set(), {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return found


def title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


class Started:
    """What a test starts; whatever outlives it is killed, by its number."""

    def __init__(self) -> None:
        self._before = descendants(os.getpid())
        self._seen: set[int] = set()

    def look(self) -> None:
        """Take note of what runs now: it may be nobody's child later."""
        self._seen |= descendants(os.getpid()) - self._before

    def end(self) -> None:
        try:
            wait_until(lambda: not any(map(is_alive, self._seen)), 10)
        finally:
            for pid in filter(is_alive, self._seen):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture(autouse=True)
def started() -> Iterator[Started]:
    import ray

    made = Started()
    yield made
    made.look()
    ray.shutdown()
    made.end()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_of_many_blocks(tmp_path_factory.mktemp("ray"), 7)


def test_a_node_that_dies_changes_nothing(
    run: Path, tmp_path: Path, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray.cluster_utils import Cluster

    from featurestore.ray_engine import _cluster, sweep_on_ray

    cluster = Cluster(initialize_head=True, head_node_args=NODE | {"include_dashboard": False})
    try:
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        done: list[int] = []

        def engine(plan: Plan, numbers: list[int], stop: Stop, on_block: OnBlock) -> None:
            def count(number: int) -> None:
                done.append(number)
                on_block(number)
                if len(done) == 40:
                    (raylet,) = node.all_processes["raylet"]
                    at_work = map(title, descendants(raylet.process.pid))
                    assert any(name.startswith("ray::") for name in at_work)
                    started.look()
                    cluster.remove_node(node, allow_graceful=False)

            sweep_on_ray(plan, numbers, stop, count)

        with _cluster():  # connected to the head: the death of its own node would end this process
            node = cluster.add_node(**NODE)
            build(Order(read_recipe(run / "recipe.toml"), tmp_path / "store"), engine=engine)
            assert tables(tmp_path / "store") == tables(run / "store")
            assert len(done) == len(set(done)) > 150
            # Over the same connection, to workers that have loaded their libraries.
            _errors_are_told(tmp_path / "other", sweep_on_ray)
            _a_signal_is_obeyed(run, tmp_path / "stopped", sweep_on_ray)
    finally:
        started.look()
        cluster.shutdown()


def _errors_are_told(folder: Path, sweep_on_ray: object) -> None:
    """What a task says arrives as it was said."""
    plan = plan_of(save_recipe(folder), folder / "store")
    save_dictionary(folder / "sae", seed=5)
    with pytest.raises(BuildFailed) as caught:
        sweep_on_ray(plan, [0, 1], Stop(), lambda _: None)
    message = str(caught.value)
    assert message.startswith("A worker would compute runs ")
    assert f"the build is {plan.jobs[0].run_id}: model, dictionaries, texts or code diff" in message
    assert "Traceback" not in message and "\n" not in message


def _a_signal_is_obeyed(run: Path, store: Path, sweep_on_ray: object) -> None:
    plan, stop = plan_of(run / "recipe.toml", store), Stop()
    stop.ask(signal.SIGTERM)
    begun = time.monotonic()
    with pytest.raises(Stopped):
        sweep_on_ray(plan, list(plan.blocks), stop, lambda _: None)
    assert time.monotonic() - begun < 10


def test_without_a_cluster_one_is_started_here(run: Path, tmp_path: Path) -> None:
    import ray

    from featurestore.ray_engine import sweep_on_ray

    build(Order(read_recipe(run / "recipe.toml"), tmp_path), engine=sweep_on_ray)
    assert not ray.is_initialized()
    assert tables(tmp_path) == tables(run / "store")
