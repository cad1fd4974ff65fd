"""Annotations in words, and as HTML. Pure; every value escaped."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from urllib.parse import urlencode

from app.markup import line
from app.numerals import NONE, percent, short
from app.token_text import alone, label_text, visible
from featurestore.annotations.exchange import content_cells
from featurestore.annotations.importing import ImportPlan, ImportRow
from featurestore.annotations.records import (
    Agreement,
    Content,
    Event,
    Explanation,
    Verdict,
    when,
)
from featurestore.explanations.scoring import LabelScore

MARKS = {
    Verdict.MONOSEMANTIC: "●",
    Verdict.UNSURE: "◐",
    Verdict.POLYSEMANTIC: "○",
    Verdict.JUNK: "✕",
}
"""A sign beside its colour, for those who do not see it; their order is that of the keys 1 to 4."""


@dataclass(frozen=True)
class Progress:
    """How far one dictionary is."""

    dictionary_id: str
    n_alive: int
    counts: Mapping[Verdict | None, int]
    """Of features that something is said of, by verdict."""
    part: str = ""
    """Of which features of the dictionary, if not of all."""


_NAMES = "Between quotes a space counts: ␣on is not on. It names: "
_MOST_NAMED = 4
_MOST_ROWS = 200
"""Rows of an import that are shown."""

_DEEDS = {"edit": "saved", "undo": "undid: back to", "settle": "decided", "import": "imported"}


def content(said: Content) -> str:
    """What an annotation says, in one line."""
    parts = [said.verdict.value if said.verdict else "", said.label]
    parts += [f"note: {said.note}" if said.note else "", *(f"#{tag}" for tag in said.tags)]
    return " · ".join(part for part in parts if part) or "nothing"


def saved(head: Event | None, by: str = "") -> str:
    """Who saved what is in force, and when; `by`: whose words it is, if others may restore them."""
    if head is None:
        return "no annotation yet"
    who = f"{head.author}, {ago(head.at)}"
    if not head.content.is_empty:
        return who if by in ("", head.author) else f"{by} again: undone by {who}"
    return f"no annotation · {'undone' if head.kind == 'undo' else 'emptied'} by {who}"


def just_saved(event: Event) -> str:
    """What was saved of the feature before this one."""
    return (
        f'<div class="fb-said" role="status">Saved: feature {event.feature} · '
        f"<bdi>{escape(content(event.content))}</bdi></div>"
    )


def conflict(event: Event, unseen: Event | None, head: Event | None) -> str:
    """How a save came too late: `unseen` was in force when it came, `head` is now."""
    told = f"{event.author} saved this {ago(event.at)} without having seen "
    if unseen is None:
        told += "what was in force then."
    elif unseen.author == event.author:
        told += (
            f"{event.author}'s own save of {ago(unseen.at)}: in another window or an older file."
        )
    else:
        told += f"{unseen.author}'s of {ago(unseen.at)}."
    if head and unseen and head.revision == unseen.revision:
        told += " That one is in force."
    elif head:
        told += f" Now {head.author}'s of {ago(head.at)} is in force."
    return f"{told} Every save is kept in the history."


def two_texts(head: Event | None, late: Event) -> str:
    """What is in force and what came too late, each with its author."""
    in_force = f"{content(head.content)} ({head.author})" if head else "nothing"
    return line([f"in force: {in_force}", f"the other: {content(late.content)} ({late.author})"])


def ago(at: str, now: datetime | None = None) -> str:
    """How long ago, in words; the date if it is more than a day."""
    then = datetime.fromisoformat(at)
    seconds = ((now or datetime.now(UTC)) - then).total_seconds()
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min ago"
    if seconds < 86400:
        return f"{seconds / 3600:.0f} h ago"
    return when(at)


def in_force(head: Event, by: str = "") -> str:
    """An annotation that cannot be changed here."""
    said = head.content
    parts = [verdict(said.verdict)] if said.verdict else []
    parts += [f"<bdi>{escape(said.label)}</bdi>"] if said.label else []
    tags = "".join(f' <span class="fb-tag">{escape(tag)}</span>' for tag in said.tags)
    note = f'<p class="fb-remark" dir="auto">{escape(said.note)}</p>' if said.note else ""
    who = f"<small>{escape(saved(head, by))}</small>"
    return f'<div class="fb-said">{" · ".join(parts)}{tags} {who}{note}</div>'


def history(events: Iterable[Event]) -> str:
    """All that was ever saved of a feature, the last first."""
    rows = "".join(
        f'<tr title="revision {event.revision}, {escape(event.at)}">'
        f"<td>{escape(ago(event.at))}</td><td>{escape(visible(event.author))}</td>"
        f"<td>{_deed(event)}</td><td><bdi>{escape(content(event.content))}</bdi></td></tr>"
        for event in reversed(tuple(events))
    )
    return f'<table class="fb-history">{rows}</table>'


def score(found: LabelScore) -> str:
    """How far the tokens that a label names tell where its feature is active."""
    tip = _auc_tip(found)
    if found.auc is None:
        why = found.reason.partition(":")[0]
        said = f"No score of the saved label's tokens: {why[0].lower()}{why[1:]}"
        return line([(said, f"{found.reason}\n{tip}")])
    named = [alone(text) for text in (*found.examples.tokens, *found.examples.texts)]
    more = ", …" if len(named) > _MOST_NAMED else ""
    facts = [
        (f"The saved label's tokens predict it: AUC {short(found.auc)} ± {short(found.se)}", tip),
        ("1 always, 0.5 by chance", tip),
        (f"random tokens {short(found.control_auc)}", f"mean of {found.control_n} draws"),
        f"{found.n_active} active, {found.n_inactive} silent contexts",
        (f"it names: {', '.join(named[:_MOST_NAMED])}{more}", f"{_NAMES}{', '.join(named)}"),
    ]
    return line(facts)


def explanations(known: Iterable[tuple[Explanation, LabelScore]]) -> str:
    """What programs said of a feature, their scores, and ours."""
    return "".join(
        f'<div class="fb-explained"><bdi>{escape(label_text(one.label))}</bdi> <small>'
        f"{escape(' · '.join(filter(None, (one.method, one.explainer, _score(one)))))} · "
        f'<span title="{escape(found.reason or _auc_tip(found))}">{_auc(found)}</span></small>'
        f"{_no_auc(found)}</div>"
        for one, found in known
    )


def progress(rows: Iterable[Progress]) -> str:
    """Each dictionary's features by verdict, and a bar: its share of those that are alive."""
    names = "".join(f"<th>{verdict(one)}</th>" for one in Verdict)
    head = f"<tr><th></th>{names}<th>with a verdict</th><th></th><th></th></tr>"
    lines = "".join(_progress_line(row) for row in rows)
    return f'<div class="fb-wide-table"><table class="fb-table">{head}{lines}</table></div>'


