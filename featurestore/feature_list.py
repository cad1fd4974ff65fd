"""The list of features that a query keeps, as SQL with bound parameters.

Column names come from SORTS alone; whatever a user typed is bound, never spliced in.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from featurestore.errors import StoreError
from featurestore.literals import required
from featurestore.records import (
    DENSE_ABOVE,
    NUMERIC_COLUMNS,
    ONE_DIMENSION_ABOVE,
    ONE_TOKEN_ABOVE,
    ONE_TOKEN_FROM,
    SORTS,
    FeatureQuery,
    Flag,
)

_ORDERS = {
    True: {
        "order": "value desc nulls last, feature",
        "backwards": "value asc nulls first, feature desc",
        "above": ">",
        "below": "<",
    },
    False: {
        "order": "value asc nulls last, feature",
        "backwards": "value desc nulls first, feature desc",
        "above": "<",
        "below": ">",
    },
}
"""By descending or not; `above` is how the values further up in the list compare."""

_AT_LEAST = {column: f"{column} >= ?" for column in NUMERIC_COLUMNS}
_AT_MOST = {column: f"{column} <= ?" for column in NUMERIC_COLUMNS}
_FLAGS = {
    Flag.DEAD: "n_active = 0",
    Flag.DENSE: f"density > {DENSE_ABOVE}",
    Flag.NONFINITE: "n_nonfinite > 0",
    Flag.ONE_DIMENSION: f"dim_share > {ONE_DIMENSION_ABOVE}",
    Flag.ONE_TOKEN: f"n_active >= {ONE_TOKEN_FROM} and token_share > {ONE_TOKEN_ABOVE}",
}
TOLD_TOKEN_SHARE = f"case when n_active >= {ONE_TOKEN_FROM} then token_share end"
"""Null where it tells nothing: such a feature comes last, and has no colour on the map."""

_TOKENS = {
    "promotes": "(select * from promoted_tokens where is_promoted)",
    "suppresses": "(select * from promoted_tokens where not is_promoted)",
    "peaks on": "(select feature, unnest(peak_tokens) as token_id from features)",
}
# Put into a list and out again, what was found is what DuckDB hashes, and not every feature.
_ROLES = {
    role: f"feature in (select unnest(list(feature)) from {tokens} "
    "where token_id in (select unnest(?::integer[])))"
    for role, tokens in _TOKENS.items()
}

# DuckDB looks for what is required first: RE2, which is slower, sees only the texts that have it.
_CONTEXTS = {
    (column, is_lower): f"select context from contexts where contains({text}, ?) "
    f"and regexp_matches({column}, ?)"
    for column in ("text", "document")
    for is_lower, text in ((False, column), (True, f"lower({column})"))
}
_NO_CONTEXTS = "select context from contexts where false"
_SEARCHED = {
    "contexts": ("text", "top", "top_contexts"),
    "sampled": ("text", "random", "(from examples where sampler = 'random')"),
    "documents": ("document", "random", "(from examples where sampler = 'random')"),
}
"""What is searched of contexts, and whose: the sampler that drew them, and its rows."""
_MATCHING = "feature in (select feature from matching group by feature having count(*) >= ?)"
_AMONG = "feature in (select unnest(?::integer[]))"
_WITHOUT = "feature not in (select unnest(?::integer[]))"

# Wellons's `lowbias32`, with a key before and one inside. Each step can be undone, modulo 2^32, so
# no two features get the same number; every product fits 64 bits.
_SHUFFLED = """(
    select *, xor(feature::ubigint, ?::ubigint) as mixed_1,
        xor(mixed_1, mixed_1 >> 16::ubigint) * 2146121005::ubigint as mixed_2,
        (mixed_2 + ?::ubigint) & 4294967295::ubigint as mixed_3,
        xor(mixed_3, mixed_3 >> 15::ubigint) * 2221713035::ubigint as mixed_4,
        mixed_4 & 4294967295::ubigint as mixed_5,
        xor(mixed_5, mixed_5 >> 16::ubigint) as random
    from features
)"""

_HOW_MUCH = {
    "promotes": "select feature, max(logit) as match from promoted_tokens where is_promoted",
    "suppresses": "select feature, max(-logit) as match from promoted_tokens where not is_promoted",
    "peaks on": """
        select feature, sum(n) as match from (
            select feature, unnest(peak_tokens) as token_id, unnest(peak_counts) as n from features
        ) where true""",
}
"""How well a token matches: its largest logit, or how many of the top contexts peak on it."""
_BY_TOKEN = {
    role: f"""(
        select features.*, match from features left join ({how_much}
            and token_id in (select unnest(?::integer[])) group by feature) using (feature)
    )"""
    for role, how_much in _HOW_MUCH.items()
}
_BY_TEXT = """(
    select features.*, match from features
    left join (select feature, count(*) as match from matching group by feature) using (feature)
)"""
_BY_NOTHING = "(select *, null::double as match from features)"

TEXTS_AT_MOST = 2
"""Texts that are told of a feature, as reasons to be in the list."""

# Contexts are searched once for a statement: the page says of its features where it was found.
_MATCHES = """
    with matching as materialized (
        select feature, rank, context from {searched} where context in ({contexts})
    )
