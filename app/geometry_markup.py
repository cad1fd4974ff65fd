"""What a feature has to do with single tokens, its direction and its place, as HTML. Pure.

The summaries may label an expander, which reads Markdown: they hold numbers, never a token.
"""

import math
from collections.abc import Iterable, Mapping
from html import escape

from app.numerals import exact, percent, short
from app.token_text import chip
from featurestore.detail_records import Cluster, DecoderWeights, Measure, NearToken, TokenMeasures
from featurestore.records import (
    ONE_DIMENSION_ABOVE,
    ONE_TOKEN_ABOVE,
    ONE_TOKEN_FROM,
    DictionaryInfo,
    Feature,
)

_MOST_CHIPS = 6
_NO_BOS = "not measured: that needs contexts which open with a BOS"


def tokens_summary(found: TokenMeasures, n_active: int) -> str:
    """How far it is a feature of one token, in a line."""
    if found.share is None:
        return "Single tokens"
    verdict = _simple(found.share.value, n_active)
    return f"Single tokens: {percent(found.share.value)} on one, {verdict}"


def tokens(found: TokenMeasures, n_active: int, measures: Mapping[str, Measure]) -> str:
    """The token with most of its activation, those it is active on alone, those it points to."""
    rows = [("most on", _share(found, n_active)), ("alone after BOS", _unigrams(found))]
    hidden = _nearest(found.unigram_cos, "unigram_cos", measures)
    if hidden and found.unigram_cos_raw is not None:
        raw = f"raw {short(found.unigram_cos_raw)}"
        hidden += f' <small title="The mean of all tokens not taken off">{escape(raw)}</small>'
    unknown = _NO_BOS if found.n_unigrams is None else "no cosine: its direction has no length"
    rows.append(("hidden vector", hidden or unknown))
    if found.lookup_cos is not None:
        rows.append(("lookup row", _nearest(found.lookup_cos, "lookup_cos", measures)))
    if found.embeddings:
        first, *others = found.embeddings
        nearest = _nearest(first, "embedding_cos", measures)
        rows.append(("embedding", f"{nearest}<br>then {_valued(others)}" if others else nearest))
    else:
        rows.append(("embedding", "not measured: that needs a direction in the residual stream"))
    return facts(rows)


def _share(found: TokenMeasures, n_active: int) -> str:
    if found.share is None:
        return "never active, so on none"
    bounds = f"bound {ONE_TOKEN_ABOVE:.0%}"
    if n_active < ONE_TOKEN_FROM:
        bounds = f"{n_active}, below {ONE_TOKEN_FROM}"
    text = (
        f"{chip(found.share.token)} {escape(percent(found.share.value))} of its activation: "
        f"{_simple(found.share.value, n_active)} <small>({bounds})</small>"
    )
    if found.entropy is None:
        return text
    entropy = abs(found.entropy)  # no −0
    spread = f"entropy {short(entropy)} nats, as of {short(math.exp(entropy))} tokens"
    return f'{text}<br><span title="{exact(found.entropy)}">{escape(spread)}</span>'


def _simple(share: float, n_active: int) -> str:
    if n_active < ONE_TOKEN_FROM:
        return "active on too few tokens to tell"
    return _verdict(share > ONE_TOKEN_ABOVE, "simple")


def _verdict(is_so: bool, word: str) -> str:
    return word if is_so else f"not {word}"


def _unigrams(found: TokenMeasures) -> str:
    if found.n_unigrams is None:
        return _NO_BOS
    if not found.n_unigrams:
        return "active on no token alone"
    count = f"active on {found.n_unigrams:,} token{'' if found.n_unigrams == 1 else 's'}"
    return f"{count}, strongest {_valued(found.unigrams[:_MOST_CHIPS])}"


