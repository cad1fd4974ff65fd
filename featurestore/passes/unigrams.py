"""What a feature has to do with single tokens: does it fire on one alone, does it point to one.

For every token t that the tokenizer has, but BOS, the model reads [BOS, t]; at position 1 the
dictionary encodes what it reads, and u_t is the hidden vector at the hook point it writes to.
Directions are compared with u_t - mean(u), with the rows of a tokenized SAE's lookup table and,
mapped to the residual stream, with W_E[t] - mean(W_E). The mean comes off because all tokens share
it, so that it alone makes cosines large. The largest of many cosines is large for any direction:
table `measures` says how large for random ones.

Without BOS there is no u_t: at position 0 every token's vector is an outlier.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from jaxtyping import Float, Float32, Float64, Int64

from featurestore.activations import ActivationFiles, Activations, rising_bits, stable_order
from featurestore.encoder import Encoder, Entries
from featurestore.passes.base import (
    Pass,
    Run,
    Tables,
    list_column,
    matrix_column,
    place_in_slice,
)
from featurestore.passes.token_vectors import Nearest, TokenVectors

N_UNIGRAMS = 12
"""Tokens kept of those on which a feature is active."""
N_EMBEDDINGS = 8
"""Embeddings kept of those nearest to a direction."""
N_RANDOM = 1000
"""Random directions."""

ENTRIES_AT_ONCE = 2**22
"""Activations that wait before the weaker ones are dropped: 64 MB."""
FEATURES_AT_ONCE = 2**13
"""Directions for which vectors of tokens are made ready once."""


class Unigrams(Pass):
    """Columns `n_unigrams` to `embedding_cos` of `features`, and their rows of `measures`.

    A direction without length has no cosines; without BOS, a lookup table or a map to the residual
    stream there are none of that kind. All these are null.
    """

    name = "unigrams"

    def __init__(self, run: Run) -> None:
        self._run = run
        self._columns: dict[str, pa.Array] = {}
        self._measures: list[dict[str, str | float | int | None]] = []

    def prepare(self, files: ActivationFiles) -> None:
        """Run the model on every token, and compare every direction with every token."""
        run = self._run
        tokens = np.arange(min(run.model.d_vocab, len(run.model.tokenizer)))
        if run.corpus.has_bos:
            bos = int(run.corpus.tokens[0, 0])
            tokens_but_bos = tokens[tokens != bos]
            columns, hidden = self._read(bos, tokens_but_bos)
            found = self._compared("unigram_cos", TokenVectors(hidden, tokens_but_bos))
            self._columns |= columns | _best(found, "unigram_cos")
            self._columns["unigram_cos_raw"] = _or_null(found.raw)
        if run.dictionary.lookup is not None:
            lookup = run.dictionary.lookup[: len(tokens)]
            found = self._compared("lookup_cos", TokenVectors(lookup, tokens, is_centred=False))
            self._columns |= _best(found, "lookup_cos")
        if run.to_residual is not None:
            embedding = TokenVectors(run.model.embedding()[: len(tokens)], tokens)
            found = self._compared("embedding_cos", embedding, N_EMBEDDINGS, run.to_residual)
            has_length = pa.array(~np.isnan(found.cosines[:, 0]))
            for name, values, kind in (
                ("embedding_tokens", found.tokens, pa.int32()),
                ("embedding_cos", found.cosines, pa.float32()),
            ):
                self._columns[name] = pc.if_else(has_length, matrix_column(values, kind), None)

    def rows(self, activations: Activations) -> Tables:
        """One row a feature; none where there is nothing to compare with."""
        if not self._columns:
            return {}
        columns = pa.table(self._columns)
        return {"features": columns.slice(activations.first, activations.n_features)}

    def conclude(self) -> Tables:
        """Median and 95th percentile of the largest cosines, and of random directions' largest."""
        numbers = {"value": pa.float64(), "n": pa.int64(), "control": pa.float64()}
        schema = pa.schema({"name": pa.string(), **numbers, "n_control": pa.int64()})
        return {"measures": pa.Table.from_pylist(self._measures, schema)}

    def _read(
        self, bos: int, tokens: Int64[np.ndarray, " n_tokens"]
    ) -> tuple[dict[str, pa.Array], Float32[torch.Tensor, "n_tokens d_out"]]:
        """The tokens that each feature is active on, and u_t of all."""
        dictionary, model = self._run.dictionary, self._run.model
        read, written = dictionary.origin.hook_name, dictionary.origin.hook_name_out
        encoder, active = Encoder(dictionary), _ActiveOn(dictionary.n_features)
        hidden = torch.empty(len(tokens), dictionary.d_out)
        at_once = model.contexts_at_once(2)
        for first in range(0, len(tokens), at_once):
            part = tokens[first : first + at_once]
            pairs = np.stack([np.full_like(part, bos), part], axis=1)
            found = model.hidden(pairs, {read, written})
            hidden[first : first + at_once] = found[written][:, 1]
            active.add(encoder.active(found[read][:, 1]), part)
        return active.columns(), hidden

    def _compared(
        self,
        name: str,
        vectors: TokenVectors,
        n: int = 1,
        to_space: Float[torch.Tensor, "d_out d"] | None = None,
    ) -> Nearest:
        """The tokens nearest to each direction; and in `measures`, what that is for random ones."""
        run = self._run

        def nearest(directions: Float[torch.Tensor, "batch d_out"]) -> Nearest:
            return vectors.nearest(directions if to_space is None else directions @ to_space, n)

        directions = run.dictionary.directions
        found = Nearest.joined([nearest(part) for part in directions.split(FEATURES_AT_ONCE)])
        generator = np.random.default_rng([run.seed, *b"random directions"])
        random = generator.standard_normal((N_RANDOM, directions.shape[1]), dtype=np.float32)
        control = nearest(torch.from_numpy(random))
        value, control = (c[~np.isnan(c)] for c in (found.cosines[:, 0], control.cosines[:, 0]))
        for suffix, percentage in (("", 50), ("_p95", 95)):
            self._measures.append(
                {
                    "name": name + suffix,
                    "value": np.percentile(value, percentage) if len(value) else None,
                    "n": len(value),
                    "control": np.percentile(control, percentage) if len(control) else None,
                    "n_control": len(control),
                }
            )
        return found