def _progress_line(row: Progress) -> str:
    judged = {one: row.counts.get(one, 0) for one in Verdict}
    total = sum(judged.values())
    bar = "".join(
        f'<span class="fb-{one}" style="width:{100 * count / max(row.n_alive, 1):.3f}%"></span>'
        for one, count in judged.items()
    )
    counts = "".join(
        f'<td class="fb-n{"" if count else " fb-zero"}">{count:,}</td>' for count in judged.values()
    )
    share = escape(percent(total / row.n_alive)) if row.n_alive else NONE
    return (
        f"<tr><td>{_queue_of(row)}</td>{counts}"
        f'<td class="fb-n">{total:,} of {row.n_alive:,}</td><td class="fb-n">{share}</td>'
        f'<td class="fb-progress"><div aria-hidden="true">{bar}</div></td></tr>'
    )


def _queue_of(row: Progress) -> str:
    """A dictionary's name, which leads to its queue."""
    if row.part:
        return escape(f"{row.dictionary_id}: {row.part}")
    address = f"annotations?{urlencode({'dictionary': row.dictionary_id})}"
    return f'<a href="{escape(address)}">{escape(row.dictionary_id)}</a>'


COUNTED = (
    "Counted is the verdict of what each saved by hand, last. Who finds another's verdict right "
    "says so by its key; who passes on is not counted. Imports and decided "
    "conflicts count for nobody."
)
"""Whose verdicts an agreement is of."""


