from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from featurestore.store import Store
from tests.builder import Builder, builder
from tests.small_store import publish
from tests.synthetic_store import write_store

if TYPE_CHECKING:
    from featurestore.inference import LanguageModel

Once = Callable[[str, Callable[[Path], object]], Path]

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Files of tests run side by side, and threads of tiny products would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
gc.disable()  # what is loaded stays
if "PYTEST_XDIST_WORKER" in os.environ:
    # What a module with checked shapes is the first to load is compiled anew each time.
    import_module("transformer_lens")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long files first, so that no process is left with one when the others are done."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(autouse=True)
def _main_module() -> Iterator[None]:
    """Give back `__main__`, which Streamlit's tests take and new processes look for."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(scope="session")
def synthetic_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of known features, made once."""
    return write_store(tmp_path_factory.mktemp("synthetic"))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The store of small_store.py, for tests that only ask."""
    folder = tmp_path_factory.mktemp("small")
    publish(folder)
    return Store(folder)


@pytest.fixture
def own(tmp_path: Path) -> Store:
    """The same, for a test that changes it."""
    publish(tmp_path)
    return Store(tmp_path)


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Once:
    """Makes a folder by its name, once for all test processes; none may change it."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def folder(name: str, make: Callable[[Path], object]) -> Path:
        with FileLock(shared / f"{name}.lock"):
            if not (shared / name).exists():
                make(shared / name)
        return shared / name

    return folder


@pytest.fixture(scope="session")
def demo_store(once: Once) -> Path:
    """The shipped demo on a part of its text."""
    from tests.demo_store import build_demo

    return once("demo", build_demo) / "store"


@pytest.fixture(scope="session")
def gpt2(once: Once) -> Path:
    """A folder with a small run of GPT-2, without long passes, and its store."""
    from tests.tiny_plan import build_small

    return once("gpt2", build_small)


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    """Starts builds in processes of their own, from one that loads the libraries once."""
    with builder(tmp_path_factory.mktemp("logs")) as made:
        yield made


@pytest.fixture(scope="session", params=["gpt2", "gpt_neox", "llama"])
def architecture(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def model_folder(architecture: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model as a Hugging Face folder, once for each architecture."""
    from tests.tiny_model import save_model

    return save_model(tmp_path_factory.mktemp("model") / architecture, architecture)


@pytest.fixture(scope="session")
def model(model_folder: Path) -> LanguageModel:
    from featurestore.inference import load_model

    return load_model(str(model_folder))


def pytest_collection_finish() -> None:
    """Set aside what is loaded: Streamlit collects garbage after every run of a page."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    """What is set aside would outlive the interpreter, and be reported as leaked."""
    gc.unfreeze()
