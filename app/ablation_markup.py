"""What removing a feature does, and what its peaks depend on, as HTML; every token escaped. Pure.

Effects are log p clean less ablated. On the screen stands the change that removing makes, which has
the other sign: a token that the feature promotes falls.
"""

from collections.abc import Sequence
from html import escape

from app.markup import line, note, part
from app.numerals import exact, percent, share_of, short
from app.token_text import alone, quoted, spell, visible
from featurestore.detail_records import Ablation, Dependence, TokenEffect
from featurestore.records import DictionaryInfo

CLEAR_ABOVE = 2
"""A mean this many standard errors away from 0 is called an effect."""

_BEFORE = 12
"""Tokens shown before the first that was deleted."""
_LEGEND = (
    '<i class="fb-for" style="--change:.7">falls</i> without it: the feature depends on it · '
    '<i class="fb-against" style="--change:.7">rises</i> without it: it works against the feature '
    "· full colour: by the whole activation"
)
_SE = "Its standard error takes positions of one context as independent: a lower bound"


def why_not(is_dead: bool, info: DictionaryInfo, noun: str, *settings: str) -> str:
    """Why there is none of what `settings` of the recipe's passes decide: "ablation"."""
    if is_dead:
        return f"It is never active on this corpus: there is no {noun}."
    given = info.recipe.get("passes", {})
    if all(given.get(name) == 0 for name in settings):
        zeros = " and ".join(f"passes.{name} = 0" for name in settings)
        return f"No {noun} was computed for this dictionary ({zeros})."
    return f"The store holds no {noun} of this feature."


def ablation(found: Ablation) -> str:
    """The panel of a feature that was switched off on some contexts."""
    head = part("Ablation", "the next token once the feature is removed")
    contexts = _count(found.n_ablated, "context")
    if not found.n_effects:
        return head + note(
            f"Removed on {contexts}, but it is active there only where no next token follows.",
            "plain",
        )
    largest = max((abs(one.effect) for one in (*found.falls, *found.rises)), default=1.0)
    falls = [one for one in found.falls if one.effect > 0]
    rises = [one for one in found.rises if one.effect < 0]
    return (
        head
        + line([f"means over {_over(found)} of {contexts}", *kl_facts(found), loss_fact(found)])
        + '<div class="fb-effects">'
        + _effects("falls when removed", "fb-helped", falls, largest)
        + _effects("rises when removed", "fb-hurt", rises, largest)
        + f'</div><p class="fb-scope">{escape(_scope(found))}</p>'
    )


def kl_facts(found: Ablation) -> list[tuple[str, str]]:
    """How far the next token's probabilities move, beside what random directions do."""
    kl = f"KL {_with_se(found.kl, found.kl_se)} nats"
    facts = [(kl, f"{exact(found.kl)} over {_over(found)}. {_SE}")]
    if found.control_kl is None:
        return [*facts, ("no control was run", "passes.n_control_draws = 0")]
    tip = "Random directions of the same length, taken off at the same positions"
    facts.append((f"random {short(found.control_kl)}", f"{exact(found.control_kl)}. {tip}"))
    if found.kl_percentile is not None:
        above = share_of(found.kl_percentile, found.n_controls)
        draws = "draw" if found.n_controls == 1 else "draws"
        fact = f"above {above} random {draws}, each on its own context"
        facts.append((fact, f"{tip}: those with less KL there. Both means are over all contexts"))
    return facts


def loss_fact(found: Ablation) -> tuple[str, str]:
    """What removing does to the loss, its sign in words, and its tip."""
    effect, se = found.loss_effect, found.loss_effect_se
    if effect is None:
        return "no effect on the loss is known", ""
    tip = f"{exact(effect)} nats, loss ablated less clean. {_SE}"
    deed = f"{'raises' if effect > 0 else 'lowers'} the loss by {_with_se(abs(effect), se)} nats"
    if se is None:
        return f"removing it {deed}, on one token", tip
    if abs(effect) <= CLEAR_ABOVE * se:
        return f"removing it {deed}: within {CLEAR_ABOVE} standard errors of zero", tip
    return f"removing it {deed}", tip


def _over(found: Ablation) -> str:
    return _count(found.n_effects, "active token")


def _scope(found: Ablation) -> str:
    error = (
        "± is the standard error as if its tokens were independent, so a lower bound. The tokens "
        "listed are the most moved of all: a random direction has such, too."
        if found.n_effects > 1
        else "One token has no standard error."
    )
    return (
        "In a context it is removed at all its active positions at once; the rest of the vector, "
        f"the dictionary's error too, stays as it is. {error}"
    )


