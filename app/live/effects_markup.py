"""What an intervention does, as HTML; every token escaped. Pure."""

from collections.abc import Sequence
from html import escape

from app.markup import part
from app.numerals import exact, short
from app.token_text import alone, chip, quoted, spell, visible
from featurestore.live.records import Continuation, Edit, Intervention, NextToken

_WORDS = {"ablate": "switched off", "scale": "multiplied by {}", "clamp": "set to {}"}
_SHOWN_PLACES = 6
_SHOWN_CHANGE = 0.00005
"""A smaller change of a probability is neither up nor down on the screen."""


def edit_words(edit: Edit, tokens: Sequence[str]) -> str:
    """An edit in a line."""
    deed = _WORDS[edit.mode].format(f"{edit.value:g}".replace("-", "−"))
    name = f"<b>{escape(edit.dictionary_id)} {edit.feature}</b>"
    if not edit.positions:
        return f'<div class="fb-edit">{name} {escape(deed)} everywhere</div>'
    inside = [pos for pos in edit.positions if pos < len(tokens)]
    places = [" ".join(chip(tokens[pos]) for pos in inside[:_SHOWN_PLACES])] if inside else []
    if len(inside) > _SHOWN_PLACES:
        places.append(f"{len(inside) - _SHOWN_PLACES} more")
    if beyond := edit.positions[len(inside) :]:  # they rise
        others = f" and {len(beyond) - 1:,} more" if len(beyond) > 1 else ""
        places.append(f"position {beyond[0]}{others}, beyond this text")
    return f'<div class="fb-edit">{name} {escape(deed)} at {" and ".join(places)}</div>'


def next_tokens(found: Intervention, token: str) -> str:
    """Probabilities of the next token before and after, as a table with bars."""
    kl, control = found.kl[found.pos], found.control_kl[:, found.pos].mean()
    largest = max(max(one.before, one.after) for one in found.next_tokens)
    rows = "".join(_next_row(one, largest) for one in found.next_tokens)
    changed = f"{found.n_changed:,} activation{'' if found.n_changed == 1 else 's'} changed"
    return (
        part(
            "Next token",
            f"after {alone(token)} · KL {short(kl)} nats · random {short(control)} · {changed}",
        )
        + '<table class="fb-next"><thead><tr><th>token</th><th>before</th><th></th>'
        '<th>after</th><th></th><th title="In percentage points">change</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
        '<p class="fb-scope">The likeliest before, the likeliest after, and those changed most.</p>'
    )


def _next_row(one: NextToken, largest: float) -> str:
    change = one.after - one.before
    is_seen = abs(change) >= _SHOWN_CHANGE
    kind, sign = ("up", "+") if change > 0 else ("down", "−")
    points = 100 * abs(change)
    digits = 1 if points >= 0.1 else 2
    kind, words = (kind, f"{sign}{points:.{digits}f} pt") if is_seen else ("muted", "0.0 pt")
    return (
        f'<tr><td><span class="fb-token" title="{escape(quoted(one.token))}">'
        f"{escape(alone(one.token))}</span></td>"
        f'<td class="fb-n" title="{exact(one.before)}">{escape(_percent(one.before))}</td>'
        f"<td>{_bar(one.before / largest, 'before')}</td>"
        f'<td class="fb-n" title="{exact(one.after)}">{escape(_percent(one.after))}</td>'
        f"<td>{_bar(one.after / largest, 'after')}</td>"
        f'<td class="fb-n fb-{kind}" title="{exact(change)}">{words}</td>'
        "</tr>"
    )


def _bar(share: float, kind: str) -> str:
    return f'<span class="fb-share fb-{kind}" style="width:{100 * share:.1f}%"></span>'


def _percent(share: float) -> str:
    """As fine as the change beside it; as `numerals.percent`, never 0% or 100% for what is not."""
    if 0 < share < 0.0001:
        return "<0.01%"
    digits = 2 if 0 < share < 0.001 else 1
    return ">99.9%" if 0.9995 <= share < 1 else f"{100 * share:.{digits}f}%"


def continuations(found: Sequence[Continuation], seed: int) -> str:
    """What the model writes on, side by side; from where they part the text is marked."""
    details = {
        "greedy": "after the whole text, the most likely token each time",
        "sampled": f"after the whole text, seed {seed}, the same random numbers for both",
    }
    return "".join(
        part(f"Continuation, {one.way}", details[one.way])
        + '<div class="fb-both">'
        + _passage("before", one.before, one.after)
        + _passage("after", one.after, one.before)
        + "</div>"
        for one in found
    )


def _passage(title: str, tokens: Sequence[str], other: Sequence[str]) -> str:
    same = next(
        (i for i, (a, b) in enumerate(zip(tokens, other, strict=False)) if a != b),
        min(len(tokens), len(other)),
    )
    shown = [_token(*one) for one in zip(tokens, spell(tokens), strict=True)]
    kept, parted = "".join(shown[:same]), "".join(shown[same:])
    body = f"{kept}<mark>{parted}</mark>" if parted else kept
    return f'<div><h4>{title}</h4><div class="fb-passage">{body or "nothing"}</div></div>'


def _token(token: str, spelled: str) -> str:
    shown = visible(spelled).replace("↵", "↵\n") if "\n" in token else visible(spelled)
    return f'<span title="{escape(quoted(token))}">{escape(shown)}</span>'
