"""What a feature does, what is near it and where all stand: questions to one open file."""

from typing import Any

from featurestore.detail_records import (
    AblatedContext,
    Cluster,
    Dependence,
    FeatureMap,
    MapPoint,
    Measure,
    NearToken,
    Neighbour,
    Neighbours,
    SubstitutedToken,
)
from featurestore.dictionary_file import DictionaryFile
from featurestore.feature_list import TOLD_TOKEN_SHARE
from featurestore.rows import token_ids

_ABLATED = "select * exclude (feature) from ablated_contexts where feature = ? order by rank"
_DEPENDENCES = """
    select context, c.tokens, peak, activation, d.start, changes
    from dependences d join contexts c using (context) where feature = ? order by rank
"""
_NEIGHBOURS = """
    select measure, f.feature, n_active = 0 as is_dead, promoted,
        cosine, n_both, jaccard, pmi, conditional, correlation
    from neighbours n join features f on f.feature = neighbour
    where n.feature = ? order by measure, rank
"""
_POINTS = f"""
    select feature, x, y, cluster, density, max_activation, kl_percentile, n_controls,
        ablation_kl, {TOLD_TOKEN_SHARE} as token_share, promoted[1:3] as promoted
    from features where x is not null order by feature
"""
_CLUSTERS = "select * from clusters order by cluster"
_CLUSTER = "select * from clusters where cluster = ?"
_SOME_CLUSTERS = """
    select * from clusters where cluster in (select unnest(?::integer[])) order by cluster
"""
_CONTROL = "select x, y, cluster from control_map order by number"
_MEASURES = "select * from measures order by name"
_SUBSTITUTED = "select * from substituted_tokens order by token_id"


def ablated_contexts(file: DictionaryFile, feature: int) -> tuple[AblatedContext, ...]:
    """Rows of `ablated_contexts`; effects come from 8 bits."""
    return tuple(_ablated(row) for row in file.rows(_ABLATED, feature))


def dependences(file: DictionaryFile, feature: int) -> tuple[Dependence, ...]:
    """Rows of `dependences`, with the contexts' tokens."""
    rows = file.rows(_DEPENDENCES, feature)
    text = file.token_texts(token_ids(rows, "tokens"))
    return tuple(
        Dependence(
            row["context"],
            tuple(text[token] for token in row["tokens"]),
            row["peak"],
            row["activation"],
            dict(enumerate(row["changes"], row["start"])),
        )
        for row in rows
    )


def neighbours(file: DictionaryFile, feature: int) -> Neighbours:
    """Rows of `neighbours`."""
    rows = file.rows(_NEIGHBOURS, feature)
    text = file.token_texts(token_ids(rows, "promoted"))
    by_measure: dict[str, list[Neighbour]] = {"cosine": [], "coactivation": []}
    for row in rows:
        row["promoted"] = _texts(row["promoted"], text)
        by_measure[row.pop("measure")].append(Neighbour(**row))
    return Neighbours(*map(tuple, by_measure.values()))


def feature_map(file: DictionaryFile) -> FeatureMap:
    """The map of a dictionary, and its control; empty without one."""
    points = file.rows(_POINTS)
    text = file.token_texts(token_ids(points, "promoted"))
    return FeatureMap(
        points=tuple(
            MapPoint(**row | {"promoted": _texts(row["promoted"], text)}) for row in points
        ),
        clusters=_clusters(file, file.rows(_CLUSTERS)),
        control=tuple((row["x"], row["y"], row["cluster"]) for row in file.rows(_CONTROL)),
        measures=measures(file),
    )


def cluster(file: DictionaryFile, number: int) -> Cluster | None:
    """One cluster; None if there is none of this number."""
    return next(iter(_clusters(file, file.rows(_CLUSTER, number))), None)


def clusters(file: DictionaryFile, numbers: list[int] | None) -> tuple[Cluster, ...]:
    """Those of some numbers; all without."""
    asked = (_CLUSTERS,) if numbers is None else (_SOME_CLUSTERS, numbers)
    return _clusters(file, file.rows(*asked))


def measures(file: DictionaryFile) -> dict[str, Measure]:
    """Rows of `measures`, by name."""
    return {row.pop("name"): Measure(**row) for row in file.rows(_MEASURES)}


def substituted_tokens(file: DictionaryFile) -> tuple[SubstitutedToken, ...]:
    """Rows of `substituted_tokens`."""
    rows = file.rows(_SUBSTITUTED)
    text = file.token_texts({row["token_id"] for row in rows})
    return tuple(SubstitutedToken(text[row.pop("token_id")], **row) for row in rows)


def _clusters(file: DictionaryFile, rows: list[dict[str, Any]]) -> tuple[Cluster, ...]:
    text = file.token_texts(token_ids(rows, "tokens"))
    return tuple(
        Cluster(
            row["cluster"],
            row["n_features"],
            row["x"],
            row["y"],
            tuple(
                NearToken(text[token], share)
                for token, share in zip(row["tokens"], row["shares"], strict=True)
            ),
        )
        for row in rows
    )


def _ablated(row: dict[str, Any]) -> AblatedContext:
    start, scale, q = row.pop("start"), row.pop("scale"), row.pop("q")
    return AblatedContext(**row, effects={pos: v / 127 * scale for pos, v in enumerate(q, start)})


def _texts(tokens: list[int] | None, text: dict[int, str]) -> tuple[str, ...]:
    return tuple(text[token] for token in tokens or [])
