from pathlib import Path

import pytest
import torch

from featurestore.dictionaries import native
from tests.matching.conftest import build_some
from tests.tiny_model import D_MODEL, save_dictionary, save_model, save_texts

DICTIONARIES = {
    "early": {"seed": 1, "hook_name": "blocks.0.hook_resid_post", "family": "run"},
    "attention": {"seed": 2, "hook_name": "blocks.1.hook_attn_out", "n_features": 20},
    "mlp": {
        **{"seed": 3, "n_features": 30, "hook_name": "blocks.1.mlp.hook_in"},
        **{"hook_name_out": "blocks.1.hook_mlp_out", "kind": "transcoder"},
    },
    "late": {"seed": 4, "hook_name": "blocks.1.hook_resid_post", "n_features": 28},
    "neurons": {"seed": 5, "hook_name": "blocks.0.mlp.hook_post", "d_in": 4 * D_MODEL},
}
LINKED = {
    ("early", "mlp"),
    ("early", "late"),
    ("attention", "mlp"),
    ("attention", "late"),
    ("mlp", "late"),
}
"""Every two of which the first feeds the second."""

PLANTED_UP = [[1, 0, 0], [0, 2, 0], [0, 0, 0], [3, 4, 0]]
PLANTED_READERS = [[2, 0, 0], [0, -1, 0], [0, 0, 5], [0, 0, 0]]
PLANTED_DOWN = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]


def save_planted(folder: Path, hook_name: str, readers: list, directions: list) -> None:
    """A dictionary of chosen vectors, in the first three dimensions."""
    wide = torch.nn.functional.pad
    weights = {
        "W_enc": wide(torch.tensor(readers, dtype=torch.float32), (0, D_MODEL - 3)).T.contiguous(),
        "b_enc": torch.zeros(4),
        "W_dec": wide(torch.tensor(directions, dtype=torch.float32), (0, D_MODEL - 3)),
        "b_dec": torch.zeros(D_MODEL),
    }
    native.save(folder, {"kind": "sae", "nonlinearity": "relu", "hook_name": hook_name}, weights)


@pytest.fixture(scope="session")
def linking_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of dictionaries along the stream, two of chosen vectors; to be copied."""
    folder = tmp_path_factory.mktemp("linking")
    save_model(folder / "model")
    save_texts(folder / "texts")
    for name, settings in DICTIONARIES.items():
        save_dictionary(folder / name, **settings)
    build_some(folder, 16, *DICTIONARIES)
    return folder


@pytest.fixture(scope="session")
def planted_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of two dictionaries of chosen vectors: `up` before `down`."""
    folder = tmp_path_factory.mktemp("planted")
    save_model(folder / "model")
    save_texts(folder / "texts", 1)
    save_planted(folder / "up", "blocks.0.hook_resid_post", PLANTED_UP, PLANTED_UP)
    save_planted(folder / "down", "blocks.1.hook_resid_post", PLANTED_READERS, PLANTED_DOWN)
    build_some(folder, 16, "up", "down")
    return folder
