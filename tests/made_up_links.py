"""Files of links, written by hand: from an early place of the stream to a later one."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from featurestore.links import LinkFile
from featurestore.small_file import write_whole

COLUMNS = (
    *("side", "feature", "rank", "other", "weight", "cosine", "direction_cosine", "is_same"),
    *("n_both", "mean_weighted", "correlation"),
)
ROWS = [
    ("upstream", 0, 0, 2, -3.5, -0.5, -0.25, False, 0, None, None),
    ("upstream", 0, 1, 1, 2.0, 0.75, 0.95, True, 40, 1.5, 0.5),
    ("downstream", 1, 0, 0, 2.0, 0.75, 0.95, True, 40, 1.5, 0.5),
]
END = {"n_features": 5, "n": 4, "median": 0.5, "floor": 0.25}


def write_links(
    store: Path,
    upstream: tuple[str, str],
    downstream: tuple[str, str],
    rows: list[tuple] = ROWS,
    place: int = 12,
    **changes: object,
) -> Path:
    """Links between two dictionaries, each an id and a run; `place` is of the one upstream."""
    ends: dict[str, Any] = {}
    for side, (name, run_id), step in (
        ("upstream", upstream, place),
        ("downstream", downstream, 24),
    ):
        said = {"dictionary_id": name, "run_id": run_id, "place": step}
        ends[side] = END | said | {"hook_name": f"blocks.{step // 6 - 1}.hook_resid_post"}
    link = ends | {
        "d_model": 4,
        "reading": "stream",
        "is_scaled": False,
        "is_absolute": False,
        "n_same": 1,
        "n_tokens": 100,
        "why_not": None,
        "built_at": "2026-01-01T00:00:00+00:00",
    }
    path = store / "links" / f"{upstream[1]}--{downstream[1]}.duckdb"
    (store / "work").mkdir(exist_ok=True)
    table = pa.Table.from_pylist([dict(zip(COLUMNS, row, strict=True)) for row in rows])
    write_whole(LinkFile, path, store / "work", link | changes, table)
    return path
