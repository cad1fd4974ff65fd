"""What a text costs on Live beside the least that any tool must pay: python -m benchmarks.live.

bare         for each model one forward of the text that ends at the deepest hook point needed, and
             for each dictionary one dense product of its vectors, with the nonlinearity
activations  the same tokens through Live: non-zero activations, by feature
text         the raw text through Live: tokens, then activations

All three run in turn, many times, on texts that change, with as many threads of torch as Live has;
the medians are compared, over one dictionary and over all of a store. The spread is that of the
ratio between neighbours in time, from its 1st to its 9th decile.

With --page the app is started too, and Chromium waits for the heatmap of each text. Then
50 visitors ask at once.
"""

import argparse
import bisect
import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from benchmarks.live_crowd import crowd_as_text, measure_crowd
from benchmarks.live_page import measure_page, page_as_text
from featurestore.corpus import encode
from featurestore.live.records import Limits
from featurestore.live.runner import Runner
from featurestore.live.weights import Loaded
from featurestore.store import Store
from featurestore.threads import spare_one

N_TEXTS = 42


def main(arguments: list[str] | None = None) -> None:
    """Measure one dictionary and all of them, then the page if it is asked for, and print."""
    options = _parser().parse_args(arguments)
    store = Store(options.store)
    names = [info.dictionary_id for info in store.catalogue().dictionaries]
    runner = Runner(store, Limits(n_tokens=2**31))
    for name in names:
        runner.load(store.dictionary(name))
    tokenizer = runner._get(options.dictionary).model.language_model.tokenizer
    texts = make_texts(tokenizer, options.tokens, N_TEXTS)
    for chosen in ([options.dictionary], names):
        found = measure(runner, chosen, texts, options.repeats)
        print(json.dumps(found) if options.json else as_text(found), flush=True)
        if options.page:
            seen = measure_page(options.store, chosen, texts)
            print(json.dumps(seen) if options.json else page_as_text(seen), flush=True)
    if options.page:
        crowd = measure_crowd(options.store, options.dictionary)
        print(json.dumps(crowd) if options.json else crowd_as_text(crowd), flush=True)
    store.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.live",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--store", type=Path, default=Path("store"), help="a store (store)")
    parser.add_argument("--dictionary", default="resid-2-topk", help="the one that is run alone")
    parser.add_argument("--tokens", type=int, default=127, help="of a text, without BOS (127)")
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--json", action="store_true", help="a line of JSON for each")
    parser.add_argument("--page", action="store_true", help="time the page in Chromium too")
    return parser


def make_texts(tokenizer: PreTrainedTokenizerBase, n_tokens: int, n: int) -> list[str]:
    """Pieces of Python's documentation with just so many tokens, the i-th with #i# in front."""
    found: list[str] = []
    for topic in topics.values():
        text = f"#{len(found)}# {topic}"
        start = _start_of(text[: 16 * n_tokens], tokenizer, n_tokens)
        if start is not None:
            found.append(start)
        if len(found) == n:
            return found
    raise SystemExit(f"Python's documentation has no {n} texts of {n_tokens} tokens.")


def _start_of(text: str, tokenizer: PreTrainedTokenizerBase, n_tokens: int) -> str | None:
    def n_until(end: int) -> int:
        return len(encode(tokenizer, text[:end]))

    if n_until(len(text)) < n_tokens:
        return None
    end = bisect.bisect_left(range(len(text) + 1), n_tokens, key=n_until)
    return text[:end] if n_until(end) == n_tokens else None


def measure(
    runner: Runner, names: Sequence[str], texts: Sequence[str], repeats: int
) -> dict[str, float | str]:
    """Medians over the repeats, and their ratios to the bare limit."""
    chosen = [runner._get(name) for name in names]
    times: dict[str, list[float]] = {}
    with spare_one():
        n_threads = torch.get_num_threads()
        for text in itertools.islice(itertools.cycle(texts), repeats + 1):
            for name, step in _steps(runner, chosen, text):
                times.setdefault(name, []).append(_seconds(step))
    taken = {name: np.array(values[1:]) for name, values in times.items()}  # the first one warms
    median = {name: statistics.median(values) for name, values in taken.items()}
    low, high = np.percentile(taken["activations"] / taken["bare"], (10, 90))
    return {
        "benchmark": "live",
        "dictionaries": len(chosen),
        "models": len({loaded.model.digest for loaded in chosen}),
        "tokens": len(runner.tokens(names[0], texts[0]).ids),
        "threads": n_threads,
        "repeats": repeats,
        **{f"{name}_ms": round(value * 1000, 2) for name, value in median.items()},
        "ratio": round(median["activations"] / median["bare"], 3),
        "ratio_low": round(float(low), 3),
        "ratio_high": round(float(high), 3),
        "text_ratio": round(median["text"] / median["bare"], 3),
    }


def _steps(
    runner: Runner, chosen: list[Loaded], text: str
) -> Iterator[tuple[str, Callable[[], object]]]:
    """What is timed on one text."""
    names = [loaded.info.dictionary_id for loaded in chosen]
    tokens = runner.tokens(names[0], text)
    yield "bare", bare(chosen, tokens.ids)
    yield "activations", lambda: runner.activations(names, tokens)
    yield "text", lambda: runner.activations(names, runner.tokens(names[0], text))


def bare(chosen: list[Loaded], token_ids: Sequence[int]) -> Callable[[], dict[str, torch.Tensor]]:
    """A function that computes every dictionary's dense activations, BOS included, and no more."""
    by_model: dict[str, list[Loaded]] = {}
    for loaded in chosen:
        by_model.setdefault(loaded.model.digest, []).append(loaded)

    @torch.inference_mode()
    def run() -> dict[str, torch.Tensor]:
        found = {}
        for group in by_model.values():
            model = group[0].model.language_model
            bos = [model.tokenizer.bos_token_id] if group[0].info.has_bos else []
            hook_names = {loaded.dictionary.origin.hook_name for loaded in group}
            hidden = model.hidden(np.array([[*bos, *token_ids]]), hook_names)
            for loaded in group:
                vectors = hidden[loaded.dictionary.origin.hook_name][0].float()
                found[loaded.info.dictionary_id] = loaded.dictionary.encode(vectors)
        return found

    return run


def _seconds(step: Callable[[], object]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def as_text(found: dict[str, float | str]) -> str:
    """Two lines for people."""
    return (
        f"{found['dictionaries']:>4} dictionaries of {found['models']} models  "
        f"{found['tokens']} tokens  bare {found['bare_ms']:.1f} ms  activations "
        f"{found['activations_ms']:.1f} ms  from raw text {found['text_ms']:.1f} ms\n"
        f"{'':>4} activations {found['ratio']:.2f} x the bare limit ({found['ratio_low']:.2f} to "
        f"{found['ratio_high']:.2f}), from raw text {found['text_ratio']:.2f} x  "
        f"({found['threads']} threads, median of {found['repeats']})"
    )


if __name__ == "__main__":
    main()
