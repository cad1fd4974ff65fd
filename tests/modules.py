"""The project's own modules as syntax trees, for the tests that read code."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("pages", "app", "featurestore")


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
