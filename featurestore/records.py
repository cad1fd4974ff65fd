"""What the store answers with: plain frozen records, free of DuckDB, torch and Streamlit.

Tokens are given as text, already decoded, and may hold anything: whoever shows one escapes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from featurestore.detail_records import Ablation, DecoderWeights, Place, TokenMeasures

Sampler = Literal["top", "interval", "quantile", "random", "zero"]
"""How examples were drawn: highest; by equal-width interval; by equal-count rank; among all active
tokens; among all inactive tokens."""


@dataclass(frozen=True)
class DictionaryInfo:
    """A dictionary of the store and the run that built its file: the manifest's columns."""

    dictionary_id: str
    run_id: str
    kind: str
    family: str | None
    step: int | None
    model_name: str
    model_step: int | None
    hook_name: str
    hook_name_out: str
    d_in: int
    d_out: int
    n_features: int
    context_length: int
    n_contexts: int
    n_tokens: int
    token_mask: str
    corpus_name: str
    seed: int
    dtype: str
    dtype_change: dict[str, float] | None
    built_at: str
    git_commit: str | None
    recipe: dict
    digests: dict[str, str]
    versions: dict[str, str]
    tables: dict[str, dict]
    path: str

    @property
    def content(self) -> str:
        """Digest of the weights, which annotations are kept by; empty if the build gave none."""
        return self.digests.get("dictionary", "")

    @property
    def has_bos(self) -> bool:
        """Whether its contexts open with a BOS that was put there."""
        return self.recipe["corpus"]["prepend_bos"]

    @property
    def is_transcoder(self) -> bool:
        """Whether it writes at another hook point than it reads."""
        return self.hook_name_out != self.hook_name


@dataclass(frozen=True)
class Problem:
    """A file of the store that cannot be served, and why, in a sentence that names the cure."""

    path: str
    dictionary_id: str
    reason: str


