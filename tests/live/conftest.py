"""A small project, built and loaded."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from featurestore.build import build
from featurestore.live.runner import Runner
from featurestore.plan import Order
from featurestore.recipes import read_recipe
from tests.live_project import loaded, save_project


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory, architecture: str) -> Path:
    """A built project, once for each architecture."""
    folder = tmp_path_factory.mktemp("live") / architecture
    build(Order(read_recipe(save_project(folder, architecture)), folder / "store"))
    return folder


@pytest.fixture(scope="session")
def runner(project: Path) -> Iterator[Runner]:
    """All dictionaries of the project, loaded."""
    made = loaded(project / "store")
    yield made
    made._store.close()


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small products are faster so."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
