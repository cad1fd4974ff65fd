from pathlib import Path

import pyarrow as pa
import pytest

from featurestore import stamped_file
from featurestore.errors import BuildFailed
from featurestore.kept_rows import KeptRows
from featurestore.passes.base import Tables

ROWS = {
    "features": pa.table(
        {
            "ablation_kl": pa.array([0.1, float("nan"), None], pa.float32()),
            "tokens": pa.array([[1, 2], [], None], pa.list_(pa.int32())),
        }
    ),
    "ablated_contexts": pa.table({"feature": pa.array([], pa.int32())}),
}


class Maker:
    def __init__(self) -> None:
        self.n_made = 0

    def __call__(self) -> Tables:
        self.n_made += 1
        return ROWS


def test_rows_come_back_as_they_were_made(tmp_path: Path) -> None:
    make, kept = Maker(), KeptRows(tmp_path, "run")
    first, second = [kept.rows("ablation", range(5, 8), make) for _ in range(2)]
    assert make.n_made == 1
    assert first is ROWS and second.keys() == ROWS.keys()
    for table, rows in second.items():
        assert rows.schema == ROWS[table].schema
        assert str(rows.to_pylist()) == str(ROWS[table].to_pylist())  # NaN is not equal to itself
    assert [path.name for path in tmp_path.iterdir()] == ["ablation-00000005-00000007.safetensors"]


def test_each_pass_run_and_range_has_its_own(tmp_path: Path) -> None:
    make = Maker()
    for run_id, name, features in (
        ("run", "ablation", range(3)),
        ("run", "dependence", range(3)),
        ("run", "ablation", range(4)),
        ("other", "ablation", range(3)),
    ):
        KeptRows(tmp_path, run_id).rows(name, features, make)
    assert make.n_made == 4


def test_a_damaged_file_is_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make, kept = Maker(), KeptRows(tmp_path, "run")
    kept.rows("ablation", range(3), make)
    (path,) = tmp_path.iterdir()
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    kept.rows("ablation", range(3), make)
    assert make.n_made == 2
    assert "ablation-00000000-00000002 is made anew: " in caplog.text
    assert "does not have the SHA-256 that its header gives" in caplog.text
    kept.rows("ablation", range(3), make)
    assert make.n_made == 2


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stamped_file.os, "replace", full)
    with pytest.raises(BuildFailed, match="No space left on device. Free space there and run"):
        KeptRows(tmp_path, "run").rows("ablation", range(3), Maker())
    assert list(tmp_path.iterdir()) == []


def test_what_was_not_made_is_not_kept(tmp_path: Path) -> None:
    def fail() -> Tables:
        raise ValueError("stopped")

    with pytest.raises(ValueError, match="stopped"):
        KeptRows(tmp_path, "run").rows("ablation", range(3), fail)
    assert list(tmp_path.iterdir()) == []
