"""Edits of features while the model runs: what comes next before and after.

Error-preserving, as in the store: a changed activation moves the model's own vector by the change
along the feature's direction, x' = x + (f' - f) d, and nothing else of it. The other features stay
as they are; a topk dictionary does not choose anew. Several edits of one feature act one after the
other, in the order given.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64

from featurestore.errors import TextError
from featurestore.inference import Hook, LanguageModel, Memory
from featurestore.live.records import Continuation, Edit, Intervention, NextToken
from featurestore.live.substitution import N_DRAWS
from featurestore.live.weights import Loaded
from featurestore.perturbation import as_long, divergence, noise

N_SHOWN = 12
"""Most likely tokens before, after, and those that changed most."""


@dataclass
class _Edits:
    """The edits of one dictionary, as hooks on a model that reads in steps."""

    loaded: Loaded
    edits: tuple[Edit, ...]
    n_bos: int
    rows: list[int]
    """Rows of the batch that are edited; the others are left alone."""
    noise: torch.Generator | None = None
    """For the control: changes of the same length, in random directions."""
    start: int = 0
    """Where the tokens that are read now begin, BOS included."""
    n_changed: int = 0
    _seen: torch.Tensor = field(default_factory=lambda: torch.empty(0))

    def read(self, vectors: Float[torch.Tensor, "batch pos d_in"]) -> None:
        """Keep what the dictionary reads."""
        self._seen = vectors[self.rows]

    def write(self, vectors: Float[torch.Tensor, "batch pos d_out"]) -> torch.Tensor:
        """Move the vectors along the directions of what changed."""
        change = self._change()
        if self.noise is not None:
            change = as_long(change, self.noise)
        changed = vectors.clone()
        changed[self.rows] += change.to(vectors.dtype)
        return changed

    def _change(self) -> Float[torch.Tensor, "rows pos d_out"]:
        n_rows, n_pos, _ = self._seen.shape
        hidden = self._seen.flatten(0, 1).float()
        found = self.loaded.encoder.active(hidden)
        total = torch.zeros(n_rows * n_pos, self.loaded.dictionary.d_out)
        places = np.tile(np.arange(n_pos) + self.start - self.n_bos, n_rows)
        for feature in {edit.feature: None for edit in self.edits}:
            mine = found.features == feature
            before = np.zeros(n_rows * n_pos, dtype=np.float32)
            before[found.rows[mine]] = found.values[mine]
            after = before
            for edit in self.edits:
                if edit.feature == feature:
                    after = _edited(edit, after, places)
            difference = after - before
            self.n_changed += int(np.count_nonzero(difference))
            direction = self.loaded.dictionary.directions[feature]
            total += torch.from_numpy(difference)[:, None] * direction
        total *= self.loaded.dictionary.scale(hidden)
        return total.view(n_rows, n_pos, -1)


def _edited(
    edit: Edit, activations: Float32[np.ndarray, " n"], places: Int64[np.ndarray, " n"]
) -> Float32[np.ndarray, " n"]:
    is_meant = np.isin(places, edit.positions) if edit.positions else places >= 0
    with np.errstate(over="ignore", invalid="ignore"):  # told when the model has run
        value = np.float32(0 if edit.mode == "ablate" else edit.value)
        changed = activations * value if edit.mode == "scale" else value
        return np.where(is_meant, changed, activations)


@torch.inference_mode()
def intervene(
    chosen: Mapping[str, Loaded],
    edits: tuple[Edit, ...],
    ids: Int64[np.ndarray, "1 pos"],
    n_bos: int,
    pos: int,
    n_new: int,
    seed: int,
) -> Intervention:
    """Run the model as it is and with the edits; see `Runner.intervene`."""
    model = next(iter(chosen.values())).model
    language_model = model.language_model

    def edited(rows: list[int], noise: torch.Generator | None = None) -> list[_Edits]:
        return [
            _Edits(loaded, tuple(e for e in edits if e.dictionary_id == name), n_bos, rows, noise)
            for name, loaded in chosen.items()
        ]

    before = language_model.logits(ids)[0, n_bos:]
    changes = edited([0])
    after = language_model.logits(ids, _hooks(changes))[0, n_bos:]
    kl = divergence(before, after)
    if not np.isfinite(kl).all():
        raise TextError("With these edits the model gives no finite numbers. Use smaller values.")
    generator = noise(seed)
    controls = [
        divergence(before, language_model.logits(ids, _hooks(edited([0], generator)))[0, n_bos:])
        for _ in range(N_DRAWS)
    ]
    text = model.token_texts
    next_tokens = _next_tokens(before[pos], after[pos], text)
    del before, after  # as much again comes now
    rows = _continue(language_model, ids, edited([1, 3]), n_new, seed)
    words = [tuple(text[token] for token in row) for row in rows]
    return Intervention(
        kl=kl,
        control_kl=np.stack(controls),
        n_changed=sum(each.n_changed for each in changes),
        pos=pos,
        next_tokens=next_tokens,
        continuations=(
            Continuation("greedy", words[0], words[1]),
            Continuation("sampled", words[2], words[3]),
        )
        if n_new
        else (),
    )


def _hooks(changes: list[_Edits]) -> list[tuple[str, Hook]]:
    """All read before any writes: at a hook point that several share, each sees it unchanged."""
    origins = [each.loaded.dictionary.origin for each in changes]
    reading = [(o.hook_name, each.read) for o, each in zip(origins, changes, strict=True)]
    writing = [(o.hook_name_out, each.write) for o, each in zip(origins, changes, strict=True)]
    return [*reading, *writing]


def _next_tokens(
    before: Float[torch.Tensor, " d_vocab"], after: Float[torch.Tensor, " d_vocab"], text: list[str]
) -> tuple[NextToken, ...]:
    p, q = (logits.double().softmax(dim=0) for logits in (before, after))
    tops = [values.topk(min(N_SHOWN, len(text))) for values in (p, q, (q - p).abs())]
    moved = tops[2].indices[tops[2].values > 0]
    shown = torch.cat([tops[0].indices, tops[1].indices, moved]).unique()
    shown = shown[p[shown].argsort(descending=True, stable=True)]
    return tuple(NextToken(text[i], p[i].item(), q[i].item()) for i in shown.tolist())


def _continue(
    model: LanguageModel,
    ids: Int64[np.ndarray, "1 pos"],
    changes: list[_Edits],
    n_new: int,
    seed: int,
) -> list[list[int]]:
    """New tokens of four rows: greedy without and with the edits, then sampled the same way.

    Sampled rows share their random numbers (Gumbel noise), so they part only where the edits make
    them. A row ends at the end-of-text token.
    """
    hooks, memory = _hooks(changes), Memory()
    generator = torch.Generator().manual_seed(seed)
    given, new = np.repeat(ids, 4, axis=0), []
    for _ in range(min(n_new, model.context_limit - ids.shape[1])):
        logits = model.logits(given, hooks, memory)[:, -1].double().log_softmax(dim=1)
        for each in changes:
            each.start += given.shape[1]
        uniform = torch.rand(logits.shape[1], generator=generator, dtype=torch.float64)
        logits[2:] -= torch.log(-torch.log(uniform.clamp(1e-300, 1 - 1e-16)))
        new.append(logits.argmax(dim=1).numpy())
        given = new[-1][:, None]
    rows = np.stack(new, axis=1).tolist() if new else [[], [], [], []]
    return [_until(row, model.tokenizer.eos_token_id) for row in rows]


def _until(row: list[int], end: int | None) -> list[int]:
    return row[: row.index(end) + 1] if end in row else row
