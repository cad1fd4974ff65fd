"""A cluster of the map among the filters of a list: how it is called, chosen and told."""

import streamlit as st

from app import address, session
from app.selection import filters, with_filters
from app.token_text import alone
from featurestore.detail_records import Cluster
from featurestore.records import FeatureQuery

_NAMING = 3
"""Tokens in a cluster's name."""


def name(cluster: Cluster) -> str:
    """A cluster's number and the tokens that name it, as plain text."""
    # Isolated, so that one written from right to left turns nothing else round.
    tokens = (f"\u2068{alone(one.token)}\u2069" for one in cluster.tokens[:_NAMING])
    return " ".join((str(cluster.cluster), *tokens))


def label(cluster: Cluster) -> str:
    """A cluster in a list of choices."""
    return f"{name(cluster)} · {cluster.n_features:,} features"


def choice(query: FeatureQuery) -> None:
    """A choice among the clusters of the map, where there is one; what it says is in the URL."""
    known = session.store().clusters(query.dictionary_id)
    ends = _ends(query)
    if not known and ends is None:
        return
    number = chosen(query)
    session.seed({"cluster": number if number in known else None})
    st.selectbox(
        "Cluster",
        list(known),
        index=None,
        key="cluster",
        format_func=lambda number: label(known[number]),
        placeholder="all" if ends is None else " to ".join(map(_end_words, ends)),
        on_change=_on_choice,
        width=280,
    )


def chosen(query: FeatureQuery) -> int | None:
    """The one cluster that a list is of, whether it exists or not."""
    low, high = _ends(query) or (None, None)
    return int(low) if low is not None and low == high == int(low) else None


def words(query: FeatureQuery) -> list[str]:
    """The cluster that a list is of, by its name; nothing if it is of none."""
    number = chosen(query)
    if number is None:
        return []
    found = session.store().clusters(query.dictionary_id, [number])
    return [f"cluster {name(found[number]) if number in found else number}"]


def _on_choice() -> None:
    """Callback: one cluster, or features of any and of none."""
    now, _ = session.read()
    number = st.session_state["cluster"]
    if isinstance(number, str):  # sent once more, in words of the dictionary of before
        address.keep()
        return
    ends = {"cluster_low": number, "cluster_high": number}
    session.go(with_filters(now, filters(now) | ends))


def _ends(query: FeatureQuery) -> tuple[float | None, float | None] | None:
    return next(((low, high) for column, low, high in query.ranges if column == "cluster"), None)


def _end_words(end: float | None) -> str:
    return "any" if end is None else f"{end:g}"
