"""Which earlier tokens a feature depends on: each is deleted in turn, and the model reads again.

For a top context with its peak at position p, and each of the `n_deleted` positions j before it:
the activation at the end of t_0 ... t_p without t_j, less that of t_0 ... t_p; below 0 the token
supports the feature. A BOS that was put there is never deleted, nor is the peak, without which
another token's activation would be seen. What follows a deleted token moves one position ahead.

Many features peak at the same place, and many places have the same position: a place is read once,
places of one position are read together, and what stands before the first deleted token is read
once for all deletions.
"""

import copy
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from jaxtyping import Float, Float32, Int, Int64
from tqdm import tqdm

from featurestore.activations import Activations
from featurestore.encoder import Encoder
from featurestore.inference import Memory
from featurestore.passes.base import Pass, Run, Tables, is_new, list_column

TOKENS_AT_ONCE = 2**14
"""Tokens of shortened contexts that are read together, whose keys and values are in memory."""


class Dependence(Pass):
    """The table `dependences`."""

    name = "dependence"

    def __init__(self, run: Run) -> None:
        self._run = run
        self._hook_name = run.dictionary.origin.hook_name
        self._encoder = Encoder(run.dictionary)

    def follow_up(self, activations: Activations, found: Tables) -> Tables:
        """Delete tokens of the first top contexts of every feature of the range."""
        features = range(activations.first, activations.first + activations.n_features)
        return self._run.keep(self.name, features, lambda: self._measured(found["examples"]))

    def _measured(self, examples: pa.Table) -> Tables:
        n = self._run.settings.n_dependences
        is_chosen = pc.and_(pc.equal(examples["sampler"], "top"), pc.less(examples["rank"], n))
        examples = examples.filter(is_chosen)
        feature, context, peak = (
            examples[name].to_numpy().astype(np.int64) for name in ("feature", "context", "peak")
        )
        start = np.maximum(peak - self._run.settings.n_deleted, int(self._run.corpus.has_bos))
        start = np.minimum(start, peak)
        activation = np.zeros(len(peak), dtype=np.float32)
        changes: list[np.ndarray] = [np.zeros(0, dtype=np.float32)] * len(peak)
        with tqdm(total=len(peak), desc="dependence", unit="context", leave=False) as bar:
            for rows in self._together(context, peak, start):
                self._run.stop.check()
                places, place = np.unique(context[rows], return_inverse=True)
                hidden = self._hidden(places, int(start[rows[0]]), int(peak[rows[0]]))
                values = self._activations(hidden[place], feature[rows])
                activation[rows] = values[:, 0]
                for row, each in zip(rows.tolist(), values, strict=True):
                    changes[row] = each[1:] - each[0]
                bar.update(len(rows))
        return {"dependences": _table(examples, start, activation, changes)}

    def _together(
        self,
        context: Int64[np.ndarray, " n"],
        peak: Int64[np.ndarray, " n"],
        start: Int64[np.ndarray, " n"],
    ) -> Iterator[Int64[np.ndarray, " n_rows"]]:
        """Examples that are read together: with peaks at one position, and few enough places."""
        order = np.lexsort((context, peak))
        for of_peak in np.split(order, np.flatnonzero(is_new(peak[order]))[1:]):
            if len(of_peak) == 0:
                continue
            n_rows = 1 + int(peak[of_peak[0]] - start[of_peak[0]])
            at_once = max(1, TOKENS_AT_ONCE // (n_rows * (1 + int(peak[of_peak[0]]))))
            number = np.cumsum(is_new(context[of_peak])) - 1
            yield from np.split(
                of_peak, np.searchsorted(number, np.arange(at_once, number[-1] + 1, at_once))
            )

    def _hidden(
        self, contexts: Int64[np.ndarray, " n_places"], start: int, peak: int
    ) -> Float[torch.Tensor, "n_places n_rows d_in"]:
        """Hidden vectors at the peak: whole, then without the token at `start`, and so on."""
        tokens = self._run.corpus.tokens[contexts, : peak + 1]
        memory = self._read(tokens[:, :start])
        whole = self._last(tokens[:, start:], memory)
        n = peak - start
        if n == 0:
            return whole[:, None]
        kept = np.array([[j for j in range(n + 1) if j != deleted] for deleted in range(n)])
        shortened = tokens[:, start:][:, kept].reshape(-1, n)
        return torch.cat(
            [whole[:, None], self._last(shortened, memory, n).view(len(tokens), n, -1)], 1
        )

    def _read(self, tokens: Int[np.ndarray, "n_places pos"]) -> Memory | None:
        """What is remembered of the tokens before the first that is deleted; None if none are."""
        if tokens.shape[1] == 0:
            return None
        memory = Memory()
        self._run.model.hidden(tokens, {self._hook_name}, memory)
        return memory

    def _last(
        self, tokens: Int[np.ndarray, "n_rows pos"], memory: Memory | None, n_times: int = 1
    ) -> Float[torch.Tensor, "n_rows d_in"]:
        """Hidden vectors at the last of some tokens, `n_times` as many as have been remembered."""
        if memory is not None:
            memory = Memory(copy.deepcopy(memory.cache))  # what is read now is forgotten again
            memory.cache.batch_repeat_interleave(n_times)
        return self._run.model.hidden(tokens, {self._hook_name}, memory)[self._hook_name][:, -1]

    def _activations(
        self, hidden: Float[torch.Tensor, "n n_rows d_in"], feature: Int64[np.ndarray, " n"]
    ) -> Float32[np.ndarray, "n n_rows"]:
        """Of each example its feature's, on its rows."""
        n, n_rows, _ = hidden.shape
        found = self._encoder.active(hidden.flatten(0, 1))
        is_wanted = found.features == feature[found.rows // n_rows]
        values = np.zeros(n * n_rows, dtype=np.float32)
        values[found.rows[is_wanted]] = found.values[is_wanted]
        return values.reshape(n, n_rows)


def _table(
    examples: pa.Table,
    start: Int64[np.ndarray, " n"],
    activation: Float32[np.ndarray, " n"],
    changes: list[np.ndarray],
) -> pa.Table:
    lengths = np.array([len(each) for each in changes], dtype=np.int64)
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    values = np.concatenate([np.zeros(0, np.float32), *changes])
    return pa.table(
        {name: examples[name] for name in ("feature", "rank", "context", "peak")}
        | {
            "activation": pa.array(activation),
            "start": pa.array(start),
            "changes": list_column(values, bounds, pa.float32()),
        }
    )
