"""What a store shows of an annotated feature, for whoever reads the annotations without the app."""

from collections.abc import Callable
from dataclasses import dataclass

from featurestore.annotations.records import Event
from featurestore.byte_names import joined
from featurestore.records import Example
from featurestore.store import Store

N_CONTEXTS = 3
_TOKENS_BESIDE = 32
"""On each side of the peak: a spreadsheet's cell holds no long context."""


@dataclass(frozen=True)
class Evidence:
    """A feature in short."""

    density: float
    """Share of tokens on which it is active."""
    n_active: int
    max_activation: float | None
    promotes: tuple[str, ...]
    suppresses: tuple[str, ...]
    peaks_on: tuple[tuple[str, int], ...]
    """Tokens at the peaks of the top contexts, with how many of these peak on each."""
    contexts: tuple[str, ...]
    """The top ones, at most N_CONTEXTS, each with its peak between « and »."""


def evidence_from(store: Store) -> Callable[[Event], Evidence | None]:
    """Who is asked for an annotation's evidence; None where the store lacks its dictionary."""
    ids = {info.content: info.dictionary_id for info in store.catalogue().dictionaries}

    def evidence(event: Event) -> Evidence | None:
        if event.digest not in ids:
            return None
        return _evidence(store, ids[event.digest], event.feature)

    return evidence


def _evidence(store: Store, dictionary_id: str, number: int) -> Evidence:
    feature = store.feature(dictionary_id, number)
    bands = store.bands(dictionary_id, number, "top")
    examples = [example for band in bands for example in band.examples]
    return Evidence(
        feature.density,
        feature.n_active,
        feature.max_activation,
        tuple(token.token for token in feature.promoted),
        tuple(token.token for token in feature.suppressed),
        feature.peak_tokens,
        tuple(map(_marked, examples[:N_CONTEXTS])),
    )


def _marked(example: Example) -> str:
    peak = example.peak
    before = joined(example.tokens[max(0, peak - _TOKENS_BESIDE) : peak])
    after = joined(example.tokens[peak + 1 : peak + 1 + _TOKENS_BESIDE])
    return f"{before}«{example.tokens[peak]}»{after}"
