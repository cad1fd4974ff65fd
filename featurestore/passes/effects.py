"""Sums over what ablations do to the next token, and the rows that they become."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Bool, Float, Float32, Int64

from featurestore.passes.base import Tables, list_column
from featurestore.passes.examples import LEVELS
from featurestore.passes.logit_lens import largest
from featurestore.passes.sites import Sites
from featurestore.remainder import Clean

NUMBERS_AT_ONCE = {"cpu": 2**18, "cuda": 2**22}
"""Probabilities that are compared at a time, in float64. On a processor they stay in its cache
(`docs/performance.md`)."""


Places = tuple[Int64[np.ndarray, " _"], Int64[np.ndarray, " _"]]
"""Sites, from 0 in their batch, and positions."""


@dataclass(frozen=True)
class Batch:
    """Some sites on clean contexts."""

    clean: Clean
    rows: Int64[np.ndarray, " batch"]
    """Which of the clean contexts each is."""
    sites: Int64[np.ndarray, " batch"]
    active: Places
    """Where the features are active."""
    values: Float32[np.ndarray, " n_active"]
    """How far along their directions these move the vectors."""
    along: Places
    """From each site's first active position on, all that have a next token."""
    is_counted: Bool[np.ndarray, " n_along"]
    """Whether the feature is active there: what all means are over."""

    @property
    def counted(self) -> Places:
        """Active positions that have a next token."""
        site, pos = self.along
        return site[self.is_counted], pos[self.is_counted]


