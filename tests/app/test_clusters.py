from dataclasses import replace

import pytest

from app import clusters
from app.clusters import chosen, label, name
from app.selection import Selection
from featurestore.detail_records import Cluster, NearToken
from featurestore.records import FeatureQuery
from tests.synthetic_store import HOSTILE


def test_a_cluster_is_told_by_number_and_tokens() -> None:
    tokens = tuple(NearToken(token, 0.5) for token in (" a", "\u05d0", "\n", " d"))
    cluster = Cluster(3, 1041, 0.0, 0.0, tokens)
    inside = ("\u2068␣a\u2069", "\u2068\u05d0\u2069", "\u2068↵\u2069")
    assert name(cluster) == " ".join(("3", *inside))
    assert label(cluster).endswith("· 1,041 features")
    assert name(replace(cluster, tokens=())) == "3"


@pytest.mark.parametrize("token", HOSTILE)
def test_a_name_is_short_and_hides_nothing(token: str) -> None:
    told = name(Cluster(0, 5, 0.0, 0.0, (NearToken(token, 1.0),)))
    assert len(told) < 40
    assert not {"\u202e", "\u200b", "\0", "\n", "\r", "\u2028"} & set(told)


@pytest.mark.parametrize(
    ("ends", "expected"),
    [((3.0, 3.0), 3), ((0.0, 0.0), 0), ((2.0, 5.0), None), ((3.5, 3.5), None), ((3.0, None), None)],
)
def test_one_cluster_is_a_range_of_one(
    ends: tuple[float | None, float | None], expected: int | None
) -> None:
    query = FeatureQuery("d", ranges=(("density", 0.1, 0.1), ("cluster", *ends)))
    assert chosen(query) == expected
    assert chosen(FeatureQuery("d", ranges=(("density", 1.0, 1.0),))) is None


@pytest.mark.parametrize(
    ("said", "ranges"), [(3, [("cluster", 3, 3)]), ("3 ␣a · 9 features", None)]
)
def test_words_of_another_dictionary_choose_none(
    monkeypatch: pytest.MonkeyPatch, said: int | str, ranges: list[tuple] | None
) -> None:
    shown: list[Selection | None] = []
    now = Selection(FeatureQuery("one"))
    monkeypatch.setattr(clusters.session, "read", lambda: (now, ()))
    monkeypatch.setattr(clusters.session, "go", shown.append)
    monkeypatch.setattr(clusters.address, "keep", lambda: shown.append(None))
    monkeypatch.setattr(clusters.st, "session_state", {"cluster": said})
    clusters._on_choice()
    assert [one and list(one.query.ranges) for one in shown] == [ranges]
