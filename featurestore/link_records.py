"""What a store says of links from a dictionary to a later one: records like those of `records`."""

from dataclasses import dataclass
from typing import Literal, get_args

SAME_ABOVE = 0.9
"""Two features whose directions have a larger cosine are one feature, carried on by the stream."""

Side = Literal["upstream", "downstream"]
SIDES: tuple[Side, ...] = get_args(Side)

Reading = Literal["stream", "layer norm", "RMS norm"]
"""Where a dictionary reads: the residual stream, or what a normalisation makes of it."""


@dataclass(frozen=True)
class End:
    """One of the two dictionaries that are linked."""

    dictionary_id: str
    run_id: str
    hook_name: str
    """Where it writes, if it is the one upstream; where it reads, if it is the other."""
    place: int
    """Of this hook point along the residual stream: rises from the embedding on."""
    n_features: int
    n: int
    """Its directions, or readers, that have a length."""
    median: float | None
    """Over its features with a link, of the largest cosine, either way, among their links."""
    floor: float | None
    """What its features' largest cosine, either way, would be by chance: with as many random
    vectors as the other has with a length."""


@dataclass(frozen=True)
class LinkInfo:
    """A dictionary that writes into the residual stream, and one that reads further on."""

    upstream: End
    downstream: End
    d_model: int
    reading: Reading
    is_scaled: bool
    """Whether a factor of each token is left out of the weights: of a norm, or of a dictionary that
    standardises."""
    is_absolute: bool
    """Whether a direction and its opposite count as the same; then cosines of directions are
    absolute values."""
    n_same: int
    """Features downstream that one of their links is the same feature as."""
    n_tokens: int | None
    """Tokens that activations were compared on; None if they were not."""
    why_not: str | None
    """Why not, in a sentence; None if they were."""
    built_at: str
    path: str


@dataclass(frozen=True)
class Link:
    """A feature of another dictionary that feeds a feature, or that it feeds."""

    rank: int
    """Place by the weight's size, 0 first."""
    other: int
    """The other dictionary's feature."""
    weight: float
    """What one unit of the activation upstream adds to what the feature downstream reads, before
    its bias and nonlinearity."""
    cosine: float
    """Of the direction upstream with the reader downstream."""
    direction_cosine: float | None
    """Of the two directions; None if the one downstream has no length or is none of the stream."""
    is_same: bool
    """Whether this is above SAME_ABOVE and the one downstream writes where it reads."""
    n_both: int | None
    """Valid tokens on which both are active; None if activations were not compared."""
    mean_weighted: float | None
    """Mean over these of activation upstream times weight; None if there are none."""
    correlation: float | None


@dataclass(frozen=True)
class LinkTable:
    """The links of one feature with one other dictionary, the strongest first."""

    info: LinkInfo
    side: Side
    """Which of the two the feature is of."""
    links: tuple[Link, ...]

    @property
    def own(self) -> End:
        """The feature's dictionary."""
        return self.info.upstream if self.side == "upstream" else self.info.downstream

    @property
    def other(self) -> End:
        """The dictionary that it is linked with."""
        return self.info.downstream if self.side == "upstream" else self.info.upstream


@dataclass(frozen=True)
class Links:
    """All links of one feature, by place along the stream."""

    fed_by: tuple[LinkTable, ...]
    feeds: tuple[LinkTable, ...]
    problems: tuple[str, ...]
    """Files that cannot be read: what is wrong, in a sentence that names file and cure."""


@dataclass(frozen=True)
class LinkCatalogue:
    """Every two dictionaries that a store has links between, as both are now."""

    links: tuple[LinkInfo, ...]
    problems: tuple[str, ...]