class _ActiveOn:
    """The tokens that features are active on: how many, and the strongest."""

    def __init__(self, n_features: int) -> None:
        self._n_active = np.zeros(n_features, dtype=np.int64)
        self._strongest = Entries.joined([])
        self._waiting: list[Entries] = []

    def add(self, active: Entries, tokens: Int64[np.ndarray, " batch"]) -> None:
        """Take the activations on some tokens, which come after those taken before."""
        active = active.select(np.isfinite(active.values))
        self._n_active += np.bincount(active.features, minlength=len(self._n_active))
        self._waiting.append(Entries(tokens[active.rows], active.features, active.values))
        if sum(len(part.rows) for part in self._waiting) > ENTRIES_AT_ONCE:
            self._drop_weak()

    def columns(self) -> dict[str, pa.Array]:
        """Columns of `features`."""
        self._drop_weak()
        kept = self._strongest
        bounds = np.searchsorted(kept.features, np.arange(len(self._n_active) + 1))
        return {
            "n_unigrams": pa.array(self._n_active),
            "unigrams": list_column(kept.rows, bounds, pa.int32()),
            "unigram_activations": list_column(kept.values, bounds, pa.float32()),
        }

    def _drop_weak(self) -> None:
        """Keep the largest |activation| of each feature, falling, equal ones by token."""
        found = Entries.joined([self._strongest, *self._waiting])
        order = stable_order(found.features, ~rising_bits(np.abs(found.values)))
        n_found = np.bincount(found.features, minlength=len(self._n_active))
        self._strongest = found.select(order[place_in_slice(n_found) < N_UNIGRAMS])
        self._waiting = []


def _best(found: Nearest, name: str) -> dict[str, pa.Array]:
    """Columns of the nearest token and its cosine."""
    cosines = found.cosines[:, 0]
    token = pa.array(found.tokens[:, 0].astype(np.int32), mask=np.isnan(cosines))
    return {name: _or_null(cosines), f"{name}_token": token}


def _or_null(values: Float64[np.ndarray, " n"]) -> pa.Array:
    return pa.array(values, mask=np.isnan(values))
