"""Two dictionaries in words and HTML: headings, cautions, what numbers mean. Pure."""

import re
from collections.abc import Iterable
from html import escape

from app import markup
from app.markup import COLUMN_HELP
from app.numerals import exact, percent, short
from app.pair.selection import List, PairSelection
from featurestore.pair_records import HIGH, Match, PairInfo, Side
from featurestore.records import DictionaryInfo

PEAKS = "Tokens at the peaks of its top contexts, with counts"
MATCHED = "The two are matched one to one"
NO_LENGTH = "Its direction has no length, so it has no cosine with any"
ON_TOKENS = ("correlation", "jaccard", "n_both")
"""Columns that say on which tokens both are active."""

KEYS = (
    ("←", "previous two of the list"),
    ("→", "next two of the list"),
    ("x", "the two dictionaries change places"),
    ("l", "back to the list"),
    ("Tab", "to headings, which sort, and to features"),
    ("Enter", "sort, or open"),
    ("/", "to the page Search"),
    ("?", "this list"),
)

_SAME_AT_LEAST = 10
"""Matches of one number that are told of; by chance one is expected, or less."""

WORDS = {
    "cosine": "Of two decoder directions: 1 if they are the same.",
    "MCS": "A feature's largest cosine with any of the other dictionary.",
    "MMCS": "Its mean over a dictionary's features. It differs by side: of few features among many "
    "it is higher.",
    "by chance": "What the largest cosine would be with as many random directions.",
    f"above {HIGH:g}": f"Share of features whose largest cosine is above {HIGH:g}.",
    "matched": "One to one, so that the sum of cosines is largest. Every feature of the smaller "
    "side has a match then, however poor: see its cosine.",
    "nearest below": "Features whose largest cosine with any of the other dictionary is below the "
    "bound: poorly matched ones too.",
    "own number": "Numbers mean nothing, so two dictionaries trained apart share hardly any. Many "
    "shared say that both began from the same random weights, and likeness then is no evidence "
    "that they found the same by themselves.",
    "correlation": "Pearson's, of the two activations over all counted tokens. It does not depend "
    "on the basis, as a cosine between checkpoints or hook points does.",
    "Jaccard": "Tokens on which both are active, of those on which either is.",
    "both": "Tokens on which both are active.",
}
"""What the words on the page mean."""


def columns(mine: str, theirs: str) -> dict[str, tuple[str, str, str]]:
    """Of each column: what it is called, its kind of cell, and what it holds."""
    return {
        "feature": (mine, "link", f"Feature of {mine}"),
        "mine": ("peaks on", "tokens", PEAKS),
        "mine_density": ("density", "number", COLUMN_HELP["density"]),
        "other": (theirs, "number", f"Feature of {theirs}"),
        "theirs": ("peaks on", "tokens", PEAKS),
        "theirs_density": ("density", "number", COLUMN_HELP["density"]),
        "cosine": ("cosine", "number", WORDS["cosine"]),
        "correlation": ("corr.", "number", WORDS["correlation"]),
        "jaccard": ("Jaccard", "number", WORDS["Jaccard"]),
        "n_both": ("both", "number", WORDS["both"]),
        "flags": ("", "words", MATCHED),
    }


def nearest_columns() -> dict[str, tuple[str, str, str]]:
    """The same for the features nearest to one."""
    known = columns("", "")
    return {"other": ("feature", "link", "One of the other dictionary")} | {
        name: known[name] for name in ("theirs", "cosine", "correlation", "flags")
    }


def why_none(match: Match, column: str) -> str:
    """Why a row lacks a number."""
    if match.other is None:
        return NO_LENGTH
    if column == "correlation":
        return "One of the two does not vary on these tokens"
    return "Neither is ever active" if column == "jaccard" else exact(None)


def names(selection: PairSelection) -> dict[List, str]:
    """What the lists are called, as Markdown."""
    return {
        "matched": "Matched",
        "only": f"{plain(selection.dictionary)}: below {selection.below:g}",
        "only_other": f"{plain(selection.other)}: below {selection.below:g}",
        "nearest": "All, with nearest",
    }


def plain(text: str) -> str:
    """Text that Markdown leaves as it is."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)


def summary(pair: PairInfo, infos: Iterable[DictionaryInfo], n_same: int = 0) -> str:
    """Both sides' numbers, each beside what chance would give; of the matched `n_same` have their
    own number.
    """
    head = "".join(
        f'<th title="{escape(tip)}">{name}</th>'
        for name, tip in (
            ("features", "Directions that have a length: n of what follows"),
            ("MMCS", "Mean over its features of the largest cosine with the other side's"),
            ("by chance", WORDS["by chance"]),
            (f"above {HIGH:g}", WORDS[f"above {HIGH:g}"]),
        )
    )
    lines = "".join(
        f"<tr><td>{side(info.dictionary_id, at)}<small>{escape(markup.dictionary_facts(info))}"
        f"</small></td>{_numbers(pair.side(info.dictionary_id))}</tr>"
        for at, info in enumerate(infos)
    )
    table = f'<table class="fb-table fb-sides"><tr><th></th>{head}</tr>{lines}</table>'
    return f'<div class="fb-wide-table">{table}</div>{markup.line(_matched(pair, n_same))}'


def side(name: str, at: int) -> str:
    """A dictionary's name behind its sign, which is the first's (0) or the second's (1)."""
    return f'<span class="fb-side fb-side-{at}"><i></i><bdi>{escape(name)}</bdi></span>'


