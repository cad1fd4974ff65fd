"""Dictionaries in the order of training, and one feature at each of them.

Every two were compared by `match`; what was not is left open.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from featurestore.errors import DamagedStore, MatchError, NotCompared
from featurestore.records import DictionaryInfo
from featurestore.track_records import MATCH, Beside, BothWays, Checkpoints, Stage, TrackMode

PERSIST_ABOVE = 0.5
"""Numbers persist if more than this share of features is nearest to its own number."""


def training_order(infos: Iterable[DictionaryInfo]) -> tuple[DictionaryInfo, ...]:
    """By step of the dictionary, then of the model; those without come first, equal ones by id."""
    return tuple(
        sorted(infos, key=lambda i: (_or_first(i.step), _or_first(i.model_step), i.dictionary_id))
    )


def spread(n: int, most: int, around: int | None = None) -> tuple[int, ...]:
    """Places of at most `most` of n steps, evenly: with the first, the last, and those `around`.

    `most` is 5 or more.
    """
    if n <= most:
        return tuple(range(n))
    kept = {0, n - 1}
    if around is not None:
        kept |= {max(around - 1, 0), around, min(around + 1, n - 1)}
    for n_even in range(most, 1, -1):
        places = kept | {round(i * (n - 1) / (n_even - 1)) for i in range(n_even)}
        if len(places) <= most:
            break
    return tuple(sorted(places))


def step_names(infos: Sequence[DictionaryInfo]) -> tuple[str, tuple[str, ...]]:
    """What a step is called, and each one's own: the shortest that tells them apart."""
    for word, field in (("step", "step"), ("model step", "model_step")):
        steps = [getattr(info, field) for info in infos]
        if None not in steps and len(set(steps)) == len(steps):
            return word, tuple(f"{step:,}" for step in steps)
    return "dictionary", tuple(info.dictionary_id for info in infos)


def read_checkpoints(
    infos: Sequence[DictionaryInfo], beside: Callable[[DictionaryInfo, DictionaryInfo], BothWays]
) -> Checkpoints:
    """Dictionaries in the order given; `beside` raises as `StoredPairs.beside`."""
    missing: dict[tuple[str, str], None] = {}
    problems: dict[str, None] = {}

    def ask(one: DictionaryInfo, other: DictionaryInfo) -> BothWays | None:
        try:
            return beside(one, other)
        except NotCompared:
            missing[one.dictionary_id, other.dictionary_id] = None
        except (DamagedStore, MatchError) as error:
            problems[str(error)] = None
        return None

    onward = tuple(ask(one, other) for one, other in zip(infos, infos[1:], strict=False))
    final = tuple(ask(one, infos[-1]) for one in infos[:-2])
    return Checkpoints(
        tuple(info.dictionary_id for info in infos),
        tuple(info.n_features for info in infos),
        onward,
        (*final, *onward[-1:]),
        tuple(missing),
        tuple(problems),
    )


def can_follow_numbers(infos: Sequence[DictionaryInfo]) -> bool:
    """Whether a number may mean the same feature in all: one family, one size."""
    return len({(info.family, info.n_features) for info in infos}) == 1 and bool(infos[0].family)


def share_nearest_own(pair: BothWays) -> float:
    """Of the first's features, those whose nearest in the second has their number; NaN of none."""
    nearest = pair[0].other[:, 0]
    exists = nearest >= 0
    if not exists.any():
        return float("nan")
    return float((nearest == np.arange(len(nearest)))[exists].mean())


def numbers_persist(pairs: Iterable[BothWays | None]) -> bool:
    """Whether, in every pair that was compared, most features are nearest to their own number."""
    shares = [share_nearest_own(pair) for pair in pairs if pair is not None]
    known = [share for share in shares if not np.isnan(share)]
    return bool(known) and min(known) > PERSIST_ABOVE


def stages(
    place: int,
    feature: int,
    besides: Sequence[Beside | None],
    mode: TrackMode,
    members: Sequence[int] = (),
) -> tuple[Stage, ...]:
    """A feature of the dictionary at `place`, found at every step.

    Args:
        besides: that dictionary beside each; the entry at `place` is not looked at.
        members: numbers of the track that it is on, -1 where that is not; else its match is taken.
    """
    found = []
    for step, beside in enumerate(besides):
        member = members[step] if len(members) and members[step] >= 0 else None
        if step == place:
            found.append(Stage(feature, "itself", None, None))
        elif mode == "number":
            found.append(_stage(beside, feature, feature, "number"))
        elif member is not None:
            found.append(_stage(beside, feature, int(member), "track"))
        else:
            match = int(beside.other[feature, MATCH]) if beside is not None else -1
            found.append(_stage(beside, feature, match, "match"))
    return tuple(found)


def _stage(beside: Beside | None, feature: int, number: int, how: str) -> Stage:
    if beside is None:
        return Stage(None if how == "match" else number, "missing", None, None)
    if number < 0:
        return Stage(None, how, None, None)
    columns = np.flatnonzero(beside.other[feature] == number)
    if not len(columns):  # none of the pairs that were stored
        return Stage(number, how, None, None)
    values = (beside.values(name)[feature, columns[0]] for name in ("cosine", "correlation"))
    return Stage(number, how, *(None if np.isnan(one) else float(one) for one in values))


def _or_first(step: int | None) -> int:
    return -1 if step is None else step
