"""The models and dictionaries of a store, loaded once and compared with what it was built from."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from transformers.utils import cached_file

from featurestore.dictionaries.base import Dictionary
from featurestore.dictionaries.load import load_dictionary
from featurestore.encoder import Encoder
from featurestore.errors import BadInput, WeightsError
from featurestore.inference import LanguageModel, load_model
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
            try:
                model = self._model(info, place, on_step)
                on_step(f"dictionary {info.dictionary_id}")
                dictionary = load_dictionary(place.dictionary)
            except BadInput as error:
                raise WeightsError(
                    f"The weights of '{info.dictionary_id}' cannot be loaded any more. The build "
                    "of its recipe says what is wrong with them."
                ) from error
            _compare("dictionary", info, dictionary.digest())
            encoder = Encoder(dictionary, getattr(torch, info.dtype))
            self._loaded[info.run_id] = Loaded(info, model, dictionary, encoder)
        return self._loaded[info.run_id]

    def _model(self, info: DictionaryInfo, place: Place, on_step: OnStep) -> Model:
        key = info.digests["model"], info.digests["tokenizer"], info.dtype
        if key not in self._models:
            on_step(f"model {info.model_name}")
            model = load_model(
                _folder(place, info),
                dtype=getattr(torch, info.dtype),
                embedding=place.embedding,
                seed=place.seed,
            )
            digest = model.digest()
            _compare("model", info, digest)
            tokenizer = hashlib.sha256(model.tokenizer_description().encode()).hexdigest()
            _compare("tokenizer", info, tokenizer)
            self._models[key] = Model(model, digest, tokenizer)
        return self._models[key]


def _folder(place: Place, info: DictionaryInfo) -> str:
    """Where the model is on this machine: Live fetches nothing, whatever a store asks for."""
    if Path(place.model).is_dir():
        return place.model
    try:
        found = cached_file(
            place.model, "config.json", revision=place.revision, local_files_only=True
        )
    except (OSError, ValueError) as error:
        at = f" --revision {place.revision}" if place.revision else ""
        raise WeightsError(
            f"The model '{place.model}' of '{info.dictionary_id}' is not on this machine, and Live "
            f"fetches nothing. Fetch it: hf download {place.model}{at}"
        ) from error
    return str(Path(found).parent)


def _compare(what: str, info: DictionaryInfo, found: str) -> None:
    """Raise WeightsError unless this is what the store was built from."""
    built = info.digests[what]
    if built != found:
        raise WeightsError(
            f"The {what} of '{info.dictionary_id}' has changed since the build: its digest was "
            f"{built[:12]}…, now it is {found[:12]}…. Put the old one back, or build again to "
            "replace what the store says."
        )
