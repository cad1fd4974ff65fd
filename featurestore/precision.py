"""How much a lower precision changes the activations: the first block, against float32."""

import numpy as np

from featurestore.encoder import Encoder
from featurestore.inference import LanguageModel
from featurestore.plan import Job, Plan
from featurestore.stop import Stop
from featurestore.sweep import encode_contexts


def dtype_change(job: Job, plan: Plan, reference: LanguageModel) -> dict[str, float] | None:
    """What the run's precision did to the first block; None for float32, which is the reference.

    Active in float32 are `n`, of which `n_lost` are silent now; `n_gained` are active that were
    silent. Of those active and finite in both, the mean and the largest change, and the mean change
    relative to the float32 activation.
    """
    if plan.order.recipe.dtype == "float32":
        return None
    encoder = Encoder(job.dictionary, device=plan.order.device)
    contexts = plan.contexts(0)
    (wanted,) = encode_contexts(reference, plan.corpus, contexts, [(job, encoder)], Stop())
    features, counts, tokens, values = job.workspace.block(0).read(0, job.dictionary.n_features)
    found = np.repeat(features, counts) + tokens.astype(np.int64) * job.dictionary.n_features
    keys = wanted.features + wanted.rows.astype(np.int64) * job.dictionary.n_features
    both, here, there = np.intersect1d(found, keys, assume_unique=True, return_indices=True)
    is_finite = np.isfinite(wanted.values[there]) & np.isfinite(values[here])
    exact = wanted.values[there][is_finite].astype(np.float64)
    change = np.abs(values[here][is_finite] - exact)
    return {
        "n_contexts": len(contexts),
        "n": len(keys),
        "n_lost": len(keys) - len(both),
        "n_gained": len(found) - len(both),
        "mean_change": float(change.mean()) if len(change) else 0.0,
        "max_change": float(change.max()) if len(change) else 0.0,
        "mean_relative_change": float((change / np.abs(exact)).mean()) if len(change) else 0.0,
    }
