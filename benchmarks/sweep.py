"""What a build costs beside the least that any tool must pay: python -m benchmarks.sweep.

limit    one forward of every token to the hook point, and one product of every hidden vector with
         every reader, with ReLU, into a buffer that is already there
sweep    blocks of non-zero activations on disk
passes   every pass over every range of features, rows made but not stored
build    sweep, passes, and the file published; loading model and corpus left out, as in the limit

All four run in turn, several times, in one process; the medians are compared. The peak of memory is
that of a build in a process of its own, less what model, dictionary and corpus take there.
"""

import argparse
import ctypes
import functools
import gc
import json
import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from benchmarks.material import Size, make_recipe
from featurestore.activations import ActivationFiles
from featurestore.build import build_plan
from featurestore.encoder import TILE_FEATURES, TILE_ROWS
from featurestore.plan import Order, Plan, make_plan
from featurestore.publish import all_rows, make_passes
from featurestore.stop import Stop
from featurestore.sweep import sweep
from featurestore.threads import n_processors, one_thread
from featurestore.workers import sweep_in_processes


def main(arguments: list[str] | None = None) -> None:
    """Measure each number of features with each number of tokens, and print."""
    options = _parser().parse_args(arguments)
    _use_processors(options.threads)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for tokens in options.tokens:
            for features in options.features:
                size = Size(features, tokens, options.layers, options.d_model)
                found = measure(Path(folder), size, options)
                print(json.dumps(found) if options.json else as_text(found), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sweep",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--features", type=int, nargs="+", default=[4096, 16384])
    parser.add_argument("--tokens", type=int, nargs="+", default=[65536])
    parser.add_argument("--layers", type=int, default=4, help="of the model; its middle is read")
    parser.add_argument("--d-model", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1, help="processors to use (1)")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--folder", help="where to put model, texts and store (a temporary one)")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each")
    return parser


def measure(folder: Path, size: Size, options: argparse.Namespace) -> dict[str, float | str]:
    """Medians over the repeats, and their ratios to the limit."""
    order = Order(make_recipe(folder, size, options.dtype), folder / "store", (), options.device)
    plan = make_plan(order)
    steps = {"forward": _forward, "encode": _encode, "sweep": _sweep, "passes": _passes}
    times: dict[str, list[float]] = {name: [] for name in [*steps, "build"]}
    for _ in range(options.repeats):
        for name, step in steps.items():
            times[name].append(_seconds(step, plan))
        shutil.rmtree(order.store)
        times["build"].append(_seconds(build_plan, plan))
        shutil.rmtree(order.store)
    median = {name: statistics.median(values) for name, values in times.items()}
    limit = median["forward"] + median["encode"]
    n_tokens = plan.corpus.n_tokens
    return {
        "benchmark": "sweep",
        "features": size.features,
        "tokens": n_tokens,
        "layers": size.layers,
        "d_model": size.d_model,
        "dtype": options.dtype,
        "device": options.device,
        "threads": options.threads,
        "repeats": options.repeats,
        "l0": round(_l0(plan), 1),
        **{f"{name}_s": round(value, 3) for name, value in median.items()},
        "limit_s": round(limit, 3),
        "ratio": round((median["sweep"] + median["passes"]) / limit, 3),
        "sweep_ratio": round(median["sweep"] / limit, 3),
        "build_ratio": round(median["build"] / limit, 3),
        "tokens_per_s": round(n_tokens / median["build"]),
        "peak_mb": _peak_mb(order, options.threads),
    }


