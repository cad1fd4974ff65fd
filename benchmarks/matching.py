"""What comparing two dictionaries costs beside the least it must: python -m benchmarks.matching.

limit      all cosines once, as one product of float32 matrices, and scipy's assignment of them
match      what `featurestore match` does with two dictionaries: their nearest both ways, exact in
           float64, then the assignment, or mutual nearest where there are too many features

Directions are random, which is the hardest for the assignment, or share a part: as many of B's as
`--shared` says are A's with noise, as of two dictionaries of one training set.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float32
from scipy.optimize import linear_sum_assignment

from featurestore.matching.assignment import MOST_FEATURES, match
from featurestore.matching.similarity import Similarity
from featurestore.threads import one_thread

_NOISE = 0.5
"""Length of the noise on a shared direction of length 1: a cosine of 0.89."""

Found = TypeVar("Found")
Directions = Float32[np.ndarray, "n_features d_out"]


def main(arguments: list[str] | None = None) -> None:
    """Measure and print a line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.matching",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--features", type=int, default=16_384, help="of each side")
    parser.add_argument("--dimensions", type=int, default=768)
    parser.add_argument("--shared", type=float, default=0.0, help="share of features in common")
    options = parser.parse_args(arguments)
    print(json.dumps(measure(options.features, options.dimensions, options.shared)))


def measure(n_features: int, d_out: int, shared: float) -> dict[str, float | int | str]:
    """Seconds of both, and what was found."""
    a, b = directions(n_features, d_out, shared)
    product_s, cosines = _timed(lambda: (torch.from_numpy(a) @ torch.from_numpy(b).T).numpy())
    assignment_s = 0.0
    if n_features <= MOST_FEATURES:
        assignment_s, _ = _timed(partial(linear_sum_assignment, cosines, maximize=True))
    del cosines
    with one_thread():  # tiles go to threads of our own
        similarity = Similarity(a, b, is_absolute=False)
        match_s, (_, matching) = _timed(lambda: match(similarity))
    return {
        "features": n_features,
        "dimensions": d_out,
        "shared": shared,
        "limit_product_s": round(product_s, 2),
        "limit_assignment_s": round(assignment_s, 2),
        "match_s": round(match_s, 2),
        "ratio": round(match_s / (product_s + assignment_s), 2),
        "method": matching.method,
        "mean_cosine": round(float(matching.cosine.mean()), 4),
    }


def directions(n_features: int, d_out: int, shared: float) -> tuple[Directions, Directions]:
    """Of length 1 but for the noise of what is shared, which stands in another order in B."""
    rng = np.random.default_rng(0)
    a, b = (_unit(rng.standard_normal((n_features, d_out))) for _ in range(2))
    n_shared = int(shared * n_features)
    b[:n_shared] = a[:n_shared] + _NOISE * b[:n_shared]
    return a, b[rng.permutation(n_features)]


def _unit(vectors: np.ndarray) -> Directions:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _timed(ask: Callable[[], Found]) -> tuple[float, Found]:
    """Seconds that a question takes, and its answer."""
    start = time.perf_counter()
    found = ask()
    return time.perf_counter() - start, found


if __name__ == "__main__":
    main()
