"""Sweep on a Ray cluster: the one that RAY_ADDRESS names, or one started here.

The only module that imports ray (`requirements-ray.txt`). Every node must see the code, what the
recipe names and the store under the same paths. A block is a task; one that was lost with its node
or process runs again elsewhere, and since its file depends on its number alone nothing changes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from featurestore.errors import BuildFailed, FeatureStoreError
from featurestore.plan import Order, Plan
from featurestore.stop import Stop
from featurestore.sweep import OnBlock
from featurestore.workers import run_ids_of, sweep_block

os.environ.setdefault("RAY_AUTH_MODE", "token")  # else whoever reaches the port runs code here
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

try:
    import ray
except ImportError as error:
    raise BuildFailed(
        "Ray is not installed. Install it: pip install -r requirements-ray.txt"
    ) from error

RETRIES = 10
"""How often a block may be lost with its node."""

QUEUED_FOR_A_CPU = 2
"""Tasks handed to the cluster at once, for each of its processors."""


def sweep_on_ray(plan: Plan, numbers: list[int], stop: Stop, on_block: OnBlock) -> None:
    """Write those of some blocks that are missing, as tasks of a cluster.

    Tasks that still run when it ends early are left alone: they end with the connection, and
    ray.cancel may abort this process when a task ends at the same time (Ray 2.60).

    Raises:
        BuildFailed: a block could not be written, or its node was lost too often.
        Stopped: a signal came.
    """
    with _cluster():
        n_gpus = int(plan.order.device == "cuda")  # Ray hides them from a task that asks for none
        task = ray.remote(num_cpus=1, num_gpus=n_gpus, max_retries=RETRIES)(_sweep_block)
        given = (os.getcwd(), plan.order, run_ids_of(plan))
        waiting, running = list(reversed(numbers)), {}
        try:
            while waiting or running:
                room = QUEUED_FOR_A_CPU * int(ray.cluster_resources().get("CPU", 1)) - len(running)
                for number in [waiting.pop() for _ in range(min(room, len(waiting)))]:
                    running[task.remote(*given, number)] = number
                done, _ = ray.wait(list(running), timeout=0.2)
                for reference in done:
                    ray.get(reference)
                    on_block(running.pop(reference))
                stop.check()
        except ray.exceptions.RayTaskError as error:
            told = error.cause
            known = isinstance(told, FeatureStoreError)
            raise BuildFailed(str(told) if known else f"A task failed: {told!r}") from error
        except ray.exceptions.RayError as error:
            raise BuildFailed(
                f"The Ray cluster failed ({error}). Run the same build again: it goes on where it "
                "stopped."
            ) from error


@contextmanager
def _cluster() -> Iterator[None]:
    """A connection to the cluster, closed at the end if it was made here."""
    if ray.is_initialized():
        yield
        return
    root = str(Path(__file__).parents[1])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    ray.init(
        include_dashboard=False if "RAY_ADDRESS" not in os.environ else None,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": path}},
    )
    try:
        yield
    finally:
        ray.shutdown()


def _sweep_block(folder: str, order: Order, run_ids: tuple[str, ...], number: int) -> None:
    """A task: one block, from where the build was started."""
    os.chdir(folder)
    sweep_block(order, run_ids, number)
