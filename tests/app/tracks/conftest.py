from pathlib import Path

import pytest

from tests.tracked_store import write_tracked


@pytest.fixture(scope="session")
def tracked_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three checkpoints whose features' fates are known; to be copied, not changed."""
    return write_tracked(tmp_path_factory.mktemp("tracked"))
