"""Encode densely, keep sparsely: only non-zero activations leave the tile that they arise in.

The product of hidden vectors and readers is taken in tiles small enough to stay in the processor's
cache, always in the same buffer; what is not silent is picked out of it at once. So the cost is
that of the product alone, and memory does not depend on the number of features.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int, Int64, Integer, UInt32

from featurestore.dictionaries.base import Dictionary
from featurestore.dictionaries.standardisation import standardise
from featurestore.inference import LanguageModel

TILE_ROWS = 512
TILE_FEATURES = 4096
"""The fastest of 64 to 2,048 rows and 2,048 to 16,384 features; `docs/performance.md`."""

CANDIDATES = 4
"""For top k: a tile's features fall into this many times k groups. The k-th largest of the groups'
maxima is at most the k-th largest value, and few values lie above it."""


@dataclass(frozen=True)
class Entries:
    """Non-zero activations of some hidden vectors; those of a feature are in the order of rows."""

    rows: Integer[np.ndarray, " n_entries"]
    features: UInt32[np.ndarray, " n_entries"]
    values: Float32[np.ndarray, " n_entries"]

    def select(self, chosen: np.ndarray) -> "Entries":
        """Some of them, by index or mask."""
        return Entries(self.rows[chosen], self.features[chosen], self.values[chosen])

    @staticmethod
    def joined(parts: list["Entries"]) -> "Entries":
        """One after the other."""
        nothing = (np.zeros(0, np.uint32), np.zeros(0, np.uint32), np.zeros(0, np.float32))
        columns = zip(nothing, *((p.rows, p.features, p.values) for p in parts), strict=True)
        return Entries(*(np.concatenate(column) for column in columns))


class Encoder:
    """A dictionary made ready to encode many vectors, in one precision and on one device."""

    def __init__(
        self, dictionary: Dictionary, dtype: torch.dtype = torch.float32, device: str = "cpu"
    ) -> None:
        self._standardisation = dictionary.standardisation
        self._name = dictionary.nonlinearity.name
        self._readers = dictionary.readers.to(device, dtype)
        self._bias = dictionary.fused_bias.to(device, dtype)
        self._k = dictionary.nonlinearity.k
        threshold = dictionary.nonlinearity.threshold
        self._threshold = None if threshold is None else threshold.clamp(min=0).to(device, dtype)
        self._zero = self._bias.new_zeros(())
        self._product = self._readers.new_empty(TILE_ROWS * TILE_FEATURES)

    @torch.inference_mode()
    def active(self, hidden: Float[torch.Tensor, "batch d_in"]) -> Entries:
        """Every non-zero activation; NaN is not zero."""
        hidden = standardise(self._standardisation, hidden.to(self._readers.device)).vectors
        hidden = hidden.to(self._readers.dtype)
        parts = [
            self._tile(hidden, row, feature)
            for row in range(0, len(hidden), TILE_ROWS)
            for feature in range(0, self._readers.shape[1], TILE_FEATURES)
        ]
        found = Entries.joined(parts)
        return found if self._k is None else _largest(found, self._k, self._name)

    def _tile(self, hidden: torch.Tensor, row: int, feature: int) -> Entries:
        part = slice(feature, feature + TILE_FEATURES)
        readers, vectors = self._readers[:, part], hidden[row : row + TILE_ROWS]
        n_rows, n_features = len(vectors), readers.shape[1]
        product = self._product[: n_rows * n_features].view(n_rows, n_features)
        torch.addmm(self._bias[part], vectors, readers, out=product)
        if self._name == "abs_topk":
            return self._entries(*_far(product, self._k), n_features, row, feature)
        if self._k is not None:
            silent = "less", _lower_bound(product, self._k)
        elif self._name == "identity":
            silent = "equal", self._zero
        elif self._threshold is not None:
            silent = "less_equal", self._threshold[part]
        else:
            silent = "less_equal", self._zero
        return self._entries(*_not(*silent, product), n_features, row, feature)

    @staticmethod
    def _entries(
        places: np.ndarray, values: np.ndarray, n_features: int, row: int, feature: int
    ) -> Entries:
        """Of a tile, from flat places in it."""
        rows, features = np.divmod(places, n_features)
        return Entries(rows + row, (features + feature).astype(np.uint32), values)


def encode_tokens(
    model: LanguageModel,
    tokens: Int[np.ndarray, "batch pos"],
    is_valid: Bool[np.ndarray, "batch pos"],
    encoders: list[tuple[str, Encoder]],
) -> list[Entries]:
    """Non-zero activations on the valid tokens, which rows count; of each hook point's encoder.

    One forward for all. The same shapes give the same bits, in a build and elsewhere.
    """
    hidden = model.hidden(tokens, {hook_name for hook_name, _ in encoders})
    chosen = torch.from_numpy(is_valid)
    found = []
    for hook_name, encoder in encoders:
        vectors = hidden[hook_name]
        found.append(encoder.active(vectors[chosen.to(vectors.device)]))
    return found


def _not(
    comparison: str, bound: torch.Tensor, product: Float[torch.Tensor, "batch n_features"]
) -> tuple[Int64[np.ndarray, " n_entries"], Float32[np.ndarray, " n_entries"]]:
    """Flat indices and values of what is not below a bound, so of NaN too.

    On a processor numpy compares and searches several times faster than torch.
    """
    if product.device.type == "cpu":
        dense = product.float().numpy()
        mask = getattr(np, comparison)(dense, bound.float().numpy())
        places = np.flatnonzero(np.logical_not(mask, out=mask))
        return places, dense.reshape(-1)[places]
    found = getattr(torch, comparison)(product, bound).logical_not_().view(-1).nonzero().view(-1)
    return found.cpu().numpy(), product.view(-1)[found].float().cpu().numpy()


def _far(
    product: Float[torch.Tensor, "batch n_features"], k: int
) -> tuple[Int64[np.ndarray, " n_entries"], Float32[np.ndarray, " n_entries"]]:
    """Flat indices and values of what is as far from zero as a row's k farthest, and of NaN."""
    distance = product.abs()
    places, _ = _not("less", _lower_bound(distance, k), distance)
    return places, product.view(-1)[
        torch.from_numpy(places).to(product.device)
    ].float().cpu().numpy()


def _lower_bound(
    product: Float[torch.Tensor, "batch n_features"], k: int
) -> Float[torch.Tensor, "batch 1"]:
    """For each row a value that its k largest reach."""
    n_features = product.shape[1]
    if n_features < k:
        return product.new_full((len(product), 1), -torch.inf)
    size = max(1, n_features // (CANDIDATES * k))
    whole = product[:, : n_features - n_features % size]
    maxima = whole.unflatten(1, (-1, size)).amax(dim=2)
    return maxima.topk(k, dim=1, sorted=True).values[:, -1:]


def _largest(candidates: Entries, k: int, name: str) -> Entries:
    """The k largest of each row, equal ones by feature, NaN before all; then what is not silent."""
    size = np.abs(candidates.values) if name == "abs_topk" else candidates.values
    order = np.lexsort((candidates.features, -size, ~np.isnan(size), candidates.rows))
    found = candidates.select(order)
    starts = np.flatnonzero(np.diff(found.rows, prepend=-1))
    place = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    is_silent = found.values <= 0 if name == "topk" else found.values == 0
    return found.select((place < k) & ~is_silent)
