"""The list of features that a query keeps, as SQL with bound parameters.

Column names come from NUMERIC_COLUMNS alone; whatever a user typed is bound, never spliced in.
"""

from dataclasses import dataclass

from featurestore.errors import StoreError
from featurestore.records import DENSE_ABOVE, NUMERIC_COLUMNS, FeatureQuery, Flag

_ORDER = {
    (column, descending): f"{column} {'desc' if descending else 'asc'} nulls last, feature"
    for column in NUMERIC_COLUMNS
    for descending in (True, False)
}
_AT_LEAST = {column: f"{column} >= ?" for column in NUMERIC_COLUMNS}
_AT_MOST = {column: f"{column} <= ?" for column in NUMERIC_COLUMNS}
_FLAGS = {
    Flag.DEAD: "n_active = 0",
    Flag.DENSE: f"density > {DENSE_ABOVE}",
    Flag.NONFINITE: "n_nonfinite > 0",
}
_ROLES = {
    "promotes": "feature in (select feature from promoted_tokens "
    "where is_promoted and list_contains(?::integer[], token_id))",
    "suppresses": "feature in (select feature from promoted_tokens "
    "where not is_promoted and list_contains(?::integer[], token_id))",
    "peaks on": "list_has_any(peak_tokens, ?::integer[])",
}

COUNT = "select count(*) as n_kept from features where {where}"
PAGE = """
    select feature, n_active, n_nonfinite, density, max_activation, mean_activation, decoder_norm,
        promoted, peak_tokens, peak_counts, histogram, logit_kurtosis
    from features where {where} order by {order} limit ? offset ?
"""
PLACE = """
    with kept as (
        select feature,
            row_number() over (order by {order}) - 1 as place,
            lag(feature) over (order by {order}) as previous,
            lead(feature) over (order by {order}) as next
        from features where {where}
    )
    select place, previous, next from kept where feature = ?
"""
FEATURE_AT = "select feature from features where {where} order by feature limit 1 offset ?"


@dataclass(frozen=True)
class ListSql:
    """The parts of a query that every statement over its list shares."""

    where: str
    order: str
    parameters: tuple

    def fill(self, statement: str) -> str:
        """Put the fixed parts in; values stay bound parameters."""
        return statement.format(where=self.where, order=self.order)


def list_sql(query: FeatureQuery, token_ids: list[int]) -> ListSql:
    """Translate a query; `token_ids` are the tokens that its text stands for.

    Raises:
        StoreError: a column or role that does not exist.
    """
    if (query.sort, query.descending) not in _ORDER:
        raise _unknown("sort by", query.sort)
    parts, parameters = [], []
    if not query.include_dead and Flag.DEAD not in query.flags:
        parts.append("n_active > 0")
    parts += [_FLAGS[flag] for flag in sorted(query.flags)]
    for column, low, high in query.ranges:
        if column not in _AT_LEAST:
            raise _unknown("filter by", column)
        for bound, clause in ((low, _AT_LEAST[column]), (high, _AT_MOST[column])):
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
    return ListSql(where, _ORDER[query.sort, query.descending], tuple(parameters))


def _unknown(action: str, column: str) -> StoreError:
    return StoreError(f"Cannot {action} '{column}'. Columns: {', '.join(NUMERIC_COLUMNS)}.")