def _effects(title: str, kind: str, effects: Sequence[TokenEffect], largest: float) -> str:
    rows = "".join(_effect(one, largest) for one in effects)
    head = (
        f"<thead><tr><th>{title}</th><th></th>"
        '<th class="fb-n" title="Mean change of the log-probability of the token as the next one">'
        'Δ log p, nats</th><th class="fb-n" title="Mean probability before">clean p</th></tr>'
        "</thead>"
    )
    body = rows or '<tr><td class="fb-muted">none</td><td></td><td></td><td></td></tr>'
    return f'<table class="fb-effect {kind}">{head}<tbody>{body}</tbody></table>'


def _effect(one: TokenEffect, largest: float) -> str:
    width = 100 * abs(one.effect) / (largest or 1)
    return (
        f'<tr><td><span class="fb-token" title="{escape(quoted(one.token))}">'
        f"{escape(alone(one.token))}</span></td>"
        f'<td><span class="fb-length" style="width:{width:.0f}%"></span></td>'
        f'<td class="fb-n" title="{exact(-one.effect)}">{_signed(-one.effect, one.se)}</td>'
        f'<td class="fb-n" title="{exact(one.probability)}">'
        f"{escape(percent(one.probability))}</td></tr>"
    )


def dependences(found: Sequence[Dependence], info: DictionaryInfo) -> str:
    """A strip for each context."""
    tried = max(len(one.changes) for one in found)
    most = info.recipe.get("passes", {}).get("n_deleted", tried)
    deletion = f"{_LEGEND}<br>{escape(_deletion(most))}"
    if not tried:
        deletion = "No token stands before these peaks that could be deleted."
    return (
        part("Depends on", "how the activation at the peak changes without each earlier token")
        + '<div class="fb-depends">'
        + "".join(_strip(one) for one in found)
        + f'</div><p class="fb-scope">{deletion}</p>'
    )


def _deletion(most: int) -> str:
    return (
        f"Each of the {_count(most, 'token')} before the peak, or as many as there are, is deleted "
        "in turn: what follows moves up one place, and the model reads again. BOS is never deleted."
    )


def _strip(one: Dependence) -> str:
    first = min(one.changes, default=one.peak)
    before = range(max(0, first - _BEFORE), first)
    shown = spell(one.tokens)
    untried = "".join(_untried(one, pos, shown[pos]) for pos in before)
    tried = "".join(
        _tried(one, pos, change, shown[pos]) for pos, change in sorted(one.changes.items())
    )
    peak, shown_peak = one.tokens[one.peak], escape(visible(shown[one.peak]))
    tip = f"{quoted(peak)} · the peak, activation {short(one.activation)}"
    cut = "…" if before.start > 0 else ""
    n_tried = f"{len(one.changes)} tried" if one.changes else "none before it could be deleted"
    return (
        f'<div><span class="fb-value" title="{exact(one.activation)}">{short(one.activation)}'
        f'</span><div class="fb-passage" aria-label="Context {one.context}">{cut}'
        f'<span class="fb-untried">{untried}</span>{tried}'
        f'<span class="fb-peak" title="{escape(tip)}">{shown_peak}</span></div>'
        f'<small title="Context {one.context}">{n_tried}</small></div>'
    )


def _untried(one: Dependence, pos: int, shown: str) -> str:
    tip = f"{quoted(one.tokens[pos])} · not tried"
    return f'<span title="{escape(tip)}">{escape(visible(shown))}</span>'


def _tried(one: Dependence, pos: int, change: float, shown: str) -> str:
    token, share = one.tokens[pos], _share(change, one.activation)
    deed = "falls" if change < 0 else "rises"
    tip = (
        f"{quoted(token)} · without it the activation {deed} from {short(one.activation)} to "
        f"{short(one.activation + change)}: {_signed(change)} ({percent(abs(share))})"
        if change
        else f"{quoted(token)} · without it the activation stays"
    )
    kind = "fb-for" if change < 0 else "fb-against"
    return (
        f'<span class="{kind}" style="--change:{min(1.0, abs(share)):.2f}" '
        f'title="{escape(tip)}">{escape(visible(shown))}</span>'
    )


def _share(change: float, activation: float) -> float:
    return change / abs(activation) if activation else 0.0


def _with_se(value: float | None, se: float | None) -> str:
    """A mean and its standard error, to the same decimal."""
    text = short(value)
    if se is None:
        return text
    places = 0 if "e" in text else len(text.partition(".")[2])
    error = f"{se:.{places}f}"
    return f"{text} ± {error if float(error) else short(se)}"


def _signed(value: float, se: float | None = None) -> str:
    sign = "+" if value > 0 else ""
    return sign + _with_se(value, se)


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"
