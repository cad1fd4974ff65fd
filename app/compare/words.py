"""Scores in words: headings, tips, why a number is missing, what may be compared. Pure."""

from collections import Counter
from collections.abc import Mapping
from html import escape
from urllib.parse import urlencode

from app import markup
from app.compare.scoreboard import LOWER_IS_BETTER, TOKENS, Entry, Sample
from app.compare.selection import FILTERS
from app.numerals import NONE, exact, percent, short
from featurestore.detail_records import Measure
from featurestore.errors import command
from featurestore.records import DENSE_ABOVE

HEADINGS = {
    "dictionary": ("dictionary", "Its id; kind, hook point and step below"),
    "n_features": ("features", "How many it has"),
    "l0": ("L0", "Active features a token, on average"),
    "explained_variance": ("expl. var.", "1 − squared error / variance of the model's vectors"),
    "cosine": ("cosine", "Of the model's vector and the decoded one, on average"),
    "ce_recovered": (
        "CE recovered",
        "Of the loss that zeros in place of the vectors cost, the share that decoded ones save: "
        "(zero − decoded) / (zero − clean)",
    ),
    "kl_decoded": (
        "KL decoded",
        "How far the next token's probabilities move with decoded vectors in place of the model's, "
        "in nats",
    ),
    "kl_control": (
        "KL random",
        "Control: the same for errors as long as the dictionary's, in random directions",
    ),
    "kl_ratio": (
        "ratio",
        "KL decoded / KL random. Above 1 its errors hurt more than random ones of the same length",
    ),
    "share_dead": ("dead", "Share of its features that are never active on the corpus"),
    "share_rare": ("rare", "Share of its features that are active on 1 to 10 tokens of the corpus"),
    "share_dense": ("dense", f"Share active on more than {DENSE_ABOVE:.0%} of the tokens"),
    "capacity": (
        "capacity",
        "Mean over directions of 1 / sum of squared cosines with all: 1 if all are at right angles",
    ),
    "family_mmcs": (
        "MMCS to family",
        "Mean over the others of its family of the mean largest cosine of its features with theirs",
    ),
    "pairs": ("pairs", "Dictionaries that it was compared with; opens two side by side"),
}
"""Of each column: what it is called, and what it holds."""

PLOTS = {
    "explained_variance": "Explained variance",
    "ce_recovered": "CE recovered",
    "kl_ratio": "KL ratio",
    TOKENS: "KL by token",
}

WORDS = {
    "scores": "Taken on whole contexts drawn from the corpus. Position 0 of each is left out: its "
    "vectors are often of another size. A tip holds n, and the number with position 0.",
    "L0": "Mean number of active features a token.",
    "explained variance": "1 − sum of squared errors / sum of squares around the mean, over all "
    "tokens and dimensions at once. Below 0: worse than the mean.",
    "CE": "Loss of the next token, in nats: clean; with every vector decoded; with zeros; with the "
    "mean vector.",
    "CE recovered": "(zero − decoded) / (zero − clean). 1 if nothing is lost, 0 if "
    "zeros do as well; above 1 if the loss is below the model's own. None unless zeros cost more "
    "than 2 standard errors of their cost.",
    "KL decoded": "KL of the clean prediction from the one with decoded vectors, in nats.",
    "KL random": "Its control: the model's vectors moved as far as the error is long, in random "
    "directions (3 draws).",
    "ratio": "KL decoded / KL random: 1 if its errors do what any error of that length does.",
    "dead, rare, dense": "Shares of all features: never active on the corpus; on 1 to 10 tokens; "
    f"on more than {DENSE_ABOVE:.0%} of them.",
    "KL by token": "KL decoded and KL random by the token whose vector is replaced, over how often "
    "it stands in the corpus. Lines: means over tokens of about one frequency.",
    "capacity": "How far directions have a dimension to themselves: 1 at right angles, d / n where "
    "n directions share d dimensions evenly.",
    "MMCS to family": "Largest cosine of each feature with any of another dictionary, on average: "
    "of this one with each other of its family. A tip names each, and what chance would give.",
    "pairs": "Dictionaries that it was compared with. The number opens two of them.",
    "front": "Dictionaries that no other beats at as low an L0. Drawn where all that are shown "
    "stand at one hook point of one model and were scored on the same tokens.",
}
"""What the words on Compare mean."""

_SHARES = ("share_dead", "share_rare", "share_dense")
_LOSSES = (("clean", "ce_clean"), ("decoded", "ce_decoded"), ("zero", "ce_zero"))
_NULL = {
    "explained_variance": "The model's vectors do not vary on these tokens",
    "kl_ratio": "KL of random errors as long is below 1e-9 nats: rounding, not an effect",
    "capacity": "No direction has a length",
}
_UNSCORED = (
    "No scores: passes.n_scored = 0 in the recipe that built it. Set it and build the dictionary "
    "again"
)
_NAMED_AT_MOST = 6
MOST_PLACES = 8
"""Hook points or models to choose from beside the plot; the filters above have all."""


