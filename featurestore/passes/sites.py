"""Where features are switched off: on some of their stored contexts, wherever they are active."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int64

from featurestore.activations import Activations, stable_order
from featurestore.config import PassesConfig
from featurestore.passes.base import is_new, place_in_slice


@dataclass(frozen=True)
class Sites:
    """Features and contexts, by feature and rank."""

    feature: Int64[np.ndarray, " n_sites"]
    rank: Int64[np.ndarray, " n_sites"]
    """Of the feature's sites: top contexts, then those of bands from the highest down."""
    is_top: np.ndarray
    """Whether it is an example of sampler top; else of interval."""
    band: Int64[np.ndarray, " n_sites"]
    context: Int64[np.ndarray, " n_sites"]
    first: Int64[np.ndarray, " n_sites"]
    """Of the range's activations, the first that is the feature's in the context."""
    last: Int64[np.ndarray, " n_sites"]
    """And the one after its last."""

    def __len__(self) -> int:
        return len(self.feature)

    def select(self, chosen: np.ndarray | slice) -> "Sites":
        """Some of them, by index or mask."""
        return Sites(**{name: column[chosen] for name, column in vars(self).items()})


def choose_sites(
    examples: pa.Table, activations: Activations, settings: PassesConfig, context_length: int
) -> Sites:
    """Of the examples of a range: the first top contexts, and one of each of some interval bands.

    A context that is an example twice is taken once, as the higher one.
    """
    columns = {
        name: examples[name].to_numpy().astype(np.int64)
        for name in ("feature", "band", "rank", "context")
    }
    is_top, is_interval = (
        pc.equal(examples["sampler"], name).to_numpy().astype(bool) for name in ("top", "interval")
    )
    n, n_bands = settings.n_ablated_bands, settings.n_bands
    bands = (2 * np.arange(n) + 1) * n_bands // (2 * max(1, n))  # in the middle of n equal parts
    chosen = np.flatnonzero(
        (is_top & (columns["rank"] < settings.n_ablated_top))
        | (is_interval & (columns["rank"] == 0) & np.isin(columns["band"], bands))
    )
    feature, band, rank, context = (column[chosen] for column in columns.values())
    is_top = is_top[chosen]
    place = np.where(is_top, rank, settings.n_ablated_top + band)
    order = stable_order(feature, context, place)
    order = order[is_new(feature[order], context[order])]
    order = order[stable_order(feature[order], place[order])]
    feature, band, context = feature[order], band[order], context[order]
    n_each = np.bincount(feature - activations.first, minlength=activations.n_features)
    return Sites(
        feature,
        place_in_slice(n_each),
        is_top[order],
        band,
        context,
        *_entries(activations, feature, context, context_length),
    )


def _entries(
    activations: Activations, feature: np.ndarray, context: np.ndarray, context_length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Where the activations of features in contexts begin and end."""
    active = activations.tokens // context_length
    n_contexts = 1 + max(context.max(initial=0), active.max(initial=0))
    key = activations.owner * n_contexts + active
    wanted = (feature - activations.first) * n_contexts + context
    return np.searchsorted(key, wanted), np.searchsorted(key, wanted, side="right")
