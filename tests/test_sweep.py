from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from featurestore import encoder, inference
from featurestore import sweep as sweeping
from featurestore.activations import ActivationFiles
from featurestore.errors import BuildFailed, Stopped
from featurestore.inference import LanguageModel
from featurestore.passes.statistics import Statistics
from featurestore.plan import Job, Plan
from featurestore.stop import Stop
from featurestore.sweep import sweep
from tests.small_run import make_run
from tests.tiny_model import save_dictionary, save_recipe
from tests.tiny_plan import block_files, check_blocks, moved, plan_of, sweep_blocks

PER_BLOCK = 5
LATE = "blocks.1.hook_resid_post"
DICTIONARIES = {
    "relu": {},
    "topk": {"hook_name": LATE, "nonlinearity": "topk", "k": 3},
    "signed": {"hook_name": LATE, "nonlinearity": "signed_topk", "k": 2},
    "neurons": {"hook_name": "blocks.0.mlp.hook_post", "d_in": 64},
}


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Four dictionaries of different kinds, a short last context and a short last block."""
    folder = tmp_path_factory.mktemp("sweep")
    path = save_recipe(folder)
    text = path.read_text().replace("contexts_per_block = 4", f"contexts_per_block = {PER_BLOCK}")
    text = text.replace("context_length = 16\n", "context_length = 16\nmax_tokens = 335\n")
    text = text.partition("[[dictionaries]]")[0]
    for name, settings in DICTIONARIES.items():
        save_dictionary(folder / name, **settings)
        text += f'[[dictionaries]]\nid = "{name}"\npath = "{name}"\n'
    path.write_text(text)
    plan = plan_of(path, folder / "store")
    assert len(plan.blocks) > 4
    assert len(plan.corpus.tokens) % PER_BLOCK
    assert (plan.corpus.n_valid < 16).any()
    return plan


@pytest.fixture(scope="module")
def whole(plan: Plan) -> dict[str, tuple]:
    """Every block's file, from one sweep that nothing disturbed."""
    assert sweep_blocks(plan, plan.blocks) == list(plan.blocks)
    return block_files(plan.order.store)


@pytest.fixture(scope="module")
def hidden(plan: Plan) -> list[dict[str, torch.Tensor]]:
    """Hidden vectors of each context, run alone."""
    names = {job.dictionary.origin.hook_name for job in plan.jobs}
    return [plan.model.hidden(tokens[None], names) for tokens in plan.corpus.tokens]


def files_of(job: Job, plan: Plan) -> ActivationFiles:
    blocks = [job.workspace.block(number) for number in plan.blocks]
    return ActivationFiles(blocks, job.dictionary.n_features)