def agreement(rows: Iterable[Agreement]) -> str:
    """Pairs of authors."""
    lines = "".join(
        f"<tr><td><bdi>{escape(visible(row.authors[0]))}</bdi></td>"
        f"<td><bdi>{escape(visible(row.authors[1]))}</bdi></td>"
        f'<td class="fb-n">{short(row.kappa)}</td><td class="fb-n">{row.n:,}</td>'
        f'<td class="fb-n">{row.n_agreed:,} ({escape(percent(row.n_agreed / row.n))})</td></tr>'
        for row in rows
    )
    head = "<tr><th>author</th><th>and</th><th title=\"Cohen's kappa: 1 if they always agree, 0 if"
    head += ' no more than by chance">kappa</th><th>n</th><th>same verdict</th></tr>'
    return f'<table class="fb-table fb-agreement">{head}{lines}</table>'


def plan(found: ImportPlan) -> str:
    """What an import would do: how many rows of each outcome, and what is not read."""
    counts = "".join(
        f"<span>{escape(outcome)} {count:,}</span>" for outcome, count in found.counts().items()
    )
    names = escape(", ".join(found.ignored))
    ignored = f'<p class="fb-scope">Columns that are not read: {names}</p>'
    return f'<div class="fb-line"><div>{counts}</div></div>{ignored if found.ignored else ""}'


def plan_rows(found: ImportPlan) -> str:
    """Each row that is not as it is here already."""
    rows = found.listed()
    lines = "".join(
        f"<tr><td>{row.place}</td><td>{escape(row.outcome)}</td>"
        f"<td>{escape(visible(row.dictionary))} {escape(visible(row.feature))}</td>"
        f"<td>{_changes(row)}</td></tr>"
        for row in rows[:_MOST_ROWS]
    )
    more = len(rows) - _MOST_ROWS
    if more > 0:
        lines += f'<tr><td></td><td colspan="3">and {more:,} more</td></tr>'
    return f'<table class="fb-table fb-plan">{lines}</table>'


def _changes(row: ImportRow) -> str:
    """What is different, or why the row is not taken."""
    if row.outcome not in ("add", "change", "conflict"):
        return escape(visible(row.reason))
    before, after = content_cells(row.before), content_cells(row.after)
    parts = [
        f"{name}: <del>{escape(_cut(before[name]))}</del> <ins>{escape(_cut(after[name]))}</ins>"
        for name in before
        if before[name] != after[name]
    ]
    return "<br>".join(parts) + (f"<br>{escape(row.reason)}" if row.reason else "")


def _cut(text: str) -> str:
    return visible(text) if text else ""


def verdict(value: Verdict) -> str:
    """A verdict with its sign."""
    return f'<span class="fb-verdict fb-{value}"><i>{MARKS[value]}</i> {value}</span>'


def _deed(event: Event) -> str:
    return "in conflict" if event.is_conflict else _DEEDS[event.kind]


def _score(one: Explanation) -> str:
    """What the file said that it was imported from."""
    if one.score is None:
        return "came without a score"
    n = f" (n {one.n:,})" if one.n is not None else ""
    return f"came with score {one.score:.3g}{n}"


def _auc_tip(found: LabelScore) -> str:
    return (
        "How often a context in which the feature is active has more of the label's tokens, at the "
        "place or just before it, than one in which it is silent: 1 always, 0.5 no better than "
        "chance. The contexts are those that explanations bundle keeps from an explainer, drawn "
        f"with seed {found.seed}, that of the recipe. Every label at once: "
        "python -m featurestore explanations score --dictionary ID"
    )


def _auc(found: LabelScore) -> str:
    if found.auc is None:
        return f"AUC {NONE}"
    return (
        f"AUC {short(found.auc)} ± {short(found.se)} "
        f"({found.n_active} active, {found.n_inactive} silent contexts)"
    )


def _no_auc(found: LabelScore) -> str:
    return f"<br><small>No AUC: {escape(found.reason)}</small>" if found.auc is None else ""
