"""How large and how plain a module stays, and what none may do."""

import ast
import importlib.metadata
import re
import statistics
import sys
from collections.abc import Iterator

import pytest

from tests.modules import MODULES, PACKAGES, ROOT, every_import, every_node, is_within

SQL_METHODS = ("execute", "executemany", "sql", "rows")
SQL_START = re.compile(r"\s*(select|insert into|delete from|attach|create table|drop table) ", re.I)


def test_modules_are_small() -> None:
    folders = (*PACKAGES, "tests", "benchmarks")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {str(path): n for path, n in lines.items() if n > 400} == {}
    own = [lines[module.path] for module in MODULES.values()]
    assert statistics.median(n for n in own if n) <= 180


def test_functions_are_small() -> None:
    wrong = [
        module.at(node.lineno, f"{node.name} has more than 60 lines")
        for module, node in every_node()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if node.end_lineno - node.lineno >= 60
    ]
    assert wrong == []


def test_every_module_says_what_it_is() -> None:
    silent = [n for n, m in MODULES.items() if m.text.strip() and not ast.get_docstring(m.tree)]
    assert silent == []


def test_names_say_something_and_shadow_nothing() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert [name for name in MODULES if vague & set(name.split("."))] == []
    # Streamlit puts app/ first on sys.path: a file there would hide the library of its name.
    taken = {*importlib.metadata.packages_distributions(), *sys.stdlib_module_names}
    names = [path.name.removesuffix(".py") for path in (ROOT / "app").iterdir()]
    assert taken.intersection(names) == set()


def test_no_broad_except() -> None:
    broad = {"Exception", "BaseException"}
    wrong = [
        module.at(node.lineno, "catch what you can mend")
        for module, node in every_node()
        if isinstance(node, ast.ExceptHandler)
        if node.type is None
        or broad & {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)}
    ]
    assert wrong == []


def test_nothing_loads_code_from_data() -> None:
    pickles = ("pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal")
    allowed = "from pickle import UnpicklingError"  # what torch raises when it refuses a file
    wrong = [
        module.at(found.line, found.target)
        for module, found in every_import()
        if is_within(found.target, pickles) and module.text.splitlines()[found.line - 1] != allowed
    ]
    unsafe = {("trust_remote_code", True), ("weights_only", False), ("allow_pickle", True)}
    wrong += [
        module.at(node.value.lineno, node.arg)
        for module, node in every_node()
        if isinstance(node, ast.keyword) and isinstance(node.value, ast.Constant)
        if (node.arg, node.value.value) in unsafe
    ]
    assert wrong == []


def is_fixed(node: ast.expr) -> bool:
    """Whether a part of a statement cannot come from a user.

    That is: a literal, a CONSTANT, an entry of a CONSTANT, or a path through `quoted` (ATTACH
    takes no bound parameter).
    """
    if isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id == "quoted"
    return isinstance(node, ast.Constant) or (isinstance(node, ast.Name) and node.id.isupper())


def is_spliced(node: ast.expr) -> bool:
    """Whether an expression puts text together out of parts that are not fixed."""
    if isinstance(node, ast.JoinedStr):
        parts = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
        return not all(is_fixed(part) for part in parts)
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Attribute) and node.func.attr == "format"
    return isinstance(node, ast.BinOp)


def spliced_sql(tree: ast.Module) -> Iterator[int]:
    """Lines on which a function splices a statement; at module level no user has spoken yet."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for node in (node for function in functions for node in ast.walk(function)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            if node.func.attr in SQL_METHODS and is_spliced(node.args[0]):
                yield node.lineno
        elif isinstance(node, ast.JoinedStr | ast.BinOp) and is_spliced(node):
            first = next((n.value for n in ast.walk(node) if isinstance(n, ast.Constant)), "")
            if SQL_START.match(str(first)):
                yield node.lineno


def test_sql_is_never_spliced() -> None:
    wrong = [m.at(line, "bind it") for m in MODULES.values() for line in spliced_sql(m.tree)]
    assert wrong == []


@pytest.mark.parametrize(
    ("line", "is_wrong"),
    [
        ("c.execute('select * from features where feature = ?', [x])", False),
        ("c.execute(READ[table])", False),
        ("c.execute(f'select {COLUMNS[x]} from features')", False),
        ("c.execute(f\"attach '{quoted(x)}' as other\")", False),
        ("c.execute(f'select {x} from features')", True),
        ("c.sql('select %s from features' % x)", True),
        ("c.execute('select {} from features'.format(x))", True),
        ("query = f'select * from features where token = {x}'", True),
    ],
)
def test_the_sql_rule_itself(line: str, is_wrong: bool) -> None:
    assert bool(list(spliced_sql(ast.parse(f"def ask(c, x):\n    {line}")))) == is_wrong
