"""Links from one dictionary to a later one: from weights to a file of the store."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float64

from featurestore.chance import largest_by_chance
from featurestore.dictionaries.base import Dictionary
from featurestore.errors import LinkError, WeightsError
from featurestore.inference import LanguageModel
from featurestore.link_records import SAME_ABOVE, SIDES, LinkInfo, Side
from featurestore.linking.activity import flow
from featurestore.linking.readers import Readers, check_order, readers_of
from featurestore.linking.stream import place, refusal
from featurestore.linking.weights import VirtualWeights
from featurestore.links import LinkFile, link_path
from featurestore.matching.activity import Sweeps
from featurestore.matching.pair import Open, is_signless
from featurestore.matching.similarity import Similarity
from featurestore.passes.pairs import Pairs, ranks
from featurestore.records import DictionaryInfo
from featurestore.small_file import write_whole
from featurestore.threads import one_thread
from featurestore.two_runs import read_info

logger = logging.getLogger(__name__)

N_LINKS = 10
"""Of each feature, on either side."""

OpenModel = Callable[[DictionaryInfo], LanguageModel]
Column = Float64[np.ndarray, " n_links"]


def link_two(
    store: Path,
    folder: Path,
    ends: tuple[DictionaryInfo, DictionaryInfo],
    open_dictionary: Open,
    open_model: OpenModel,
    activations: Sweeps | str,
) -> LinkInfo:
    """Link a dictionary to a later one and publish their file, by way of a folder.

    `activations` sweeps them, or says why they are not compared.

    Raises:
        LinkError: the first does not feed the second.
        WeightsError: weights are elsewhere, cannot be read or have changed.
        BuildFailed: the file cannot be written.
    """
    reason = refusal(*ends)
    if reason:
        raise LinkError(reason)
    upstream, downstream = ends
    up, down = (open_dictionary(end) for end in ends)
    readers = _readers(up, down, open_model, downstream)
    is_absolute = is_signless(up) or is_signless(down)
    with one_thread():
        weights = VirtualWeights(up.directions.numpy(), readers.vectors)
        strongest = [weights.strongest(N_LINKS, is_downstream) for is_downstream in (False, True)]
        # Of both sides, as features upstream with features downstream.
        pairs = Pairs(*map(np.concatenate, zip(strongest[0], strongest[1][::-1], strict=True)))
        columns = _columns(weights, pairs, up, down, is_absolute)
    n_tokens, why_not, flows = _flows(activations, upstream, downstream, pairs, columns["weight"])
    rows = _rows(strongest, columns | flows)
    link = {
        **{side: _end(info, weights, rows, side) for side, info in zip(SIDES, ends, strict=True)},
        "d_model": up.d_out,
        "reading": readers.reading,
        "is_scaled": readers.is_scaled or up.standardisation in ("layer_norm", "constant_norm"),
        "is_absolute": is_absolute,
        "n_same": _n_same(rows),
        "n_tokens": n_tokens,
        "why_not": why_not,
        "built_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    path = link_path(store, upstream, downstream)
    write_whole(LinkFile, path, folder, link, rows)
    return read_info(LinkFile, path)


def _readers(
    up: Dictionary, down: Dictionary, open_model: OpenModel, downstream: DictionaryInfo
) -> Readers:
    """The readers downstream; the model is opened only if a normalisation is between."""
    written, read = up.origin.hook_name_out, down.origin.hook_name
    model = open_model(downstream) if place(read).role == "norm" else None
    if model is not None:
        check_order(model, written, read)
    return readers_of(down, model)


def _columns(
    weights: VirtualWeights, pairs: Pairs, up: Dictionary, down: Dictionary, is_absolute: bool
) -> dict[str, Column]:
    """What the vectors say of each pair; NaN where there is nothing to say."""
    origin = down.origin
    direction_cosine = np.full(len(pairs.feature), np.nan)
    written = place(origin.hook_name_out)
    if written is not None and written.is_written and up.d_out == down.d_out:
        directions = up.directions.numpy(), down.directions.numpy()
        direction_cosine = Similarity(*directions, is_absolute).cosines(*pairs)
    return {
        "weight": weights.of(pairs),
        "cosine": weights.cosines(pairs),
        "direction_cosine": direction_cosine,
        "is_same": (direction_cosine > SAME_ABOVE) & (origin.hook_name == origin.hook_name_out),
    }


def _flows(
    activations: Sweeps | str,
    upstream: DictionaryInfo,
    downstream: DictionaryInfo,
    pairs: Pairs,
    weight: Column,
) -> tuple[int | None, str | None, dict[str, Column]]:
    """Number of tokens, or why there are none, and what activations say of each pair."""
    if isinstance(activations, str):
        return None, activations, {}
    try:
        found = flow(activations, upstream, downstream, pairs)
    except WeightsError as error:
        names = f"{upstream.dictionary_id} → {downstream.dictionary_id}"
        logger.warning("%s: activations are not compared. %s", names, error)
        return None, str(error), {}
    relations = found.relations
    columns = {
        "n_both": relations.n_both.astype(np.float64),
        "mean_weighted": found.mean * weight,
        "correlation": relations.correlation,
    }
    return relations.n_tokens, None, columns


def _rows(
    strongest: list[Pairs], columns: dict[str, Column | Bool[np.ndarray, " n_links"]]
) -> pa.Table:
    """A row for each feature of either side and each of its links, by feature and rank."""
    sides = np.repeat(["upstream", "downstream"], [len(each.feature) for each in strongest])
    keys = {
        "side": pa.array(sides),
        "feature": np.concatenate([each.feature for each in strongest]),
        "rank": np.concatenate([ranks(each) for each in strongest]),
        "other": np.concatenate([each.neighbour for each in strongest]),
    }
    return pa.table(keys | {name: _nullable(values) for name, values in columns.items()})


def _nullable(values: Column | Bool[np.ndarray, " n_links"]) -> pa.Array:
    return pa.array(values, mask=np.isnan(values))


def _end(
    info: DictionaryInfo, weights: VirtualWeights, rows: pa.Table, side: Side
) -> dict[str, Any]:
    """What the manifest says of one dictionary."""
    is_upstream = side == "upstream"
    hook_name = info.hook_name_out if is_upstream else info.hook_name
    own, others = weights.lengths if is_upstream else weights.lengths[::-1]
    floor = largest_by_chance(weights.d_model, int((others > 0).sum()), is_absolute=True)
    chosen = rows.filter(pc.equal(rows["side"], side))
    largest = np.zeros(info.n_features)
    np.maximum.at(largest, chosen["feature"].to_numpy(), np.abs(chosen["cosine"].to_numpy()))
    return {
        "dictionary_id": info.dictionary_id,
        "run_id": info.run_id,
        "hook_name": hook_name,
        "place": place(hook_name).step,
        "n_features": info.n_features,
        "n": int((own > 0).sum()),
        "median": float(np.median(largest[largest > 0])) if largest.any() else None,
        "floor": None if np.isnan(floor) else floor,
    }


def _n_same(rows: pa.Table) -> int:
    """Features downstream that a link shows to be the same as one upstream."""
    is_one = pc.and_(pc.equal(rows["side"], "downstream"), rows["is_same"])
    return len(rows.filter(is_one)["feature"].unique())
