from pathlib import Path

import numpy as np
import pytest

from featurestore.activations import ActivationFiles
from featurestore.blocks import Block, BlockName, grouped, write_block
from featurestore.errors import BuildFailed

NAME = BlockName("run", 3)


def write(folder: Path, name: BlockName = NAME, n_entries: int = 500) -> Path:
    rng = np.random.default_rng(0)
    features = rng.integers(0, 200_000, n_entries).astype(np.uint32)
    tokens = np.sort(rng.integers(0, 1000, n_entries)).astype(np.uint32)
    write_block(folder, name, features, tokens, rng.random(n_entries, dtype=np.float32))
    return name.path(folder)


def test_entries_come_back_by_feature_and_token(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    features = rng.integers(0, 9, 400).astype(np.uint32) * 40_000
    tokens = np.arange(400, dtype=np.uint32)
    values = rng.random(400, dtype=np.float32)
    write_block(tmp_path, NAME, features, tokens, values)
    block = Block(tmp_path, NAME)
    for first, last in ((0, 360_000), (40_000, 200_001), (1, 2)):
        present, counts, found_tokens, found_values = block.read(first, last)
        order = [i for f in range(0, 360_000, 40_000) for i in np.flatnonzero(features == f)]
        order = [i for i in order if first <= features[i] < last]
        assert np.repeat(present, counts).tolist() == features[order].tolist()
        assert found_tokens.tolist() == tokens[order].tolist()
        assert found_values.tolist() == values[order].tolist()


@pytest.mark.parametrize("largest", [1, 2**16 - 1, 2**16, 2**31])
def test_grouping_is_a_stable_sort(largest: int) -> None:
    features = np.random.default_rng(2).integers(0, largest, 5000, endpoint=True).astype(np.uint32)
    assert grouped(features).tolist() == np.argsort(features, kind="stable").tolist()


def test_a_block_without_entries_can_be_read(tmp_path: Path) -> None:
    write(tmp_path, n_entries=0)
    found = ActivationFiles([Block(tmp_path, NAME)], 3).read(0, 3)
    assert found.n_active.tolist() == found.n_nonfinite.tolist() == [0, 0, 0]


def test_a_block_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space"):
        write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    path = write(tmp_path)
    good = path.read_bytes()
    rng = np.random.default_rng(3)
    for place in rng.integers(0, len(good), 150):
        flipped = bytearray(good)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        try:
            found = Block(tmp_path, NAME).read(0, 200_000)
        except BuildFailed:
            continue
        path.write_bytes(good)  # only what changes nothing may pass: padding of the header
        for ours, theirs in zip(found, Block(tmp_path, NAME).read(0, 200_000), strict=True):
            assert ours.tolist() == theirs.tolist()


@pytest.mark.parametrize("kept", [0, 1, 7, 100, 0.5, 0.99])
def test_a_torn_file_is_found(tmp_path: Path, kept: float) -> None:
    path = write(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if kept < 1 else int(kept)])
    with pytest.raises(BuildFailed, match="cannot be read.*Delete it and run the same build"):
        Block(tmp_path, NAME)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (BlockName("other", 3), "its run_id is other, expected run"),
        (BlockName("run", 4), "its block is 4, expected 3"),
    ],
)
def test_a_foreign_file_is_found(tmp_path: Path, other: BlockName, message: str) -> None:
    write(tmp_path, other).rename(NAME.path(tmp_path))
    with pytest.raises(BuildFailed, match=message):
        Block(tmp_path, NAME)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="block-000003"):
        Block(tmp_path, NAME)
