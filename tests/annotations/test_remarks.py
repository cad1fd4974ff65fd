import pytest

from featurestore.annotations.explanations import ExplanationTable
from featurestore.annotations.log import AnnotationLog
from featurestore.annotations.records import Explanation, Verdict
from featurestore.annotations.remarks import MOST_KEPT, Remarks
from tests.annotations.drafts import DIGEST, draft


def test_what_the_list_filters_by(log: AnnotationLog) -> None:
    log.append(draft(1, label="rivers", note="and\nlakes", tags=("geo", "water")))
    log.append(draft(2, verdict=Verdict.JUNK))
    log.append(draft(3, label="gone"))
    log.append(draft(3, 1, verdict=Verdict.UNSURE))
    log.append(draft(4, digest="e" * 64, label="another's"))
    table = ExplanationTable(log.database)
    table.add_all(
        Explanation(DIGEST, "sae", feature, label, "fuzz") for feature, label in ((5, "x"), (6, ""))
    )
    remarks = Remarks(log, table)
    verdicts = remarks.verdicts(DIGEST)
    assert verdicts == {2: "junk", 3: "unsure"}
    assert {type(verdict) for verdict in verdicts.values()} == {str}
    assert sorted(remarks.texts(DIGEST, "annotations")) == [
        (1, "label", "rivers"),
        (1, "note", "and\nlakes"),
        (1, "tag", "geo"),
        (1, "tag", "water"),
    ]
    assert remarks.texts(DIGEST, "explanations") == [(5, "explanation", "x")]


def test_an_answer_is_kept_until_something_is_saved(
    log: AnnotationLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = ExplanationTable(log.database)
    remarks = Remarks(log, table)
    assert remarks.verdicts(DIGEST) == {}
    log.append(draft(1, verdict=Verdict.JUNK))
    first = remarks.verdicts(DIGEST)
    assert first == {1: "junk"}
    assert remarks.verdicts(DIGEST) is first
    table.add_all([Explanation(DIGEST, "sae", 5, "x", "fuzz")])
    assert remarks.texts(DIGEST, "explanations") == [(5, "explanation", "x")]
    assert remarks.verdicts(DIGEST) is not first
    kept = remarks.verdicts(DIGEST)
    monkeypatch.setattr("featurestore.annotations.remarks.LONGEST_KEPT_S", 0.0)
    assert remarks.verdicts(DIGEST) is not kept
    for i in range(3 * MOST_KEPT):
        assert remarks.verdicts(f"digest {i}") == {}
    assert len(remarks._kept) == MOST_KEPT
