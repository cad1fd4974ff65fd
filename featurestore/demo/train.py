"""Train everything that the demo ships: the model, then every dictionary, then their scores.

    python -m featurestore.demo train

writes `featurestore/demo/weights/`. On two cores it takes about an hour and a half.
"""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from featurestore.config import DictionaryConfig
from featurestore.corpus import Corpus, make_corpus
from featurestore.demo.dictionaries import SPECS, Samples, Spec, train
from featurestore.demo.model import CONTEXT_LENGTH, train_model
from featurestore.demo.texts import held_out_documents, training_documents
from featurestore.dictionaries import native
from featurestore.dictionaries.load import load_dictionary
from featurestore.inference import LanguageModel, load_model

logger = logging.getLogger(__name__)

WEIGHTS = Path(__file__).parent / "weights"
N_TRAINING_TOKENS = 1_000_000
N_SCORED_TOKENS = 100_000
CONTEXTS_AT_ONCE = 64


def train_all(folder: Path = WEIGHTS) -> None:
    """Train the model and all dictionaries, and write `folder/scores.json`."""
    train_model(training_documents(), folder / "model")
    train_dictionaries(folder)


def train_dictionaries(folder: Path = WEIGHTS) -> None:
    """Train all dictionaries on the model that is there, and write `folder/scores.json`."""
    scores = {}
    for model_step in sorted({spec.model_step for spec in SPECS}, reverse=True):
        model = load_model(str(folder / "model" / f"step-{model_step}"))
        specs = [spec for spec in SPECS if spec.model_step == model_step]
        _train_on(model, specs, folder / "dictionaries")
        scores |= _scores(model, model_step, folder / "dictionaries")
    text = json.dumps(scores, indent=1, sort_keys=True)
    (folder / "scores.json").write_text(text + "\n", encoding="utf-8")


def _train_on(model: LanguageModel, specs: list[Spec], folder: Path) -> None:
    documents = training_documents()
    corpus = make_corpus(documents, model.tokenizer, CONTEXT_LENGTH, True, N_TRAINING_TOKENS)
    hook_names = {name for spec in specs for name in (spec.hook_name, spec.hook_name_out)}
    hidden, tokens = _collect(model, corpus, hook_names - {"hook_embed"})
    d_vocab = len(model.tokenizer)
    for spec in specs:
        if spec.hook_name == "hook_embed":
            samples = _embeddings(model, d_vocab)
        else:
            samples = Samples(hidden[spec.hook_name], hidden[spec.hook_name_out], tokens)
        train(spec, samples, d_vocab, folder)


def _embeddings(model: LanguageModel, d_vocab: int) -> Samples:
    """The rows of the embedding matrix, each once."""
    tokens = np.arange(d_vocab)
    rows = model.hidden(tokens[:, None], {"hook_embed"})["hook_embed"][:, 0].clone()
    return Samples(rows, rows, torch.from_numpy(tokens))


def _collect(
    model: LanguageModel, corpus: Corpus, hook_names: set[str]
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Hidden vectors of all valid tokens at some hook points, and these tokens."""
    parts: dict[str, list[torch.Tensor]] = {name: [] for name in hook_names}
    tokens = []
    for rows in _blocks(corpus):
        hidden = model.hidden(corpus.tokens[rows], hook_names)
        is_valid = torch.from_numpy(corpus.is_valid(rows))
        tokens.append(torch.from_numpy(corpus.tokens[rows]).long()[is_valid])
        for name in hook_names:
            parts[name].append(hidden[name][is_valid])
    return {name: torch.cat(part) for name, part in parts.items()}, torch.cat(tokens)


def _blocks(corpus: Corpus) -> Iterator[slice]:
    for start in range(0, len(corpus.tokens), CONTEXTS_AT_ONCE):
        yield slice(start, start + CONTEXTS_AT_ONCE)


def _scores(model: LanguageModel, model_step: int, folder: Path) -> dict[str, dict]:
    """L0, explained variance and dead share of every dictionary of a model, on held-out text."""
    documents = held_out_documents()
    corpus = make_corpus(documents, model.tokenizer, CONTEXT_LENGTH, True, N_SCORED_TOKENS)
    found = {path.parent.name: path.parent for path in folder.glob(f"*/{native.SETTINGS}")}
    settings = {
        name: json.loads((path / native.SETTINGS).read_text()) for name, path in found.items()
    }
    names = [name for name in sorted(found) if settings[name]["model_step"] == model_step]
    hook_names = {settings[n][key] for n in names for key in ("hook_name", "hook_name_out")}
    hidden, tokens = _collect(model, corpus, hook_names)
    return {name: _score(found[name], hidden, tokens) for name in names}


@torch.inference_mode()
def _score(
    path: Path, hidden: dict[str, torch.Tensor], tokens: torch.Tensor
) -> dict[str, float | int]:
    dictionary = load_dictionary(DictionaryConfig("trained", str(path)))
    written = hidden[dictionary.origin.hook_name_out].double()
    error, n_nonzero = 0.0, torch.zeros(dictionary.n_features, dtype=torch.int64)
    for start in range(0, len(tokens), 4096):
        rows = slice(start, start + 4096)
        read = hidden[dictionary.origin.hook_name][rows]
        activations = dictionary.encode(read)
        decoded = dictionary.decode(activations, tokens[rows], read)
        error += (written[rows] - decoded).square().sum().item()
        n_nonzero += (activations != 0).sum(0)
    variance = (written - written.mean(0)).square().sum().item()
    return {
        "n_tokens": len(tokens),
        "n_features": dictionary.n_features,
        "L0": round(n_nonzero.sum().item() / len(tokens), 2),
        "explained_variance": round(1 - error / variance, 4),
        "n_dead": int((n_nonzero == 0).sum()),
        "n_dense": int((n_nonzero > 0.1 * len(tokens)).sum()),
    }