def _nearest(near: NearToken | None, name: str, measures: Mapping[str, Measure]) -> str:
    """The nearest token, beside the nearest ones of random directions."""
    if near is None:
        return ""
    text = f'{chip(near.token)} <span title="{exact(near.value)}">cos {short(near.value)}</span>'
    median, high = (measures.get(f"{name}{suffix}") for suffix in ("", "_p95"))
    if median is None or median.control is None:
        return text
    control = f" · random {short(median.control)}"
    if high is not None and high.control is not None:
        side = "above" if near.value > high.control else "not above"
        control += f": {side} 95% of them ({short(high.control)})"
    tip = f"The largest cosine of each of {median.n_control or 0:,} random directions, their median"
    return f'{text}<span title="{escape(tip)}">{escape(control)}</span>'


def _valued(tokens: Iterable[NearToken]) -> str:
    return " ".join(
        f'<span class="fb-counted" title="{exact(one.value)}">{chip(one.token)}'
        f'<i class="fb-times">{short(one.value)}</i></span>'
        for one in tokens
    )


def direction_summary(found: DecoderWeights) -> str:
    """How far it is one dimension of the model, in a line."""
    if found.dim_share is None:
        return "Direction: it has no length"
    dim, share = found.top[0][0], percent(found.dim_share)
    flag = ", one dimension" if found.dim_share > ONE_DIMENSION_ABOVE else ""
    return f"Direction: {share} on dimension {dim}{flag}"


def direction(found: DecoderWeights, info: DictionaryInfo) -> str:
    """Its weights by dimension of the model, and what reads it."""
    rows = []
    if found.dim_share is not None:
        even = percent(1 / info.d_out)
        verdict = _verdict(found.dim_share > ONE_DIMENSION_ABOVE, "one dimension")
        bounds = f"bound {ONE_DIMENSION_ABOVE:.0%}; {even} if all weighed the same"
        share = f"{percent(found.dim_share)} of the squared length: {verdict}"
        rows.append(("largest dimension", f"{escape(share)} <small>({escape(bounds)})</small>"))
    rows.append(("reader bias", _number(found.reader_bias)))
    rows.append(("reader · direction", _reader_cos(found, info)))
    return _weights(found.top) + facts(rows)


def _reader_cos(found: DecoderWeights, info: DictionaryInfo) -> str:
    if found.reader_cos is not None:
        return f"cos {_number(found.reader_cos)}"
    if info.is_transcoder:
        return "no cosine: it reads and writes in different spaces"
    return "no cosine: one of them has no length"


def _number(value: float | None) -> str:
    return f'<span title="{exact(value)}">{short(value)}</span>'


def _weights(top: tuple[tuple[int, float], ...]) -> str:
    """Bars to the left for negative weights, to the right for positive ones."""
    if not top:
        return ""
    largest = max(abs(weight) for _, weight in top) or 1
    bars = "".join(
        f'<li><span>{dim}</span><span class="fb-weight"><i class="fb-{_side(weight)}" '
        f'style="width:{50 * abs(weight) / largest:.1f}%"></i></span>'
        f'<span class="fb-n" title="{exact(weight)}">{short(weight)}</span></li>'
        for dim, weight in top
    )
    return f'<ol class="fb-weights" aria-label="Weights by dimension of the model">{bars}</ol>'


def _side(weight: float) -> str:
    return "left" if weight < 0 else "right"


def place(feature: Feature, cluster: Cluster | None, info: DictionaryInfo) -> str:
    """Where it stands on the map."""
    if info.recipe.get("passes", {}).get("map") is False:
        return _placed("No map was computed for this dictionary (passes.map = false).")
    if feature.place is None:
        dead = ": it is never active" if feature.is_dead else ""
        return _placed(f"It has no place on the map{dead}.")
    if cluster is None:
        return _placed("In no cluster.")
    shared = " ".join(
        f'<span class="fb-counted">{chip(one.token)}<i class="fb-times">'
        f"{escape(percent(one.value))}</i></span>"
        for one in cluster.tokens[:_MOST_CHIPS]
    )
    words = f"Cluster {cluster.cluster}, {cluster.n_features:,} features"
    return _placed(f"{words}, which promote {shared}" if shared else words)


def _placed(html: str) -> str:
    return f'<div class="fb-placed">{html}</div>'


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Names, and HTML beside each."""
    cells = "".join(f"<dt>{escape(name)}</dt><dd>{html}</dd>" for name, html in rows)
    return f'<dl class="fb-facts">{cells}</dl>'
