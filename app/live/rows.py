"""Numbers on a text as rows of strips. Pure."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from app.annotations.words import MARKS
from app.live.ranking import Contrasted, Ranked
from app.live.strips import Column, Row, Strip
from app.numerals import short
from app.token_text import alone
from featurestore.annotations.records import Verdict
from featurestore.live.records import Edit, Intervention, Substitution, TextActivations
from featurestore.records import DictionaryInfo, FeatureSummary

N_CHIPS = 4

Summaries = Mapping[tuple[str, int], FeatureSummary]
Hrefs = Mapping[tuple[str, int], str]
Labels = Mapping[tuple[str, int], tuple[str, str, str]]
"""Verdict, label, and a program's label, of each feature that anything is said of."""

_LABEL = Column("label", "label", "text", "What people say of it; else (what a program says)")
_PROMOTES = Column("promotes", "promotes", "tokens", "Tokens whose logit it raises most")
_DENSITY = Column("rarity", "density", "number", "Share of the corpus's tokens; rarest first", True)
_MAX = Column("max", "max", "number", "Largest activation on this text", True)
_AT = Column("at", "chosen", "number", "Sum at the chosen tokens", True)
_SUM = Column("sum", "sum", "number", "Sum over this text", True)
_REST = (
    Column("share", "of its max", "number", "Largest here, as a share of the corpus's", True),
    _DENSITY,
    _PROMOTES,
)
_CONTRAST = (
    Column("max_a", "max A", "number", "Largest activation on text A"),
    Column("max_b", "max B", "number", "Largest activation on text B"),
    Column("max", "Δ max", "number", "Difference of the largest activations, A − B", True),
    Column("mean", "Δ mean", "number", "Difference of the means over all tokens, A − B", True),
    Column("density", "density", "number", "Share of the corpus's tokens"),
    _PROMOTES,
)
LAYER_COLUMNS = (
    Column("dictionary", "dictionary", "text", "A click shows its features alone"),
    Column("hook", "hook point", "text", "Where it reads"),
    Column("features", "features", "number", "Features active anywhere on this text"),
    Column("mean", "per token", "number", "Mean number of active features over the tokens"),
)
MEASURE_COLUMNS = (
    Column("dictionary", "dictionary", "text", "Whose decoded vectors stand in for the model's"),
    Column("measure", "", "text", "What is measured at each token"),
    Column("mean", "mean", "number", "Mean over the tokens of this text"),
)


def feature_columns(is_one: bool, has_chosen: bool, has_labels: bool) -> list[Column]:
    """Columns of the features of one text."""
    return [*_names(is_one, has_labels), _MAX, _AT if has_chosen else _SUM, *_REST]


def contrast_columns(is_one: bool, has_labels: bool) -> list[Column]:
    """Columns of the features of two texts."""
    return [*_names(is_one, has_labels), *_CONTRAST]


def _names(is_one: bool, has_labels: bool) -> list[Column]:
    """What names a feature: its number, of several dictionaries theirs too, and a label."""
    where = "its number" if is_one else "dictionary and number"
    link = Column("feature", "feature", "link", f"A feature by {where}; opens its page")
    return [link, _LABEL] if has_labels else [link]


def feature_key(dictionary_id: str, feature: int) -> str:
    """What names a feature's row."""
    return f"{dictionary_id}/{feature}"


def _named(dictionary_id: str, feature: int, is_one: bool, labels: Labels) -> tuple[str, ...]:
    """The cells of `_names`."""
    name = str(feature) if is_one else f"{dictionary_id} {feature}"
    if not labels:
        return (name,)
    said = labels.get((dictionary_id, feature))
    return name, _in_words(*said) if said else ""


def _in_words(verdict: str, label: str, explanation: str) -> str:
    """A verdict's sign and a label; a program's stands in brackets."""
    sign = MARKS[Verdict(verdict)] if verdict else ""
    return " ".join(part for part in (sign, label) if part) or f"({explanation})"


def _chips(summary: FeatureSummary | None) -> tuple[str, ...]:
    return summary.promoted[:N_CHIPS] if summary else ()


def feature_rows(
    ranked: Iterable[Ranked],
    tokens: Sequence[str],
    summaries: Summaries,
    hrefs: Hrefs,
    labels: Labels,
    is_one: bool,
    has_chosen: bool,
) -> list[Row]:
    """Features of one text, shaded on the scale of their pages."""
    return [
        Row(
            feature_key(one.dictionary_id, one.feature),
            (
                *_named(one.dictionary_id, one.feature, is_one, labels),
                *(one.max, one.at if has_chosen else one.sum, one.share, one.density),
                _chips(summaries.get((one.dictionary_id, one.feature))),
            ),
            (_strip(one.pos, one.values, tokens),),
            scale=max(abs(one.stored_max or 0.0), abs(one.max)),
            href=hrefs[one.dictionary_id, one.feature],
        )
        for one in ranked
    ]


