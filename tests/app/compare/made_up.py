"""Dictionaries with scores, made on the spot."""

from dataclasses import replace

from app.compare.scoreboard import Entry, entry
from featurestore.detail_records import Measure
from featurestore.records import DictionaryInfo

INFO = DictionaryInfo(
    **{"dictionary_id": "one", "run_id": "run1", "kind": "sae", "family": None, "step": None},
    **{"model_name": "small", "model_step": None, "hook_name": "here", "hook_name_out": "here"},
    **{"d_in": 4, "d_out": 4, "n_features": 8, "context_length": 16, "n_contexts": 40},
    **{"n_tokens": 600, "token_mask": "none", "corpus_name": "tales", "seed": 0},
    **{"dtype": "float32", "dtype_change": None, "built_at": "", "git_commit": None},
    recipe={"passes": {"n_scored": 64}},
    **{"digests": {"corpus": "0123456789"}, "versions": {}, "tables": {}, "path": ""},
)


def made(dictionary_id: str = "one", **values: float | None) -> Entry:
    """A scored dictionary; of a measure without a value that is null, n is 0."""
    numbers = {"l0": 4.0, "explained_variance": 0.5} | values
    measures = {
        name: Measure(value, 0 if value is None else 100, None, None)
        for name, value in numbers.items()
    }
    return entry(replace(INFO, dictionary_id=dictionary_id), measures)


def with_kl(value: float | None, control: float | None) -> Entry:
    """One whose KL and control are known."""
    scores = {"l0": Measure(4.0, 100, None, None), "kl_decoded": Measure(value, 90, control, 270)}
    return entry(INFO, scores)


def of(one: Entry, **facts: object) -> Entry:
    """The same numbers of a dictionary with other facts."""
    return replace(one, info=replace(one.info, **facts))
