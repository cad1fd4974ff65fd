"""What the pages of a dictionary and of a feature show, as CSV files. Pure."""

from collections.abc import Iterable, Mapping

from featurestore.annotations.records import Content, Explanation
from featurestore.records import Band, FeatureSummary
from featurestore.spreadsheet import as_json, table_csv

Said = Mapping[int, Content]
"""What people say of each feature that has an annotation."""

Explained = Mapping[int, tuple[Explanation, ...]]
"""What programs say of each feature, the label that lists show first."""

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
LABEL_COLUMNS = ("verdict", "label", "explanation")
FEATURES_HEADER = (*FEATURE_COLUMNS, "promoted", "peak_tokens", "histogram", *LABEL_COLUMNS)
EXAMPLE_COLUMNS = ("sampler", "band", "low", "high", "n_band", "context", "document", "start")


def features_csv(rows: Iterable[FeatureSummary], said: Said, explained: Explained) -> bytes:
    """The rows of a list of features; tokens as JSON arrays, so that any token survives."""
    lines = (
        [
            *(getattr(row, column) for column in FEATURE_COLUMNS),
            as_json(row.promoted),
            as_json(row.peak_tokens),
            as_json(row.histogram),
            *label_cells(said.get(row.feature), explained.get(row.feature, ())),
        ]
        for row in rows
    )
    return table_csv(FEATURES_HEADER, lines)


def label_cells(
    content: Content | None, explanations: Iterable[Explanation]
) -> tuple[str, str, str]:
    """What people say, and the label of a program that the list shows where they say nothing."""
    explanation = next((one.label for one in explanations), "")
    if content is None:
        return "", "", explanation
    return content.verdict.value if content.verdict else "", content.label, explanation


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