def cell(one: Entry, column: str) -> list[str]:
    """A number as it is shown, and its tip."""
    if column == "n_features":
        return [f"{one.info.n_features:,}", f"{one.info.n_features:,} features"]
    if column == "pairs":
        return _pairs(one)
    value = one.value(column)
    if value is None:
        return [NONE, _why_none(one, column)]
    shown = percent(value) if column in _SHARES else short(value)
    return [shown, "\n".join([_over(column, one.measures[column]), *_beside(one, column)])]


def _pairs(one: Entry) -> list[str]:
    if not one.n_pairs:
        if not one.partner:
            return [NONE, "Compared with none; no other writes to its hook point"]
        do_so = _match(one, one.info.dictionary_id, one.partner)
        return [NONE, f"Compared with none. Do so: {do_so}"]
    return [str(one.n_pairs), f"Compared with {one.n_pairs:,}. Opens it beside {one.beside}"]


def _match(one: Entry, *which: str) -> str:
    return command("match", *which, "--store", one.store)


def _why_no_kin(one: Entry) -> str:
    if one.info.family is None:
        return "It is in no family: the recipe that built it names none"
    return f"Not compared with its family. Do so: {_match(one, '--family', one.info.family)}"


def _why_none(one: Entry, column: str) -> str:
    if column == "family_mmcs":
        return _why_no_kin(one)
    if column not in one.measures:
        return "Not computed by the build of this file" if one.is_scored else _UNSCORED
    if not one.measures[column].n:
        return "No token to take it over"
    if column == "ce_recovered":
        return _why_no_share(one.measures)
    return _NULL.get(column, exact(None))


def _why_no_share(found: Mapping[str, Measure]) -> str:
    """What zeros cost, which is no loss beyond chance."""
    clean, zero, error = (found.get(name) for name in ("ce_clean", "ce_zero", "ce_zero_se"))
    cost = ""
    if clean and zero and clean.value is not None and zero.value is not None:
        cost = f": zero − clean is {short(zero.value - clean.value)} nats"
        if error and error.value is not None:
            cost += f", its standard error {short(error.value)} over {error.n:,} contexts"
    return (
        f"Zeros in place of the vectors cost no loss beyond chance{cost}. Below 2 standard errors "
        "there is no share of it"
    )


def _over(column: str, measure: Measure) -> str:
    """The value in full, its unit and n."""
    what = "tokens"
    if column in _SHARES:
        what = "features"
    elif column == "capacity":
        what = "directions"
    elif column == "kl_control":
        what = "random errors"
    elif column == "family_mmcs":
        what = "other of its family" if measure.n == 1 else "others of its family"
    unit = " nats" if column in ("kl_decoded", "kl_control") else ""
    return f"{exact(measure.value)}{unit} over {measure.n:,} {what}"


def _beside(one: Entry, column: str) -> list[str]:
    """Lines of a tip below the first: what the number is made of, or to be held against."""
    found = one.measures
    lines = []
    if f"{column}_with_first" in found:
        lines.append(_named("with position 0", found, f"{column}_with_first"))
    if column == "ce_recovered":
        lines += [_named(f"loss {name}", found, loss) for name, loss in _LOSSES]
        lines.append(_named("loss mean vector", found, "ce_mean"))
        lines.append(_named("recovered of the mean's", found, "ce_recovered_mean"))
    if column == "kl_ratio":
        lines.append(_named("decoded − random, nats", found, "kl_gap"))
    if column == "family_mmcs":
        lines += [
            f"{kin.dictionary_id}: {short(kin.mmcs)}, by chance {short(kin.floor)}"
            for kin in one.kin
        ]
    if column in ("ce_recovered", "capacity"):
        lines.append(_control(found[column], column))
    return [line for line in lines if line]


def _named(name: str, found: Mapping[str, Measure], measure: str) -> str:
    one = found.get(measure)
    return "" if one is None else f"{name}: {short(one.value)} (n {one.n:,})"


def _control(measure: Measure, column: str) -> str:
    if measure.control is None:
        return ""
    name = "random directions" if column == "capacity" else "random errors as long"
    return f"{name}: {short(measure.control)} (n {measure.n_control or 0:,})"