class Effects:
    """What is known of the ablations of a few features, as sums in float64."""

    def __init__(self, sites: Sites, features: range, n_draws: int, d_vocab: int) -> None:
        self._sites, self._features = sites, features
        self._by_token = torch.zeros(3, len(features), d_vocab, dtype=torch.float64)
        """Of effects, their squares and clean probabilities."""
        self._n = np.zeros(len(sites), dtype=np.int64)
        self._sums = np.zeros((4, len(sites)))
        """Of KL, its squares, loss effects and their squares."""
        self._control = np.zeros((len(sites), n_draws))
        self._start = np.zeros(len(sites), dtype=np.int64)
        self._along = [np.zeros(0, dtype=np.float32)] * len(sites)

    def add(
        self,
        batch: Batch,
        ablated: Float[torch.Tensor, "n_along d_vocab"],
        controls: list[Float[torch.Tensor, "n_counted d_vocab"]],
    ) -> None:
        """Take in the logits of a batch: along contexts, and of controls where it counts."""
        self._add_along(batch, ablated)
        in_batch, pos = batch.counted
        site, row = batch.sites[in_batch], batch.rows[in_batch]
        self._n += np.bincount(site, minlength=len(self._n))
        following = _following(batch.clean, row, pos)
        counted = np.flatnonzero(batch.is_counted)
        for part in _parts(len(site), ablated):
            log_p = batch.clean.logits[row[part], pos[part]].double().log_softmax(dim=1)
            p = log_p.exp()
            effect = log_p - ablated[counted[part]].double().log_softmax(dim=1)
            self._add_by_token(site[part], p, effect)
            loss = effect.gather(1, following[part])[:, 0].cpu().numpy()
            kl = _divergence(p, effect)
            for total, values in zip(self._sums, (kl, kl**2, loss, loss**2), strict=True):
                total += np.bincount(site[part], values, len(total))
            for draw, logits in enumerate(controls):
                kl = _divergence(p, log_p - logits[part].double().log_softmax(dim=1))
                self._control[:, draw] += np.bincount(site[part], kl, len(self._n))

    def _add_along(self, batch: Batch, ablated: Float[torch.Tensor, "n_along d_vocab"]) -> None:
        """Effects on the tokens that come next, from each site's first active position on."""
        in_batch, pos = batch.along
        row = batch.rows[in_batch]
        following = _following(batch.clean, row, pos)
        effect = np.zeros(len(row), dtype=np.float32)
        for part in _parts(len(row), ablated):
            clean = _log_p(batch.clean.logits[row[part], pos[part]], following[part])
            effect[part] = (clean - _log_p(ablated[part], following[part])).cpu().numpy()
        first = np.searchsorted(batch.active[0], np.arange(len(batch.sites)))
        self._start[batch.sites] = batch.active[1][first]
        parts = np.split(effect, np.searchsorted(in_batch, np.arange(1, len(batch.sites))))
        for site, part in zip(batch.sites.tolist(), parts, strict=True):
            self._along[site] = part

    def _add_by_token(
        self,
        site: Int64[np.ndarray, " n"],
        p: Float[torch.Tensor, "n d_vocab"],
        effect: Float[torch.Tensor, "n d_vocab"],
    ) -> None:
        feature = torch.from_numpy(self._sites.feature[site] - self._features.start)
        for total, values in zip(self._by_token, (effect, effect.square(), p), strict=True):
            total.index_add_(0, feature, values.cpu())

    def rows(self, n_tokens: int) -> Tables:
        """Columns of `features`, and the rows of `ablated_contexts`."""
        return {
            "features": pa.table(self._scalars() | self._tokens(n_tokens)),
            "ablated_contexts": self._contexts(),
        }

    def _of_feature(self, values: np.ndarray) -> np.ndarray:
        """Sums over the sites of each feature."""
        owner = self._sites.feature - self._features.start
        return np.bincount(owner, values, len(self._features))

    def _scalars(self) -> dict[str, pa.Array]:
        n = self._of_feature(self._n)
        kl, kl2, loss, loss2 = (self._of_feature(each) for each in self._sums)
        n_draws = self._control.shape[1]
        has_effect = (self._n > 0)[:, None]
        mine = self._sums[0][:, None]
        below = (self._control < mine) + 0.5 * (self._control == mine)
        n_controls = self._of_feature(has_effect.sum(axis=1) * n_draws)
        with np.errstate(invalid="ignore", divide="ignore"):
            found = {
                "ablation_kl": kl / n,
                "ablation_kl_se": _standard_error(kl, kl2, n),
                "control_kl": self._of_feature(self._control.sum(axis=1)) / (n * n_draws),
                "kl_percentile": 100
                * self._of_feature((below * has_effect).sum(axis=1))
                / n_controls,
                "loss_effect": loss / n,
                "loss_effect_se": _standard_error(loss, loss2, n),
            }
        counts = {
            "n_ablated": np.bincount(
                self._sites.feature - self._features.start, minlength=len(self._features)
            ),
            "n_effects": n.astype(np.int64),
            "n_controls": n_controls.astype(np.int64),
        }
        return {name: pa.array(values) for name, values in counts.items()} | {
            name: pa.array(values, mask=np.isnan(values)) for name, values in found.items()
        }

    def _tokens(self, n_tokens: int) -> dict[str, pa.Array]:
        """The tokens that fall and rise most, for features with any effect."""
        n = self._of_feature(self._n)
        chosen = np.flatnonzero(n)
        effect, squares, p = (each[chosen].numpy() for each in self._by_token)
        mean = effect / n[chosen, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            error = _standard_error(effect, squares, n[chosen, None])
        p /= n[chosen, None]
        bounds = np.concatenate([[0], np.cumsum(n > 0)]) * min(n_tokens, mean.shape[1])
        columns = {}
        for name, sign in (("fall", 1), ("rise", -1)):
            tokens = largest((sign * mean).astype(np.float32), min(n_tokens, mean.shape[1]))
            columns[f"{name}s"] = list_column(tokens.reshape(-1), bounds, pa.int32())
            for kind, values in (("effects", mean), ("se", error), ("probabilities", p)):
                kept = np.take_along_axis(values, tokens, axis=1).reshape(-1)
                columns[f"{name}_{kind}"] = _lists_with_nulls(kept, bounds)
        return columns

    def _contexts(self) -> pa.Table:
        sites = self._sites
        with np.errstate(invalid="ignore", divide="ignore"):
            kl = self._sums[0] / self._n
            control = self._control.mean(axis=1) / self._n
        scale = np.array([np.abs(each).max(initial=0) for each in self._along], dtype=np.float32)
        q = [
            np.rint(each / (largest_one or 1) * LEVELS).astype(np.int8)
            for each, largest_one in zip(self._along, scale, strict=True)
        ]
        lengths = np.array([len(each) for each in q], dtype=np.int64)
        bounds = np.concatenate([[0], np.cumsum(lengths)])
        return pa.table(
            {
                "feature": pa.array(sites.feature),
                "rank": pa.array(sites.rank),
                "sampler": pa.array(np.where(sites.is_top, "top", "interval")),
                "band": pa.array(sites.band),
                "context": pa.array(sites.context),
                "n_effects": pa.array(self._n),
                "kl": pa.array(kl, mask=np.isnan(kl)),
                "control_kl": pa.array(control, mask=np.isnan(control)),
                "start": pa.array(self._start),
                "scale": pa.array(scale),
                "q": list_column(np.concatenate([np.zeros(0, np.int8), *q]), bounds, pa.int8()),
            }
        )


def _parts(n: int, logits: Float[torch.Tensor, "_ d_vocab"]) -> Iterator[slice]:
    """A few of n distributions at a time."""
    at_once = max(1, NUMBERS_AT_ONCE[logits.device.type] // logits.shape[1])
    for start in range(0, n, at_once):
        yield slice(start, start + at_once)


def _following(
    clean: Clean, row: Int64[np.ndarray, " n"], pos: Int64[np.ndarray, " n"]
) -> Int64[torch.Tensor, "n 1"]:
    """The tokens that come next."""
    tokens = torch.from_numpy(clean.tokens[row, pos + 1]).long()
    return tokens[:, None].to(clean.logits.device)


def _log_p(
    logits: Float[torch.Tensor, "n d_vocab"], tokens: Int64[torch.Tensor, "n 1"]
) -> Float[torch.Tensor, " n"]:
    """Log-probabilities of one token each."""
    return logits.log_softmax(dim=1).gather(1, tokens)[:, 0]


def _divergence(
    p: Float[torch.Tensor, "n d_vocab"], effect: Float[torch.Tensor, "n d_vocab"]
) -> np.ndarray:
    """KL of p from the distribution whose log is `log(p) - effect`, in nats."""
    return (p * effect).sum(dim=1).clamp(min=0).cpu().numpy()


def _standard_error(total: np.ndarray, squares: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Of a mean, from sums; NaN for fewer than 2."""
    variance = np.maximum(squares - total**2 / n, 0) / (n - 1)
    return np.where(n > 1, np.sqrt(variance / n), np.nan)


def _lists_with_nulls(values: np.ndarray, bounds: np.ndarray) -> pa.ListArray:
    found = pa.array(values.astype(np.float32), mask=np.isnan(values))
    return pa.ListArray.from_arrays(pa.array(bounds.astype(np.int32)), found)
