"""A small corpus, activations on it that hold every trap, and a run around them."""

from collections.abc import Sequence
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import torch

from featurestore.activations import ActivationFiles
from featurestore.blocks import Block, BlockName, write_block
from featurestore.config import PassesConfig
from featurestore.corpus import Corpus
from featurestore.dictionaries.base import Dictionary, Nonlinearity, Origin
from featurestore.inference import LanguageModel, Unembedding
from featurestore.passes.base import Run

SPARSE, DEAD, CONSTANT, SIGNED, NONFINITE, STEPS, DENSE, OFFSET, ONCE, NEGATIVE = range(10)
N_FEATURES = 10


def make_corpus(n_contexts: int = 24, length: int = 20, has_bos: bool = True) -> Corpus:
    """Random tokens of a vocabulary of 7; every third context is short; some contexts repeat."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 7, (n_contexts, length)).astype(np.int32)
    middle = n_contexts // 2
    tokens[middle : middle + 4] = tokens[:4]
    tokens[middle, 1] = 7 - tokens[middle, 1]  # 15 tokens before position 16: just in its window
    n_valid = np.full(n_contexts, length, dtype=np.int32)
    n_valid[::3] = rng.integers(2, length, len(n_valid[::3]))
    if has_bos:
        tokens[:, 0] = 0
    places = np.arange(n_contexts, dtype=np.int32)
    return Corpus(tokens, n_valid, ("text",), places * 0, places * (length - 1), has_bos)


def make_dense(corpus: Corpus) -> np.ndarray:
    """Activations of N_FEATURES features at every place, valid or not: (context, pos, feature)."""
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((*corpus.tokens.shape, N_FEATURES)).astype(np.float32)
    dense = np.maximum(noise - 1, 0)
    dense[..., DEAD] = 0
    dense[..., CONSTANT] = np.where(noise[..., CONSTANT] > 0.5, 0.7, 0)
    dense[..., SIGNED] = np.where(np.abs(noise[..., SIGNED]) > 1, noise[..., SIGNED], 0)
    for i, bad in enumerate((np.nan, np.inf, -np.inf)):
        dense[i::5, i + 2 :: 4, NONFINITE] = bad
    dense[..., STEPS] = np.arange(corpus.tokens.size).reshape(corpus.tokens.shape) % 5
    # The same on the same tokens: contexts that repeat have peaks that repeat.
    dense[..., DENSE] = 1 + corpus.tokens + np.arange(corpus.tokens.shape[1]) / 64
    dense[..., OFFSET] = np.where(noise[..., OFFSET] > 0, 1000 + dense[..., OFFSET] / 64, 0)
    dense[..., ONCE] = 0
    dense[2, 3, ONCE] = 2.5
    dense[..., NEGATIVE] = -dense[..., NEGATIVE]
    return dense


def write_dense(
    folder: Path, dense: np.ndarray, corpus: Corpus, contexts_per_block: int = 5
) -> list[BlockName]:
    """Block files as a sweep would write them."""
    folder.mkdir(parents=True, exist_ok=True)
    valid = corpus.is_valid(slice(0, len(corpus.tokens)))
    names = []
    for start in range(0, len(dense), contexts_per_block):
        features, tokens, values = [], [], []
        for context in range(start, min(start + contexts_per_block, len(dense))):
            for pos, feature in np.argwhere(dense[context] != 0):
                if valid[context, pos]:
                    features.append(feature)
                    tokens.append(context * dense.shape[1] + pos)
                    values.append(dense[context, pos, feature])
        names.append(BlockName("run", len(names)))
        write_block(
            folder,
            names[-1],
            np.array(features, dtype=np.uint32),
            np.array(tokens, dtype=np.uint32),
            np.array(values, dtype=np.float32),
        )
    return names


def read_dense(
    folder: Path, dense: np.ndarray, corpus: Corpus, block_order: Sequence[int] | None = None
) -> ActivationFiles:
    """The same as files; the blocks are written in another order if one is given."""
    names = write_dense(folder, dense, corpus)
    if block_order is not None:
        contents = [name.path(folder).read_bytes() for name in names]
        for i in block_order:
            names[i].path(folder).unlink()
            names[i].path(folder).write_bytes(contents[i])
    return ActivationFiles([Block(folder, name) for name in names], dense.shape[2])


def active(dense: np.ndarray, corpus: Corpus, feature: int) -> dict[int, float]:
    """Place to activation, for every finite, non-zero one on a valid token: one by one."""
    valid = corpus.is_valid(slice(0, len(corpus.tokens)))
    found = {}
    for context in range(dense.shape[0]):
        for pos in range(dense.shape[1]):
            value = float(dense[context, pos, feature])
            if valid[context, pos] and value != 0 and np.isfinite(value):
                found[context * dense.shape[1] + pos] = value
    return found


def make_run(corpus: Corpus, seed: int = 0, **settings: int) -> Run:
    """A run over the corpus with random weights."""
    generator = torch.Generator().manual_seed(3)
    weights = [
        torch.randn(shape, generator=generator)
        for shape in ((4, N_FEATURES), (N_FEATURES,), (4,), (N_FEATURES, 4), (4,))
    ]
    origin = Origin("sae", "blocks.0.hook_resid_post", "blocks.0.hook_resid_post")
    unembedding = Unembedding(torch.randn(4, 7, generator=generator), torch.ones(4), True)
    return Run(
        dictionary=Dictionary(origin, *weights, Nonlinearity("relu")),
        corpus=corpus,
        model=Mock(spec=LanguageModel),
        unembedding=unembedding,
        to_residual=torch.eye(4),
        settings=PassesConfig(**settings),
        seed=seed,
    )
