"""Tracks in words: headings, tips, what was not compared and how it is. Pure."""

import math
from collections.abc import Sequence

from app import markup
from app.numerals import NONE, exact, percent, short
from app.tracks.rows import Followed
from app.tracks.selection import By, Kept, TrackSelection
from featurestore.checkpoints import can_follow_numbers, share_nearest_own
from featurestore.errors import command
from featurestore.records import DictionaryInfo
from featurestore.track_records import Activity, Change, Spread, Stage

KEYS = (
    ("Tab", "to headings, which sort, and to tracks"),
    ("Enter", "sort, or open"),
    ("/", "to the page Search"),
    ("?", "this list"),
)

WHEN_BY_NUMBER = "By number: among dictionaries of one family and one size"
MODES = {"number": "by number", "match": "by match"}
MEASURES = {"cosine": "cosine", "correlation": "correlation"}
LISTS: dict[Kept, str] = {
    "all": "All",
    "born": "Born",
    "died": "Died",
    "lost": "Learned, then lost",
    "drifted": "Drifted",
}

WORDS = {
    "by number": "A feature is followed by its number, which it keeps within one training run "
    "unless it is drawn anew.",
    "by match": "A feature is followed to its match at the next step, one to one. For dictionaries "
    "that do not share numbers.",
    "likeness": "Cosine of the two directions; or correlation of the two activations over the same "
    "tokens, which holds where the model itself changes and with it what its dimensions mean.",
    "track": "A feature as long as it goes on: at every step its likeness to the next one is τ or "
    "more.",
    "born, died": "A track begins after the first step, or ends before the last, though both sides "
    "were compared. Features without the likeness (no length; for correlation: dead) are in no "
    "number. Of a cosine τ is an angle: 0.90 is 26°. What turned by more counts as died and as "
    "born anew; it need not be gone.",
    "drift": "1 − mean likeness of the features that went on.",
    "learned, then lost": "A likeness to the next step at or above the bound, and at a later step "
    "one below the other bound. A feature is followed for this whatever τ is, and counts once.",
    "drifted": "It goes on to the last step in small changes, yet that holds less of what it began "
    "as than the lower bound.",
    "held by the last": "Likeness to the feature of the same number at the last step; by match, to "
    "its match there, or its nearest if it has none.",
}
"""What the words on the page mean."""

HEADINGS: dict[By, tuple[str, str]] = {
    "feature": ("feature", "Its number at its last step"),
    "born": ("from", "The step at which it begins"),
    "until": ("until", "The step at which it ends"),
    "length": ("steps", "How many it is there for"),
    "least": ("least", "The lowest likeness of one step to the next"),
    "mean": ("mean", "The mean likeness of one step to the next"),
    "final": (
        "first–last",
        "How much of what it began as is in the last dictionary, its own last step or not",
    ),
    "density": ("density", "Share of tokens on which it is active, at its last step"),
}
STRIP = ("held by the last step", "At each step: how much of the feature the last step holds")
PEAKS = ("peaks on", "Tokens at the peaks of its top contexts, at its last step")


def summary(found: Followed) -> str:
    """How many steps, how features are followed, and what speaks for it."""
    sizes = sorted({info.n_features for info in found.infos})
    size = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
    word, names = found.steps
    _, listed = found.selection.among or ("", ())
    parts: list[str | tuple[str, str]] = [
        (f"{len(names)} steps" if word != "dictionary" else f"{len(names)} dictionaries", ""),
        (f"{size} features each{f', {len(listed):,} listed' if listed else ''}", ""),
    ]
    shares = [share_nearest_own(pair) for pair in found.checkpoints.onward if pair is not None]
    shares = [share for share in shares if share == share]
    if shares and can_follow_numbers(found.infos):
        tip = "Of each step's features, how many have the same number as their nearest at the next"
        low, high = percent(min(shares)), percent(max(shares))
        parts.append((f"nearest to their own number: {_span(low, high)}", tip))
    return markup.line(parts)


