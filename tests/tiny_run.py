"""A run over a tiny model: what a pass that runs the model is given."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from featurestore.activations import ActivationFiles
from featurestore.blocks import Block, BlockName, write_block
from featurestore.config import PassesConfig
from featurestore.corpus import Corpus
from featurestore.dictionaries.base import Dictionary, Nonlinearity, Origin
from featurestore.dictionaries.standardisation import Standardisation
from featurestore.encoder import Encoder, encode_tokens
from featurestore.inference import LanguageModel
from featurestore.passes.base import Run

N_FEATURES = 12


def tiny_corpus(
    d_vocab: int, n_contexts: int = 10, length: int = 12, has_bos: bool = True
) -> Corpus:
    """Random tokens; contexts of every length from 1 to the whole."""
    rng = np.random.default_rng(5)
    tokens = rng.integers(1, d_vocab, (n_contexts, length)).astype(np.int32)
    if has_bos:
        tokens[:, 0] = 0
    n_valid = np.minimum(np.arange(n_contexts) * 3 + 1, length).astype(np.int32)
    places = np.arange(n_contexts, dtype=np.int32)
    return Corpus(tokens, n_valid, ("text",), places * 0, places * length, has_bos)


def tiny_dictionary(
    model: LanguageModel,
    hook_name: str,
    hook_name_out: str | None = None,
    nonlinearity: Nonlinearity | None = None,
    has_lookup: bool = False,
    standardisation: Standardisation = "none",
) -> Dictionary:
    """Random weights of the model's size; the last feature is dead."""
    hook_name_out = hook_name_out or hook_name
    d_in, d_out = model.width(hook_name), model.width(hook_name_out)
    generator = torch.Generator().manual_seed(1)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    bias = random(N_FEATURES)
    bias[-1] = -1e6
    return Dictionary(
        Origin("sae", hook_name, hook_name_out),
        random(d_in, N_FEATURES),
        bias,
        random(d_in),
        random(N_FEATURES, d_out),
        random(d_out),
        nonlinearity or Nonlinearity("relu"),
        random(model.d_vocab, d_out) if has_lookup else None,
        standardisation=standardisation,
    )


def tiny_run(model: LanguageModel, dictionary: Dictionary, corpus: Corpus, **settings: int) -> Run:
    """A run of them."""
    return Run(
        dictionary=dictionary,
        corpus=corpus,
        model=model,
        unembedding=model.unembedding(),
        to_residual=model.to_residual(dictionary.origin.hook_name_out),
        settings=replace(PassesConfig(), **settings),
        seed=3,
    )


def swept(run: Run, folder: Path) -> ActivationFiles:
    """The run's activations, as a sweep of one block writes them."""
    folder.mkdir(parents=True, exist_ok=True)
    is_valid = run.corpus.is_valid(slice(0, len(run.corpus.tokens)))
    encoders = [(run.dictionary.origin.hook_name, Encoder(run.dictionary))]
    (found,) = encode_tokens(run.model, run.corpus.tokens, is_valid, encoders)
    places = np.flatnonzero(is_valid).astype(np.uint32)[found.rows]
    order = np.argsort(places, kind="stable")
    name = BlockName("run", 0)
    write_block(folder, name, found.features[order], places[order], found.values[order])
    return ActivationFiles([Block(folder, name)], run.dictionary.n_features)
