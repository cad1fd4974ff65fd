"""How alike features of two dictionaries are in what they are active on: on the same tokens.

Activations are gone once a build is published, so each dictionary is swept over its corpus again,
once however many pairs it is in. Two dictionaries are then read as one, whose first features are
those of A, and counted as the features of one are among each other.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64, Int64
from tqdm import tqdm

from featurestore.activations import ActivationFiles
from featurestore.blocks import Block, write_block
from featurestore.built_from import built_corpus, built_dictionary, built_model
from featurestore.corpus import Corpus
from featurestore.encoder import Encoder
from featurestore.inference import LanguageModel
from featurestore.passes.coactivation import Spread, in_common
from featurestore.passes.pairs import Pairs
from featurestore.places import Place, read_place
from featurestore.plan import Job
from featurestore.records import DictionaryInfo
from featurestore.stop import Stop
from featurestore.sweep import encode_contexts
from featurestore.threads import one_thread
from featurestore.workspace import Workspace


@dataclass(frozen=True)
class Relations:
    """Of pairs of features, over all valid tokens."""

    n_tokens: int
    n_both: Int64[np.ndarray, " n_pairs"]
    """Tokens on which both are active."""
    jaccard: Float64[np.ndarray, " n_pairs"]
    """NaN if neither ever is."""
    correlation: Float64[np.ndarray, " n_pairs"]
    """Pearson's; NaN if one does not vary."""


class Sweeps:
    """Activations of a store's dictionaries, swept again into a folder when they are asked for."""

    def __init__(self, store: Path, folder: Path) -> None:
        self._store, self._folder = store, folder
        self._swept: dict[str, Workspace] = {}
        self._corpora: dict[str, Corpus] = {}
        self._model: tuple[tuple[str, str, str], LanguageModel] | None = None

    def relations(
        self,
        a: DictionaryInfo,
        b: DictionaryInfo,
        features_of_a: Int64[np.ndarray, " n_pairs"],
        features_of_b: Int64[np.ndarray, " n_pairs"],
    ) -> Relations:
        """Of some features of A with some of B; the same pair may stand there twice.

        Raises:
            WeightsError: weights or texts are elsewhere, cannot be read or have changed.
        """
        files, corpus = self.as_one(a, b)
        pairs, place = rising(features_of_a, features_of_b + a.n_features)
        with one_thread():
            spread = Spread.of(files, corpus.n_tokens)
            n_both, products = in_common(files, pairs, spread, corpus.tokens.size)
        n_either = spread.n_active[pairs.feature] + spread.n_active[pairs.neighbour] - n_both
        jaccard = np.where(n_either > 0, n_both / np.maximum(n_either, 1), np.nan)
        lengths = spread.length[pairs.feature] * spread.length[pairs.neighbour]
        correlation = np.clip(products / lengths, -1, 1)
        return Relations(corpus.n_tokens, n_both[place], jaccard[place], correlation[place])

    def as_one(self, a: DictionaryInfo, b: DictionaryInfo) -> tuple[ActivationFiles, Corpus]:
        """Activations of a dictionary whose first features are those of A, and its texts.

        Raises:
            WeightsError: weights or texts are elsewhere, cannot be read or have changed.
        """
        blocks, others = self._blocks(a), self._blocks(b)
        for block in others:
            block.features += a.n_features
        files = ActivationFiles(blocks + others, a.n_features + b.n_features)
        return files, self._corpora[a.digests["corpus"]]

    def _blocks(self, info: DictionaryInfo) -> list[Block]:
        if info.run_id not in self._swept:
            self._swept[info.run_id] = self._sweep(info)
        workspace = self._swept[info.run_id]
        return [workspace.block(number) for number in range(_n_blocks(info))]

    def _sweep(self, info: DictionaryInfo) -> Workspace:
        """Write blocks as the build did: the same shapes give the same bits."""
        place = read_place(self._store, info.run_id, info.dictionary_id)
        model = self._model_of(info, place)
        corpus = self._corpus_of(info, place, model)
        dictionary = built_dictionary(info, place)
        workspace = Workspace(self._folder, info.run_id, info.dictionary_id, {})
        workspace.folder.mkdir(parents=True)
        job = Job(place.dictionary, dictionary, info.digests, workspace)
        targets = [(job, Encoder(dictionary, getattr(torch, info.dtype)))]
        at_once = info.recipe["contexts_per_block"]
        numbers = range(_n_blocks(info))
        for number in tqdm(numbers, f"sweep {info.dictionary_id}", unit="block", leave=False):
            first = number * at_once
            contexts = range(first, min(first + at_once, info.n_contexts))
            with one_thread():
                (found,) = encode_contexts(model, corpus, contexts, targets, Stop())
            name = workspace.name(number)
            write_block(workspace.folder, name, found.features, found.rows, found.values)
        return workspace

    def _model_of(self, info: DictionaryInfo, place: Place) -> LanguageModel:
        """The last model is kept: dictionaries of one come together."""
        key = info.digests["model"], info.digests["tokenizer"], info.dtype
        if self._model is None or self._model[0] != key:
            self._model = None  # gone before the next one comes
            self._model = key, built_model(info, place)
        return self._model[1]

    def _corpus_of(self, info: DictionaryInfo, place: Place, model: LanguageModel) -> Corpus:
        key = info.digests["corpus"]
        if key not in self._corpora:
            self._corpora[key] = built_corpus(info, place, model)
        return self._corpora[key]


def rising(
    features: Int64[np.ndarray, " n_pairs"], others: Int64[np.ndarray, " n_pairs"]
) -> tuple[Pairs, Int64[np.ndarray, " n_pairs"]]:
    """The pairs in order, each once, and where each of those given stands among them."""
    n = int(others.max(initial=0)) + 1
    found, place = np.unique(features * n + others, return_inverse=True)
    return Pairs(*np.divmod(found, n)), place


def _n_blocks(info: DictionaryInfo) -> int:
    return -(-info.n_contexts // info.recipe["contexts_per_block"])
