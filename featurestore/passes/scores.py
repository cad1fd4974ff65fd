"""How good a dictionary is: what it reconstructs, and what the model's predictions lose by it.

On whole contexts drawn from the corpus by the seed. Counted are tokens that count anywhere, less
those at position 0, whose vectors are often of another size; names with `_with_first` are over all
tokens but padding. `ce_recovered` is (zero - decoded) / (zero - clean) of the mean losses, and null
unless zero - clean is above two of its standard errors, `ce_zero_se`, taken over contexts, and
1e-6; `ce_recovered_mean` takes the mean vector in place of zero, and `ce_mean_se`.
`capacity` is the mean over directions of 1 / sum of squared cosines with all directions (Scherlis
et al., "Polysemanticity and capacity", 2022); of as many random ones it is near
1 / (1 + (n_features - 1) / d_out), its control. Shares are of all features: `share_rare` are active
on 1 to 10 tokens of the corpus, `share_dense` on more than a tenth.
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64

from featurestore.activations import ActivationFiles
from featurestore.decoding import decode
from featurestore.encoder import Encoder, Entries
from featurestore.passes.base import Pass, Run, Tables
from featurestore.passes.measures import Measures, token_rows
from featurestore.passes.reconstruction import Reconstruction
from featurestore.passes.substitution import Batch, Losses, losses
from featurestore.remainder import Remainder

RARE, DENSE = 10, 0.1

_SALT = 0x5A3B1E


class Scores(Pass):
    """Rows of `measures` on the whole dictionary, and the table `substituted_tokens`."""

    name = "scores"

    def __init__(self, run: Run) -> None:
        self._run = run
        self._encoder = Encoder(run.dictionary)
        self._lengths = run.dictionary.directions.double().norm(dim=1).numpy()
        self._measures = Measures()

    def prepare(self, files: ActivationFiles) -> None:
        """Shares of features by how often they are active."""
        n, n_tokens = files.n_entries, self._run.corpus.n_tokens
        for name, is_one in (
            ("share_dead", n == 0),
            ("share_rare", (n > 0) & (n <= RARE)),
            ("share_dense", n > DENSE * n_tokens),
        ):
            self._measures.add(name, float(is_one.mean()), len(n))

    def conclude(self) -> Tables:
        """Run the sample."""
        self._add_capacity()
        contexts = self._sample()
        if not len(contexts):
            return {"measures": self._measures.table()}
        parts = list(self._reconstructed(contexts))
        whole = Reconstruction(
            *(torch.cat([getattr(p, name) for p, _ in parts]) for name in ("written", "decoded")),
            *(
                np.concatenate([getattr(p, name) for p, _ in parts])
                for name in ("n_active", "l1", "l1_written")
            ),
        )
        is_counted = np.concatenate([counted for _, counted in parts])
        counted = whole.select(is_counted)
        for suffix, each in (("", counted), ("_with_first", whole)):
            for name, (value, n) in each.measures().items():
                self._measures.add(name + suffix, value, n)
        mean = counted.written.double().mean(dim=0).float()
        found = self._losses(contexts, counted, mean)
        self._measures.add_losses(found)
        return {
            "measures": self._measures.table(),
            "substituted_tokens": token_rows(found, self._n_corpus()),
        }

    def _sample(self) -> Int64[np.ndarray, " n_sampled"]:
        """Contexts, in the order of the corpus."""
        n = len(self._run.corpus.tokens)
        rng = np.random.default_rng([_SALT, self._run.seed])
        return np.sort(rng.permutation(n)[: self._run.settings.n_scored])

    def _batches(self, contexts: Int64[np.ndarray, " n"]) -> Iterator[Int64[np.ndarray, " batch"]]:
        at_once = self._run.model.contexts_at_once(self._run.corpus.tokens.shape[1])
        for start in range(0, len(contexts), at_once):
            self._run.stop.check()
            yield contexts[start : start + at_once]

    def _masks(
        self, contexts: Int64[np.ndarray, " batch"]
    ) -> tuple[Bool[np.ndarray, "batch pos"], Bool[np.ndarray, "batch pos"]]:
        """Tokens that are no padding, and those of them that are not at position 0."""
        corpus = self._run.corpus
        is_real = np.arange(corpus.tokens.shape[1]) < corpus.n_valid[contexts][:, None]
        is_counted = is_real.copy()
        is_counted[:, 0] = False
        return is_real, is_counted

    @torch.inference_mode()
    def _reconstructed(
        self, contexts: Int64[np.ndarray, " n"]
    ) -> Iterator[tuple[Reconstruction, Bool[np.ndarray, " n_tokens"]]]:
        """Batch by batch, on all tokens but padding, with which of them count."""
        dictionary = self._run.dictionary
        read, written = dictionary.origin.hook_name, dictionary.origin.hook_name_out
        for batch in self._batches(contexts):
            tokens = self._run.corpus.tokens[batch]
            is_real, is_counted = self._masks(batch)
            hidden = self._run.model.hidden(tokens, {read, written})
            chosen = torch.from_numpy(is_real)
            vectors = {name: each.float().cpu()[chosen] for name, each in hidden.items()}
            entries = self._encoder.active(vectors[read])
            ids = torch.from_numpy(tokens)[chosen].long()
            decoded = decode(dictionary, entries, ids, vectors[read])
            numbers = self._numbers(entries, len(ids))
            yield Reconstruction(vectors[written], decoded, *numbers), is_counted[is_real]

    def _numbers(
        self, entries: Entries, n: int
    ) -> tuple[Int64[np.ndarray, " n"], Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
        """Of each token: active features, sum |f|, sum |f| |direction|."""
        size = np.abs(entries.values.astype(np.float64))
        rows = entries.rows.astype(np.int64)
        return (
            np.bincount(rows, minlength=n).astype(np.int64),
            np.bincount(rows, size, n),
            np.bincount(rows, size * self._lengths[entries.features], n),
        )

    def _losses(
        self, contexts: Int64[np.ndarray, " n"], counted: Reconstruction, mean: torch.Tensor
    ) -> Losses:
        corpus, stop = self._run.corpus, self._run.stop
        remainder = Remainder(self._run.model, self._run.dictionary.origin.hook_name_out)
        parts, first = [], 0
        for batch in self._batches(contexts):
            _, is_counted = self._masks(batch)
            rows = slice(first, first + int(is_counted.sum()))
            first = rows.stop
            has_next = np.arange(corpus.tokens.shape[1]) < corpus.n_valid[batch][:, None] - 1
            sample = Batch(
                batch,
                corpus.tokens[batch],
                is_counted,
                has_next,
                counted.written[rows],
                counted.decoded[rows],
            )
            parts.append(losses(remainder, sample, mean, self._run.seed, stop.check))
        return Losses.joined(parts)

    def _add_capacity(self) -> None:
        directions = self._run.dictionary.directions.double()[torch.from_numpy(self._lengths > 0)]
        n, d_out = directions.shape
        unit = directions / directions.norm(dim=1, keepdim=True)
        overlap = ((unit @ (unit.T @ unit)) * unit).sum(dim=1)  # of squared cosines
        value = (1 / overlap).mean().item()
        self._measures.add("capacity", value, n, d_out / (d_out + n - 1) if n else np.nan, n)

    def _n_corpus(self) -> Int64[np.ndarray, " d_vocab"]:
        """How often each token stands in the corpus."""
        corpus = self._run.corpus
        tokens = corpus.tokens[corpus.is_valid(slice(None))]
        return np.bincount(tokens, minlength=self._run.model.d_vocab).astype(np.int64)
