"""What the synthetic store says of whole dictionaries: counts are true, losses made up."""

from typing import Any

import numpy as np

DRAWS = 3


def scores(values: np.ndarray, quality: float) -> list[dict[str, Any]]:
    """Rows of `measures`; `values` are finite activations (context, pos, feature).

    Losses and explained variance follow from `quality`, from 0 to 1.
    """
    active = values != 0
    n_contexts, length, n_features = active.shape
    n = n_contexts * (length - 1)
    n_next = n_contexts * (length - 2)
    uses = active.sum(axis=(0, 1))
    clean, zero = 3.0, 8.0
    decoded, control = zero - quality * (zero - clean), 3.0 + (1 - quality)
    rows = [
        ("l0", float(active[:, 1:].sum() / n), n),
        ("l0_with_first", float(active.sum(axis=2).mean()), n_contexts * length),
        ("explained_variance", quality - 0.1, n),
        ("cosine", None, 0),
        ("ce_clean", clean, n_next),
        ("ce_decoded", decoded, n_next, control, n_next * DRAWS),
        ("ce_zero", zero, n_next),
        ("ce_mean", zero - 1, n_next),
        ("ce_recovered", quality, n_next, 0.97, n_next * DRAWS),
        ("kl_decoded", 1 - quality, n_next, 0.2, n_next * DRAWS),
        ("share_dead", float((uses == 0).mean()), n_features),
        ("share_rare", float(((uses > 0) & (uses <= 10)).mean()), n_features),
        ("share_dense", float((uses > 0.1 * n_contexts * length).mean()), n_features),
        ("capacity", 0.4, n_features, 64 / (63 + n_features), n_features),
    ]
    names = ("name", "value", "n", "control", "n_control")
    return [dict(zip(names, (*row, None, None)[:5], strict=True)) for row in rows]


def substituted_tokens(tokens: np.ndarray, quality: float) -> list[dict[str, Any]]:
    """Rows of that table, for tokens (context, pos): rarer ones lose more."""
    ids, counts = np.unique(tokens, return_counts=True)
    return [
        {"token_id": token, "n": n, "kl": (1 - quality) * (1 + 4 / n), "kl_se": 0.01}
        | {"control_kl": 0.2, "n_corpus": n}
        for token, n in zip(ids.tolist(), counts.tolist(), strict=True)
    ]
