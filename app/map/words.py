"""The map's measures and lists in words and as HTML. Pure; every value escaped."""

from collections.abc import Mapping
from html import escape
from urllib.parse import urlencode

from app import markup, token_text
from app.map.points import N_PROMOTED
from app.map.summary import Summary
from app.markup import COLUMN_HELP, COLUMN_WORDS, TEXT_PLACES
from app.numerals import NONE, exact, percent, short
from featurestore.annotations.records import NO_VERDICT
from featurestore.detail_records import Measure
from featurestore.records import CONTEXT_PLACES, DictionaryInfo, FeatureQuery

CONTROL = (
    "The same layout of as many random directions. UMAP draws clusters in noise too: what both "
    "maps show is the method's doing, not the dictionary's."
)
_ABOVE = COLUMN_HELP["kl_percentile"]
_MEASURES = {
    "clustered": ("in a cluster", "Share of the directions that lie in any cluster"),
    "n_clusters": ("clusters", "Clusters that were found"),
    "trustworthiness": (
        "trustworthiness",
        "How far neighbours on the map are neighbours among the directions: 1 all, 0.5 by chance",
    ),
    "silhouette": (
        "silhouette",
        "How much nearer directions are to their own cluster than to the next, by cosine, from "
        "-1 to 1; over clustered ones",
    ),
}


def measures(found: Mapping[str, Measure]) -> str:
    """A table of the map's measures beside those of its control; "" where none was taken."""
    rows = "".join(
        f'<tr title="{escape(tip)}"><th scope="row">{escape(words)}</th>'
        f"{_cell(name, found[name].value)}{_cell(name, found[name].control)}"
        f'<td class="fb-n">{_counts(found[name])}</td></tr>'
        for name, (words, tip) in _MEASURES.items()
        if name in found
    )
    head = '<tr><th></th><th scope="col">features</th><th scope="col">random</th><th>n</th></tr>'
    return rows and f'<table class="fb-table">{head}{rows}</table>'


def _counts(measure: Measure) -> str:
    """What both were taken over, once if it is the same."""
    counts = [measure.n] if measure.n_control is None else [measure.n, measure.n_control]
    return " / ".join(f"{n:,}" for n in dict.fromkeys(counts))


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return f'<td class="fb-n" title="too few to say">{NONE}</td>'
    shown = percent(value) if name == "clustered" else short(value)
    if name == "n_clusters":
        shown = f"{value:,.0f}"
    return f'<td class="fb-n" title="{escape(exact(value))}">{escape(shown)}</td>'


def population(info: DictionaryInfo, n_points: int, n_clusters: int, n_alive: int) -> str:
    """How many features are on the map, and why others are not."""
    n_dead, n_others = info.n_features - n_alive, n_alive - n_points
    parts: list[str | tuple[str, str]] = [
        (f"{n_points:,} of {info.n_features:,} features", "UMAP of their directions, by cosine"),
        f"{n_clusters:,} cluster{'' if n_clusters == 1 else 's'}",
    ]
    if n_dead:
        parts.append((f"{n_dead:,} dead ones left out", "never active: not laid out"))
    if n_others > 0:
        why = "no length, or beyond the sample of 100,000 that is laid out"
        parts.append((f"{n_others:,} others left out", why))
    return markup.line(parts)


def besides(query: FeatureQuery) -> list[str]:
    """What a list is filtered by that no box of the map shows, but its cluster."""
    parts = []
    if query.text and query.token:
        parts.append(f"{token_text.quoted(query.text)} in its {TEXT_PLACES[query.within]}")
    if query.text and query.within in CONTEXT_PLACES and query.at_least > 1:
        parts.append(f"in at least {query.at_least:,}")
    if query.text and query.is_regex:
        parts.append("as a regular expression")
    if query.verdicts:
        said = ["no verdict" if one == NO_VERDICT else one for one in sorted(query.verdicts)]
        parts.append(" or ".join(said))
    parts += [_bounds(*one) for one in query.ranges if one[0] != "cluster"]
    parts += sorted(flag.value for flag in query.flags)
    return [*parts, "with dead"] if query.include_dead else parts


def _bounds(column: str, low: float | None, high: float | None) -> str:
    ends = [f"{sign} {short(end)}" for sign, end in (("≥", low), ("≤", high)) if end is not None]
    return f"{COLUMN_WORDS[column]} {' and '.join(ends)}"


def link(params: Mapping[str, str]) -> str:
    """An address to copy that opens the map as it is."""
    return f'<a class="fb-edit" href="map?{escape(urlencode(params))}">Link to this list</a>'


def summary(found: Summary) -> str:
    """What a list has in common."""
    above = "not measured"
    if found.n_effects:
        above = f"{short(found.median_effect)}% of random draws, {found.draws}"
    rows = [
        ("mean density", short(found.mean_density), f"over {found.n:,} features"),
        ("KL above random, median", above, f"{_ABOVE} Median over {found.n_effects:,} features"),
    ]
    rows += [
        (verdict or "no verdict", f"{n:,}", f"of {found.n:,} features")
        for verdict, n in found.verdicts
        if n
    ]
    clusters = markup.stats(
        (
            (name, f"{n:,}", f"{n:,} of {found.n:,} are in this cluster")
            for name, n in found.clusters
        ),
        is_wide=True,
    )
    return (
        markup.stats(rows, is_wide=True)
        + markup.part(
            "Promoted most", f"by how many of {found.n:,}, of each its first {N_PROMOTED}"
        )
        + token_text.chips(found.tokens)
        + (markup.part("Largest clusters") + clusters if found.clusters else "")
    )
