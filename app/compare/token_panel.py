"""The plot of one dictionary: what is lost at which token."""

import streamlit as st

from app import figures, markup, session
from app.compare import charts, token_losses
from app.compare import session as compare
from app.compare.scoreboard import Entry
from app.compare.selection import CompareSelection
from app.token_text import quoted
from featurestore.detail_records import SubstitutedToken

_TITLES = ("times in the corpus", "KL, nats")

Tokens = tuple[SubstitutedToken, ...]


def problem(selection: CompareSelection, entries: tuple[Entry, ...]) -> str:
    """What is wrong with the dictionary that the link names; "" if nothing is."""
    ids = _scored(entries)
    if selection.of in ("", *ids):
        return ""
    known = ", ".join(ids) or "none"
    return f"The link says of={selection.of}. With scores, among these: {known}."


def choose(selection: CompareSelection, entries: tuple[Entry, ...]) -> Tokens:
    """Which dictionary; returns its tokens, none where no dictionary has scores."""
    ids = _scored(entries)
    if not ids:
        st.html(markup.line(["none of these has scores"]))
        return ()
    chosen = selection.of if selection.of in ids else ids[0]
    session.seed({"of": chosen})
    st.selectbox(
        "Dictionary",
        ids,
        key="of",
        on_change=compare.on_control,
        args=("of",),
        label_visibility="collapsed",
        width=220,
    )
    tokens = session.store().substituted_tokens(chosen)
    st.html(token_losses.summary(tokens))
    return tokens


def losses(tokens: Tokens) -> None:
    """The tokens on a plane, and those on which most is lost."""
    if not tokens:
        return
    bins = token_losses.by_frequency(tokens)
    figure = charts.losses(
        [
            charts.Dot(one.n_corpus, one.kl, quoted(one.token), token_losses.told(one))
            for one in token_losses.drawn(tokens)
        ],
        [(each.middle, each.kl, token_losses.told_of_bin(each)) for each in bins],
        [(each.middle, each.control_kl, token_losses.told_of_bin(each)) for each in bins],
        _TITLES,
    )
    st.plotly_chart(figure, key="losses", config=figures.CONFIG, theme=None)
    st.html(token_losses.costliest_chips(tokens))


def _scored(entries: tuple[Entry, ...]) -> list[str]:
    return [one.info.dictionary_id for one in entries if one.is_scored]
