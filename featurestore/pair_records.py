"""What a store says of two dictionaries that were compared: records like those of `records`."""

from dataclasses import dataclass
from typing import Literal

HIGH = 0.9
"""A feature whose largest cosine is above this has a counterpart in the other dictionary."""

MatchSort = Literal["cosine", "correlation", "jaccard", "n_both", "feature"]

MatchKind = Literal["nearest", "matched", "unmatched"]
"""Every feature with its nearest; those that are matched, with their match; those that are not,
with their nearest."""


@dataclass(frozen=True)
class Side:
    """One of two dictionaries that were compared."""

    dictionary_id: str
    run_id: str
    hook_name: str
    """Hook point that its directions are written to."""
    n_features: int
    n: int
    """Directions that have a length: n of all that follows."""
    mmcs: float | None
    """Mean of the largest cosine with the other side; None for n of 0, as what follows."""
    share_above: float | None
    """Of these, those whose largest cosine is above HIGH."""
    floor: float | None
    """What the largest cosine would be by chance: with as many random directions."""
    histogram: tuple[int, ...]
    """Counts of largest cosines in equal bins from -1 to 1."""


@dataclass(frozen=True)
class PairInfo:
    """Two dictionaries that were compared; `a` is the one whose id sorts first."""

    a: Side
    b: Side
    d_out: int
    is_same_model: bool
    is_absolute: bool
    """Whether a direction and its opposite count as the same; then cosines are absolute values."""
    method: Literal["assignment", "mutual"]
    n_matched: int
    mean_matched: float | None
    n_tokens: int | None
    """Tokens that activations were compared on; None if they were not."""
    built_at: str
    path: str

    def side(self, dictionary_id: str) -> Side:
        """The side of one of the two."""
        return self.a if self.a.dictionary_id == dictionary_id else self.b


@dataclass(frozen=True)
class PairCatalogue:
    """All pairs of dictionaries that a store holds, as both are now."""

    pairs: tuple[PairInfo, ...]
    problems: tuple[str, ...]
    """Files that cannot be read: what is wrong, in a sentence that names file and cure."""


@dataclass(frozen=True)
class Match:
    """A feature beside one of the other dictionary."""

    feature: int
    rank: int | None
    """Place by cosine among the other's features, 0 first; None beyond the third: for its match, or
    the feature of its own number in a dictionary of the same family and size."""
    other: int | None
    """None if the feature's direction has no length."""
    cosine: float | None
    is_matched: bool
    """Whether the two are matched one to one."""
    n_both: int | None
    """Valid tokens on which both are active; None if activations were not compared."""
    jaccard: float | None
    correlation: float | None


@dataclass(frozen=True)
class MatchPage:
    """A page of a list of matches."""

    rows: tuple[Match, ...]
    n_kept: int
