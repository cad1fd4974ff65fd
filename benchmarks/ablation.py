"""What ablations cost beside the least that they must: python -m benchmarks.ablation.

limit      contexts a second through the blocks of the plain Hugging Face model that come after the
           hook point, its last normalisation and its unembedding, in batches of the same size
ablation   ablated and control runs a second of the pass, with all that belongs to it: the clean
           runs of whole contexts, random directions, and sums over the vocabulary

Both run in turn, several times, in one process and one thread; medians are compared. Forty
features are active at a token, as of a real dictionary: where all are, sums take longer than runs.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from transformers import GPT2LMHeadModel

from benchmarks.material import Size, make_recipe
from featurestore.activations import ActivationFiles
from featurestore.config import PassesConfig
from featurestore.passes.ablation import Ablation
from featurestore.passes.examples import Examples
from featurestore.plan import Order, Plan, make_plan
from featurestore.publish import make_passes
from featurestore.stop import Stop
from featurestore.sweep import sweep
from featurestore.threads import one_thread

SETTINGS = PassesConfig(n_dependences=0, n_neighbours=0, map=False)


def main(arguments: list[str] | None = None) -> None:
    """Measure and print a line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ablation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--features", type=int, default=2048, help="of the dictionary")
    parser.add_argument("--ablated", type=int, default=256, help="the first of them")
    parser.add_argument("--tokens", type=int, default=131072)
    parser.add_argument("--layers", type=int, default=4, help="of the model; its middle is read")
    parser.add_argument("--d-model", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, one_thread():
        print(json.dumps(measure(Path(folder), options)))


def measure(folder: Path, options: argparse.Namespace) -> dict[str, float | int]:
    """Medians of runs a second, and their ratio."""
    size = Size(options.features, options.tokens, options.layers, options.d_model)
    recipe = replace(make_recipe(folder, size), passes=SETTINGS)
    plan = make_plan(Order(recipe, folder / "store"))
    plan.jobs[0].workspace.open()
    sweep(plan, list(plan.blocks), Stop(), lambda _: None)
    limit, ablation = _limit(plan), _ablation(plan, options.ablated)
    rates = [(limit(), ablation()) for _ in range(options.repeats)]
    bare, ours = (statistics.median(each) for each in zip(*rates, strict=True))
    return {
        "features": options.features,
        "ablated": options.ablated,
        "layers": options.layers,
        "d_model": options.d_model,
        "limit_per_s": round(bare, 1),
        "ablation_per_s": round(ours, 1),
        "share_of_limit": round(ours / bare, 3),
        "least": round(min(ours / bare for bare, ours in rates), 3),
        "most": round(max(ours / bare for bare, ours in rates), 3),
    }


def _limit(plan: Plan, n_batches: int = 40) -> Callable[[], float]:
    """Contexts a second through what is left of the plain model."""
    model = GPT2LMHeadModel.from_pretrained(
        plan.order.recipe.model.name, attn_implementation="eager"
    )
    first = 1 + plan.model.n_layers // 2
    model.transformer.h = model.transformer.h[first:]
    length = plan.corpus.tokens.shape[1]
    hidden = torch.randn(plan.model.contexts_at_once(length), length, plan.model.d_model)

    @torch.inference_mode()
    def run() -> float:
        start = time.perf_counter()
        for _ in range(n_batches):
            model(inputs_embeds=hidden, use_cache=False)
        return n_batches * len(hidden) / (time.perf_counter() - start)

    return run


def _ablation(plan: Plan, n_features: int) -> Callable[[], float]:
    """Runs a second of the pass over the first features."""
    (job,) = plan.jobs
    files = ActivationFiles(
        [job.workspace.block(n) for n in plan.blocks], job.dictionary.n_features
    )
    passes = {type(each): each for each in make_passes(job, plan, plan.model, Stop())}
    activations = files.read(0, n_features)
    examples = passes[Examples].rows(activations)

    def run() -> float:
        start = time.perf_counter()
        found = passes[Ablation].follow_up(activations, examples)
        n_runs = len(found["ablated_contexts"]) * (1 + plan.order.recipe.passes.n_control_draws)
        return n_runs / (time.perf_counter() - start)

    return run


if __name__ == "__main__":
    main()
