"""docs/reference.md: the parts made from the code, which `python -m tests.reference` writes."""

import argparse
import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from unittest.mock import patch

import duckdb

import featurestore
from app import panels, selection
from app.compare import panels as compare
from app.compare import selection as compared
from app.live import panels as live
from app.live import selection as pasted
from app.live.texts import TextMemory
from app.pair import selection as two
from app.pair import words as pair
from app.search import selection as search
from app.tracks import selection as trained
from app.tracks import words as tracks

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference.md"
SCHEMAS = {
    "dictionaries": "schema.sql",
    "pairs": "pair_schema.sql",
    "links": "link_schema.sql",
}
KEYS = {
    "Browse, Feature, Map, Search, Annotations": panels.KEYS,
    "Feature": panels.FEATURE_KEYS,
    "Compare": compare.KEYS,
    "Two dictionaries": pair.KEYS,
    "Over training": tracks.KEYS,
    "Live": live.KEYS,
}
"""Keys of each page, as the button ? tells them."""


class _Asked(dict[str, str]):
    """Query parameters of an address without any, and the names that were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        self.names.add(name)
        return default

    def __contains__(self, name: object) -> bool:
        self.names.add(str(name))
        return False


PAGES: dict[str, Callable[[_Asked], object]] = {
    "Browse, Feature, Map, Annotations": lambda asked: selection.read(asked, ""),
    "Search": lambda asked: search.read(asked, ()),
    "Compare": lambda asked: compared.read(asked, dict.fromkeys(compared.FILTERS, ())),
    "Two dictionaries": lambda asked: two.read(asked, (), ()),
    "Over training": lambda asked: trained.read(asked, {}),
    "Live": lambda asked: pasted.read(asked, (), TextMemory()),
}
"""By heading of the reference, what reads the query parameters of these pages."""


def parameters(heading: str) -> set[str]:
    """Names of query parameters that pages read."""
    asked = _Asked()
    PAGES[heading](asked)
    in_session = {"dictionary", "feature"} if heading.startswith("Browse") else set()
    return asked.names | in_session


class _Found(Exception):
    pass


def parser_of(module: str) -> argparse.ArgumentParser:
    """The parser that `python -m MODULE` reads its command line with."""
    try:
        main = importlib.import_module(f"{module}.__main__").main
    except ModuleNotFoundError:
        main = importlib.import_module(module).main
    with patch.object(argparse.ArgumentParser, "parse_args", _give_away):
        try:
            main([])
        except _Found as found:
            return found.args[0]
    raise AssertionError(f"{module} parses nothing")


def _give_away(parser: argparse.ArgumentParser, *_: object) -> None:
    raise _Found(parser)


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Every command below a parser that takes no further one, by its words."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return {
                f"{name} {rest}".strip(): command
                for name, inner in action.choices.items()
                for rest, command in subcommands(inner).items()
            }
    return {"": parser}


def told(parser: argparse.ArgumentParser, before: str = "") -> Mapping[str, str]:
    """What `--help` says of each command, by its words."""
    found = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for choice in action._choices_actions:
                words = f"{before} {choice.dest}".strip()
                found |= {words: choice.help or ""} | told(action.choices[choice.dest], words)
    return found


def commands() -> Iterator[str]:
    """A table of every command, with its options below it."""
    rows = []
    for module in ("featurestore", "app", "featurestore.demo"):
        parser = parser_of(module)
        helps = told(parser) or {"": "open the app on a store"}
        for name, command in subcommands(parser).items():
            given = [action for action in command._actions if action.dest != "help"]
            placed = [_placed(action) for action in given if not action.option_strings]
            words = " ".join(filter(None, [f"python -m {module}", name, *placed]))
            rows.append((f"**`{words}`**", helps[name]))
            options = (action for action in given if action.help or action.option_strings)
            rows += [(f"`{_option(action)}`", _help(command, action)) for action in options]
    return table(("command", ""), rows)


def _placed(action: argparse.Action) -> str:
    name = action.metavar or action.dest.upper()
    return f"[{name}]" if action.nargs == "?" else f"[{name} ...]" if action.nargs == "*" else name


def _option(action: argparse.Action) -> str:
    if not action.option_strings:
        return _placed(action)
    if action.nargs == 0:
        return action.option_strings[0]
    value = "|".join(action.choices) if action.choices else action.metavar or action.dest.upper()
    more = " ..." if action.nargs == "+" else ""
    return f"{action.option_strings[0]} {value}{more}"


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    text = parser._get_formatter()._expand_help(action) if action.help else ""
    return f"{text} (required)".strip() if action.required and action.option_strings else text


def keys() -> Iterator[str]:
    """A table of keys for all pages."""
    rows = [
        ("" if i else page, f"`{key}`", what)
        for page, known in KEYS.items()
        for i, (key, what) in enumerate(known)
    ]
    return table(("page", "key", ""), rows)


def tables() -> Iterator[str]:
    """Tables of the three kinds of files, with their columns."""
    rows = []
    for folder, schema in SCHEMAS.items():
        text = (Path(featurestore.__file__).parent / schema).read_text(encoding="utf-8")
        with duckdb.connect() as connection:
            connection.execute(text)
            names = re.findall(r"^create table (\w+)", text, flags=re.MULTILINE)
            for name in names:
                found = connection.sql(f"describe {name}").fetchall()
                rows.append((folder, f"`{name}`", ", ".join(f"`{column[0]}`" for column in found)))
    return table(("file in", "table", "columns"), rows)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """A table in Markdown; none without rows."""
    head = tuple(head)
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    if lines:
        yield f"| {' | '.join(head)} |"
        yield f"|{'---|' * len(head)}"
        yield from lines


BLOCKS = {"commands": commands, "keys": keys, "tables": tables}


def written(text: str) -> str:
    """The document with its generated parts made anew."""
    for name, make in BLOCKS.items():
        start, end = f"<!-- from the code: {name} -->\n", f"<!-- end: {name} -->"
        before, _, rest = text.partition(start)
        after = rest.partition(end)[2]
        body = "\n".join(make()).strip()
        text = f"{before}{start}\n{body}\n\n{end}{after}"
    return text


if __name__ == "__main__":
    REFERENCE.write_text(written(REFERENCE.read_text(encoding="utf-8")), encoding="utf-8")
