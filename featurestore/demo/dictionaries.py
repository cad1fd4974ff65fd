"""Train the demo's dictionaries on hidden vectors of the demo's model.

Every dictionary is a row of SPECS. Hidden vectors are centred and scaled to a mean squared length
of d, directions keep unit length, and both are folded into the weights when saved, so that a file
reads raw hidden vectors and an activation is the length that the feature adds.

Three ways to be sparse: `relu` adds an L1 penalty; `topk` keeps each token's k largest activations
(Gao et al. 2024, arXiv 2406.04093, with its auxiliary loss for dead features); `jumprelu` keeps the
batch's k largest a token and is saved with the threshold that keeps as many (BatchTopK, Bussmann et
al. 2024, arXiv 2412.06410). A tokenized SAE learns a vector for each token beside (Dooms and
Wilhelm 2024, arXiv 2408.16684).
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int

from featurestore.dictionaries import native

logger = logging.getLogger(__name__)

BATCH = 1024
DEAD_AFTER = 200
"""Steps without an activation after which the auxiliary loss takes up a feature."""
N_AUXILIARY = 64


@dataclass(frozen=True)
class Spec:
    """One dictionary to train."""

    name: str
    kind: str
    hook_name: str
    hook_name_out: str
    nonlinearity: str = "jumprelu"
    """relu, topk or jumprelu."""
    n_features: int = 1024
    k: int = 24
    """Active features a token, for topk and jumprelu."""
    l1: float = 3.0
    """Weight of the penalty, for relu."""
    model_step: int = 4000
    family: str | None = None
    n_steps: int = 1500
    saved_steps: tuple[int, ...] = ()
    """Steps saved on the way, as `name-step-N`; only the last, as `name`, if empty."""


@dataclass(frozen=True)
class Samples:
    """Pairs of vectors to learn from, and the token at each."""

    read: Float[torch.Tensor, "n d_in"]
    written: Float[torch.Tensor, "n d_out"]
    tokens: Int[torch.Tensor, " n"]


RESID_1 = "blocks.1.hook_resid_post"
RESID = "blocks.2.hook_resid_post"
SPECS = (
    Spec(
        "resid-2",
        "jumprelu",
        RESID,
        RESID,
        family="resid-2",
        n_steps=4000,
        saved_steps=(250, 500, 1000, 2000, 4000),
    ),
    Spec("resid-2-topk", "topk", RESID, RESID, "topk", n_features=2048, n_steps=4000),
    Spec("resid-2-tokenized", "tokenized", RESID, RESID, "topk"),
    Spec("resid-1", "sae", RESID_1, RESID_1, "relu", l1=4.0, n_steps=4000),
    Spec("mlp-2", "jumprelu", "blocks.2.hook_mlp_out", "blocks.2.hook_mlp_out"),
    Spec("attn-2", "jumprelu", "blocks.2.hook_attn_out", "blocks.2.hook_attn_out"),
    Spec("mlp-2-transcoder", "transcoder", "blocks.2.mlp.hook_in", "blocks.2.hook_mlp_out"),
    Spec("embed", "topk", "hook_embed", "hook_embed", "topk", n_features=512, k=8),
    Spec("resid-2-model-1000", "jumprelu", RESID, RESID, model_step=1000, family="resid-2-model"),
    Spec("resid-2-model-2000", "jumprelu", RESID, RESID, model_step=2000, family="resid-2-model"),
)


class Trainee(torch.nn.Module):
    """A dictionary in training, on centred and scaled vectors."""

    def __init__(self, spec: Spec, d_in: int, d_out: int, d_vocab: int | None) -> None:
        super().__init__()
        directions = torch.nn.functional.normalize(torch.randn(spec.n_features, d_out), dim=-1)
        readers = directions.T.clone() if d_in == d_out else torch.randn(d_in, spec.n_features)
        self.readers = torch.nn.Parameter(torch.nn.functional.normalize(readers, dim=0))
        self.reader_bias = torch.nn.Parameter(torch.zeros(spec.n_features))
        self.directions = torch.nn.Parameter(directions)
        self.direction_bias = torch.nn.Parameter(torch.zeros(d_out))
        self.lookup = None if d_vocab is None else torch.nn.Parameter(torch.zeros(d_vocab, d_out))
        self.register_buffer("threshold", torch.zeros(()))
        self.spec = spec
        self.idle = torch.zeros(spec.n_features, dtype=torch.int64)

    def loss(self, batch: Samples, l1_share: float) -> torch.Tensor:
        """Squared error summed over dimensions, with the penalty or the auxiliary loss."""
        pre = torch.relu(torch.addmm(self.reader_bias, batch.read, self.readers))
        activations = self._sparse(pre)
        decoded = torch.addmm(self.direction_bias, activations, self.directions)
        if self.lookup is not None:
            decoded = decoded + self.lookup[batch.tokens]
        error = batch.written - decoded
        self.idle = torch.where((activations > 0).any(0), 0, self.idle + 1)
        loss = error.square().sum(-1).mean()
        if self.spec.nonlinearity == "relu":
            return loss + self.spec.l1 * l1_share * activations.sum(-1).mean()
        return loss + self._auxiliary(pre, error.detach())

    def _sparse(self, pre: torch.Tensor) -> torch.Tensor:
        if self.spec.nonlinearity == "relu":
            return pre
        if self.spec.nonlinearity == "topk":
            return _keep_largest(pre, self.spec.k)
        place = pre.numel() - self.spec.k * len(pre)
        smallest = torch.tensor(np.partition(pre.detach().numpy(), place, axis=None)[place])
        self.threshold.lerp_(smallest, 0.02 if self.threshold > 0 else 1.0)
        return torch.where(pre >= smallest, pre, 0.0)

    def _auxiliary(self, pre: torch.Tensor, error: torch.Tensor) -> torch.Tensor:
        dead = (self.idle > DEAD_AFTER).nonzero().flatten()
        if len(dead) == 0:
            return torch.zeros(())
        revived = _keep_largest(pre[:, dead], min(N_AUXILIARY, len(dead)))
        return (error - revived @ self.directions[dead]).square().sum(-1).mean() / 32

    @torch.no_grad()
    def normalise(self) -> None:
        """Give every direction unit length again."""
        self.directions.div_(self.directions.norm(dim=-1, keepdim=True).clamp(min=1e-8))


def train(spec: Spec, samples: Samples, d_vocab: int, folder: Path, seed: int = 0) -> None:
    """Train one dictionary and save it, or its checkpoints, under `folder`."""
    torch.manual_seed(seed)
    read, read_mean, read_scale = _standardised(samples.read)
    written, written_mean, written_scale = _standardised(samples.written)
    is_tokenized = spec.kind == "tokenized"
    trainee = Trainee(spec, read.shape[1], written.shape[1], d_vocab if is_tokenized else None)
    optimizer = torch.optim.Adam(trainee.parameters(), lr=0.0)
    for step in range(1, spec.n_steps + 1):
        optimizer.param_groups[0]["lr"] = _learning_rate(step, spec.n_steps)
        rows = torch.randint(0, len(read), (BATCH,))
        loss = trainee.loss(
            Samples(read[rows], written[rows], samples.tokens[rows]),
            l1_share=min(1.0, step / (0.05 * spec.n_steps)),
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        trainee.normalise()
        if step % 500 == 0:
            logger.info("%s step %d loss %.2f", spec.name, step, loss.item())
        if step in spec.saved_steps or (step == spec.n_steps and not spec.saved_steps):
            name = f"{spec.name}-step-{step}" if spec.saved_steps else spec.name
            weights = _folded(trainee, read_mean, read_scale, written_mean, written_scale)
            native.save(folder / name, _settings(spec, step), weights)


def _settings(spec: Spec, step: int) -> dict:
    return {
        "kind": spec.kind,
        "nonlinearity": spec.nonlinearity,
        "k": spec.k if spec.nonlinearity == "topk" else None,
        "hook_name": spec.hook_name,
        "hook_name_out": spec.hook_name_out,
        "family": spec.family,
        "step": step,
        "model_step": spec.model_step,
        "trained_tokens": step * BATCH,
        "trained_with": "L1" if spec.nonlinearity == "relu" else f"k = {spec.k}",
    }


def _folded(
    trainee: Trainee,
    read_mean: torch.Tensor,
    read_scale: float,
    written_mean: torch.Tensor,
    written_scale: float,
) -> dict[str, torch.Tensor]:
    """Weights that read and write raw hidden vectors, in float16."""
    weights = {
        "W_enc": trainee.readers * (read_scale / written_scale),
        "b_enc": trainee.reader_bias / written_scale,
        "b_pre": read_mean,
        "W_dec": trainee.directions,
        "b_dec": written_mean + trainee.direction_bias / written_scale,
    }
    if trainee.spec.nonlinearity == "jumprelu":
        weights["threshold"] = (trainee.threshold / written_scale).expand(len(trainee.directions))
    if trainee.lookup is not None:
        weights["lookup"] = trainee.lookup / written_scale
    return {name: weight.detach().half() for name, weight in weights.items()}


def _standardised(vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Vectors with mean zero and mean squared length d; the mean; the factor."""
    mean = vectors.mean(0)
    centred = vectors - mean
    scale = (centred.shape[1] / centred.square().sum(-1).mean()).sqrt().item()
    return centred * scale, mean, scale


def _keep_largest(values: torch.Tensor, k: int) -> torch.Tensor:
    kept, indices = values.topk(k, dim=-1, sorted=False)
    return torch.zeros_like(values).scatter(-1, indices, kept)


def _learning_rate(step: int, n_steps: int, peak: float = 1e-3) -> float:
    """Short warm-up, constant, linear to zero over the last fifth."""
    return peak * min(1.0, step / 100, (n_steps - step + 1) / (0.2 * n_steps))
