"""The command line: python -m featurestore COMMAND. Parses, calls, exits; no logic."""

import argparse
import functools
import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from featurestore.annotations import command as annotations
from featurestore.errors import DamagedStore, FeatureStoreError, not_installed
from featurestore.explanations import command as explanations
from featurestore.linking import command as linking
from featurestore.matching import command as matching

if TYPE_CHECKING:
    from featurestore.build import Engine
    from featurestore.plan import Order


ABOUT = (
    "Compute what the features of a language model's dictionaries do, into a store that the pages "
    "show: python -m app STORE"
)


def main(arguments: list[str] | None = None) -> int:
    """Run a command; 0 done, 1 failed, 2 bad usage or input, 130 or 143 stopped by a signal."""
    return run(_parser().parse_args(arguments))


def run(options: argparse.Namespace) -> int:
    """Call the chosen command; what goes wrong becomes one line on stderr and an exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        options.run(options)
        sys.stdout.flush()
    except FeatureStoreError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        print(f"error: {not_installed(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on with what is not finished", file=sys.stderr)
        return 130
    except BrokenPipeError:  # of `info | head`: nobody reads on, so nothing is left to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m featurestore", description=ABOUT)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    build = commands.add_parser("build", help="build a recipe's dictionaries into a store")
    engine = build.add_mutually_exclusive_group()
    engine.add_argument(
        "--workers", type=_count, metavar="N", help="sweep in N processes (as many as are worth it)"
    )
    engine.add_argument("--engine", choices=["ray"], help="sweep on a Ray cluster")
    engine.add_argument(
        "--shard", type=_shard, metavar="I/N", help="sweep every N-th block from the I-th, no more"
    )
    build.add_argument(
        "--discard", action="store_true", help="drop unfinished runs with other settings"
    )
    build.set_defaults(run=_build)
    merge = commands.add_parser("merge", help="publish what shards have swept")
    merge.set_defaults(run=_merge)
    for command in (build, merge):
        command.add_argument("recipe", type=Path, help="TOML file, see recipes/")
        command.add_argument("--only", nargs="+", default=[], metavar="ID", help="only these ids")
        command.add_argument(
            "--device", choices=["cpu", "cuda"], default="cpu", help="of torch (cpu)"
        )
    info = commands.add_parser("info", help="what a store, or a dictionary's file, holds")
    info.add_argument(
        "path", type=Path, nargs="?", help="a dictionary's file or folder, or hub:owner/name/path"
    )
    info.add_argument("--json", action="store_true", help="everything, as JSON")
    info.set_defaults(run=_info)
    verify = commands.add_parser("verify", help="read every table, compare with what was written")
    verify.set_defaults(run=_verify)
    for command in (build, merge, info, verify):
        command.add_argument("--store", type=Path, default=Path("store"), help="folder (store)")
    formats = commands.add_parser(
        "formats", help="dictionary formats, what a recipe needs for each"
    )
    formats.set_defaults(run=_formats)
    matching.add_command(commands)
    linking.add_command(commands)
    annotations.add_commands(commands)
    explanations.add_commands(commands)
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number}: at least 1 is needed")
    return number


def _shard(text: str) -> tuple[int, int]:
    i, n = (int(part) for part in text.split("/"))
    if not 1 <= i <= n:
        raise argparse.ArgumentTypeError(f"{text}: shards are 1/{n} to {n}/{n}")
    return i, n


def _build(options: argparse.Namespace) -> None:
    from featurestore.stop import stop_on_signals

    with stop_on_signals() as stop:  # before what takes seconds to import
        order = _order(options)
        from featurestore.build import build, sweep_shard

        stop.check()
        if options.shard:
            sweep_shard(order, options.shard, stop, options.discard)
            i, n = options.shard
            print(f"shard {i} of {n} is swept; merge when all are")
            return
        published = build(order, stop, _engine(options), options.discard)
    print(f"{len(published)} published in {options.store}")


def _merge(options: argparse.Namespace) -> None:
    from featurestore.stop import stop_on_signals

    with stop_on_signals() as stop:
        order = _order(options)
        from featurestore.build import merge

        stop.check()
        published = merge(order, stop)
    print(f"{len(published)} published in {options.store}")


def _order(options: argparse.Namespace) -> "Order":
    from featurestore.recipes import read_recipe

    recipe = read_recipe(options.recipe)  # before anything heavy is imported
    from featurestore.plan import Order

    return Order(recipe, options.store, tuple(options.only), options.device)


def _engine(options: argparse.Namespace) -> "Engine | None":
    """What sweeps; None leaves it to the build."""
    if options.engine == "ray":
        from featurestore.ray_engine import sweep_on_ray

        return sweep_on_ray
    if options.workers == 1:
        from featurestore.sweep import sweep

        return sweep
    if options.workers:
        from featurestore.workers import sweep_in_processes

        return functools.partial(sweep_in_processes, n_workers=options.workers)
    return None


def _info(options: argparse.Namespace) -> None:
    from dataclasses import asdict

    if options.path:
        from featurestore.dictionaries.description import describe
        from featurestore.hub import on_this_machine

        facts = describe(Path(on_this_machine(str(options.path))))
        if options.json:
            print(json.dumps(facts, indent=1))
        else:
            print("\n".join(f"{name:24} {value}" for name, value in facts.items()))
        return
    from featurestore.store import Store

    store = Store(options.store)
    catalogue, pairs, linked = store.catalogue(), store.pairs.all(), store.links.all()
    if options.json:
        everything = asdict(catalogue) | {"pairs": asdict(pairs), "links": asdict(linked)}
        print(json.dumps(everything, indent=1, sort_keys=True))
        return
    for info in catalogue.dictionaries:
        corpus = f"{info.corpus_name} ({info.digests.get('corpus', '')[:8] or 'no digest'})"
        print(
            f"{info.dictionary_id:24} {info.kind:11} {info.n_features:>9,} features  "
            f"{info.n_tokens:>11,} tokens  {info.hook_name}  run {info.run_id}"
            + (f"  family {info.family}" if info.family else "")
            + (f"  step {info.step:,}" if info.step is not None else "")
            + f"  model {info.model_name}"
            + (f" at step {info.model_step:,}" if info.model_step is not None else "")
            + f"  corpus {corpus}"
        )
    for what, found in (("compared", pairs.pairs), ("linked", linked.links)):
        if found:
            print(f"{len(found):,} {'pair' if len(found) == 1 else 'pairs'} {what}")
    for reason in (
        *(each.reason for each in catalogue.problems),
        *pairs.problems,
        *linked.problems,
    ):
        print(f"problem: {reason}")


def _verify(options: argparse.Namespace) -> None:
    from featurestore.verify import verify

    bad = []
    for finding in verify(options.store):
        print(finding)
        bad += [str(finding.path)] if finding.faults else []
    if bad:
        raise DamagedStore(
            f"{len(bad)} damaged: {', '.join(bad)}. Delete what is damaged and build it again (or "
            "match or link it), or restore it from a copy."
        )


def _formats(options: argparse.Namespace) -> None:
    import inspect
    import textwrap

    from featurestore.dictionaries.load import FORMATS

    for format_ in FORMATS:
        title, _, more = inspect.cleandoc(format_.__doc__ or "").partition("\n\n")
        print(f"{title}\n\n{textwrap.indent(more, '    ')}\n")
    print(
        "Which one a 'path' is in is seen from its files and keys. Anything else: write it in our\n"
        "own format with featurestore.dictionaries.native.save(folder, settings, weights)."
    )


if __name__ == "__main__":
    sys.exit(main())
