from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from featurestore import sweep as sweeping
from featurestore.activations import ActivationFiles
from featurestore.corpus import Corpus, make_corpus, read_documents
from featurestore.dictionaries import native
from featurestore.errors import BuildFailed
from featurestore.inference import LanguageModel, load_model
from featurestore.passes.statistics import Statistics
from featurestore.sweep import Target, block_path, n_blocks, sweep
from tests.small_run import make_run
from tests.tiny_model import save_dictionary, save_model, save_texts

PER_BLOCK = 5


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load_model(str(save_model(tmp_path_factory.mktemp("model"))))


@pytest.fixture(scope="module")
def corpus(gpt2: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = save_texts(tmp_path_factory.mktemp("texts"))
    corpus = make_corpus(read_documents([str(folder / "*")]), gpt2.tokenizer, 16, True, 335)
    assert n_blocks(corpus, PER_BLOCK) > 4
    assert len(corpus.tokens) % PER_BLOCK  # the last block is short
    assert (corpus.n_valid < 16).any()
    return corpus


@pytest.fixture(scope="module")
def hidden(gpt2: LanguageModel, corpus: Corpus) -> list[dict[str, torch.Tensor]]:
    """Hidden vectors of each context, run alone."""
    names = {"blocks.0.hook_resid_post", "blocks.1.hook_resid_post", "blocks.0.mlp.hook_post"}
    return [gpt2.hidden(tokens[None], names) for tokens in corpus.tokens]


@pytest.fixture
def make_targets(tmp_path: Path) -> Callable[[str], list[Target]]:
    """Four dictionaries of different kinds, and folders for their blocks."""
    late = "blocks.1.hook_resid_post"
    chosen = {
        "relu": {},
        "topk": {"hook_name": late, "nonlinearity": "topk", "k": 3},
        "signed": {"hook_name": late, "nonlinearity": "signed_topk", "k": 2},
        "neurons": {"hook_name": "blocks.0.mlp.hook_post", "d_in": 64},
    }
    for name, settings in chosen.items():
        save_dictionary(tmp_path / name, **settings)

    def make(run: str) -> list[Target]:
        loaded = {name: native.load(tmp_path / name) for name in chosen}
        return [Target(each, tmp_path / run / name) for name, each in loaded.items()]

    return make


def blocks_of(targets: list[Target]) -> dict[str, bytes]:
    return {
        f"{target.folder.name}/{path.name}": path.read_bytes()
        for target in targets
        for path in sorted(target.folder.glob("*.safetensors"))
    }


def files_of(target: Target, corpus: Corpus) -> ActivationFiles:
    blocks = range(n_blocks(corpus, PER_BLOCK))
    paths = [block_path(target.folder, block) for block in blocks]
    return ActivationFiles(paths, target.dictionary.n_features)


@pytest.mark.parametrize("encoded_at_once", [2**23, 100])
def test_entries_are_those_of_a_dense_encode(
    gpt2: LanguageModel,
    corpus: Corpus,
    hidden: list[dict[str, torch.Tensor]],
    make_targets: Callable[[str], list[Target]],
    monkeypatch: pytest.MonkeyPatch,
    encoded_at_once: int,
) -> None:
    monkeypatch.setattr(sweeping, "ENCODED_AT_ONCE", encoded_at_once)
    targets = make_targets("run")
    sweep(gpt2, corpus, targets, PER_BLOCK)
    for target in targets:
        dictionary = target.dictionary
        dense = np.zeros((corpus.tokens.size, dictionary.n_features), dtype=np.float32)
        is_valid = np.zeros(corpus.tokens.size, dtype=bool)
        for context, found in enumerate(hidden):
            vectors = found[dictionary.origin.hook_name][0]
            for pos in range(int(corpus.has_bos), corpus.n_valid[context]):
                place = context * 16 + pos
                dense[place] = dictionary.encode(vectors[pos : pos + 1])[0]
                is_valid[place] = True
        found = files_of(target, corpus).read(0, dictionary.n_features)
        sparse = np.zeros_like(dense)
        sparse[found.tokens, found.owner] = found.values
        assert np.allclose(sparse, dense, atol=1e-4)
        assert not sparse[~is_valid].any()
        assert is_valid.sum() == corpus.n_tokens
        statistics = Statistics(replace(make_run(corpus), dictionary=dictionary)).rows(found)
        density = (dense != 0).sum(axis=0) / is_valid.sum()
        found_density = statistics["features"]["density"].to_numpy()
        assert np.allclose(found_density, density, atol=2 / is_valid.sum())


def test_an_interrupted_sweep_goes_on_to_the_same_bytes(
    gpt2: LanguageModel,
    corpus: Corpus,
    make_targets: Callable[[str], list[Target]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = make_targets("whole")
    sweep(gpt2, corpus, whole, PER_BLOCK)
    targets = make_targets("interrupted")
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
            sweep(gpt2, corpus, targets, PER_BLOCK)
    assert len(blocks_of(targets)) == 6
    for target in targets:
        block_path(target.folder, 3).with_suffix(".123.tmp").write_bytes(b"half a block")
    sweep(gpt2, corpus, targets, PER_BLOCK)
    assert blocks_of(targets) == blocks_of(whole)


def test_a_block_that_is_there_is_not_computed_again(
    gpt2: LanguageModel,
    corpus: Corpus,
    make_targets: Callable[[str], list[Target]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    targets = make_targets("run")
    sweep(gpt2, corpus, targets, PER_BLOCK)
    first = block_path(targets[0].folder, 0)
    first.write_bytes(b"as it was")
    second = block_path(targets[1].folder, 2)
    wanted = second.read_bytes()
    second.unlink()
    runs = []

    def hidden(tokens: np.ndarray, names: set[str]) -> dict[str, torch.Tensor]:
        runs.append((tokens.tolist(), names))
        return LanguageModel.hidden(gpt2, tokens, names)

    monkeypatch.setattr(gpt2, "hidden", hidden)
    sweep(gpt2, corpus, targets, PER_BLOCK)
    assert first.read_bytes() == b"as it was"
    assert second.read_bytes() == wanted
    block = corpus.tokens[2 * PER_BLOCK : 3 * PER_BLOCK].tolist()
    assert runs == [(block, {"blocks.1.hook_resid_post"})]


def test_a_full_disk_says_what_to_do(
    gpt2: LanguageModel,
    corpus: Corpus,
    make_targets: Callable[[str], list[Target]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sweeping, "write_block", full)
    with pytest.raises(BuildFailed, match="Block 0 .*No space left.*goes on where it stopped"):
        sweep(gpt2, corpus, make_targets("run"), PER_BLOCK)
