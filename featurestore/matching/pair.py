"""One pair of dictionaries: from weights to a file of the store."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64

from featurestore.chance import largest_by_chance
from featurestore.dictionaries.base import Dictionary
from featurestore.errors import WeightsError
from featurestore.matching.activity import Relations, Sweeps
from featurestore.matching.assignment import match
from featurestore.matching.similarity import Nearest, Similarity
from featurestore.matching.table import pairs_of, side_rows, with_relations
from featurestore.pair_file import PairFile, check_comparable, in_order, pair_path
from featurestore.pair_records import HIGH, PairInfo
from featurestore.records import DictionaryInfo
from featurestore.small_file import write_whole
from featurestore.threads import one_thread
from featurestore.two_runs import read_info

logger = logging.getLogger(__name__)

SIGNLESS_KINDS = ("pca", "ica", "neurons", "identity")
SIGNLESS_NONLINEARITIES = ("abs_topk", "identity")
"""Dictionaries whose features are active at both ends: a direction and its opposite are one."""

N_BINS = 40
"""Of the histogram of largest cosines."""

Open = Callable[[DictionaryInfo], Dictionary]


def match_pair(
    store: Path,
    folder: Path,
    infos: tuple[DictionaryInfo, DictionaryInfo],
    open_dictionary: Open,
    sweeps: Sweeps | None,
) -> PairInfo:
    """Compare two dictionaries and publish their file, by way of a folder for what is unfinished.

    Raises:
        MatchError: their directions differ in length.
        WeightsError: weights or texts are elsewhere, cannot be read or have changed.
        BuildFailed: the file cannot be written.
    """
    check_comparable(*infos)
    a, b = in_order(*infos)
    dictionaries = {"a": open_dictionary(a), "b": open_dictionary(b)}
    is_absolute = any(map(is_signless, dictionaries.values()))
    with one_thread():
        directions = (each.directions.numpy() for each in dictionaries.values())
        similarity = Similarity(*directions, is_absolute)
        nearest, matching = match(similarity)
        same = _same_number(a, b, similarity)
    matches = pa.concat_tables(
        [side_rows(side, nearest[side], matching, same) for side in ("a", "b")]
    )
    relations = _relations(sweeps, a, b, matches) if sweeps else None
    pair = {
        "a": _side(a, nearest["a"], nearest["b"], is_absolute),
        "b": _side(b, nearest["b"], nearest["a"], is_absolute),
        "d_out": a.d_out,
        "is_same_model": a.digests["model"] == b.digests["model"],
        "is_absolute": is_absolute,
        "method": matching.method,
        "n_matched": len(matching.cosine),
        "mean_matched": _mean(matching.cosine),
        "n_tokens": relations.n_tokens if relations else None,
        "built_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    path = pair_path(store, a, b)
    rows = with_relations(matches, relations) if relations else matches
    write_whole(PairFile, path, folder, pair, rows)
    return read_info(PairFile, path)


def _same_number(
    a: DictionaryInfo, b: DictionaryInfo, similarity: Similarity
) -> Float64[np.ndarray, " n_features"] | None:
    """Cosines of features with those of their own number, NaN for one without a length.

    None where numbers mean nothing.
    """
    if a.family is None or (a.family, a.n_features) != (b.family, b.n_features):
        return None
    number = np.arange(a.n_features)
    return similarity.cosines(number, number)


def _relations(
    sweeps: Sweeps, a: DictionaryInfo, b: DictionaryInfo, matches: pa.Table
) -> Relations | None:
    """Of all pairs that have a row; None, with a word why, where activations are not to be had."""
    try:
        return sweeps.relations(a, b, *pairs_of(matches))
    except WeightsError as error:
        logger.warning(
            "%s ~ %s: activations are not compared. %s", a.dictionary_id, b.dictionary_id, error
        )
        return None


def is_signless(dictionary: Dictionary) -> bool:
    """Whether its features are active at both ends."""
    return (
        dictionary.origin.kind in SIGNLESS_KINDS
        or dictionary.nonlinearity.name in SIGNLESS_NONLINEARITIES
    )


def _side(info: DictionaryInfo, own: Nearest, others: Nearest, is_absolute: bool) -> dict[str, Any]:
    largest = _largest(own)
    floor = largest_by_chance(info.d_out, len(_largest(others)), is_absolute)
    counts, _ = np.histogram(largest, N_BINS, range=(-1, 1))
    return {
        "dictionary_id": info.dictionary_id,
        "run_id": info.run_id,
        "hook_name": info.hook_name_out,
        "n_features": info.n_features,
        "n": len(largest),
        "mmcs": _mean(largest),
        "share_above": _mean(largest > HIGH),
        "floor": None if np.isnan(floor) else floor,
        "histogram": counts.tolist(),
    }


def _largest(nearest: Nearest) -> Float64[np.ndarray, " n"]:
    """Of each feature that has one."""
    found = nearest.cosine[:, 0]
    return found[~np.isnan(found)]


def _mean(values: Float64[np.ndarray, " n"] | Bool[np.ndarray, " n"]) -> float | None:
    return float(values.mean()) if len(values) else None
