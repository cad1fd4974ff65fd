"""What a feature does, what is near it and where it stands: records like those of `records`.

What cannot be known (a feature that is dead, never has a next token, has no length) is None.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class TokenEffect:
    """A next token, and what becomes of it when the feature is switched off."""

    token: str
    effect: float
    """Mean log p clean less ablated, in nats: above 0 the feature promotes it."""
    se: float | None
    """Standard error of the mean."""
    probability: float
    """Mean probability, clean."""


@dataclass(frozen=True)
class Ablation:
    """What switching a feature off does to the next token: means over `n_effects` active tokens."""

    n_ablated: int
    """Contexts on which it was switched off."""
    n_effects: int
    n_controls: int
    """Ablations by random directions of the same norms: contexts times draws."""
    kl: float | None
    """KL(clean || ablated), in nats."""
    kl_se: float | None
    control_kl: float | None
    kl_percentile: float | None
    """Percentage of controls with less KL on the same context."""
    loss_effect: float | None
    """Loss ablated less clean, in nats: above 0 the feature helps."""
    loss_effect_se: float | None
    falls: tuple[TokenEffect, ...]
    """Tokens that lose most of their log-probability."""
    rises: tuple[TokenEffect, ...]


@dataclass(frozen=True)
class AblatedContext:
    """One context on which a feature was switched off wherever it is active."""

    rank: int
    sampler: str
    """Which example it is: top or interval."""
    band: int
    context: int
    n_effects: int
    kl: float | None
    control_kl: float | None
    effects: dict[int, float]
    """Position to log p clean less ablated of the token after it, to 1/127 of the largest."""


@dataclass(frozen=True)
class Dependence:
    """How the activation at a peak changes when an earlier token is deleted."""

    context: int
    tokens: tuple[str, ...]
    """Of the whole context."""
    peak: int
    activation: float
    changes: dict[int, float]
    """Deleted position to activation without it less with it: below 0 it supports the feature."""


@dataclass(frozen=True)
class Neighbour:
    """Another feature of the dictionary, near by direction or active on the same tokens."""

    feature: int
    is_dead: bool
    promoted: tuple[str, ...]
    cosine: float | None
    n_both: int
    """Valid tokens on which both are active."""
    jaccard: float | None
    pmi: float | None
    """log(n_tokens n_both / (n_active n_active)), in nats."""
    conditional: float | None
    """n_both / n_active of the feature whose neighbour it is."""
    correlation: float | None


@dataclass(frozen=True)
class Neighbours:
    """Both kinds, the nearest first."""

    by_cosine: tuple[Neighbour, ...]
    by_coactivation: tuple[Neighbour, ...]


@dataclass(frozen=True)
class NearToken:
    """A token and a number that ties a feature to it: an activation, a cosine or a share."""

    token: str
    value: float


@dataclass(frozen=True)
class TokenMeasures:
    """How far a feature is one of single tokens."""

    share: NearToken | None
    """The token on which most of the activation falls, and its share."""
    entropy: float | None
    """Of these shares, in nats."""
    n_unigrams: int | None
    """Tokens on which alone, after BOS, it is active."""
    unigrams: tuple[NearToken, ...]
    """The strongest of them, with the activation."""
    unigram_cos: NearToken | None
    """The token whose hidden vector after BOS is nearest to the direction, means taken off."""
    unigram_cos_raw: float | None
    lookup_cos: NearToken | None
    """The nearest row of a tokenized SAE's lookup table."""
    embeddings: tuple[NearToken, ...]
    """The nearest token embeddings, with cosines, means taken off."""


@dataclass(frozen=True)
class DecoderWeights:
    """A direction by dimension of the model."""

    top: tuple[tuple[int, float], ...]
    """(dimension, weight), the largest |weight| first."""
    dim_share: float | None
    """Share of the squared length on the first of these."""
    reader_bias: float
    reader_cos: float | None
    """Cosine of reader and direction."""


@dataclass(frozen=True)
class Place:
    """Where a feature stands on the map."""

    x: float
    y: float
    cluster: int | None
    """None if it is in no cluster."""


@dataclass(frozen=True)
class Cluster:
    """Features that lie together on the map."""

    cluster: int
    n_features: int
    x: float
    y: float
    tokens: tuple[NearToken, ...]
    """Promoted tokens that tell it from the others, with the share of its features that do so."""


@dataclass(frozen=True)
class Measure:
    """A number about the whole dictionary, with the same of random directions."""

    value: float | None
    n: int
    control: float | None
    n_control: int | None


@dataclass(frozen=True)
class SubstitutedToken:
    """What is lost where a dictionary's vectors stand in for the model's, at one token."""

    token: str
    n: int
    """Times in the sample, with a next token."""
    kl: float
    """Mean KL(clean || replaced), in nats."""
    kl_se: float | None
    control_kl: float
    """The same for random directions as long as the dictionary's error."""
    n_corpus: int
    """Times in the whole corpus."""


@dataclass(frozen=True)
class MapPoint:
    """A feature on the map."""

    feature: int
    x: float
    y: float
    cluster: int | None
    density: float
    max_activation: float | None
    kl_percentile: float | None
    n_controls: int | None
    """Random directions that this is a percentage of."""
    ablation_kl: float | None
    token_share: float | None
    """None if it is active on too few tokens to tell."""
    promoted: tuple[str, ...]
    """The first few tokens that it promotes."""


@dataclass(frozen=True)
class FeatureMap:
    """All features that have a place, their clusters, and as many random directions."""

    points: tuple[MapPoint, ...]
    clusters: tuple[Cluster, ...]
    control: tuple[tuple[float, float, int | None], ...]
    """(x, y, cluster) of each random direction."""
    measures: dict[str, Measure]
