"""The command line: python -m featurestore COMMAND. Parses, calls, exits; no logic."""

import argparse
import json
import logging
import sys
from pathlib import Path

from featurestore.errors import DamagedStore, FeatureStoreError


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit code is 0 done, 1 failed, 2 bad usage or bad input."""
    return run(_parser().parse_args(arguments))


def run(options: argparse.Namespace) -> int:
    """Call the chosen command; what goes wrong becomes one line on stderr and an exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        options.run(options)
    except FeatureStoreError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m featurestore", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    build = commands.add_parser("build", help="build a recipe's dictionaries into a store")
    build.add_argument("recipe", type=Path, help="TOML file, see recipes/")
    build.add_argument("--only", nargs="+", default=[], metavar="ID", help="only these ids")
    build.set_defaults(run=_build)
    info = commands.add_parser("info", help="what a store holds")
    info.add_argument("--json", action="store_true", help="everything, as JSON")
    info.set_defaults(run=_info)
    verify = commands.add_parser("verify", help="read every table, compare with what was written")
    verify.set_defaults(run=_verify)
    for command in (build, info, verify):
        command.add_argument("--store", type=Path, default=Path("store"), help="folder (store)")
    formats = commands.add_parser("formats", help="dictionary formats, how each is recognised")
    formats.set_defaults(run=_formats)
    return parser


def _build(options: argparse.Namespace) -> None:
    from featurestore.config import read_recipe

    recipe = read_recipe(options.recipe)
    from featurestore.build import build

    published = build(recipe, options.store, tuple(options.only))
    print(f"{len(published)} published in {options.store}")


def _info(options: argparse.Namespace) -> None:
    from dataclasses import asdict

    from featurestore.store import Store

    catalogue = Store(options.store).catalogue()
    if options.json:
        print(json.dumps(asdict(catalogue), indent=1, sort_keys=True))
        return
    for info in catalogue.dictionaries:
        print(
            f"{info.dictionary_id:24} {info.kind:11} {info.n_features:>9,} features  "
            f"{info.n_tokens:>11,} tokens  {info.hook_name}  run {info.run_id}"
        )
    for problem in catalogue.problems:
        print(f"problem: {problem.reason}")


def _verify(options: argparse.Namespace) -> None:
    from featurestore.verify import verify

    bad = []
    for finding in verify(options.store):
        print(finding)
        bad += [str(finding.path)] if finding.faults else []
    if bad:
        raise DamagedStore(
            f"{len(bad)} damaged: {', '.join(bad)}. Delete what is damaged and build it again, or "
            "restore it from a copy."
        )


def _formats(options: argparse.Namespace) -> None:
    import inspect

    from featurestore.dictionaries.load import FORMATS

    print("\n\n".join(inspect.cleandoc(format_.__doc__ or "") for format_ in FORMATS))


if __name__ == "__main__":
    sys.exit(main())
