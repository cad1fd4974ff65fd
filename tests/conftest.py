from pathlib import Path

import pytest

from tests.synthetic_store import write_store


@pytest.fixture(scope="session")
def synthetic_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of known features, made once."""
    return write_store(tmp_path_factory.mktemp("synthetic"))
