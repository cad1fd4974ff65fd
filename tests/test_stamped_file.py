from pathlib import Path

import numpy as np
import pytest

from featurestore.errors import BuildFailed
from featurestore.stamped_file import read_stamped, write_stamped

ARRAYS = {"a": np.arange(7, dtype=np.uint32), "b": np.array([0.5, -0.0, np.nan], np.float32)}
STAMP = {"run_id": "run", "part": "3"}


def test_arrays_come_back_with_the_right_stamp_alone(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    write_stamped(path, ARRAYS, STAMP)
    found = read_stamped(path, STAMP)
    assert {name: array.tobytes() for name, array in found.items()} == {
        name: array.tobytes() for name, array in ARRAYS.items()
    }
    with pytest.raises(BuildFailed, match="its part is 3, expected 4. Delete it and run the same"):
        read_stamped(path, STAMP | {"part": "4"})
    with pytest.raises(BuildFailed, match="its other is None, expected x"):
        read_stamped(path, {"other": "x"})
    with pytest.raises(BuildFailed, match="missing.safetensors' cannot be used: it cannot be read"):
        read_stamped(tmp_path / "missing.safetensors", STAMP)


def test_an_array_under_another_name_is_told(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    write_stamped(path, ARRAYS, STAMP)
    content = path.read_bytes()
    assert content.count(b'"a":') == 1
    path.write_bytes(content.replace(b'"a":', b'"c":'))
    with pytest.raises(BuildFailed, match="does not have the SHA-256"):
        read_stamped(path, STAMP)
