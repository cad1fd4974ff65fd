"""Runs texts through the models and dictionaries of a store: what Live asks, a method each.

To be used by one thread at a time: a model runs one text, and hooks on it are everybody's.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int64

from featurestore.dictionary_file import check_feature
from featurestore.encoder import encode_tokens
from featurestore.errors import TextError
from featurestore.live.interventions import intervene
from featurestore.live.recomputing import compare
from featurestore.live.records import (
    Edit,
    Intervention,
    Limits,
    Recomputed,
    Substitution,
    TextActivations,
    Tokens,
)
from featurestore.live.substitution import substitute
from featurestore.live.tokens import check_fits, read_text
from featurestore.live.weights import Loaded, OnStep, Weights
from featurestore.records import DictionaryInfo
from featurestore.store import Store
from featurestore.threads import spare_one


class Runner:
    """A store's dictionaries, ready to run."""

    def __init__(
        self, store: Store, limits: Limits | None = None, weights: Weights | None = None
    ) -> None:
        self._store = store
        self._limits = limits or Limits()
        self._weights = weights or Weights(store.folder)

    def load(self, info: DictionaryInfo, on_step: OnStep = lambda words: None) -> None:
        """Load a dictionary and its model; raises WeightsError if they are not what was built."""
        with spare_one():
            self._weights.load(info, on_step)

    def tokens(self, dictionary_id: str, text: str, special: bool = False) -> Tokens:
        """A text as a dictionary's model reads it; raises TextError if it is too long."""
        return read_text(text, self._get(dictionary_id), self._limits, special)

    def context(self, dictionary_id: str, context: int) -> Tokens:
        """A stored context, token by token; raises StoreError if the store does not hold it."""
        stored = self._store.context(dictionary_id, context)
        n_bos = int(self._get(dictionary_id).info.has_bos)
        return Tokens(stored.token_ids[n_bos:], stored.tokens[n_bos:], bool(n_bos))

    def activations(
        self, dictionary_ids: Sequence[str], tokens: Tokens
    ) -> tuple[TextActivations, ...]:
        """Non-zero activations of every feature; one forward for all that share a model.

        Raises:
            TextError: the dictionaries read a text differently.
        """
        chosen = self._get_all(dictionary_ids)
        _check_together(chosen)
        groups: dict[tuple[int, bool], list[Loaded]] = defaultdict(list)
        for loaded in chosen:
            groups[id(loaded.model), loaded.info.has_bos].append(loaded)
        found: dict[str, TextActivations] = {}
        with spare_one():
            for group in groups.values():
                found |= _activations(group, tokens)
        return tuple(found[name] for name in dictionary_ids)

    def substitution(self, dictionary_id: str, tokens: Tokens, seed: int = 0) -> Substitution:
        """How well a dictionary stands in for the model's vectors on a text."""
        loaded = self._get(dictionary_id)
        with spare_one():
            return substitute(loaded, *_with_bos(loaded, tokens), seed)

    def intervene(
        self, edits: tuple[Edit, ...], tokens: Tokens, pos: int, n_new: int, seed: int = 0
    ) -> Intervention:
        """What edits of features of one model do to its output.

        Raises:
            TextError: there are none or of several models, a position is outside the text, or the
                values are so large that no finite numbers come out.
            UnknownFeature: a dictionary has no such feature.
        """
        if not edits:
            raise TextError("No feature is changed. Choose at least one.")
        chosen = {edit.dictionary_id: self._get(edit.dictionary_id) for edit in edits}
        _check_one_model(list(chosen.values()))
        for edit in edits:
            check_feature(edit.feature, chosen[edit.dictionary_id].info)
        _check_places([pos, *(place for edit in edits for place in edit.positions)], tokens)
        first = chosen[edits[0].dictionary_id]
        ids, _ = _with_bos(first, tokens)
        with spare_one():
            return intervene(chosen, edits, ids, int(first.info.has_bos), pos, n_new, seed)

    def recompute(self, dictionary_id: str, context: int) -> Recomputed:
        """A stored context run again, compared with all that the store holds of it."""
        tokens = self.context(dictionary_id, context)
        (found,) = self.activations([dictionary_id], tokens)
        n_bos = int(tokens.has_bos)
        return compare(self._store.activations_on(dictionary_id, context), found, n_bos)

    def _get(self, dictionary_id: str) -> Loaded:
        return self._weights.get(self._store.dictionary(dictionary_id))

    def _get_all(self, dictionary_ids: Sequence[str]) -> list[Loaded]:
        """The same with one look at the store's folder, which takes as long as an encode."""
        known = {info.dictionary_id: info for info in self._store.catalogue().dictionaries}
        return [
            self._weights.get(known[name]) if name in known else self._get(name)
            for name in dictionary_ids
        ]


def _with_bos(
    loaded: Loaded, tokens: Tokens
) -> tuple[Int64[np.ndarray, "1 pos"], Bool[np.ndarray, "1 pos"]]:
    """Token ids as the model is given them, and which count; raises TextError if it cannot be."""
    check_fits(tokens.ids, loaded)
    bos = [loaded.model.language_model.tokenizer.bos_token_id] if loaded.info.has_bos else []
    ids = np.array([[*bos, *tokens.ids]], dtype=np.int64)
    is_valid = np.ones(ids.shape, dtype=bool)
    is_valid[:, : len(bos)] = False
    return ids, is_valid


def _activations(group: list[Loaded], tokens: Tokens) -> dict[str, TextActivations]:
    """Of dictionaries that share a forward."""
    first = group[0]
    encoders = [(loaded.dictionary.origin.hook_name, loaded.encoder) for loaded in group]
    ids, is_valid = _with_bos(first, tokens)
    entries = encode_tokens(first.model.language_model, ids, is_valid, encoders)
    found = {}
    for loaded, part in zip(group, entries, strict=True):
        order = np.argsort(part.features, kind="stable")
        found[loaded.info.dictionary_id] = TextActivations(
            loaded.info.dictionary_id,
            len(tokens.ids),
            part.features[order].astype(np.int64),
            part.rows[order].astype(np.int32),
            part.values[order],
        )
    return found


def _check_together(chosen: list[Loaded]) -> None:
    """Raise TextError unless all cut a text into the same tokens."""
    for loaded in chosen:
        if loaded.model.tokenizer_digest != chosen[0].model.tokenizer_digest:
            raise TextError(
                f"'{loaded.info.dictionary_id}' cuts a text into other tokens than "
                f"'{chosen[0].info.dictionary_id}': their models have different tokenizers. "
                "Choose dictionaries of one tokenizer."
            )


def _check_places(places: list[int], tokens: Tokens) -> None:
    for place in places:
        if not 0 <= place < len(tokens.ids):
            raise TextError(f"No token {place}: the text's tokens are 0 to {len(tokens.ids) - 1}.")


def _check_one_model(chosen: list[Loaded]) -> None:
    if len({(id(loaded.model), loaded.info.has_bos) for loaded in chosen}) > 1:
        names = ", ".join(f"'{loaded.info.dictionary_id}'" for loaded in chosen)
        raise TextError(
            f"{names} read different models, or one with and without a BOS, which cannot run as "
            "one. Keep the features of one model."
        )
