"""The command `annotations`: write them to a file, and read an edited one back."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from featurestore.annotations.records import URL_VARIABLE
from featurestore.errors import TableError

if TYPE_CHECKING:
    from featurestore.annotations.importing import ImportPlan, ImportRow
    from featurestore.annotations.log import AnnotationLog

_MOST_LISTED = 200
"""Rows of a plan that are printed."""
_LONGEST_SHOWN = 60
"""Characters of a cell that are printed."""


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `annotations` and what it can do to the command line."""
    parser = commands.add_parser("annotations", help="what people said of features, as files")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    export = actions.add_parser("export", help="write a file for spreadsheets or programs")
    export.add_argument("file", metavar="FILE", help=".csv or .jsonl, or - for CSV to stdout")
    export.add_argument("--dictionary", metavar="ID", help="of this one only")
    export.add_argument("--evidence", action="store_true", help="beside what the store shows")
    export.add_argument("--no-bom", action="store_true", help="a CSV file that is not for Excel")
    export.set_defaults(run=_export)
    importing = actions.add_parser("import", help="say what a file would change, or change it")
    importing.add_argument("file", type=Path, metavar="FILE", help="CSV or JSON lines")
    importing.add_argument("--apply", action="store_true", help="change it: all rows or none")
    importing.add_argument("--author", metavar="NAME", default="", help="who does")
    importing.add_argument(
        "--conflicts",
        choices=["refuse", "keep", "take"],
        default="refuse",
        help="where others have written since: import nothing (refuse), keep theirs, take the file",
    )
    importing.set_defaults(run=_import)
    for command in (export, importing):
        command.add_argument("--store", type=Path, default=Path("store"), help="folder (store)")
        command.add_argument(
            "--annotations",
            metavar="URL",
            default=os.environ.get(URL_VARIABLE),
            help=f"database (${URL_VARIABLE}, else a file in the store)",
        )


def _export(options: argparse.Namespace) -> None:
    from featurestore.annotations.evidence import evidence_from
    from featurestore.annotations.exchange import events_of, export_csv, export_jsonl
    from featurestore.store import Store

    is_json = options.file.endswith(".jsonl")
    if not (is_json or options.file.endswith(".csv") or options.file == "-"):
        raise TableError(f"'{options.file}' is no file to write: give FILE.csv, FILE.jsonl or -.")
    if is_json and options.evidence:
        raise TableError("--evidence is written to CSV only: give FILE.csv.")
    store = Store(options.store)
    known = store.catalogue().dictionaries
    digest = store.dictionary(options.dictionary).content if options.dictionary else None
    events = events_of(_log(options, read_only=True), digest)
    if is_json:
        data = export_jsonl(events, known)
    else:
        evidence = evidence_from(store) if options.evidence else None
        data = export_csv(events, evidence, bom=not options.no_bom)
    if options.file == "-":
        sys.stdout.buffer.write(data)
        return
    _write(Path(options.file), data)
    sys.stdout.write(f"{len(events):,} annotations in {options.file}\n")


def _import(options: argparse.Namespace) -> None:
    from featurestore.annotations.importing import apply, read_import
    from featurestore.spreadsheet import LARGEST_FILE
    from featurestore.store import Store

    if options.apply and not options.author:
        raise TableError("Nobody is named as the author of the import: add --author NAME.")
    try:
        with options.file.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)  # one more is refused
    except OSError as error:
        raise TableError(f"'{options.file}' cannot be read: {error.strerror}.") from error
    log = _log(options, read_only=not options.apply)
    plan = read_import(data, options.file.name, log, Store(options.store).catalogue().dictionaries)
    sys.stdout.writelines(f"{line}\n" for line in report(plan))
    if options.apply:
        written = apply(plan, log, options.author, options.conflicts)
        sys.stdout.write(f"{written:,} annotation{'' if written == 1 else 's'} written\n")
        return
    if refusal := plan.refusal("keep"):  # --conflicts is of no help then
        raise TableError(refusal)
    how = " with --conflicts keep or take" if plan.refusal(options.conflicts) else ""
    sys.stdout.write(f"nothing written: this was a dry run, --apply writes{how}\n")


def report(plan: "ImportPlan") -> list[str]:
    """A plan in lines: the counts, then its list, as much of it as is shown."""
    lines = [f"{n:>9,} {outcome}" for outcome, n in plan.counts().items() if n]
    if plan.ignored:
        lines.append(f"columns that are not read: {', '.join(plan.ignored)}")
    if plan.n_by_programs:
        lines.append(
            f"{plan.n_by_programs:,} rows were written by a program: the command `explanations "
            "import` keeps those apart from what people say"
        )
    elif "explainer" in plan.ignored or "method" in plan.ignored:
        lines.append(
            "if a program wrote these labels, the command `explanations import` takes them and "
            "keeps them apart from what people say"
        )
    rows = plan.listed()
    for row in rows[:_MOST_LISTED]:
        lines += _row_lines(row)
    if len(rows) > _MOST_LISTED:
        lines.append(f"and {len(rows) - _MOST_LISTED:,} more")
    return [_visible(line) for line in lines]


def _row_lines(row: "ImportRow") -> list[str]:
    from featurestore.annotations.exchange import content_cells

    lines = [f"{row.place}: {row.outcome}, {row.dictionary} {row.feature}. {row.reason}"]
    before, after = content_cells(row.before), content_cells(row.after)
    if row.outcome in ("add", "change", "conflict"):
        lines += [
            f"    {name}: {_shown(before[name])} -> {_shown(after[name])}"
            for name in before
            if before[name] != after[name]
        ]
    return lines


def _shown(cell: str) -> str:
    return f"'{cell}'" if len(cell) <= _LONGEST_SHOWN else f"'{cell[:_LONGEST_SHOWN]}…'"


def _visible(line: str) -> str:
    """A line with nothing in it that a terminal would obey."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line.rstrip())


def _log(options: argparse.Namespace, read_only: bool) -> "AnnotationLog":
    from featurestore.annotations.database import Database, default_url
    from featurestore.annotations.log import AnnotationLog

    url = options.annotations or default_url(options.store)
    return AnnotationLog(Database(url, read_only=read_only))


def _write(path: Path, data: bytes) -> None:
    """Write a file so that nobody ever finds half of it.

    Raises:
        TableError: it cannot be written; what was there is still there.
    """
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with unfinished.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        raise TableError(f"'{path}' cannot be written: {error.strerror}.") from error
    finally:
        unfinished.unlink(missing_ok=True)
