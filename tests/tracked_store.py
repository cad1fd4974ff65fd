"""Three checkpoints of five features whose fate is known, compared with each other.

feature   0 stays   1 is learned, then lost   2 drifts   3 turns at every step
          4 has no direction at first
"""

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from featurestore.matching.assignment import match
from featurestore.matching.similarity import Similarity
from featurestore.matching.table import side_rows
from featurestore.pair_file import PairFile
from featurestore.small_file import write_whole
from tests.small_store import ROWS, publish
from tests.test_pair_file import PAIR, SIDE

STEPS = {"t1": 100, "t2": 200, "t3": 300}
COSINES = {1: (0.95, 0.5), 2: (0.95, 0.95), 3: (0.8, 0.8)}
"""Of a feature with itself at the next step, as far as it turns."""


def directions() -> dict[str, np.ndarray]:
    """Every checkpoint's; each feature turns in a plane of its own."""
    found = np.zeros((3, 5, 8), dtype=np.float32)
    found[:, 0, 0] = found[1:, 4, 4] = 1
    for feature, cosines in COSINES.items():
        angle = np.cumsum([0, *np.arccos(cosines)])
        found[:, feature, feature] = np.cos(angle)
        found[:, feature, {1: 5, 2: 6, 3: 7}[feature]] = np.sin(angle)
    return dict(zip(STEPS, found, strict=True))


def features() -> list[dict[str, Any]]:
    """Those of the small store as a build writes them: no tokens without their logits."""
    partial = {"promoted", "suppressed"}
    return [
        {k: v for k, v in row.items() if k not in partial or f"{k}_logits" in row}
        for row in ROWS["features"]
    ]


def compare(
    folder: Path, names: tuple[str, str], vectors: dict[str, np.ndarray], has_tokens: bool = True
) -> Path:
    """Write the file of two dictionaries; a correlation is half the cosine."""
    a, b = sorted(names)
    similarity = Similarity(vectors[a], vectors[b], False)
    nearest, matching = match(similarity)
    same = None
    if len(vectors[a]) == len(vectors[b]):
        number = np.arange(len(vectors[a]))
        same = similarity.cosines(number, number)
    rows = pa.concat_tables([side_rows(side, nearest[side], matching, same) for side in nearest])
    if has_tokens:
        rows = rows.append_column("correlation", pa.array(rows["cosine"].to_numpy() / 2))
    sides = {
        side: SIDE
        | {"dictionary_id": name, "run_id": f"run-{name}"}
        | {"n_features": len(vectors[name])}
        for side, name in (("a", a), ("b", b))
    }
    (folder / "work").mkdir(exist_ok=True)
    path = folder / "pairs" / f"run-{a}--run-{b}.duckdb"
    facts = PAIR | sides | {"n_tokens": 100 if has_tokens else None}
    write_whole(PairFile, path, folder / "work", facts, rows)
    return path


def write_tracked(folder: Path, has_activity: bool = True) -> Path:
    """Write the family, every two of it compared; their activations too, if it says so."""
    for name, step in STEPS.items():
        publish(folder, name, f"run-{name}", family="run", step=step, features=features())
    for names in combinations(STEPS, 2):
        compare(folder, names, directions(), has_activity)
    return folder