def _numbers(of: Side) -> str:
    n = f"{of.n:,} of {of.n_features:,} directions have a length"
    above = short(None) if of.share_above is None else percent(of.share_above)
    cells = (
        (f"{of.n:,}", n),
        (short(of.mmcs), f"{exact(of.mmcs)} over {of.n:,} features"),
        (short(of.floor), exact(of.floor)),
        (above, exact(of.share_above)),
    )
    return "".join(
        f'<td class="fb-n" title="{escape(tip)}">{escape(shown)}</td>' for shown, tip in cells
    )


def _matched(pair: PairInfo, n_same: int) -> list[tuple[str, str]]:
    how = {
        "assignment": WORDS["matched"],
        "mutual": "Two features are matched if each is the other's nearest, so every match is a "
        "good one and some features have none",
    }
    facts = [
        (f"{pair.n_matched:,} matched one to one ({pair.method})", how[pair.method]),
        (f"mean cosine {short(pair.mean_matched)}", f"{exact(pair.mean_matched)} of the matched"),
    ]
    facts += _same_number(pair, n_same)
    if pair.is_absolute:
        tip = "Features of one of the two have no sign, so a direction and its opposite are one"
        facts.append(("cosines are absolute values", tip))
    else:
        tip = "Cosines keep their sign: a direction and its opposite have −1"
        facts.append(("opposite directions count as unlike", tip))
    if pair.n_tokens is not None:
        facts.append((f"activations on {pair.n_tokens:,} tokens", "The same tokens for both"))
    return facts


def _same_number(pair: PairInfo, n_same: int) -> list[tuple[str, str]]:
    """Matches of one number, if these are far more than chance would give."""
    if n_same < _SAME_AT_LEAST:
        return []
    chance = 1 / max(pair.a.n, pair.b.n)  # of those that may be its match, one has its number
    share = percent(n_same / pair.n_matched)
    fact = f"{share} matched with their own number, by chance {percent(chance)}: "
    tip = f"{n_same:,} of {pair.n_matched:,}. {WORDS['own number']}"
    return [(f"{fact}probably trained from one seed", tip)]


def stored(infos: tuple[DictionaryInfo, DictionaryInfo]) -> str:
    """Which features a file keeps beside each."""
    one, other = infos
    is_kin = one.family is not None and one.family == other.family
    if is_kin and one.n_features == other.n_features:
        return "three, its match, and the one of its number"
    return "three, and its match"


def cautions(pair: PairInfo, one: DictionaryInfo, other: DictionaryInfo) -> list[str]:
    """What to keep in mind before a cosine is believed."""
    said = []
    on_tokens = "Correlation on the same tokens does not depend on that."
    if one.model_name != other.model_name:
        said.append(
            f"Two models, '{one.model_name}' and '{other.model_name}': their directions are of "
            f"different spaces, and a cosine between them says little. {on_tokens}"
        )
    elif not pair.is_same_model:
        said.append(
            f"Two checkpoints of the model{_steps(one, other)}: the basis may have drifted between "
            f"them, so a cosine may be low though the feature is the same. {on_tokens}"
        )
    if one.hook_name_out != other.hook_name_out:
        said.append(
            f"Directions of different spaces: {one.dictionary_id} writes to {one.hook_name_out}, "
            f"{other.dictionary_id} to {other.hook_name_out}. A cosine means as much as the two "
            f"have in common. {on_tokens}"
        )
    return said


def _steps(one: DictionaryInfo, other: DictionaryInfo) -> str:
    steps = [info.model_step for info in (one, other)]
    return "" if None in steps else f" (steps {steps[0]:,} and {steps[1]:,})"


def relation(match: Match | None, pair: PairInfo) -> str:
    """What two features that are open have in common."""
    if match is None or match.other is None:
        return ""
    numbers = [("cosine", match.cosine, exact(match.cosine))]
    if pair.n_tokens is not None:
        numbers += [
            ("correlation", match.correlation, _tip(match, "correlation")),
            ("Jaccard", match.jaccard, _tip(match, "jaccard")),
            ("tokens with both", match.n_both, f"of {pair.n_tokens:,}"),
        ]
    shown = "".join(
        f'<span title="{escape(tip)}">{name} <b>{short(value)}</b></span>'
        for name, value, tip in numbers
    )
    matched = f'<span title="{MATCHED}">matched</span>' if match.is_matched else ""
    return f'<div class="fb-line fb-relation"><div>{shown}{matched}</div></div>'


def _tip(match: Match, column: str) -> str:
    value = getattr(match, column)
    return exact(value) if value is not None else why_none(match, column)
