"""TOML tables to dataclasses: every key a field, every mistake told by its key."""

import difflib
import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar

from featurestore.errors import RecipeError

Table = TypeVar("Table")


def read_table(table: type[Table], content: dict[str, Any], path: str, prefix: str = "") -> Table:
    """A dataclass from a table of a file; `prefix` is what stands before its keys in messages.

    Raises:
        RecipeError: a key is unknown or missing, or a value has another type than its field.
    """
    hints = typing.get_type_hints(table)
    for key in content:
        if key not in hints:
            close = difflib.get_close_matches(key, hints, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            raise RecipeError(
                f"{path}: unknown key '{prefix}{key}'.{hint} Allowed here: {', '.join(hints)}."
            )
    values = {}
    for item in fields(table):
        if item.name in content:
            where = f"{prefix}{item.name}"
            values[item.name] = _read_value(hints[item.name], content[item.name], path, where)
        elif item.default is MISSING and item.default_factory is MISSING:
            where = f"{prefix}{item.name}"
            expected = _expected(hints[item.name], where)
            raise RecipeError(f"{path}: key '{where}' is missing; expected {expected}.")
    return table(**values)


def _read_value(hint: Any, value: Any, path: str, where: str) -> Any:  # noqa: ANN401
    """Check a value against a field's type; tables and lists of tables are read in turn."""
    if isinstance(hint, types.UnionType):
        hint = typing.get_args(hint)[0]
    if is_dataclass(hint):
        if not isinstance(value, dict):
            raise _wrong_type(path, where, hint, value)
        return read_table(hint, value, path, f"{where}.")
    if typing.get_origin(hint) is tuple:
        element = typing.get_args(hint)[0]
        if not isinstance(value, list):
            raise _wrong_type(path, where, hint, value)
        return tuple(
            _read_value(element, item, path, f"{where}[{i}]") for i, item in enumerate(value)
        )
    if type(value) is not hint:
        raise _wrong_type(path, where, hint, value)
    return value


def _wrong_type(path: str, where: str, hint: Any, value: object) -> RecipeError:  # noqa: ANN401
    return RecipeError(f"{path}: '{where}' is {value!r}; expected {_expected(hint, where)}.")


def _expected(hint: Any, where: str) -> str:  # noqa: ANN401
    """A field's type in words."""
    if typing.get_origin(hint) is tuple:
        element = typing.get_args(hint)[0]
        if is_dataclass(element):
            return f"tables, each below [[{where}]]"
        return f"a list in brackets, each element {_expected(element, where)}"
    if is_dataclass(hint):
        return "a table"
    return {str: "text", int: "a whole number", bool: "true or false"}[hint]
