"""The list of features that a query keeps, as SQL with bound parameters.

Column names come from NUMERIC_COLUMNS alone; whatever a user typed is bound, never spliced in.
"""

from dataclasses import dataclass

from featurestore.errors import StoreError
from featurestore.records import DENSE_ABOVE, NUMERIC_COLUMNS, FeatureQuery, Flag

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

COUNT = "select count(*) as n_kept from features where {where}"
FEATURE_AT = "select feature from features where {where} order by feature limit 1 offset ?"
MARKS = """
    select feature, density, max_activation from features
    where {where} and feature in (select unnest(?::integer[])) order by feature
"""
SUMMARY = """feature, n_active, n_nonfinite, density, max_activation, mean_activation, decoder_norm,
        promoted, peak_tokens, peak_counts, histogram, logit_kurtosis"""
_KEPT = """
    with kept as materialized (
        select feature, {column} as value from features where {where}
    ),
"""
# Ordered by narrow columns alone; the wide ones are read of the chosen rows only.
PAGE = f"""{_KEPT}
    chosen as (from kept order by {{order}} limit ? offset ?)
    select {SUMMARY},
        (select count(*) from kept) as n_kept
    from chosen join features using (feature) order by {{order}}
"""
# A feature that is not kept has the whole list after it.
PLACE = f"""{_KEPT}
    here as (select feature as number, value as mark from kept where feature = ?),
    before as (
        select feature, value from kept, here
        where value {{above}} mark or value is not distinct from mark and feature < number
            or value is not null and mark is null
    ),
    after as (
        select feature, value from kept left join here on true
        where value {{below}} mark or value is not distinct from mark and feature > number
            or value is null and mark is not null or number is null
    )
    select (select count(*) from kept) as n_kept,
        (select count(*) from here) as is_kept,
        (select count(*) from before) as place,
        (select feature from before order by {{backwards}} limit 1) as previous,
        (select feature from after order by {{order}} limit 1) as next
"""


@dataclass(frozen=True)
class ListSql:
    """The parts of a query that every statement over its list shares."""

    where: str
    column: str
    descending: bool
    parameters: tuple

    def fill(self, statement: str) -> str:
        """Put the fixed parts in; values stay bound parameters."""
        order = _ORDERS[self.descending]
        return statement.format(where=self.where, column=self.column, **order)


def list_sql(query: FeatureQuery, token_ids: list[int]) -> ListSql:
    """Translate a query; `token_ids` are the tokens that its text stands for.

    Raises:
        StoreError: a column or role that does not exist, or a range that ends at NaN.
    """
    if query.sort not in NUMERIC_COLUMNS:
        raise _unknown("sort by", query.sort)
    parts, parameters = [], []
    if not query.include_dead and Flag.DEAD not in query.flags:
        parts.append("n_active > 0")
    parts += [_FLAGS[flag] for flag in sorted(query.flags)]
    for column, low, high in query.ranges:
        if column not in _AT_LEAST:
            raise _unknown("filter by", column)
        for bound, clause in ((low, _AT_LEAST[column]), (high, _AT_MOST[column])):
            if bound != bound:
                raise StoreError(f"A range of '{column}' cannot end at NaN: it is no number.")
            if bound is not None:
                parts.append(clause)
                parameters.append(bound)
    if query.token:
        if query.role not in _ROLES:
            known = ", ".join(_ROLES)
            raise StoreError(f"No token search '{query.role}'. Known: {known}.")
        parts.append(_ROLES[query.role])
        parameters.append(token_ids)
    where = " and ".join(parts) or "true"
    return ListSql(where, query.sort, query.descending, tuple(parameters))


def _unknown(action: str, column: str) -> StoreError:
    return StoreError(f"Cannot {action} '{column}'. Columns: {', '.join(NUMERIC_COLUMNS)}.")
