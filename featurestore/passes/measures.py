"""Rows of tables on a whole dictionary: named numbers, and losses by token."""

import numpy as np
import pyarrow as pa
from jaxtyping import Float64, Int64

from featurestore.passes.substitution import N_DRAWS, Losses

LEAST_ERRORS = 2
"""Standard errors by which what a replacement costs must be above 0 for shares of it."""

LEAST_COST = 1e-6
"""The same in nats: less is rounding."""

_SCHEMA = pa.schema(
    [
        *(("name", pa.string()), ("value", pa.float64()), ("n", pa.int64())),
        *(("control", pa.float64()), ("n_control", pa.int64())),
    ]
)
_DRAWS = [f"control-{draw}" for draw in range(N_DRAWS)]


class Measures:
    """Rows of the table `measures`; what is NaN becomes null."""

    def __init__(self) -> None:
        self._rows: list[dict[str, object]] = []

    def add(
        self, name: str, value: float, n: int, control: float = np.nan, n_control: int | None = None
    ) -> None:
        """One number over n, and its control if there is one."""
        self._rows.append(
            {
                "name": name,
                "value": None if np.isnan(value) else value,
                "n": n,
                "control": None if np.isnan(control) else control,
                "n_control": n_control,
            }
        )

    def add_losses(self, found: Losses) -> None:
        """Means over tokens of losses and KL, and what they say of the dictionary."""
        n = len(found.tokens)
        clean = _mean(found.clean)
        loss = {name: _mean(each) for name, each in found.loss.items()}
        control = float(np.mean([loss[name] for name in _DRAWS]))
        self.add("ce_clean", clean, n)
        self.add("ce_decoded", loss["decoded"], n, control, n * N_DRAWS)
        for ablated, suffix in (("zero", ""), ("mean", "_mean")):
            self.add(f"ce_{ablated}", loss[ablated], n)
            error, n_contexts = standard_error(found.loss[ablated] - found.clean, found.contexts)
            self.add(f"ce_{ablated}_se", error, n_contexts)
            value, of_control = (
                recovered(clean, each, loss[ablated], error) for each in (loss["decoded"], control)
            )
            self.add(f"ce_recovered{suffix}", value, n, of_control, n * N_DRAWS)
        self.add("perplexity_clean", float(np.exp(clean)), n)
        self.add("perplexity_decoded", float(np.exp(loss["decoded"])), n)
        controls = float(np.mean([_mean(found.kl[name]) for name in _DRAWS]))
        self.add("kl_decoded", _mean(found.kl["decoded"]), n, controls, n * N_DRAWS)

    def table(self) -> pa.Table:
        """All of them."""
        return pa.Table.from_pylist(self._rows, _SCHEMA)


def token_rows(found: Losses, n_corpus: Int64[np.ndarray, " d_vocab"]) -> pa.Table:
    """Rows of `substituted_tokens`: mean KL by token, and how often that stands in the corpus."""
    tokens, owner = np.unique(found.tokens, return_inverse=True)
    n = np.bincount(owner, minlength=len(tokens))
    kl = found.kl["decoded"]
    control = np.mean([found.kl[name] for name in _DRAWS], axis=0)
    total, squares, other = (np.bincount(owner, each, len(tokens)) for each in (kl, kl**2, control))
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = np.maximum(squares - total**2 / n, 0) / (n - 1)
        error = np.sqrt(variance / n)
    return pa.table(
        {
            "token_id": pa.array(tokens.astype(np.int32)),
            "n": pa.array(n.astype(np.int64)),
            "kl": pa.array(total / n),
            "kl_se": pa.array(error, mask=n < 2),
            "control_kl": pa.array(other / n),
            "n_corpus": pa.array(n_corpus[tokens].astype(np.int64)),
        }
    )


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def standard_error(
    values: Float64[np.ndarray, " n_tokens"], contexts: Int64[np.ndarray, " n_tokens"]
) -> tuple[float, int]:
    """Of the mean over tokens, which are drawn by whole contexts, and how many of those there are.

    sqrt(C / (C - 1) sum over the C contexts of (sum of value - mean)^2) / n, the error of a ratio
    of totals under cluster sampling (Cochran, "Sampling Techniques", 1977). NaN for C < 2.
    """
    numbers, owner = np.unique(contexts, return_inverse=True)
    n_contexts = len(numbers)
    if n_contexts < 2:
        return float("nan"), n_contexts
    totals = np.bincount(owner, values - values.mean())
    variance = n_contexts / (n_contexts - 1) * np.square(totals).sum()
    return float(np.sqrt(variance)) / len(values), n_contexts


def recovered(clean: float, decoded: float, ablated: float, error: float) -> float:
    """The share of what the ablation costs that decoded vectors save; NaN if it costs no loss.

    It does where the cost is above `LEAST_ERRORS` of its standard errors and `LEAST_COST`. Where
    zeros hurt no more than chance, or help, the quotient would be of any size and sign.
    """
    cost = ablated - clean
    is_cost = cost > LEAST_ERRORS * error and cost >= LEAST_COST
    return (ablated - decoded) / cost if is_cost else float("nan")
