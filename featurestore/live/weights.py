"""The models and dictionaries of a store, loaded once and compared with what it was built from."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from featurestore.built_from import built_dictionary, built_model
from featurestore.dictionaries.base import Dictionary
from featurestore.encoder import Encoder
from featurestore.errors import WeightsError
from featurestore.inference import LanguageModel
from featurestore.places import Place, read_place
from featurestore.records import DictionaryInfo
from featurestore.vocabulary import token_texts

OnStep = Callable[[str], None]
"""Called with what is done next, in words."""


@dataclass(frozen=True)
class Model:
    """A language model as a store's runs used it."""

    language_model: LanguageModel
    digest: str
    tokenizer_digest: str

    @cached_property
    def token_texts(self) -> list[str]:
        """Of every token of the vocabulary."""
        return token_texts(self.language_model.tokenizer, self.language_model.d_vocab)


@dataclass(frozen=True)
class Loaded:
    """A dictionary that can be run, with its model, as its build ran it."""

    info: DictionaryInfo
    model: Model
    dictionary: Dictionary
    encoder: Encoder


class Weights:
    """What is loaded of a store, by run. To be used by one thread at a time."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._models: dict[tuple[str, str, str], Model] = {}
        self._loaded: dict[str, Loaded] = {}

    def get(self, info: DictionaryInfo) -> Loaded:
        """A run's dictionary, if it is loaded.

        Raises:
            WeightsError: it is not.
        """
        if info.run_id not in self._loaded:
            raise WeightsError(f"'{info.dictionary_id}' is not loaded yet. Open it on Live again.")
        return self._loaded[info.run_id]

    def load(self, info: DictionaryInfo, on_step: OnStep = lambda words: None) -> Loaded:
        """Load a run's dictionary and model, unless they are here already.

        Raises:
            WeightsError: the weights are elsewhere, cannot be read or have changed.
        """
        if info.run_id not in self._loaded:
            place = read_place(self._store, info.run_id, info.dictionary_id)
            model = self._model(info, place, on_step)
            on_step(f"dictionary {info.dictionary_id}")
            dictionary = built_dictionary(info, place)
            encoder = Encoder(dictionary, getattr(torch, info.dtype))
            self._loaded[info.run_id] = Loaded(info, model, dictionary, encoder)
        return self._loaded[info.run_id]

    def _model(self, info: DictionaryInfo, place: Place, on_step: OnStep) -> Model:
        key = info.digests["model"], info.digests["tokenizer"], info.dtype
        if key not in self._models:
            on_step(f"model {info.model_name}")
            self._models[key] = Model(built_model(info, place), *key[:2])
        return self._models[key]
