import json
import logging
import re
from pathlib import Path

import numpy as np
import pytest

from featurestore.blocks import write_block
from featurestore.errors import BuildFailed, UnfinishedRun
from featurestore.workspace import Workspace

SETTINGS = {
    "seed": 0,
    "dtype": "float32",
    "passes": {"n_top": 24, "n_bins": 50},
    "digests": {"model": "a" * 64, "corpus": "b" * 64},
    "model": {"title": "tiny", "step": None},
}


def make(
    store: Path, run_id: str = "run1", dictionary_id: str = "sae", **settings: object
) -> Workspace:
    workspace = Workspace(store, run_id, dictionary_id, SETTINGS | settings)
    workspace.open()
    return workspace


def write(workspace: Workspace, number: int, run_id: str | None = None) -> Path:
    name = workspace.name(number)
    features = np.array([3, 1], dtype=np.uint32)
    tokens = np.array([5, 6], dtype=np.uint32)
    values = np.array([1.5, 2.5], dtype=np.float32)
    if run_id:
        name = type(name)(run_id, number)
    write_block(workspace.folder, name, features, tokens, values)
    return name.path(workspace.folder)


def test_opening_says_what_the_run_is(tmp_path: Path) -> None:
    workspace = make(tmp_path / "store")
    assert workspace.folder == tmp_path / "store" / "work" / "run1"
    content = json.loads((workspace.folder / "settings.json").read_text())
    assert content == {"dictionary_id": "sae", "settings": SETTINGS}
    write(workspace, 2)
    workspace.open()
    assert sorted(path.name for path in workspace.folder.iterdir()) == [
        "block-000002.safetensors",
        "settings.json",
    ]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "work").write_text("in the way")
    with pytest.raises(BuildFailed, match=f"{tmp_path}/work/run1' cannot be made: Not a directory"):
        make(tmp_path)


def test_a_conflict_names_what_differs_and_nothing_else(tmp_path: Path) -> None:
    old = make(tmp_path, passes={"n_top": 24, "n_bins": 40}, was="x", model={"title": "tiny"})
    write(old, 0)
    write(old, 1)
    other = {"seed": 7, "digests": {"model": "a" * 64, "corpus": "c" * 60 + "dddd"}, "now": [1]}
    with pytest.raises(UnfinishedRun) as caught:
        make(tmp_path, "run2", **other)
    message = str(caught.value)
    assert message.startswith(
        f"'sae' has an unfinished run with other settings (2 blocks in '{old.folder}'). Differing: "
    )
    differing = re.search(r"Differing: (.*)\. Set these back to finish it", message).group(1)
    assert differing.split("; ") == [
        "digests.corpus (the texts, the tokenizer or a key of [corpus]): "
        '"bbbbbbbbbbb…bbb" there, "ccccccccccc…ddd" now',
        "now: null there, [1] now",
        "passes.n_bins: 40 there, 50 now",
        "seed: 0 there, 7 now",
        'was: "x" there, null now',
    ]
    assert "--discard" in message
    assert old.has(0) and old.has(1)
    assert not (tmp_path / "work" / "run2").exists()


def test_runs_of_other_dictionaries_and_foreign_folders_are_no_conflict(tmp_path: Path) -> None:
    make(tmp_path, "run1", "other")
    for name, content in [("a", "{"), ("b", "[]"), ("c", "{}"), ("d", '"x"'), ("e", "\xff")]:
        (tmp_path / "work" / name).mkdir()
        (tmp_path / "work" / name / "settings.json").write_bytes(content.encode("latin-1"))
    make(tmp_path, "run2", "sae", seed=1)


def test_discarding_drops_the_other_run_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old, beside = make(tmp_path), make(tmp_path, "run3", "other")
    write(old, 0)
    write(beside, 0)
    with caplog.at_level(logging.INFO):
        Workspace(tmp_path, "run2", "sae", SETTINGS | {"seed": 1}).open(discard=True)
    assert caplog.messages == ["sae: dropped unfinished run run1"]
    assert not old.folder.exists()
    assert beside.has(0)
    assert (tmp_path / "work" / "run2" / "settings.json").exists()


@pytest.mark.parametrize("shard", [None, "1-of-3"])
def test_a_run_that_is_being_built_is_not_discarded(tmp_path: Path, shard: str | None) -> None:
    old = make(tmp_path)
    write(old, 0)
    new = Workspace(tmp_path, "run2", "sae", SETTINGS | {"seed": 1})
    with old.alone(shard), pytest.raises(BuildFailed, match="run1 of 'sae' is being built"):
        new.open(discard=True)
    assert old.has(0)
    new.open(discard=True)
    assert not old.folder.exists()


def test_a_run_that_has_nothing_to_lose_is_not_in_the_way(tmp_path: Path) -> None:
    empty, published = make(tmp_path), Workspace(tmp_path, "run3", "sae", SETTINGS | {"seed": 3})
    published.open()
    write(published, 0)
    published.published.parent.mkdir(parents=True)
    published.published.touch()  # the build was killed before it could delete the blocks
    Workspace(tmp_path, "run2", "sae", SETTINGS | {"seed": 1}).open()
    assert empty.folder.exists() and published.has(0)


def test_one_build_at_a_time_and_one_of_each_shard(tmp_path: Path) -> None:
    first, second = make(tmp_path), make(tmp_path)
    with first.alone():
        with pytest.raises(BuildFailed, match=r"run1 of 'sae' is being built by another process\."):
            with second.alone():
                pass
        with second.alone("1-of-2"), first.alone("2-of-2"):
            with pytest.raises(BuildFailed, match=r"being built \(shard 1-of-2\) by another"):
                with first.alone("1-of-2"):
                    pass
            with pytest.raises(BuildFailed, match=r"\(shard 1-of-2\)"):
                first.check_no_shard_runs()
        first.check_no_shard_runs()
    with pytest.raises(ValueError, match="x"), second.alone():
        raise ValueError("x")
    with second.alone():
        pass


def test_blocks_that_cannot_be_used_are_dropped_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    workspace = make(tmp_path)
    paths = {number: write(workspace, number) for number in (0, 1, 2, 3, 9)}
    paths[1].write_bytes(paths[1].read_bytes()[:-1])
    write(workspace, 2, run_id="another")
    flipped = bytearray(paths[3].read_bytes())
    flipped[-1] ^= 1
    paths[3].write_bytes(flipped)
    paths[9].write_bytes(b"not asked for")
    workspace.drop_unusable([0, 1, 2, 3, 4, 5])
    assert [number for number in range(10) if workspace.has(number)] == [0, 9]
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    for number, reason, message in zip(
        (1, 2, 3), ("cannot be read", "run_id is another", "SHA-256"), caplog.messages, strict=True
    ):
        assert str(paths[number]) in message and reason in message
        assert "is made anew: " in message


def test_blocks_by_number(tmp_path: Path) -> None:
    workspace = make(tmp_path)
    path = write(workspace, 4)
    assert (workspace.has(4), workspace.has(3)) == (True, False)
    assert workspace.n_bytes(4) == path.stat().st_size
    assert workspace.block(4).features.tolist() == [1, 3]
    with pytest.raises(BuildFailed, match="block-000003"):
        workspace.block(3)
    workspace.remove()
    assert not workspace.folder.exists()
    workspace.remove()