"""
SILENT_AT_MOST = 5000
"""Features whose silent tokens chance is taken from: 100,000 tokens with 20 each. Those of one are
drawn as those of any other; all of 24,576 features would take several times as long."""
SILENT = f"""
    select count(*) filter (context in ({{contexts}})) as n_matching, count(*) as n
    from (
        select distinct context, peak from examples
        where sampler = 'zero' and feature < {SILENT_AT_MOST}
    )
"""
"""How often contexts match by chance, each token counted once whoever drew it; its parameters are
those of the contexts alone."""
COUNT = _MATCHES + "select count(*) as n_kept from {source} where {where}"
FEATURE_AT = (
    _MATCHES + "select feature from {source} where {where} order by feature limit 1 offset ?"
)
NUMBERS = _MATCHES + "select feature from {source} where {where} order by feature"
MARKS = (
    _MATCHES
    + """
    select feature, density, max_activation from {source}
    where {where} and feature in (select unnest(?::integer[])) order by feature
"""
)
SUMMARY = """feature, n_active, n_nonfinite, density, max_activation, mean_activation, decoder_norm,
        promoted, peak_tokens, peak_counts, histogram, logit_kurtosis, ablation_kl, control_kl,
        kl_percentile, n_effects, n_controls, nearest_cos, cluster, token_share, dim_share"""
# Ordered by narrow columns alone; the wide ones are read of the chosen rows only.
PAGE = f"""{_MATCHES},
    kept as materialized (
        select feature, {{column}} as value from {{source}} where {{where}}
    ),
    chosen as materialized (from kept order by {{order}} limit ? offset ?),
    found as (
        select feature, arg_min(context, rank, {TEXTS_AT_MOST}) as contexts,
            count(*) as n_matching, any_value(n_sampled) as n_searched
        from matching left join (from bands where sampler = '{{sampler}}') using (feature)
        where feature in (select feature from chosen) group by feature
    )
    select {SUMMARY}, contexts, n_matching, n_searched,
        (select count(*) from kept) as n_kept
    from chosen join features using (feature) left join found using (feature) order by {{order}}
"""
# A feature that is not here has the whole list after it; one may be here and not kept.
PLACE = (
    f"{_MATCHES},"
    + """
    steady as materialized (
        select feature, {column} as value from {source} where {steady}
    ),
    kept as (from steady where {said}),
    here as (select feature as number, value as mark from steady where feature = ?),
    before as (
        select feature, value from kept, here
        where value {above} mark or value is not distinct from mark and feature < number
            or value is not null and mark is null
    ),
    after as (
        select feature, value from kept left join here on true
        where value {below} mark or value is not distinct from mark and feature > number
            or value is null and mark is not null or number is null
    )
    select (select count(*) from kept) as n_kept,
        (select count(*) from kept, here where feature = number) as is_kept,
        (select count(*) from before) as place,
        (select feature from before order by {backwards} limit 1) as previous,
        (select feature from after order by {order} limit 1) as next