def contrast_rows(
    contrasted: Iterable[Contrasted],
    texts: tuple[Sequence[str], Sequence[str]],
    summaries: Summaries,
    hrefs: Hrefs,
    labels: Labels,
    is_one: bool,
) -> list[Row]:
    """Features of two texts, side by side."""
    return [
        Row(
            feature_key(one.dictionary_id, one.feature),
            (
                *_named(one.dictionary_id, one.feature, is_one, labels),
                *(one.first.max, one.second.max),
                *(one.first.max - one.second.max, one.first.mean - one.second.mean),
                one.density,
                _chips(summaries.get((one.dictionary_id, one.feature))),
            ),
            tuple(
                _strip(side.pos, side.values, tokens)
                for side, tokens in zip((one.first, one.second), texts, strict=True)
            ),
            scale=max(abs(one.stored_max or 0.0), abs(one.first.max), abs(one.second.max)),
            href=hrefs[one.dictionary_id, one.feature],
        )
        for one in contrasted
    ]


def layer_rows(
    infos: Iterable[DictionaryInfo], activations: Iterable[TextActivations]
) -> list[Row]:
    """Active features at each token, a dictionary a row, all on one scale."""
    counts = [found.n_active for found in activations]
    scale = max((int(each.max(initial=0)) for each in counts), default=0)
    return [
        Row(
            info.dictionary_id,
            (info.dictionary_id, info.hook_name, len(np.unique(found.feature)), count.mean()),
            (_dense(count, f"{info.dictionary_id}: active features at each token"),),
            scale=float(scale),
            tone="count",
        )
        for info, found, count in zip(infos, activations, counts, strict=True)
    ]


def measure_rows(substitutions: Sequence[Substitution]) -> list[Row]:
    """L0, error, KL and its control of each dictionary; one scale for each kind of measure."""
    most_active = max((one.n_active.max(initial=0) for one in substitutions), default=0)
    most_kl = largest_kl(substitutions)
    rows = []
    for one in substitutions:
        n_draws = len(one.control_kl)
        measures = (
            ("active features", one.n_active, most_active, "count"),
            ("error", one.error, 1.0, "loss"),
            ("KL, substituted", one.kl, most_kl, "loss"),
            (f"KL, random (n = {n_draws})", _control(one), most_kl, "loss"),
        )
        for at, (name, values, scale, tone) in enumerate(measures):
            rows.append(
                Row(
                    f"{one.dictionary_id}/{at}",
                    ("" if at else one.dictionary_id, name, float(values.mean())),
                    (_dense(values, f"{one.dictionary_id}: {name} at each token"),),
                    scale=float(scale),
                    tone=tone,
                    name=f"{one.dictionary_id}, {name}",
                )
            )
    return rows


def largest_kl(substitutions: Iterable[Substitution]) -> float:
    """Of all tokens and dictionaries, in nats, the controls' too: where their scale ends."""
    kls = (kl for one in substitutions for kl in (one.kl, _control(one)))
    return max((float(kl.max(initial=0)) for kl in kls), default=0.0)


def effect_rows(
    effect: Intervention, edits: Iterable[Edit], activations: Iterable[TextActivations]
) -> list[Row]:
    """What an intervention does at each token, and where the features are that it changes."""
    kinds = (
        ("kl", "KL of the next token, nats", effect.kl),
        ("control", f"KL, random (n = {len(effect.control_kl)})", _control(effect)),
    )
    scale = max(float(values.max(initial=0)) for _, _, values in kinds)
    rows = [
        Row(key, (name, float(values.mean())), (_dense(values, name),), scale=scale, tone="loss")
        for key, name, values in kinds
    ]
    by_id = {found.dictionary_id: found for found in activations}
    for dictionary_id, feature in dict.fromkeys((e.dictionary_id, e.feature) for e in edits):
        found = by_id[dictionary_id]
        values = np.zeros(found.n_tokens)
        mine = found.feature == feature
        values[found.pos[mine]] = found.value[mine]
        title = f"{dictionary_id} {feature}, before"
        strip = _dense(values, f"{title}, at each token")
        scale = float(np.abs(values).max(initial=0))
        rows.append(
            Row(feature_key(dictionary_id, feature), (title, values.mean()), (strip,), scale)
        )
    return rows


def _control(one: Substitution | Intervention) -> np.ndarray:
    return one.control_kl.mean(axis=0)


def _dense(values: np.ndarray, label: str) -> Strip:
    places = np.flatnonzero(values)
    return Strip(tuple(places.tolist()), tuple(values[places].astype(float).tolist()), label)


def _strip(pos: tuple[int, ...], values: tuple[float, ...], tokens: Sequence[str]) -> Strip:
    if not pos:
        return Strip((), (), "silent")
    at = max(range(len(pos)), key=lambda i: abs(values[i]))
    label = (
        f"active on {len(pos)} of {len(tokens)} tokens, most on {alone(tokens[pos[at]])}: "
        f"{short(values[at])}"
    )
    return Strip(pos, values, label)
