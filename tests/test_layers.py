"""The architecture as tests: who may import whom, and how large and how plain a module stays.

The tables follow the design; a new module gets its row here in the commit that adds it.
"""

import ast
import graphlib
import importlib.metadata
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("pages", "app", "featurestore")

RECORDS = tuple(
    f"featurestore.{name}"
    for name in "records detail_records pair_records link_records byte_names errors".split()
)
TRACKS = tuple(f"featurestore.{name}" for name in "track_records checkpoints tracks".split())
"""Features over training: records of numpy arrays, and pure functions of them."""
TORCH = (
    "featurestore.dictionaries",
    "featurestore.inference",
    "featurestore.remainder",
    "featurestore.corpus",
    "featurestore.suitability",
    "featurestore.embedding_control",
    "featurestore.vocabulary",
)
DUCKDB = (
    "featurestore.store",
    "featurestore.writer",
    "featurestore.dictionary_file",
    "featurestore.pair_file",
    "featurestore.pairs",
    "featurestore.served_files",
    "featurestore.links",
    "featurestore.small_file",
    "featurestore.open_files",
    "featurestore.two_runs",
    "featurestore.pair_columns",
    "featurestore.store_file",
    "featurestore.details",
    "featurestore.listing",
    "featurestore.text_search",
    "featurestore.annotations",
)

LAYERS = {
    "pages": ("app", *RECORDS),
    "app": (
        "app",
        "featurestore.annotations",
        "featurestore.explanations",
        "featurestore.live.records",
        "featurestore.spreadsheet",
        *TRACKS,
        *RECORDS,
    ),
    "app.session": (
        "app",
        "featurestore.store",
        "featurestore.annotations",
        *RECORDS,
    ),
    "app.live.service": (
        "app",
        "featurestore.live.records",
        "featurestore.live.runner",
        "featurestore.store",
        *RECORDS,
    ),
    "featurestore.__main__": ("featurestore",),
    **dict.fromkeys(
        [
            f"featurestore.{name}"
            for name in (
                "build linking live matching notebook plan publish precision ray_engine sweep "
                "workers".split()
            )
        ],
        ("featurestore",),
    ),
    "featurestore.demo": ("featurestore",),
    "featurestore.passes": (
        "featurestore.passes",
        "featurestore.activations",
        "featurestore.config",
        "featurestore.decoding",
        "featurestore.encoder",
        "featurestore.perturbation",
        "featurestore.stop",
        "featurestore.threads",
        *TORCH,
        *RECORDS,
    ),
    "featurestore.baselines": (
        "featurestore.baselines",
        "featurestore.config",
        "featurestore.digests",
        "featurestore.encoder",
        "featurestore.stop",
        "featurestore.threads",
        *TORCH,
        *RECORDS,
    ),
    "featurestore.activations": ("featurestore.blocks", *RECORDS),
    "featurestore.blocks": ("featurestore.stamped_file", *RECORDS),
    "featurestore.stamped_file": RECORDS,
    "featurestore.kept_rows": (
        "featurestore.passes.base",
        "featurestore.stamped_file",
        *RECORDS,
    ),
    "featurestore.built_from": (*TORCH, "featurestore.config", "featurestore.places", *RECORDS),
    "featurestore.encoder": ("featurestore.dictionaries", "featurestore.inference", *RECORDS),
    "featurestore.decoding": ("featurestore.dictionaries", "featurestore.encoder"),
    "featurestore.perturbation": (),
    "featurestore.literals": (),
    "featurestore.hub": RECORDS,
    "featurestore.live.records": RECORDS,
    "featurestore.places": ("featurestore.config", *RECORDS),
    "featurestore.workspace": ("featurestore.blocks", *RECORDS),
    "featurestore.stop": RECORDS,
    "featurestore.threads": (),
    **dict.fromkeys(
        TORCH,
        (
            *TORCH,
            "featurestore.config",
            "featurestore.documents",
            "featurestore.hook_points",
            *RECORDS,
        ),
    ),
    "featurestore.documents": ("featurestore.config", *RECORDS),
    "featurestore.hook_points": (),
    **dict.fromkeys(
        (*DUCKDB, "featurestore.verify"),
        (
            "featurestore.feature_list",
            "featurestore.rows",
            "featurestore.digests",
            "featurestore.spreadsheet",
            "featurestore.track_records",
            *DUCKDB,
            *RECORDS,
        ),
    ),
    "featurestore.store": (
        "featurestore.feature_list",
        "featurestore.places",
        "featurestore.rows",
        "featurestore.track_records",
        *DUCKDB,
        *RECORDS,
    ),
    "featurestore.feature_list": ("featurestore.literals", *RECORDS),
    "featurestore.rows": RECORDS,
    "featurestore.digests": RECORDS,
    "featurestore.annotations.records": (),
    "featurestore.annotations.agreement": ("featurestore.annotations.records",),
    "featurestore.explanations": (
        "featurestore.explanations",
        "featurestore.spreadsheet",
        *DUCKDB,
        *RECORDS,
    ),
    "featurestore.spreadsheet": RECORDS,
    "featurestore.config": (),
    "featurestore.recipes": ("featurestore.config", "featurestore.toml_tables", *RECORDS),
    "featurestore.toml_tables": RECORDS,
    "featurestore.records": RECORDS,
    "featurestore.detail_records": (),
    "featurestore.pair_records": (),
    "featurestore.link_records": (),
    "featurestore.byte_names": (),
    "featurestore.track_records": (),
    **dict.fromkeys(TRACKS[1:], (*TRACKS, *RECORDS)),
    "featurestore.errors": (),
    "featurestore": (),
}
"""A module or package, and what of the project it may import. The longest name that fits decides.

Within one row of the design a module may import its neighbour; the test of cycles keeps that sane.
"""