def summary(entries: tuple[Entry, ...], n_all: int, found: Mapping[Sample, object]) -> str:
    """How many are shown, what scores rest on, and over how many models and hook points."""
    noun = "dictionary" if n_all == 1 else "dictionaries"
    parts: list[str | tuple[str, str]] = [f"{len(entries):,} of {n_all:,} {noun}"]
    if len(found) == 1:
        (sample,) = found
        parts.append((f"scored on {_tokens(sample)}", _drawn(sample)))
    elif found:
        parts.append(f"scored on {len(found)} different samples of tokens")
    for noun, name in (("model", "model"), ("hook point", "hook")):
        n = len({FILTERS[name](one.info) for one in entries})
        if n > 1:
            tip = "Numbers are of different tasks there: compare within one"
            parts.append((_count(n, noun), tip))
    return markup.line(parts)


def _count(n: int, word: str) -> str:
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def _drawn(sample: Sample) -> str:
    return (
        f"Contexts drawn from '{sample.corpus_name}' ({sample.n_corpus:,} tokens) by seed "
        f"{sample.seed}; padding and position 0 are left out"
    )


def incomparable(found: Mapping[Sample, tuple[Entry, ...]]) -> str:
    """That scores rest on different tokens, and whose on which; "" if they do not."""
    if len(found) < 2:
        return ""
    lines = [
        f"{_described(sample)}: {_ids(entries)}"
        for sample, entries in sorted(found.items(), key=lambda pair: -len(pair[1]))
    ]
    return "\n".join(
        [
            "Scores of dictionaries that were built on different corpora, or scored on different "
            "tokens, cannot be compared. Here they were taken on:",
            *lines,
        ]
    )


def _described(sample: Sample) -> str:
    digest = f", digest {sample.corpus[:8]}" if sample.corpus else ""
    corpus = f"'{sample.corpus_name}' ({sample.n_corpus:,} tokens{digest})"
    return f"{corpus}, {_tokens(sample)}, seed {sample.seed}"


def _tokens(sample: Sample) -> str:
    contexts = sample.n_contexts
    return f"{sample.n_tokens:,} tokens" + (
        f" of {_count(contexts, 'context')}" if contexts else ""
    )


def places(entries: tuple[Entry, ...]) -> tuple[str, str, dict[str, int]]:
    """That dictionaries of several hook points or models do not compare; else "".

    Beside it the filter that parts them first, and how many it keeps by each of its choices.
    """
    nouns = {"hook": "hook point", "model": "model"}
    found = {name: Counter(FILTERS[name](one.info) for one in entries) for name in nouns}
    several = [name for name in nouns if len(found[name]) > 1]
    if not several:
        return "", "", {}
    counted = " and ".join(_count(len(found[name]), nouns[name]) for name in several)
    within = " of ".join(f"one {nouns[name]}" for name in several)
    said = f"{counted}: only dictionaries of {within} compare"
    return said, several[0], dict(found[several[0]].most_common(MOST_PLACES))


def choose_place(
    said: str, counts: Mapping[str, int], params: Mapping[str, Mapping[str, str]]
) -> str:
    """The same with a link to each, by its parameters."""
    ways = [
        f'<a href="compare?{escape(urlencode(params[place]))}">{escape(place)}</a> {n:,}'
        for place, n in counts.items()
    ]
    ways[0] = f"Show only: {ways[0]}"
    spans = "".join(f"<span>{part}</span>" for part in (escape(said), *ways))
    return f'<div class="fb-line"><div>{spans}</div></div>'


def plotted(
    entries: tuple[Entry, ...], placed: tuple[Entry, ...], column: str, n_unnamed: int
) -> str:
    """How many have a place on the plot, and which way is better."""
    direction = "lower" if column in LOWER_IS_BETTER else "higher"
    parts: list[str | tuple[str, str]] = [(f"{direction} is better", HEADINGS[column][1])]
    if len(placed) < len(entries):
        why = "No such number, or an L0 of 0, which a logarithmic axis cannot show"
        parts.append((f"{len(placed):,} of {len(entries):,} have a place", why))
    if n_unnamed:
        parts.append((f"labels left out: {n_unnamed:,}", "They would cover others; tips name all"))
    if placed:
        parts.append("a click opens the dictionary")
    return markup.line(parts)


def unscored(entries: tuple[Entry, ...]) -> str:
    """Which dictionaries have no scores, and how they get some; "" if all have."""
    without = tuple(one for one in entries if not one.is_scored)
    if not without:
        return ""
    whose = "None of these dictionaries has scores"
    if len(without) < len(entries):
        whose = f"No scores of {_ids(without)}"
    return (
        f"{whose}: passes.n_scored = 0 in the recipe that built them. Set it to 64, say, and build "
        "again: python -m featurestore build RECIPE"
    )


def _ids(entries: tuple[Entry, ...]) -> str:
    named = ", ".join(one.info.dictionary_id for one in entries[:_NAMED_AT_MOST])
    more = len(entries) - _NAMED_AT_MOST
    return f"{named} and {more:,} more" if more > 0 else named
