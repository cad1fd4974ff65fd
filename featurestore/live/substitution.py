"""What is lost when a dictionary stands in for the model's own vectors, with a control beside it.

KL of substitution against the same for a random perturbation of equal length: Gurnee, "SAE
reconstruction errors are (empirically) pathological" (2024).
"""

import hashlib

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64

from featurestore.inference import LanguageModel
from featurestore.live.decoding import decode
from featurestore.live.records import Substitution
from featurestore.live.weights import Loaded

N_DRAWS = 3
"""Random directions that the control is taken over."""

POSITIONS_AT_ONCE = 64


@torch.inference_mode()
def substitute(
    loaded: Loaded,
    ids: Int64[np.ndarray, "1 pos"],
    is_valid: Bool[np.ndarray, "1 pos"],
    seed: int,
) -> Substitution:
    """Substitute at all valid positions at once; what is not valid stays as it is."""
    model, dictionary = loaded.model.language_model, loaded.dictionary
    chosen = torch.from_numpy(is_valid[0])
    seen: dict[str, torch.Tensor] = {}
    hooks = [
        (name, lambda vectors, name=name: seen.update({name: vectors[0, chosen]}))
        for name in {dictionary.origin.hook_name, dictionary.origin.hook_name_out}
    ]
    clean = model.logits(ids, hooks)[0, chosen]
    read = seen[dictionary.origin.hook_name].float()
    entries = loaded.encoder.active(read)
    vectors = seen[dictionary.origin.hook_name_out].float()
    decoded = decode(dictionary, entries, torch.from_numpy(ids)[0, chosen], read)
    error = (vectors - decoded).norm(dim=1, keepdim=True)
    stand_ins = [decoded]
    generator = noise(seed)
    for _ in range(N_DRAWS):
        stand_ins.append(vectors + as_long(vectors - decoded, generator))
    kl = [divergence(clean, _logits_with(model, ids, chosen, loaded, each)) for each in stand_ins]
    return Substitution(
        dictionary_id=loaded.info.dictionary_id,
        n_active=np.bincount(entries.rows, minlength=len(vectors)).astype(np.int64),
        error=(error.double() / vectors.double().norm(dim=1, keepdim=True))[:, 0].numpy(),
        kl=kl[0],
        control_kl=np.stack(kl[1:]),
        seed=seed,
    )


def noise(seed: int) -> torch.Generator:
    """Random numbers of controls; salted, lest random directions of a dictionary share its seed."""
    digest = hashlib.sha256(f"control {seed}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7]))


def as_long(
    vectors: Float[torch.Tensor, "*batch d"], generator: torch.Generator
) -> Float[torch.Tensor, "*batch d"]:
    """Vectors of the same lengths in random directions."""
    random = torch.randn(vectors.shape, generator=generator)
    return random * vectors.norm(dim=-1, keepdim=True) / random.norm(dim=-1, keepdim=True)


def _logits_with(
    model: LanguageModel,
    ids: Int64[np.ndarray, "1 pos"],
    chosen: Bool[torch.Tensor, " pos"],
    loaded: Loaded,
    stand_in: Float[torch.Tensor, "valid d_out"],
) -> Float[torch.Tensor, "valid d_vocab"]:
    def replace(vectors: torch.Tensor) -> torch.Tensor:
        changed = vectors.clone()
        changed[0, chosen] = stand_in.to(vectors.dtype)
        return changed

    return model.logits(ids, [(loaded.dictionary.origin.hook_name_out, replace)])[0, chosen]


def divergence(
    before: Float[torch.Tensor, "valid d_vocab"], after: Float[torch.Tensor, "valid d_vocab"]
) -> Float64[np.ndarray, " valid"]:
    """KL(before || after) of the distributions that logits stand for, in nats, a few at a time."""
    found = []
    for p, q in zip(before.split(POSITIONS_AT_ONCE), after.split(POSITIONS_AT_ONCE), strict=True):
        log_p, log_q = (logits.double().log_softmax(dim=1) for logits in (p, q))
        found.append((log_p.exp() * (log_p - log_q)).sum(dim=1))
    return torch.cat(found).clamp(min=0).numpy()