@pytest.mark.parametrize(("tile", "tokens_at_once"), [(None, 1024), (7, 1024), (None, 16), (5, 48)])
def test_entries_are_those_of_a_dense_encode(
    plan: Plan,
    hidden: list[dict[str, torch.Tensor]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tile: int | None,
    tokens_at_once: int,
) -> None:
    if tile:
        monkeypatch.setattr(encoder, "TILE_ROWS", tile)
        monkeypatch.setattr(encoder, "TILE_FEATURES", tile)
    monkeypatch.setitem(inference.TOKENS_AT_ONCE, "cpu", tokens_at_once)
    plan = moved(plan, tmp_path)
    corpus = plan.corpus
    sweep_blocks(plan, plan.blocks)
    for job in plan.jobs:
        dictionary = job.dictionary
        dense = np.zeros((corpus.tokens.size, dictionary.n_features), dtype=np.float32)
        is_valid = np.zeros(corpus.tokens.size, dtype=bool)
        for context, found in enumerate(hidden):
            vectors = found[dictionary.origin.hook_name][0]
            for pos in range(int(corpus.has_bos), corpus.n_valid[context]):
                place = context * 16 + pos
                dense[place] = dictionary.encode(vectors[pos : pos + 1])[0]
                is_valid[place] = True
        found = files_of(job, plan).read(0, dictionary.n_features)
        sparse = np.zeros_like(dense)
        sparse[found.tokens, found.owner] = found.values
        assert np.allclose(sparse, dense, atol=1e-4)
        assert not sparse[~is_valid].any()
        assert is_valid.sum() == corpus.n_tokens
        statistics = Statistics(replace(make_run(corpus), dictionary=dictionary)).rows(found)
        density = (dense != 0).sum(axis=0) / is_valid.sum()
        found_density = statistics["features"]["density"].to_numpy()
        assert np.allclose(found_density, density, atol=2 / is_valid.sum())


def test_as_many_contexts_run_together_as_the_model_says(
    plan: Plan, whole: dict[str, tuple], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []

    def hidden(tokens: np.ndarray, names: set[str]) -> dict[str, torch.Tensor]:
        runs.append(len(tokens))
        return LanguageModel.hidden(plan.model, tokens, names)

    monkeypatch.setattr(plan.model, "hidden", hidden)
    monkeypatch.setitem(inference.TOKENS_AT_ONCE, "cpu", 2 * 16)
    last = len(plan.contexts(plan.blocks[-1]))
    assert 0 < last < PER_BLOCK
    sweep_blocks(moved(plan, tmp_path), [0, plan.blocks[-1]])
    assert runs == [2, 2, 1] + [2] * (last // 2) + [1] * (last % 2)


def test_an_interrupted_sweep_goes_on_to_the_same_bytes(
    plan: Plan, whole: dict[str, tuple], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = moved(plan, tmp_path)
    n_written = 0

    def write(*args: object) -> None:
        nonlocal n_written
        n_written += 1
        if n_written == 7:
            raise KeyboardInterrupt
        original(*args)

    original = sweeping.write_block
    with monkeypatch.context() as patched:
        patched.setattr(sweeping, "write_block", write)
        with pytest.raises(KeyboardInterrupt):
            sweep_blocks(plan, plan.blocks)
    assert len(check_blocks(plan)) == 6
    for job in plan.jobs:
        path = job.workspace.name(3).path(job.workspace.folder)
        path.with_suffix(".123.tmp").write_bytes(b"half a block")
    sweep_blocks(plan, plan.blocks)
    assert block_files(tmp_path) == whole


def test_a_block_that_is_there_is_not_computed_again(
    plan: Plan, whole: dict[str, tuple], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = moved(plan, tmp_path)
    sweep_blocks(plan, plan.blocks)
    relu, topk = (job.workspace for job in plan.jobs[:2])
    first = relu.name(0).path(relu.folder)
    good = first.read_bytes()
    first.write_bytes(b"as it was")
    second = topk.name(2).path(topk.folder)
    second.unlink()
    runs = []

    def hidden(tokens: np.ndarray, names: set[str]) -> dict[str, torch.Tensor]:
        runs.append((tokens.tolist(), names))
        return LanguageModel.hidden(plan.model, tokens, names)

    monkeypatch.setattr(plan.model, "hidden", hidden)
    assert plan.missing() == [2]
    assert sweep_blocks(plan, plan.blocks) == list(plan.blocks)
    assert first.read_bytes() == b"as it was"
    first.write_bytes(good)
    assert block_files(tmp_path) == whole
    block = plan.corpus.tokens[2 * PER_BLOCK : 3 * PER_BLOCK].tolist()
    assert runs == [(block, {LATE})]


def test_a_full_disk_says_what_to_do(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sweeping, "write_block", full)
    plan = moved(plan, tmp_path)
    with pytest.raises(BuildFailed, match="Block 0 .*No space left.*goes on where it stopped"):
        sweep_blocks(plan, plan.blocks)


def test_a_block_with_too_many_entries_says_what_to_do(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "ENTRIES_IN_A_BLOCK", 100)
    message = "5 contexts has more than 100 non-zero .* of 'relu'.* smaller 'contexts_per_block'"
    with pytest.raises(BuildFailed, match=message):
        sweep_blocks(moved(plan, tmp_path), plan.blocks)
    assert block_files(tmp_path) == {}


def test_a_signal_ends_the_sweep_after_the_block(plan: Plan, tmp_path: Path) -> None:
    plan, stop = moved(plan, tmp_path), Stop()
    reported: list[int] = []

    def report(number: int) -> None:
        reported.append(number)
        if number == 1:
            stop.ask(15)

    with pytest.raises(Stopped):
        sweep(plan, list(plan.blocks), stop, report)
    assert reported == [0, 1]
    assert len(check_blocks(plan)) == 2 * len(plan.jobs)


def test_a_block_that_takes_long_is_left_when_a_signal_came(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "PATIENCE_S", 0.0)
    monkeypatch.setitem(inference.TOKENS_AT_ONCE, "cpu", 16)
    plan, stop = moved(plan, tmp_path), Stop()
    runs = []

    def hidden(tokens: np.ndarray, names: set[str]) -> dict[str, torch.Tensor]:
        runs.append(len(tokens))
        if len(runs) == PER_BLOCK + 2:
            stop.ask(2)
        return LanguageModel.hidden(plan.model, tokens, names)

    monkeypatch.setattr(plan.model, "hidden", hidden)
    with pytest.raises(Stopped):
        sweep(plan, list(plan.blocks), stop, lambda _: None)
    assert len(runs) == PER_BLOCK + 2
    assert len(check_blocks(plan)) == len(plan.jobs)  # the first block
