"""What is odd about a feature, with the threshold; on its page as chips. Pure."""

from html import escape

from app.numerals import percent
from app.token_text import quoted
from featurestore.records import (
    DENSE_ABOVE,
    ONE_DIMENSION_ABOVE,
    ONE_TOKEN_ABOVE,
    ONE_TOKEN_FROM,
    Feature,
    FeatureSummary,
    Flag,
)


def of_feature(feature: Feature) -> dict[Flag, str]:
    """Those that a feature has, and what each of them means here."""
    share, weights = feature.token_measures.share, feature.decoder_weights
    return _told(
        feature,
        (share.value, quoted(share.token)) if share else None,
        (weights.dim_share, f"dimension {weights.top[0][0]} of the model") if weights.top else None,
    )


def of_row(row: FeatureSummary) -> dict[Flag, str]:
    """The same of a row of the list, which does not know which token and dimension it is."""
    return _told(row, (row.token_share, "one token"), (row.dim_share, "one dimension"))


def _told(
    feature: Feature | FeatureSummary,
    token: tuple[float | None, str] | None,
    dimension: tuple[float | None, str] | None,
) -> dict[Flag, str]:
    """`token` and `dimension` are a share, if it is known, and of what."""
    found = {}
    if feature.is_dead:
        found[Flag.DEAD] = "never active on this corpus"
    if feature.density > DENSE_ABOVE:
        share = percent(feature.density)
        found[Flag.DENSE] = f"active on {share} of tokens, above {DENSE_ABOVE:.0%}"
    if feature.n_nonfinite:
        found[Flag.NONFINITE] = (
            f"NaN or infinity on {feature.n_nonfinite:,} tokens, which count in no other number"
        )
    if feature.n_active < ONE_TOKEN_FROM:
        token = None
    for flag, share_of, what, bound in (
        (Flag.ONE_DIMENSION, dimension, "direction's squared length", ONE_DIMENSION_ABOVE),
        (Flag.ONE_TOKEN, token, "activation", ONE_TOKEN_ABOVE),
    ):
        share, on = share_of or (None, "")
        if share is not None and share > bound:
            found[flag] = f"{percent(share)} of its {what} is on {on}, above {bound:.0%}"
    return found


def chips(feature: Feature) -> str:
    """The flags in a row; nothing without any."""
    words = "".join(
        f'<span class="fb-flag" title="{escape(tip)}">{escape(flag.value)}</span>'
        for flag, tip in of_feature(feature).items()
    )
    return f'<span class="fb-flags">{words}</span>' if words else ""
