"""What stands beside the features that a text finds in their contexts: what chance alone finds."""

from dataclasses import replace

from app import session
from app.markup import TEXT_PLACES
from app.numerals import beyond_chance, chance_of, percent
from featurestore.errors import StoreError
from featurestore.records import DictionaryInfo, FeaturePage, FeatureQuery


def of_a_search(kept: FeaturePage, query: FeatureQuery) -> list[tuple[str, str]]:
    """Which share of contexts match by chance, and then of features, if contexts were searched."""
    n_matching, n = kept.silent or (0, 0)
    of_each = max((row.n_searched or 0 for row in kept.rows), default=0)
    if not n or not of_each:
        return []
    share, least = n_matching / n, query.at_least
    of_features = percent(chance_of(least, of_each, share))
    contexts = (
        f"{n_matching:,} of {n:,} different tokens, drawn where features are silent, stand in "
        "contexts that match. A row says the same of its own contexts: so many of so many"
    )
    features = (
        f"Of features with {of_each} contexts drawn where features are silent, {of_features} have "
        f"{least} or more that match. {_luck(share, of_each)}. That is the luck of the draw alone: "
        "a random direction may prefer a language or a style too"
    )
    return [
        (f"by chance {percent(share)} of {TEXT_PLACES[query.within]}", contexts),
        (f"{of_features} of features", features),
    ]


def _luck(share: float, n: int) -> str:
    """How many of a feature's contexts are more than chance."""
    fewest = beyond_chance(share, n)
    if fewest is None:
        return f"{n} of {n} happen by chance to more than 1 feature in 100"
    many = f"{n} of {n}" if fewest == n else f"{fewest} of {n} or more"
    return f"{many} happen by chance to fewer than 1 feature in 100"


def of_random_directions(kept: FeaturePage, query: FeatureQuery) -> list[tuple[str, str]]:
    """What the same search finds among random directions that read the same, if the store has any.

    Chosen features, clusters and verdicts are none of theirs, and are not asked for.
    """
    control = _control(session.store().dictionary(query.dictionary_id))
    if control is None or not kept.silent:
        return []
    of_all = replace(query, among=(), verdicts=frozenset(), sort="feature")
    ranges = tuple(one for one in query.ranges if one[0] != "cluster")
    asked = replace(of_all, dictionary_id=control.dictionary_id, ranges=ranges)
    try:
        found = session.store().features(asked, limit=0)
    except StoreError as error:
        return [("random directions: not known", str(error))]
    tip = (
        f"{percent(found.n_kept / found.n_features)} of {control.dictionary_id}, random directions "
        f"at {control.hook_name}, by the same search on the same texts. What is active on some "
        "tokens and not on others may well prefer a language or a style: the list says something "
        "as far as it has more than this"
    )
    return [(f"random directions {found.n_kept:,} of {found.n_features:,}", tip)]


def _control(info: DictionaryInfo) -> DictionaryInfo | None:
    """Random directions that read what a dictionary reads, with as many contexts of each."""

    def reads(one: DictionaryInfo) -> tuple[str | int | None, ...]:
        model, corpus = (one.digests.get(name) for name in ("model", "corpus"))
        kept = one.recipe["passes"]
        return one.hook_name, model, corpus, kept["n_random"], kept["n_top"]

    if info.kind == "random":
        return None
    others = session.catalogue().dictionaries
    return next((one for one in others if one.kind == "random" and reads(one) == reads(info)), None)
