"""What the colours of a map mean, as the script draws it: classes with counts, or a scale. Pure."""

from typing import Any, get_args

import numpy as np

from app.annotations.words import MARKS
from app.map.points import VERDICTS, Points, cluster_name, coloured, draws_each
from app.numerals import short
from app.selection import Colour
from featurestore.records import ONE_TOKEN_FROM

NAMES: dict[Colour, str] = {
    "cluster": "cluster",
    "density": "density",
    "verdict": "verdict",
    "effect": "ablation effect",
    "share": "token share",
}
"""What a map can be coloured by, in words."""
COLOURS: tuple[Colour, ...] = get_args(Colour)

_ENDS = (0.01, 0.99)
"""Quantiles of a density that its scale ends at: a few odd ones would take most of it."""
_MISSING = {
    "effect": "nothing was switched off (passes.n_ablated_top, passes.n_ablated_bands)",
    "share": f"active on fewer than {ONE_TOKEN_FROM} tokens, too few to tell",
    "density": "no density",
}


def legend(points: Points, colour: Colour, verdict: np.ndarray) -> dict[str, Any]:
    """The legend of one colouring; `verdict` holds each point's number in VERDICTS."""
    if colour == "cluster":
        return _clusters(points)
    if colour == "verdict":
        return _verdicts(verdict)
    values = getattr(points, colour)
    if colour == "density":
        known = values[values > 0]
        low, high = np.quantile(known, _ENDS).tolist() if known.size else (0.0, 0.0)
        ticks = [f"≤ {short(low)}", short(float(np.sqrt(low * high))), f"≥ {short(high)}"]
        words = "share of tokens on which it is active, log scale"
    elif colour == "effect":
        low, high = 0.0, 100.0
        ticks = ["0", "50", "100"]
        words = (
            f"% of its own random draws ({draws_each(points.draws)}) with less KL when switched off"
        )
    else:
        low, high = 0.0, 1.0
        ticks = ["0%", "50%", "100%"]
        words = "largest share of its activation on one token"
    n_known = int(np.isfinite(values).sum())
    missing = len(points) - n_known
    return {
        "kind": "scale",
        "array": colour,
        "low": low,
        "high": high,
        "log": colour == "density",
        "ticks": ticks,
        "words": f"{words} · {n_known:,} feature{'' if n_known == 1 else 's'}",
        "missing": f"{_MISSING[colour]}: {missing:,}" if missing else "",
    }


def _clusters(points: Points) -> dict[str, Any]:
    n_none = int((points.cluster < 0).sum())
    clusters, named = points.clusters, coloured(points.clusters)
    entries = [
        {"cluster": at, "text": cluster_name(clusters[at])} | {"n": f"{clusters[at].n_features:,}"}
        for at in named
    ]
    if more := len(clusters) - len(named):
        n_more = sum(one.n_features for at, one in enumerate(clusters) if at not in named)
        entries.append({"cluster": -1, "text": f"and {more:,} more, grey", "n": f"{n_more:,}"})
    return {
        "kind": "classes",
        "entries": entries,
        "words": "",
        "missing": f"in no cluster: {n_none:,}" if n_none else "",
    }


def _verdicts(verdict: np.ndarray) -> dict[str, Any]:
    counts = np.bincount(verdict, minlength=len(VERDICTS))
    entries = [
        {"verdict": code, "mark": mark, "text": verdict.value, "n": f"{counts[code]:,}"}
        for code, (verdict, mark) in enumerate(MARKS.items(), start=1)
    ]
    none = f"no verdict: {counts[0]:,}" if counts[0] else ""
    return {"kind": "classes", "entries": entries, "words": "", "missing": none}
