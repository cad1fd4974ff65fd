"""What is odd about a feature, as chips with the threshold in their tips. Pure."""

from html import escape

from app.numerals import percent
from app.token_text import quoted
from featurestore.records import (
    DENSE_ABOVE,
    ONE_DIMENSION_ABOVE,
    ONE_TOKEN_ABOVE,
    Feature,
    Flag,
)


def flags(feature: Feature) -> dict[Flag, str]:
    """Those that a feature has, and what each of them means here."""
    found = {}
    if feature.is_dead:
        found[Flag.DEAD] = "never active on this corpus"
    if feature.density > DENSE_ABOVE:
        share = percent(feature.density)
        found[Flag.DENSE] = f"active on {share} of tokens: dense above {DENSE_ABOVE:.0%}"
    if feature.n_nonfinite:
        found[Flag.NONFINITE] = f"NaN or infinity on {feature.n_nonfinite:,} tokens"
    share = feature.token_measures.share
    if share and share.value > ONE_TOKEN_ABOVE:
        found[Flag.ONE_TOKEN] = (
            f"{percent(share.value)} of its activation is on {quoted(share.token)}: "
            f"one token above {ONE_TOKEN_ABOVE:.0%}"
        )
    dim_share = feature.decoder_weights.dim_share
    if dim_share is not None and dim_share > ONE_DIMENSION_ABOVE:
        found[Flag.ONE_DIMENSION] = (
            f"{percent(dim_share)} of its squared length is on dimension "
            f"{feature.decoder_weights.top[0][0]} of the model: "
            f"one dimension above {ONE_DIMENSION_ABOVE:.0%}"
        )
    return found


def chips(feature: Feature) -> str:
    """The flags in a row; nothing without any."""
    words = "".join(
        f'<span class="fb-flag" title="{escape(tip)}">{escape(flag.value)}</span>'
        for flag, tip in flags(feature).items()
    )
    return f'<span class="fb-flags">{words}</span>' if words else ""
