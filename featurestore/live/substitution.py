"""What is lost when a dictionary stands in for the model's own vectors, with a control beside it.

KL of substitution against the same for a random perturbation of equal length: Gurnee, "SAE
reconstruction errors are (empirically) pathological" (2024).
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64

from featurestore.decoding import decode
from featurestore.inference import LanguageModel
from featurestore.live.records import Substitution
from featurestore.live.weights import Loaded
from featurestore.perturbation import as_long, divergence, noise

N_DRAWS = 3
"""Random directions that the control is taken over."""


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