"""
)


@dataclass(frozen=True)
class ListSql:
    """The parts of a query that every statement over its list shares."""

    contexts: str
    """The contexts in which a text is found; none without one."""
    within: str
    """Which contexts of a feature are searched: a key of _SEARCHED."""
    source: str
    """The table of features, with a column of its own for a shuffle or a match."""
    steady: str
    """What the file alone decides."""
    said: str
    """What is decided by what people and programs said of features."""
    column: str
    descending: bool
    parameters: tuple
    """In the order of contexts, source, steady, said."""

    def fill(self, statement: str) -> str:
        """Put the fixed parts in; values stay bound parameters."""
        _, sampler, searched = _SEARCHED[self.within]
        return statement.format(
            contexts=self.contexts,
            sampler=sampler,
            searched=searched,
            source=self.source,
            steady=self.steady,
            said=self.said,
            where=f"{self.steady} and {self.said}",
            column=self.column,
            **_ORDERS[self.descending],
        )


def exact_text(text: str) -> str | None:
    """What stands between the double quotes around a searched text: meant with case and spaces.

    None if it is not quoted; quotes alone are a text like any other.
    """
    is_quoted = len(text) > 2 and text[0] == text[-1] == '"' and text.strip('"')
    return text[1:-1] if is_quoted else None


def list_sql(
    query: FeatureQuery,
    token_ids: Sequence[int] = (),
    pattern: str | None = None,
    among: Sequence[list[int]] = (),
    without: Sequence[list[int]] = (),
) -> ListSql:
    """Translate a query.

    `token_ids` are the tokens that its token stands for, `pattern` what RE2 must find in one of the
    contexts that the query's `within` searches. Of features that something was said of, only those
    in all lists of `among` are kept, and none of those `without`.

    Raises:
        StoreError: a column or role that does not exist, or a range that ends at NaN.
    """
    if query.sort not in SORTS:
        raise _unknown("sort by", query.sort, SORTS)
    source, values = _source(query, token_ids, pattern is not None)
    literal = required(pattern or "")
    parameters: list[object] = [] if pattern is None else [literal.text, pattern]
    parameters += values
    parts = []
    if pattern is not None:
        parts.append(_MATCHING)
        parameters.append(query.at_least)
    if not query.include_dead and Flag.DEAD not in query.flags:
        parts.append("n_active > 0")
    parts += [_FLAGS[flag] for flag in sorted(query.flags)]
    for part, values in (*_ranges(query), *_searches(query, token_ids), *_chosen(query)):
        parts.append(part)
        parameters += values
    # As text, which DuckDB takes in half the time of a list of Python's integers.
    said = [(_AMONG, str(features)) for features in among]
    said += [(_WITHOUT, str(features)) for features in without]
    within = "contexts" if pattern is None else query.within
    column, *_ = _SEARCHED[within]
    return ListSql(
        contexts=_NO_CONTEXTS if pattern is None else _CONTEXTS[column, literal.is_lower],
        within=within,
        source=source,
        steady=" and ".join(parts) or "true",
        said=" and ".join(part for part, _ in said) or "true",
        column=TOLD_TOKEN_SHARE if query.sort == "token_share" else query.sort,
        descending=query.descending,
        parameters=(*parameters, *(features for _, features in said)),
    )


def _source(
    query: FeatureQuery, token_ids: Sequence[int], has_text: bool
) -> tuple[str, list[object]]:
    """The table of features with the column to sort by, and its parameters."""
    if query.sort == "random":
        return _SHUFFLED, [*_keys(query.seed)]
    if query.sort != "match":
        return "features", []
    if query.token and query.role in _BY_TOKEN:
        return _BY_TOKEN[query.role], [list(token_ids)]
    return _BY_TEXT if has_text else _BY_NOTHING, []


def _ranges(query: FeatureQuery) -> list[tuple[str, list[object]]]:
    """Conditions, each with its parameters."""
    found = []
    for column, low, high in query.ranges:
        if column not in _AT_LEAST:
            raise _unknown("filter by", column, NUMERIC_COLUMNS)
        for bound, clause in ((low, _AT_LEAST[column]), (high, _AT_MOST[column])):
            if bound != bound:
                raise StoreError(f"A range of '{column}' cannot end at NaN: it is no number.")
            if bound is not None:
                found.append((clause, [bound]))
    return found


def _searches(query: FeatureQuery, token_ids: Sequence[int]) -> list[tuple[str, list[object]]]:
    """Conditions, each with its parameters."""
    if not query.token:
        return []
    if query.role not in _ROLES:
        known = ", ".join(_ROLES)
        raise StoreError(f"No token search '{query.role}'. Known: {known}.")
    return [(_ROLES[query.role], [list(token_ids)])]


def _chosen(query: FeatureQuery) -> list[tuple[str, list[object]]]:
    """Conditions, each with its parameters; numbers that no feature can have are passed over."""
    known = [int(feature) for feature in query.among if 0 <= feature < 2**31]
    return [(_AMONG, [str(known)])] if query.among else []


def _keys(seed: int) -> tuple[int, int]:
    """Two numbers of 32 bits that a shuffle is made with."""
    digest = hashlib.blake2b(str(seed).encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:], "big")


def _unknown(action: str, column: str, known: tuple[str, ...]) -> StoreError:
    return StoreError(f"Cannot {action} '{column}'. Columns: {', '.join(known)}.")
