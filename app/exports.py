"""What the pages of a dictionary and of a feature show, as CSV files. Pure."""

from collections.abc import Iterable

from featurestore.records import Band, FeatureSummary
from featurestore.spreadsheet import as_json, table_csv

FEATURE_COLUMNS = (
    "feature",
    "n_active",
    "n_nonfinite",
    "density",
    "max_activation",
    "mean_activation",
    "decoder_norm",
    "logit_kurtosis",
    "ablation_kl",
    "control_kl",
    "kl_percentile",
    "n_effects",
    "n_controls",
    "nearest_cos",
    "cluster",
    "token_share",
    "dim_share",
    "n_matching",
    "n_searched",
)
EXAMPLE_COLUMNS = ("sampler", "band", "low", "high", "n_band", "context", "document", "start")


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
    return table_csv(header, lines, names=("document",))
