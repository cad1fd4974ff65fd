"""What is wrong with a file is told, and nothing in it is run."""

import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from featurestore.dictionaries.files import (
    foreign_classes,
    only_tensors,
    read_json,
    read_safetensors,
    read_torch,
    read_torch_objects,
    torch_keys,
)
from featurestore.errors import DictionaryError
from tests.damage import damaged
from tests.dictionaries.harm import Bomb

GOOD = {"a": torch.zeros(3, 4), "b": torch.ones(4)}


def write(folder: Path, content: object) -> Path:
    torch.save(content, folder / "ae.pt")
    return folder / "ae.pt"


def refusal(file: Path) -> str:
    with pytest.raises(DictionaryError) as error:
        only_tensors(file, read_torch(file))
    assert str(file) in str(error.value)
    return str(error.value)


def test_tensors_by_name(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD)
    found = only_tensors(file, read_torch(file))
    assert found.keys() == GOOD.keys()
    assert all(torch.equal(found[name], GOOD[name]) for name in GOOD)


def test_plain_values_may_stand_beside(tmp_path: Path) -> None:
    assert read_torch(write(tmp_path, GOOD | {"step": 3}))["step"] == 3


def test_a_file_that_could_run_code_is_refused_and_not_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    weights = GOOD | {"more": Bomb(canary)}
    torch.save(weights, tmp_path / "a.pt")
    assert "could run code (posix.mkdir)" in refusal(tmp_path / "a.pt")
    torch.save(weights, tmp_path / "b.pt", _use_new_zipfile_serialization=False)
    assert "not readable as a torch file" in refusal(tmp_path / "b.pt")
    (tmp_path / "c.pt").write_bytes(pickle.dumps(weights))
    assert "written by pickle or by an old torch" in refusal(tmp_path / "c.pt")
    assert not canary.exists()
    torch.load(tmp_path / "a.pt", weights_only=False)
    assert canary.exists()  # so it was a bomb


def test_the_switch_that_lets_files_run_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    assert "Unset it" in refusal(write(tmp_path, GOOD))
    torch.save(GOOD | {"more": Bomb(tmp_path / "canary")}, tmp_path / "bomb.pt")
    assert torch_keys(tmp_path / "bomb.pt") == frozenset()
    with pytest.raises(DictionaryError, match="Unset it"):
        read_torch_objects(tmp_path / "bomb.pt", ["posix.mkdir"])
    assert not (tmp_path / "canary").exists()


def test_the_names_in_a_file(tmp_path: Path) -> None:
    huge = {"a": torch.zeros(1).expand(10**6, 10**6), "step": 3, 4: "no name"}
    assert torch_keys(write(tmp_path, huge)) == {"a", "step"}
    assert torch_keys(write(tmp_path, [torch.zeros(1)])) == frozenset()
    assert torch_keys(tmp_path) == torch_keys(tmp_path / "nothing.pt") == frozenset()
    torch.save(GOOD | {"more": Bomb(tmp_path / "canary")}, tmp_path / "bomb.pt")
    assert torch_keys(tmp_path / "bomb.pt") == frozenset()
    assert not (tmp_path / "canary").exists()


def test_foreign_objects_are_named_and_never_made(tmp_path: Path) -> None:
    file = write(tmp_path, [Bomb(tmp_path / "canary"), Path("a")])
    assert foreign_classes(file) == ["pathlib.PosixPath", "posix.mkdir"]
    with pytest.raises(DictionaryError, match=r"could run code \(posix.mkdir\)"):
        read_torch_objects(file, ["pathlib.PosixPath"])
    with pytest.raises(DictionaryError, match="not readable as a torch file"):
        read_torch_objects(file, foreign_classes(file))  # what stands in takes no arguments
    assert not (tmp_path / "canary").exists()
    assert foreign_classes(write(tmp_path, GOOD)) == []
    assert foreign_classes(tmp_path) == foreign_classes(tmp_path / "nothing.pt") == []


def test_a_tensor_that_is_not_all_there_is_refused(tmp_path: Path) -> None:
    side = 10**6
    huge = GOOD | {"a": torch.zeros(1).expand(side, side)}
    file = write(tmp_path, huge)
    assert file.stat().st_size < 10_000
    message = refusal(file)
    assert f"'a' is a tensor of shape {(side, side)}" in message
    huge["a"] = torch.empty(side, side, device="meta")
    assert "not all there" in refusal(write(tmp_path, huge))


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
def test_a_sparse_tensor_is_refused(tmp_path: Path) -> None:
    sparse = GOOD | {"b": torch.zeros(4).to_sparse()}
    assert "'b' is a tensor of shape (4,) that is sparse" in refusal(write(tmp_path, sparse))


def test_a_state_dict_inside_another_is_refused(tmp_path: Path) -> None:
    nested = {"step": torch.tensor(3), "ae": GOOD}
    assert "its 'ae' is of type dict" in refusal(write(tmp_path, nested))
    assert "found list" in refusal(write(tmp_path, [torch.zeros(1)]))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_damaged_files_are_refused_whatever_the_damage(tmp_path: Path) -> None:
    file, n_refused = write(tmp_path, GOOD), 0
    for content in damaged(file.read_bytes()):
        file.write_bytes(content)
        try:
            only_tensors(file, read_torch(file))
        except DictionaryError as error:
            n_refused += 1
            assert str(file) in str(error)
    assert n_refused > 150


def test_a_tensor_stored_as_something_else_is_refused(tmp_path: Path) -> None:
    file, other = write(tmp_path, GOOD), tmp_path / "other.pt"
    with zipfile.ZipFile(file) as whole, zipfile.ZipFile(other, "w") as archive:
        for entry in whole.infolist():
            content = whole.read(entry)
            swapped = content.replace(b"torch\nFloatStorage", b"collections\nOrderedDict")
            archive.writestr(entry.filename, swapped)
    assert "not readable as a torch file" in refusal(other)


@pytest.mark.parametrize("name", ["ae.pt", "ae.safetensors"])
def test_a_pointer_is_not_a_file(tmp_path: Path, name: str) -> None:
    read = read_torch if name == "ae.pt" else read_safetensors
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\nsize 3\n")
    with pytest.raises(DictionaryError, match="git lfs pull"):
        read(tmp_path / name)
    (tmp_path / name).unlink()
    with pytest.raises(DictionaryError, match="not readable|cannot be read"):
        read(tmp_path / name)


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", "[" * 100_000])
def test_settings_are_an_object(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DictionaryError, match=r"a\.json: (not readable|expected a JSON object)"):
        read_json(tmp_path / "a.json")
