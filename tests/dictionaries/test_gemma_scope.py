"""Against the formula, written out a token at a time."""

from pathlib import Path

import numpy as np
import pytest
import torch

from featurestore.dictionaries import gemma_scope
from featurestore.errors import DictionaryError
from tests.damage import damaged
from tests.dictionaries.opened import opened

HOOK = "blocks.20.hook_resid_post"
FOLDERS = "gemma-scope-2b-pt-res/layer_20/width_16k/average_l0_71"
D = 4


def make_arrays(n: int = 9) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {"W_enc": (D, n), "b_enc": (n,), "W_dec": (n, D), "b_dec": (D,), "threshold": (n,)}
    return {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}


def write(folder: Path, arrays: dict[str, np.ndarray]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "params.npz", **arrays)
    return folder


def refusal(path: Path, hook_name: str | None = HOOK) -> str:
    with pytest.raises(DictionaryError) as error:
        opened(path, hook_name)
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("n", [9, D])
def test_it_computes_what_its_authors_do(tmp_path: Path, n: int) -> None:
    arrays = make_arrays(n)
    folder = write(tmp_path, arrays)
    assert gemma_scope.recognises(folder) and gemma_scope.recognises(folder / "params.npz")
    dictionary = opened(folder / "params.npz", HOOK)
    assert dictionary.origin.kind == "jumprelu"
    w = {name: array.astype(np.float64) for name, array in arrays.items()}
    hidden = torch.randn(20, D, generator=torch.Generator().manual_seed(1))
    for x, found in zip(hidden, dictionary.encode(hidden), strict=True):
        pre = x.double().numpy() @ w["W_enc"] + w["b_enc"]
        f = np.maximum(pre, 0) * (pre > w["threshold"])
        assert np.allclose(found, f, atol=1e-5)
        decoded = dictionary.decode(found[None], torch.zeros(1, dtype=torch.int64), x[None])[0]
        assert np.allclose(decoded, f @ w["W_dec"] + w["b_dec"], atol=1e-5)


@pytest.mark.parametrize(
    ("release", "hook_name"),
    [
        ("gemma-scope-2b-pt-res", HOOK),
        ("gemma-scope-9b-pt-mlp", "blocks.20.hook_mlp_out"),
        ("gemma-scope-2b-pt-att", "blocks.20.attn.hook_z"),
        ("gemma-scope-2b-pt-res-canonical", HOOK),
    ],
)
def test_the_folders_say_where_it_reads(tmp_path: Path, release: str, hook_name: str) -> None:
    path = write(tmp_path / release / "layer_20/width_16k/average_l0_71", make_arrays())
    origin = opened(path, None).origin
    assert (origin.hook_name, origin.hook_name_out) == (hook_name, hook_name)
    origin = opened(path, "a", "b").origin
    assert (origin.hook_name, origin.hook_name_out) == ("a", "b")


@pytest.mark.parametrize(
    "folders", ["layer_20", "gemma-scope-2b-pt-res", "gemma-scope-2b-pt-transcoders/layer_20"]
)
def test_a_hook_point_that_is_not_known(tmp_path: Path, folders: str) -> None:
    message = refusal(write(tmp_path / folders, make_arrays()), None)
    assert "Add to the recipe" in message and "hook_name =" in message


@pytest.mark.parametrize("n", [9, D])
def test_dictionaries_of_embeddings_are_of_rows_before_the_scale(tmp_path: Path, n: int) -> None:
    arrays = make_arrays(n)
    folder = tmp_path / "gemma-scope-2b-pt-res/embedding/width_4k/average_l0_6"
    dictionary = opened(write(folder, arrays))
    assert dictionary.origin.hook_name == dictionary.origin.hook_name_out == "hook_embed"
    rows = torch.randn(20, D, generator=torch.Generator().manual_seed(1))
    hidden = rows * np.sqrt(D)  # as the model scales them
    found = dictionary.encode(hidden)
    pre = rows.double().numpy() @ arrays["W_enc"].astype(np.float64) + arrays["b_enc"]
    f = np.maximum(pre, 0) * (pre > arrays["threshold"])
    assert np.allclose(found, f, atol=1e-5)
    decoded = dictionary.decode(found, torch.zeros(20, dtype=torch.int64), hidden)
    assert np.allclose(decoded, np.sqrt(D) * (f @ arrays["W_dec"] + arrays["b_dec"]), atol=1e-5)


def test_a_folder_above_that_is_called_embedding_means_nothing(tmp_path: Path) -> None:
    arrays = make_arrays()
    dictionary = opened(write(tmp_path / "embedding" / FOLDERS, arrays))
    assert dictionary.origin.hook_name == HOOK
    assert np.array_equal(dictionary.readers, arrays["W_enc"])


def test_wrong_arrays_are_named(tmp_path: Path) -> None:
    good = make_arrays()
    turned = good | {"W_enc": good["W_enc"].T}
    assert "'b_enc' has shape (9,), expected (n_features = 4)" in refusal(write(tmp_path, turned))
    without = {name: array for name, array in good.items() if name != "threshold"}
    assert "missing tensors: threshold" in refusal(write(tmp_path, without))
    good["b_dec"][1] = np.nan
    assert "'b_dec' holds 1 values that are NaN" in refusal(write(tmp_path, good))


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, make_arrays() | {"b_dec": np.array([{}], dtype=object)}))
    assert "hold no objects" in message


def test_a_file_that_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "params.npz", W_enc=np.zeros((1000, 1000)))
    assert "more than 10 times its size" in refusal(tmp_path)


def test_damaged_files_are_refused_whatever_the_damage(tmp_path: Path) -> None:
    file, n_refused = write(tmp_path, make_arrays()) / "params.npz", 0
    for content in damaged(file.read_bytes()):
        file.write_bytes(content)
        try:
            opened(file, HOOK)
        except DictionaryError as error:
            n_refused += 1
            assert str(file) in str(error)
    assert n_refused > 250


def test_a_pointer_is_not_a_file(tmp_path: Path) -> None:
    (tmp_path / "params.npz").write_text("version https://git-lfs.github.com/spec/v1\nsize 3\n")
    assert "git lfs pull" in refusal(tmp_path)
