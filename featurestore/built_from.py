"""What a run was built from, opened again and compared with the digests of its manifest."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers.utils import cached_file

from featurestore.config import CorpusConfig
from featurestore.corpus import Corpus, read_corpus
from featurestore.dictionaries.base import Dictionary
from featurestore.dictionaries.load import load_dictionary
from featurestore.errors import BadInput, WeightsError
from featurestore.inference import LanguageModel, load_model
from featurestore.places import Place
from featurestore.records import DictionaryInfo


def built_dictionary(info: DictionaryInfo, place: Place) -> Dictionary:
    """The dictionary of a run.

    Raises:
        WeightsError: it cannot be read, or has changed.
    """
    with _as_built("weights", info):
        dictionary = load_dictionary(place.dictionary)
    _compare("dictionary", info, dictionary.digest())
    return dictionary


def built_model(info: DictionaryInfo, place: Place) -> LanguageModel:
    """The language model of a run, in the run's precision.

    Raises:
        WeightsError: it is not on this machine, cannot be read, or has changed.
    """
    with _as_built("weights", info):
        model = load_model(
            _folder(place, info),
            dtype=getattr(torch, info.dtype),
            embedding=place.embedding,
            seed=place.seed,
        )
    _compare("model", info, model.digest())
    tokenizer = hashlib.sha256(model.tokenizer_description().encode()).hexdigest()
    _compare("tokenizer", info, tokenizer)
    return model


def built_corpus(info: DictionaryInfo, place: Place, model: LanguageModel) -> Corpus:
    """The contexts of a run.

    Raises:
        WeightsError: the texts are not where they were, cannot be read, or have changed.
    """
    settings = CorpusConfig(**info.recipe["corpus"] | {"files": place.texts or None})
    if not settings.vocabulary and not place.texts:
        raise WeightsError(
            f"Where the texts of '{info.dictionary_id}' stand is not known here, or they are gone. "
            "Run the build of its recipe again, with the paths as they are now: what is published "
            "is not computed again."
        )
    with _as_built("texts", info):
        corpus = read_corpus(settings, model)
    _compare("corpus", info, corpus.digest())
    return corpus


@contextmanager
def _as_built(what: str, info: DictionaryInfo) -> Iterator[None]:
    """What was good for the build is good no more: its message would name the recipe's paths."""
    try:
        yield
    except BadInput as error:
        raise WeightsError(
            f"The {what} of '{info.dictionary_id}' cannot be loaded any more. The build of its "
            "recipe says what is wrong with them."
        ) from error


def _folder(place: Place, info: DictionaryInfo) -> str:
    """Where the model is on this machine: nothing is fetched, whatever a store asks for."""
    if Path(place.model).is_dir():
        return place.model
    try:
        found = cached_file(
            place.model, "config.json", revision=place.revision, local_files_only=True
        )
    except (OSError, ValueError) as error:
        at = f" --revision {place.revision}" if place.revision else ""
        raise WeightsError(
            f"The model '{place.model}' of '{info.dictionary_id}' is not on this machine, and "
            f"nothing is fetched. Fetch it: hf download {place.model}{at}"
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