def _use_processors(n: int) -> None:
    """Keep this process, its threads and the processes that it starts on the first `n`."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n])
    torch.set_num_threads(n)


def _seconds(step: Callable[[Plan], object], plan: Plan) -> float:
    if plan.order.device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    step(plan)
    if plan.order.device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _forward(plan: Plan) -> None:
    tokens, hook_name = plan.corpus.tokens, plan.jobs[0].dictionary.origin.hook_name
    n = plan.model.contexts_at_once(tokens.shape[1])
    for start in range(0, len(tokens), n):
        plan.model.hidden(tokens[start : start + n], {hook_name})


@torch.inference_mode()
def _encode(plan: Plan) -> None:
    dictionary, order = plan.jobs[0].dictionary, plan.order
    readers = dictionary.readers.to(order.device, order.dtype)
    bias = dictionary.fused_bias.to(order.device, order.dtype)
    hidden = torch.randn(TILE_ROWS, dictionary.d_in).to(order.device, order.dtype)
    buffer = readers.new_empty(TILE_ROWS, min(TILE_FEATURES, dictionary.n_features))
    for start in range(0, plan.corpus.n_tokens, TILE_ROWS):
        rows = hidden[: plan.corpus.n_tokens - start]
        for first in range(0, dictionary.n_features, TILE_FEATURES):
            part = slice(first, first + TILE_FEATURES)
            out = buffer[: len(rows), : len(bias[part])]
            torch.addmm(bias[part], rows, readers[:, part], out=out).relu_()


def _sweep(plan: Plan) -> None:
    n_workers = n_processors()
    engine = functools.partial(sweep_in_processes, n_workers=n_workers) if n_workers > 1 else sweep
    plan.jobs[0].workspace.open()
    engine(plan, list(plan.blocks), Stop(), lambda _: None)


def _passes(plan: Plan) -> None:
    activations = _activations(plan)
    passes = make_passes(plan.jobs[0], plan, plan.model, Stop())
    with one_thread():
        for each in passes:
            each.prepare(activations)
        for first, last in activations.ranges():
            all_rows(passes, activations.read(first, last), Stop())


def _activations(plan: Plan) -> ActivationFiles:
    (job,) = plan.jobs
    return ActivationFiles([job.workspace.block(n) for n in plan.blocks], job.dictionary.n_features)


def _l0(plan: Plan) -> float:
    plan.jobs[0].workspace.open()
    sweep(plan, list(plan.blocks[:4]), Stop(), lambda _: None)
    (job,) = plan.jobs
    blocks = [job.workspace.block(n) for n in plan.blocks[:4]]
    n_entries = ActivationFiles(blocks, job.dictionary.n_features).n_entries.sum()
    contexts = slice(0, plan.contexts(len(blocks) - 1).stop)
    shutil.rmtree(plan.order.store)
    return float(n_entries / plan.corpus.is_valid(contexts).sum())


def _peak_mb(order: Order, threads: int) -> float:
    """Peak of a build's memory, less what is loaded before it starts, in MB."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_build_alone, args=(order, threads, sender))
    process.start()
    found = receiver.recv()
    process.join()
    shutil.rmtree(order.store)
    return found


def _build_alone(order: Order, threads: int, sender: Connection) -> None:
    _use_processors(threads)
    plan = make_plan(order)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # else the build reuses what loading has let go of, unseen
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of loading (Linux)
    loaded = _memory_mb("VmRSS")
    build_plan(plan)
    sender.send(round(_memory_mb("VmHWM") - loaded))


def _memory_mb(key: str) -> float:
    """Memory of this process, as the kernel counts it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith(f"{key}:"))
    return int(kilobytes) / 1024


def as_text(found: dict[str, float | str]) -> str:
    """Two lines for people."""
    return (
        f"{found['features']:>9,} features  {found['tokens']:>9,} tokens  L0 {found['l0']:>5}  "
        f"limit {found['limit_s']:>7.2f} s (forward {found['forward_s']:.2f}, encode "
        f"{found['encode_s']:.2f})  sweep {found['sweep_s']:.2f} s  passes "
        f"{found['passes_s']:.2f} s  build {found['build_s']:.2f} s\n"
        f"{'':>9} sweep and passes {found['ratio']:.2f} x, build "
        f"{found['build_ratio']:.2f} x the limit  {found['tokens_per_s']:>9,} tokens/s  "
        f"peak {found['peak_mb']:,} MB  ({found['dtype']}, {found['device']}, "
        f"{found['threads']} threads, median of {found['repeats']})"
    )


if __name__ == "__main__":
    main()
