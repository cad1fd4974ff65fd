"""Parts of a sweep on several machines, and who builds at a time."""

from dataclasses import replace
from pathlib import Path

import pytest

from featurestore import build as build_module
from featurestore.build import build, merge, sweep_shard
from featurestore.errors import BuildFailed, UnfinishedRun
from featurestore.plan import Order, Plan
from featurestore.stop import Stop
from featurestore.sweep import OnBlock
from tests.tiny_model import save_dictionary, save_recipe
from tests.tiny_plan import order, tables

pytestmark = pytest.mark.long

N_BLOCKS = 13


@pytest.mark.parametrize("n", [1, 2, 3, 8, 20])
def test_shards_make_what_a_build_makes(gpt2: Path, tmp_path: Path, n: int) -> None:
    store = tmp_path / "store"
    swept: list[str] = []
    for i in reversed(range(1, n + 1)):
        plan = sweep_shard(order(gpt2, store), (i, n))
        names = {p.stem for p in store.glob("work/*/block-*.safetensors")}
        swept += sorted(names - set(swept))
        assert len(names) == len(swept)
        own = {f"block-{number:06d}" for number in plan.blocks if number % n == i - 1}
        assert own == set(swept[len(swept) - len(own) :])
        assert not (store / "dictionaries").exists()
    (path,) = merge(order(gpt2, store))
    assert path.name == next((gpt2 / "store" / "dictionaries" / "sae").iterdir()).name
    assert tables(store) == tables(gpt2 / "store")
    assert list((store / "work").iterdir()) == []


def test_shards_that_overlap_do_no_harm(gpt2: Path, tmp_path: Path) -> None:
    for shard in [(1, 2), (2, 3), (1, 3), (1, 2), (3, 3)]:
        sweep_shard(order(gpt2, tmp_path), shard)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.glob("work/*/block-*")}
    assert len(before) == N_BLOCKS
    sweep_shard(order(gpt2, tmp_path), (2, 2))
    assert {p: p.stat().st_mtime_ns for p in before} == before
    merge(order(gpt2, tmp_path))
    assert tables(tmp_path) == tables(gpt2 / "store")


def test_a_build_goes_on_from_shards(gpt2: Path, tmp_path: Path) -> None:
    sweep_shard(order(gpt2, tmp_path), (2, 3))
    before = {p: p.stat().st_mtime_ns for p in tmp_path.glob("work/*/block-*")}
    assert len(before) == 4

    def engine(plan: Plan, numbers: list[int], stop: Stop, on_block: OnBlock) -> None:
        assert {p: p.stat().st_mtime_ns for p in before} == before
        build_module.sweep(plan, numbers, stop, on_block)

    build(order(gpt2, tmp_path), engine=engine)
    assert tables(tmp_path) == tables(gpt2 / "store")


def test_a_merge_without_a_shard_is_refused(gpt2: Path, tmp_path: Path) -> None:
    message = r"Blocks 0-12 of 13 are missing in '.*/work'\. Run the shards"
    with pytest.raises(BuildFailed, match=message):
        merge(order(gpt2, tmp_path))
    for i in (1, 3):
        sweep_shard(order(gpt2, tmp_path), (i, 3))
    with pytest.raises(BuildFailed, match=r"Blocks 1, 4, 7, 10 of 13 are missing"):
        merge(order(gpt2, tmp_path))
    assert not (tmp_path / "dictionaries").exists()
    sweep_shard(order(gpt2, tmp_path), (2, 3))
    merge(order(gpt2, tmp_path))
    assert tables(tmp_path) == tables(gpt2 / "store")


def test_nothing_is_published_while_a_shard_runs(gpt2: Path, tmp_path: Path) -> None:
    plan = sweep_shard(order(gpt2, tmp_path), (1, 1))
    with plan.jobs[0].workspace.alone("2-of-5"):
        for publishing in (merge, build):
            with pytest.raises(BuildFailed, match=r"being built \(shard 2-of-5\) by another"):
                publishing(order(gpt2, tmp_path))
        with pytest.raises(BuildFailed, match=r"being built \(shard 2-of-5\) by another"):
            sweep_shard(order(gpt2, tmp_path), (2, 5))
        sweep_shard(order(gpt2, tmp_path), (3, 5))
    assert not (tmp_path / "dictionaries").exists()
    merge(order(gpt2, tmp_path))


def test_a_damaged_block_of_one_dictionary_keeps_all_from_being_merged(tmp_path: Path) -> None:
    path = save_recipe(tmp_path)
    save_dictionary(tmp_path / "later", seed=1)
    path.write_text(path.read_text() + '[[dictionaries]]\nid = "later"\npath = "later"\n')
    plan = sweep_shard(order(tmp_path, tmp_path / "store"), (1, 1))
    plan.jobs[1].workspace.blocks[3].write_bytes(b"torn")
    with pytest.raises(BuildFailed, match="block-000003.*cannot be read"):
        merge(order(tmp_path, tmp_path / "store"))
    assert not (tmp_path / "store" / "dictionaries").exists()


def test_one_build_of_a_run_at_a_time(
    gpt2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_module, "SHARDS_START_S", 0.1)
    refused = []

    def shard(order: Order) -> None:
        sweep_shard(order, (1, 2))

    def engine(plan: Plan, numbers: list[int], stop: Stop, on_block: OnBlock) -> None:
        for second in (build, merge, shard):
            with pytest.raises(BuildFailed, match="is being built by another process"):
                second(order(gpt2, tmp_path))
            refused.append(second)
        build_module.sweep(plan, numbers, stop, on_block)

    build(order(gpt2, tmp_path), engine=engine)
    assert refused == [build, merge, shard]
    assert tables(tmp_path) == tables(gpt2 / "store")


# Other settings


def test_an_unfinished_run_with_other_settings_is_left_alone(gpt2: Path, tmp_path: Path) -> None:
    first = order(gpt2, tmp_path / "store")
    second = replace(first, recipe=replace(first.recipe, seed=3, contexts_per_block=6))
    sweep_shard(first, (1, 2))
    before = {p: p.stat().st_mtime_ns for p in tmp_path.glob("store/work/*/block-*")}
    for refused in (build, merge, lambda order: sweep_shard(order, (1, 2))):
        with pytest.raises(UnfinishedRun) as caught:
            refused(second)
        assert "(7 blocks in" in str(caught.value)
        assert (
            "Differing: contexts_per_block: 4 there, 6 now; seed: 0 there, 3 now. Set these back"
        ) in str(caught.value)
        assert caught.value.exit_code == 2
    assert {p: p.stat().st_mtime_ns for p in tmp_path.glob("store/work/*/block-*")} == before

    sweep_shard(second, (2, 2), discard=True)
    assert not any(path.exists() for path in before)
    (other,) = build(second)
    (path,) = build(first)  # the other is published, so nothing is in the way
    assert path.name == next((gpt2 / "store" / "dictionaries" / "sae").iterdir()).name
    assert set(path.parent.iterdir()) == {path, other}