@dataclass(frozen=True)
class Catalogue:
    """All that a store holds."""

    dictionaries: tuple[DictionaryInfo, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class LensToken:
    """A token and the logit that a direction gives it."""

    token: str
    logit: float


@dataclass(frozen=True)
class Histogram:
    """Counts in equal bins from low to high."""

    low: float
    high: float
    counts: tuple[int, ...]


@dataclass(frozen=True)
class FeatureSummary:
    """A row of the table of features. Numbers that a dead feature cannot have are None."""

    feature: int
    n_active: int
    n_nonfinite: int
    density: float
    max_activation: float | None
    mean_activation: float | None
    decoder_norm: float
    promoted: tuple[str, ...]
    peak_tokens: tuple[tuple[str, int], ...]
    """Tokens at the peaks of the top contexts, with how many of these peak on each."""
    histogram: tuple[int, ...]
    logit_kurtosis: float | None
    ablation_kl: float | None
    control_kl: float | None
    kl_percentile: float | None
    n_effects: int | None
    """Active tokens that the KL is a mean over; None where nothing was ablated."""
    n_controls: int | None
    nearest_cos: float | None
    cluster: int | None
    token_share: float | None
    dim_share: float | None
    n_matching: int | None = None
    """Of `n_searched` contexts of the feature, those with the text; None if none were searched."""
    n_searched: int | None = None

    @property
    def is_dead(self) -> bool:
        """Never active on this corpus."""
        return self.n_active == 0


@dataclass(frozen=True)
class Feature:
    """All that a feature's page says beside its contexts."""

    feature: int
    n_active: int
    n_nonfinite: int
    density: float
    max_activation: float | None
    min_activation: float | None
    mean_activation: float | None
    std_activation: float | None
    skewness: float | None
    kurtosis: float | None
    histogram: Histogram | None
    n_contexts_active: int
    peak_tokens: tuple[tuple[str, int], ...]
    decoder_norm: float
    promoted: tuple[LensToken, ...]
    suppressed: tuple[LensToken, ...]
    logit_std: float | None
    logit_kurtosis: float | None
    logit_histogram: Histogram | None
    nearest_cos: float | None
    """Largest cosine with another direction."""
    ablation: Ablation
    token_measures: TokenMeasures
    decoder_weights: DecoderWeights
    place: Place | None
    """None for a feature that is dead or without length, or a dictionary without a map."""

    @property
    def is_dead(self) -> bool:
        """Never active on this corpus."""
        return self.n_active == 0


@dataclass(frozen=True)
class Example:
    """A context with the activations of one feature on it."""

    context: int
    document: str
    start: int
    """The first token's place in the document, in tokens."""
    tokens: tuple[str, ...]
    token_ids: tuple[int, ...]
    peak: int
    """The position that was sampled."""
    activation: float
    """The exact activation at the peak."""
    activations: dict[int, float]
    """Position to activation, non-zero ones alone, to 1/127 of the context's largest."""


@dataclass(frozen=True)
class Band:
    """Activations between two bounds, and the examples sampled from it."""

    sampler: Sampler
    band: int
    low: float | None
    high: float | None
    n_band: int
    examples: tuple[Example, ...]

    @property
    def n_sampled(self) -> int:
        """Number of examples."""
        return len(self.examples)


class Flag(StrEnum):
    """A property that the table of features can be filtered by."""

    DEAD = "dead"
    DENSE = "dense"
    NONFINITE = "nonfinite"
    ONE_DIMENSION = "one dimension"
    ONE_TOKEN = "one token"


DENSE_ABOVE = 0.1
"""A feature active on more than this share of tokens is called dense."""

ONE_DIMENSION_ABOVE = 0.5
"""A direction with more than this share of its squared length on one dimension of the model."""

ONE_TOKEN_ABOVE, ONE_TOKEN_FROM = 0.5, 20
"""A feature with more than this share of its activation on one token of the vocabulary, if it is
active on so many tokens of the corpus or more: of a single one, all is on one."""

TokenRole = Literal["promotes", "suppresses", "peaks on"]

TextPlace = Literal["contexts", "sampled", "documents", "annotations", "explanations"]
"""Where a text is looked for: in a feature's top contexts; in those of a sample of all its active
tokens; in the names of the documents that this sample is from; or in what was said of it by people
or by programs."""

CONTEXT_PLACES: tuple[TextPlace, ...] = ("contexts", "sampled", "documents")
"""Those where contexts count, so that a match is so many of so many."""

FoundPlace = Literal[
    "promotes",
    "suppresses",
    "peaks on",
    "context",
    "document",
    "label",
    "note",
    "tag",
    "explanation",
]

NUMERIC_COLUMNS = (
    "feature",
    "density",
    "n_active",
    "max_activation",
    "mean_activation",
    "std_activation",
    "skewness",
    "kurtosis",
    "decoder_norm",
    "logit_std",
    "logit_kurtosis",
    "ablation_kl",
    "kl_percentile",
    "loss_effect",
    "nearest_cos",
    "cluster",
    "token_share",
    "token_entropy",
    "n_unigrams",
    "unigram_cos",
    "dim_share",
    "reader_bias",
    "reader_cos",
)
"""Columns of `features` that a list can be sorted and filtered by."""

SORTS = (*NUMERIC_COLUMNS, "match", "random")
"""Orders of a list. By "match": the largest logit of the token, how many top contexts peak on it,
or how many hold the text. "random" is a shuffle that a query's seed decides."""


@dataclass(frozen=True)
class FeatureQuery:
    """Which features of a dictionary, in which order. Hashable; it is all that a URL must say."""

    dictionary_id: str
    ranges: tuple[tuple[str, float | None, float | None], ...] = ()
    """(column, at least, at most) with a column of NUMERIC_COLUMNS; None leaves a side open."""
    flags: frozenset[Flag] = field(default_factory=frozenset)
    """Keep only features with all of these; without DEAD among them, dead ones are left out."""
    include_dead: bool = False
    token: str = ""
    """Text of a token to look for; empty for none. Surrounding spaces count only between quotes."""
    role: TokenRole = "promotes"
    """What the token must be to the feature."""
    sort: str = "density"
    """One of SORTS."""
    descending: bool = True
    text: str = ""
    """Text to look for; empty for none. It may stand anywhere, and case does not count; between
    double quotes it does."""
    within: TextPlace = "contexts"
    is_regex: bool = False
    """Whether the text is a regular expression, as RE2 reads it: case counts unless (?i)."""
    at_least: int = 1
    """Where contexts are searched: keep features of which at least so many match."""
    verdicts: frozenset[str] = field(default_factory=frozenset)
    """Keep features with any of these verdicts (NO_VERDICT for none); all if empty."""
    seed: int = 0
    """Which shuffle, if sorted by "random"."""
    among: tuple[int, ...] = ()
    """Only these features, rising; all if empty."""


LONGEST_MATCH = 120
"""In characters; what is left of a longer one is not shown."""


@dataclass(frozen=True)
class Found:
    """Why a feature is in a list: a token, or a text with some of what stands around it."""

    place: FoundPlace
    before: str
    match: str
    """The token's text; or what matched, its first LONGEST_MATCH characters."""
    after: str
    value: float | None = None
    """Logit of a promoted or suppressed token; number of top contexts that peak on a token."""
    context: int | None = None
    """The context that holds the text."""


@dataclass(frozen=True)
class FeaturePage:
    """A page of the list that a query keeps."""

    rows: tuple[FeatureSummary, ...]
    n_kept: int
    n_features: int
    matched_tokens: tuple[str, ...]
    """The vocabulary's tokens that the query's token stands for; empty without a token."""
    found: Mapping[int, tuple[Found, ...]] = field(default_factory=dict)
    """Of the page's features, the first few reasons: tokens, then texts. Empty without either."""
    silent: tuple[int, int] | None = None
    """What `n_matching` and `n_searched` would be by chance: of the different tokens drawn where
    features are silent, those in such contexts, and their number. None if no contexts were
    searched."""


@dataclass(frozen=True)
class FeatureMark:
    """What ranks a feature on another text than the corpus."""

    feature: int
    density: float
    max_activation: float | None


@dataclass(frozen=True)
class StoredContext:
    """A context of the corpus that some feature refers to."""

    context: int
    document: str
    start: int
    """The first token's place in the document, in tokens."""
    tokens: tuple[str, ...]
    token_ids: tuple[int, ...]


@dataclass(frozen=True)
class StoredActivations:
    """All that the store holds of one feature's activations on one context."""

    feature: int
    scale: float
    """Largest |activation|; the others are right to 1/254 of it."""
    activations: dict[int, float]
    """Position to activation, non-zero ones alone."""
    exact: frozenset[int]
    """Positions whose activation is stored as it was."""


@dataclass(frozen=True)
class ListPlace:
    """Where a feature stands in the list that a query keeps.

    What is said of a feature may change while somebody looks at it. One that is left out by that
    alone (a verdict, a text of annotations or explanations) has the neighbours that it would have
    in the list, so that Next goes on from where it stood. One that is left out by anything else has
    nothing before it and the whole list after it.
    """

    place: int | None
    """From 0; None when the query leaves the feature out."""
    n_kept: int
    """Without the feature, if it is left out."""
    previous: int | None
    next: int | None
