"""Tables as CSV that a spreadsheet takes for data and never for formulas. Pure."""

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

from featurestore.records import Band, FeatureSummary

_DANGEROUS = tuple("=+-@\t\r\n|%＝＋－＠'")
_SKIPPED = " \ufeff\u00a0"

FEATURE_COLUMNS = (
    "feature",
    "n_active",
    "n_nonfinite",
    "density",
    "max_activation",
    "mean_activation",
    "decoder_norm",
    "logit_kurtosis",
)
EXAMPLE_COLUMNS = ("sampler", "band", "low", "high", "n_band", "context", "document", "start")


def safe(cell: str) -> str:
    """Text that no spreadsheet evaluates: one `'` before whatever could start a formula.

    Whoever reads the file back takes off exactly one leading `'`.
    """
    inner = cell.lstrip(_SKIPPED)
    return f"'{cell}" if cell.startswith(_DANGEROUS) or inner.startswith(_DANGEROUS) else cell


def features_csv(rows: Iterable[FeatureSummary]) -> bytes:
    """The rows of a list of features; tokens as JSON arrays, so that any token survives."""
    header = [*FEATURE_COLUMNS, "promoted", "peak_tokens", "histogram"]
    lines = (
        [
            *(getattr(row, column) for column in FEATURE_COLUMNS),
            as_json(row.promoted),
            as_json(row.peak_tokens),
            as_json(row.histogram),
        ]
        for row in rows
    )
    return table_csv(header, lines)


def examples_csv(feature: int, bands: Iterable[Band]) -> bytes:
    """The contexts of a feature, one per line, with their activations."""
    header = [
        "feature",
        *EXAMPLE_COLUMNS,
        "peak",
        "activation",
        "peak_token",
        "text",
        "activations",
    ]
    lines = (
        [
            feature,
            *(getattr(band, column) for column in EXAMPLE_COLUMNS[:5]),
            *(getattr(example, column) for column in EXAMPLE_COLUMNS[5:]),
            example.peak,
            example.activation,
            example.tokens[example.peak],
            "".join(example.tokens),
            as_json(example.activations),
        ]
        for band in bands
        for example in band.examples
    )
    return table_csv(header, lines)


def table_csv(header: list[str], lines: Iterable[list[Any]]) -> bytes:
    """A table as CSV in UTF-8 with BOM, every text safe."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(header)
    for line in lines:
        writer.writerow([safe(cell) if isinstance(cell, str) else cell for cell in line])
    return text.getvalue().encode("utf-8-sig", errors="replace")


def as_json(value: object) -> str:
    """What has no place in one cell otherwise."""
    return json.dumps(value, ensure_ascii=False)