COMPUTING = (
    *TORCH,
    "featurestore.baselines",
    "featurestore.passes",
    *(
        f"featurestore.{name}"
        for name in (
            "build built_from decoding encoder linking live matching perturbation plan publish "
            "precision ray_engine sweep threads workers".split()
        )
    ),
)
HOMES = {
    "datasets": ("featurestore.documents",),
    "duckdb": DUCKDB,
    "plotly": ("app.compare.charts", "app.pair.charts", "app.tracks.charts"),
    "ray": ("featurestore.ray_engine",),
    "threadpoolctl": ("featurestore.baselines",),
    "sqlalchemy": ("featurestore.annotations",),
    "streamlit": ("app", "pages"),
    "torch": (*COMPUTING, "featurestore.demo"),
    "transformer_lens": ("featurestore.inference",),
    "transformers": (*COMPUTING, "featurestore.demo"),
    "umap": ("featurestore.passes.layout",),
}
"""A heavy library, and the modules or packages that alone may import it."""

PLAIN = (*RECORDS, "featurestore.config", "featurestore.recipes", "featurestore.toml_tables")
"""Modules that import nothing but the standard library and each other."""

READ_SIDE = (
    *PLAIN,
    *DUCKDB,
    *TRACKS,
    "featurestore.live.records",
    "app.session",
    "app.links",
    "app.figures",
    "app.panels",
    "app.live.service",
    "app.live.panels",
)
HEAVY = ("torch", "transformers", "transformer_lens", "umap", "datasets")

SQL_METHODS = ("execute", "executemany", "sql", "rows")
SQL_START = re.compile(r"\s*(select|insert into|delete from|attach|create table|drop table) ", re.I)


@dataclass(frozen=True)
class Import:
    """One imported module; lazy if inside a function."""

    target: str
    line: int
    is_lazy: bool


@dataclass(frozen=True)
class Module:
    """One source file of the project."""

    name: str
    path: Path
    text: str
    tree: ast.Module

    def at(self, line: int, complaint: str) -> str:
        return f"{self.path.relative_to(ROOT)}:{line}: {complaint}"


def read_modules() -> dict[str, Module]:
    modules = {}
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        text = path.read_text(encoding="utf-8")
        modules[name] = Module(name, path, text, ast.parse(text, str(path)))
    return modules


MODULES = read_modules()


def imports(node: ast.AST, is_lazy: bool = False) -> Iterator[Import]:
    """Every import below a node. `from a import b` means a.b where that is a module of ours."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, is_lazy) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            source = "." * child.level + (child.module or "")
            for alias in child.names:
                full = f"{source}.{alias.name}"
                yield Import(full if full in MODULES else source, child.lineno, is_lazy)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports(child, is_lazy or inside)


def every_import() -> Iterator[tuple[Module, Import]]:
    return ((module, found) for module in MODULES.values() for found in imports(module.tree))


def every_node() -> Iterator[tuple[Module, ast.AST]]:
    return ((module, node) for module in MODULES.values() for node in ast.walk(module.tree))


def is_within(name: str, parents: tuple[str, ...]) -> bool:
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)


def layer_of(name: str) -> str:
    """The longest row of LAYERS that fits; the package's own row fits no module inside it."""
    rows = [row for row in LAYERS if row == name or name.startswith(f"{row}.")]
    return max((row for row in rows if row == name or row != "featurestore"), key=len, default="")


def test_every_module_has_a_layer() -> None:
    assert [name for name in MODULES if not layer_of(name)] == []


def test_a_module_imports_only_from_the_layers_below() -> None:
    wrong = [
        module.at(found.line, f"{module.name} may not import {found.target}")
        for module, found in every_import()
        if is_within(found.target, PACKAGES) or found.target.startswith(".")
        if not is_within(found.target, LAYERS.get(layer_of(module.name), ()))
    ]
    assert wrong == []


def test_live_imports_what_loads_torch_inside_a_function() -> None:
    found = [
        i for m, i in every_import() if m.name.startswith("app.") and "live.runner" in i.target
    ]
    assert [one.is_lazy for one in found] == [True]


def test_heavy_libraries_have_one_home() -> None:
    wrong = [
        module.at(found.line, f"{found.target} belongs in {HOMES[library]}")
        for module, found in every_import()
        if (library := found.target.partition(".")[0]) in HOMES
        if not is_within(module.name, HOMES[library])
    ]
    assert wrong == []


def test_the_lowest_layer_needs_the_standard_library_only() -> None:
    wrong = [
        module.at(found.line, found.target)
        for module, found in every_import()
        if module.name in PLAIN and not is_within(found.target, PACKAGES)
        if found.target.partition(".")[0] not in sys.stdlib_module_names
    ]
    assert wrong == []


def test_no_cycle_of_imports() -> None:
    graph = {
        name: {i.target for i in imports(module.tree) if i.target in MODULES and not i.is_lazy}
        for name, module in MODULES.items()
    }
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the modules


def test_the_read_side_starts_without_heavy_libraries() -> None:
    names = [name for name in READ_SIDE if name in MODULES]
    code = f"import sys, {', '.join(names)}; print(*(m for m in {HEAVY} if m in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == []


def test_modules_are_small() -> None:
    lines = {name: len(module.text.splitlines()) for name, module in MODULES.items()}
    assert {name: n for name, n in lines.items() if n > 400} == {}
    assert statistics.median(n for n in lines.values() if n) <= 180


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
