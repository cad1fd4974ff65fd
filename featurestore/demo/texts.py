"""The demo's text: documentation and source that every Python installation carries.

Nothing is stored in the repository; the texts are read from the running Python. Each standard
library module gives two documents (its source, its docstrings), each help topic one. A module is
held out of the training text by a hash of its name, with both its documents, so that the demo's
dashboards are computed on text that the model and the dictionaries never saw.
"""

import ast
import hashlib
import inspect
import sysconfig
from collections.abc import Callable
from pathlib import Path
from pydoc_data.topics import topics

from featurestore.documents import Document

HELD_OUT_SHARE = 0.1
SKIPPED_FOLDERS = frozenset(
    "test tests idle_test idlelib lib2to3 site-packages dist-packages ensurepip tkinter turtledemo "
    "encodings __pycache__ _pyrepl".split()
)
"""Folders that some installations leave out, and tables of numbers that read as noise."""


def training_documents() -> list[Document]:
    """The documents that the demo's model and dictionaries are trained on."""
    return _documents(lambda module: not _is_held_out(module))


def held_out_documents() -> list[Document]:
    """The documents that the demo's dashboards are computed on."""
    return _documents(_is_held_out)


def _documents(is_wanted: Callable[[str], bool]) -> list[Document]:
    """Those of the modules and topics that are wanted."""
    documents = [Document(f"topic/{name}", topics[name]) for name in filter(is_wanted, topics)]
    root = Path(sysconfig.get_path("stdlib"))
    for path in root.rglob("*.py"):
        relative = path.relative_to(root)
        if SKIPPED_FOLDERS & set(relative.parts) or relative.parts[0] == "pydoc_data":
            continue
        name = relative.with_suffix("").as_posix()
        if not is_wanted(name):
            continue
        source = path.read_text(encoding="utf-8", errors="replace")
        documents.append(Document(f"source/{name}", source))
        documents.append(Document(f"docstrings/{name}", _docstrings(source)))
    return sorted((d for d in documents if d.text.strip()), key=lambda d: _order(d.name))


def _docstrings(source: str) -> str:
    """All docstrings of a module as prose, blank lines between them."""
    nodes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [ast.get_docstring(n) for n in ast.walk(ast.parse(source)) if isinstance(n, nodes)]
    return "\n\n".join(inspect.cleandoc(text) for text in found if text)


def _order(name: str) -> bytes:
    """A fixed order that mixes sources, docstrings and topics."""
    return hashlib.sha256(name.encode()).digest()


def _is_held_out(module: str) -> bool:
    return int.from_bytes(_order(module)[:8]) < HELD_OUT_SHARE * 2**64
