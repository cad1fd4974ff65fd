"""A small project, built and loaded."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from featurestore.live.runner import Runner
from tests.conftest import Once
from tests.live_project import build_project, loaded


@pytest.fixture(scope="session")
def project(once: Once, architecture: str) -> Path:
    """A built project, once for each architecture."""
    return once(f"live-{architecture}", partial(build_project, architecture=architecture))


@pytest.fixture(scope="session")
def runner(project: Path) -> Iterator[Runner]:
    """All dictionaries of the project, loaded."""
    made = loaded(project / "store")
    yield made
    made._store.close()


@pytest.fixture(scope="session")
def plain_model(project: Path) -> PreTrainedModel:
    """The project's model as Hugging Face opens it; whoever hooks it takes the hooks away."""
    return AutoModelForCausalLM.from_pretrained(project / "model")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small products are faster so."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
