"""The list of features that a query keeps, as SQL with bound parameters.

Column names come from SORTS alone; whatever a user typed is bound, never spliced in.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from featurestore.errors import StoreError
from featurestore.records import DENSE_ABOVE, NUMERIC_COLUMNS, SORTS, FeatureQuery, Flag

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
}

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

_IN_CONTEXTS = """feature in (
        select feature from examples join contexts using (context)
        where sampler = 'top' and regexp_matches(text, ?)
    )"""
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

COUNT = "select count(*) as n_kept from {source} where {where}"
FEATURE_AT = "select feature from {source} where {where} order by feature limit 1 offset ?"
MARKS = """
    select feature, density, max_activation from {source}
    where {where} and feature in (select unnest(?::integer[])) order by feature
"""
SUMMARY = """feature, n_active, n_nonfinite, density, max_activation, mean_activation, decoder_norm,
        promoted, peak_tokens, peak_counts, histogram, logit_kurtosis"""
_KEPT = """
    with kept as materialized (
        select feature, {column} as value from {source} where {where}
    ),
"""
# Ordered by narrow columns alone; the wide ones are read of the chosen rows only.
PAGE = f"""{_KEPT}
    chosen as (from kept order by {{order}} limit ? offset ?)
    select {SUMMARY},
        (select count(*) from kept) as n_kept
    from chosen join features using (feature) order by {{order}}
"""
# A feature that is not here has the whole list after it; one may be here and not kept.
PLACE = """
    with steady as materialized (
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


@dataclass(frozen=True)
class ListSql:
    """The parts of a query that every statement over its list shares."""

    source: str
    """The table of features, with a column of its own for a shuffle."""
    steady: str
    """What the file alone decides."""
    said: str
    """What is decided by what people and programs said of features."""
    column: str
    descending: bool
    parameters: tuple
    """In the order of source, steady, said."""

    def fill(self, statement: str) -> str:
        """Put the fixed parts in; values stay bound parameters."""
        return statement.format(
            source=self.source,
            steady=self.steady,
            said=self.said,
            where=f"{self.steady} and {self.said}",
            column=self.column,
            **_ORDERS[self.descending],
        )


def list_sql(
    query: FeatureQuery,
    token_ids: Sequence[int] = (),
    pattern: str | None = None,
    among: Sequence[list[int]] = (),
    without: Sequence[list[int]] = (),
) -> ListSql:
    """Translate a query.

    `token_ids` are the tokens that its token stands for, `pattern` what RE2 must find in a top
    context. Of features that something was said of, only those in all lists of `among` are kept,
    and none of those `without`.

    Raises:
        StoreError: a column or role that does not exist, or a range that ends at NaN.
    """
    if query.sort not in SORTS:
        raise _unknown("sort by", query.sort, SORTS)
    is_shuffled = query.sort == "random"
    parameters: list[object] = [*_keys(query.seed)] if is_shuffled else []
    parts = []
    if not query.include_dead and Flag.DEAD not in query.flags:
        parts.append("n_active > 0")
    parts += [_FLAGS[flag] for flag in sorted(query.flags)]
    for part, values in (*_ranges(query), *_searches(query, token_ids, pattern)):
        parts.append(part)
        parameters += values
    # As text, which DuckDB takes in half the time of a list of Python's integers.
    said = [(_AMONG, str(features)) for features in among]
    said += [(_WITHOUT, str(features)) for features in without]
    return ListSql(
        source=_SHUFFLED if is_shuffled else "features",
        steady=" and ".join(parts) or "true",
        said=" and ".join(part for part, _ in said) or "true",
        column=query.sort,
        descending=query.descending,
        parameters=(*parameters, *(features for _, features in said)),
    )


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


def _searches(
    query: FeatureQuery, token_ids: Sequence[int], pattern: str | None
) -> list[tuple[str, list[object]]]:
    """Conditions, each with its parameters."""
    found = []
    if query.token:
        if query.role not in _ROLES:
            known = ", ".join(_ROLES)
            raise StoreError(f"No token search '{query.role}'. Known: {known}.")
        found.append((_ROLES[query.role], [list(token_ids)]))
    if pattern is not None:
        found.append((_IN_CONTEXTS, [pattern]))
    return found


def _keys(seed: int) -> tuple[int, int]:
    """Two numbers of 32 bits that a shuffle is made with."""
    digest = hashlib.blake2b(str(seed).encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:], "big")


def _unknown(action: str, column: str, known: tuple[str, ...]) -> StoreError:
    return StoreError(f"Cannot {action} '{column}'. Columns: {', '.join(known)}.")