def _span(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def remarks(found: Followed, store: str) -> list[str]:
    """What must be known before the numbers are read: what is missing, why, and what to do."""
    infos, selection = found.infos, found.selection
    said = [*found.checkpoints.problems, missing(found, store)]
    if selection.mode == "number" and found.mode == "match":
        said.append(
            "Numbers cannot be followed: that needs dictionaries of one family and one size. "
            "Features are followed by match."
        )
    if selection.measure == "correlation":
        said.append(_no_correlation(found, store))
    elif len({info.digests.get("model") for info in infos}) > 1:
        said.append(
            "These were built on different checkpoints of a model. Its dimensions drift, so a low "
            "cosine may be a turned space and no new feature; correlation does not depend on that."
        )
    if len({info.hook_name_out for info in infos}) > 1:
        said.append("These write to different hook points: a cosine between them means little.")
    return [one for one in said if one]


def missing(found: Followed, store: str) -> str:
    """Which pairs were not compared, and the command; "" if all were."""
    pairs = found.checkpoints.missing
    if not pairs:
        return ""
    named = "; ".join(f"{one} and {other}" for one, other in pairs)
    return (
        f"Not compared, or not as they are now: {named}. Numbers across these gaps are left out. "
        f"Compare them:\n{_commands(found, pairs, store)}"
    )


def _commands(found: Followed, pairs: Sequence[tuple[str, str]], store: str) -> str:
    """What compares some pairs: one command for those of a family."""
    family = found.infos[0].family
    is_family = family and all(info.family == family for info in found.infos)
    what = [("--family", family)] if is_family else pairs
    activations = ("--activations",) if found.selection.measure == "correlation" else ()
    return "\n".join(command("match", *one, *activations, "--store", store) for one in what)


def _no_correlation(found: Followed, store: str) -> str:
    """Why some pairs have no correlation; "" if all have."""
    pairs = zip(found.infos, found.infos[1:], found.checkpoints.onward, strict=False)
    without = [
        (one, other)
        for one, other, pair in pairs
        if pair is not None and pair[0].correlation is None
    ]
    if not without:
        return ""
    named = "; ".join(f"{one.dictionary_id} and {other.dictionary_id}" for one, other in without)
    if any(_have_other_tokens(one, other) for one, other in without):
        return (
            f"No correlation of {named}: activations can be compared on the same tokens only, and "
            "these were built on other texts, or with other tokens left out."
        )
    ids = [(one.dictionary_id, other.dictionary_id) for one, other in without]
    return (
        f"Correlation is not computed of {named}: their activations were not compared. Compare "
        f"them too:\n{_commands(found, ids, store)}"
    )


def _have_other_tokens(one: DictionaryInfo, other: DictionaryInfo) -> bool:
    return (one.digests.get("corpus"), one.token_mask) != (
        other.digests.get("corpus"),
        other.token_mask,
    )


def listed(found: Followed) -> str:
    """How many are in the list that is chosen, by which definition."""
    selection = found.selection
    n, kept = int(found.masks[selection.kept].sum()), selection.kept
    what = "tracks" if kept == "all" else LISTS[kept].lower()
    whom = "their own number" if found.mode == "number" else "their match"
    onward = f"{selection.measure} with {whom} at the next step"
    said: dict[Kept, tuple[str, str]] = {
        "all": ("track", f"{onward} ≥ {selection.tau:g}"),
        "born": ("born, died", "begin after the first step"),
        "died": ("born, died", "end before the last step"),
        "lost": (
            "learned, then lost",
            f"{onward} ≥ {selection.high:g} once, < {selection.low:g} later",
        ),
        "drifted": (
            "drifted",
            f"go on to the last step, which holds < {selection.low:g} of what they began as",
        ),
    }
    word, rule = said[kept]
    return markup.line([(f"{n:,} {what}", WORDS[word]), rule])


def whose(found: Followed) -> str:
    """That a chart is of all features, where those that are listed are fewer; else ""."""
    return " · of all features" if found.selection.among is not None else ""


def among(found: Followed, activity: Activity | None) -> str:
    """Of which features tracks are listed, how many of them last, and how many of all as active."""
    name, numbers = found.selection.among or ("", ())
    (n, n_chosen), (n_whole, n_all), least = found.throughout(activity)
    share, of_all = (percent(a / b) if b else NONE for a, b in ((n, n_chosen), (n_whole, n_all)))
    likeness = f"{found.selection.measure} ≥ {found.selection.tau:g}"
    tip = f"{n_chosen:,} of the {len(numbers):,} have a direction, and so a track"
    return markup.line(
        [
            (
                f"tracks of {len(numbers):,} feature{'' if len(numbers) == 1 else 's'} of {name}",
                tip,
            ),
            f"{n:,} of {n_chosen:,} ({share}) through all {found.checkpoints.n_steps:,} steps at "
            f"{likeness}",
            (
                f"of all about as active: {n_whole:,} of {n_all:,} ({of_all})",
                f"Of all features of {name} active on {percent(least)} of tokens or more, as the "
                "rarest of these is. What is hardly active is hardly trained: it goes on as it was",
            ),
        ]
    )


def died(found: Followed) -> str:
    """What it means at the threshold that a feature has died."""
    tau = found.selection.tau
    if found.selection.measure == "cosine":
        angle = f"{math.degrees(math.acos(tau)):.0f}°"
        is_own = found.mode == "number"
        return (
            f"turned by more than {angle}, perhaps not gone"
            if is_own
            else f"no match within {angle}"
        )
    whom = "its own number" if found.mode == "number" else "its match"
    return f"correlation with {whom} below {tau:g}"


def change_tip(change: Change, earlier: str, later: str, died: str) -> str:
    """All numbers of one step to the next; `died` says what that means."""
    drift = NONE if change.drift is None else short(change.drift)
    return (
        f"{earlier} → {later}<br>{change.n_continued:,} went on · {change.n_died:,} of {change.n:,}"
        f" died ({died}) · {change.n_born:,} of {change.n_next:,} born, likewise<br>drift {drift} "
        f"(n {change.n_continued:,})"
    )


def spread_tip(spread: Spread, name: str) -> str:
    """The quantiles of a step."""
    return (
        f"{name}<br>median {short(spread.median)} · 10% below {short(spread.low)} · 10% above "
        f"{short(spread.high)}<br>n {spread.n:,}"
    )


def track(found: Followed, at: int) -> str:
    """A track in a line."""
    tracks, (word, names) = found.tracks, found.steps
    first, last = names[tracks.first[at]], names[tracks.last[at]]
    links = tracks.link[at]
    links = links[links == links]
    parts: list[str | tuple[str, str]] = [
        f"{word} {first}" if first == last else f"{word} {first} to {last}"
    ]
    if len(links):
        low, mean = float(links.min()), float(links.mean())
        tip = f"Least {exact(low)}, mean {exact(mean)} over {len(links)} steps"
        parts.append((f"least {short(low)} · mean {short(mean)}", tip))
    parts += [
        text
        for text, holds in (
            ("born", tracks.was_born[at]),
            ("died", tracks.has_died[at]),
            ("drifted", found.drifted[at]),
        )
        if holds
    ]
    if found.lost[at] >= 0:
        parts.append((f"lost after {word} {names[found.lost[at]]}", WORDS["learned, then lost"]))
    return markup.line(parts)


HOW = {
    "itself": "The feature that was chosen",
    "number": "The feature of the same number",
    "track": "On the same track",
    "match": "Not on the track; its match there, however unlike",
    "missing": "The two dictionaries were not compared",
}


def nothing_to_follow(selection: TrackSelection, names: Sequence[str], n: int) -> str:
    """Why no tracks are shown of a store of `n` dictionaries."""
    if selection.tracked:
        return "Choose a second dictionary: features are followed from one to the next."
    if names:
        return f"Choose a family ({', '.join(names)}), or two dictionaries or more."
    return (
        "No family of this store has two members. Give “family” and “step” to the checkpoints of a "
        f"run in the recipe{', or choose any two dictionaries' if n > 1 else ''}."
    )


def stage_value(stage: Stage, value: float | None) -> list[str]:
    """A likeness to the chosen feature, and its tip."""
    if stage.how == "itself":
        return ["itself", HOW["itself"]]
    if stage.how == "missing":
        return [NONE, HOW["missing"]]
    if value is None:
        return [NONE, "Not among the pairs that were stored, or it does not exist"]
    return [short(value), f"{exact(value)} · {HOW[stage.how]}"]
