from dataclasses import replace

import pytest

from featurestore.annotations.database import Database
from featurestore.annotations.explanations import ExplanationTable
from featurestore.annotations.records import Explanation
from featurestore.errors import AnnotationError, AnnotationsError
from tests.annotations.drafts import DIGEST

ONE = Explanation(DIGEST, "sae", 3, "names of rivers", "detection", "gpt", 0.75, 40, at="2026")


@pytest.fixture
def table(database: Database) -> ExplanationTable:
    return ExplanationTable(database)


def test_the_newest_of_each_feature_method_and_explainer(table: ExplanationTable) -> None:
    fuzz = replace(ONE, method="fuzz", score=None, n=None)
    other = replace(ONE, explainer="human")
    far = replace(ONE, feature=9, label="<b>'; drop table events; --")
    elsewhere = replace(ONE, digest="e" * 64, dictionary_id="a first one")
    assert table.add_all([ONE, fuzz, other, far, elsewhere]) == 5
    newer = replace(ONE, label="rivers", score=0.8)
    assert table.add_all([replace(ONE, label="passed over at once"), newer]) == 2
    assert table.of(DIGEST) == {3: (fuzz, other, newer), 9: (far,)}
    assert table.of(DIGEST, [9, 10]) == {9: (far,)}
    assert table.of(DIGEST, range(2000)) == table.of(DIGEST)
    assert table.all() == (elsewhere, fuzz, other, newer, far)
    assert table.all([DIGEST]) == (fuzz, other, newer, far)
    assert table.all([]) == ()


def test_one_without_a_time_gets_that_of_now(table: ExplanationTable) -> None:
    table.add_all([replace(ONE, at="")])
    assert table.all()[0].at.startswith("20") and table.all()[0].at.endswith("+00:00")


def test_what_would_change_nothing(table: ExplanationTable) -> None:
    newer, far = replace(ONE, label="rivers"), replace(ONE, feature=9)
    given = [ONE, newer, far]  # the first is passed over at once
    assert table.unknown(given) == [newer, far]
    table.add_all([newer])
    assert table.unknown([replace(one, at="") for one in given]) == [replace(far, at="")]
    assert table.unknown([newer, ONE]) == [ONE]  # another word than the newest
    table.add_all([far])
    assert table.unknown(given) == []
    assert table.unknown([replace(ONE, digest="e" * 64)]) != []


def test_nothing_is_an_answer(table: ExplanationTable) -> None:
    assert table.add_all([]) == 0
    assert table.all() == () and table.of(DIGEST) == {} and table.texts(DIGEST) == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"label": "a\0b"}, r"label of feature 3 holds U\+0000 at character 2"),
        ({"explainer": "\ud800"}, r"explainer of feature 3 holds U\+D800"),
        ({"score": float("nan")}, "score of feature 3 is nan: allowed is a number, or none"),
        ({"digest": ""}, "built without a digest"),
    ],
)
def test_what_cannot_be_kept_keeps_the_others_out(
    table: ExplanationTable, fields: dict, message: str
) -> None:
    with pytest.raises(AnnotationError, match=message):
        table.add_all([replace(ONE, feature=1), replace(ONE, **fields)])
    assert table.all() == ()


def test_all_or_nothing_in_the_database_too(postgres_url: str) -> None:
    database = Database(postgres_url)
    table = ExplanationTable(database)
    with pytest.raises(AnnotationsError, match="integer out of range"):
        table.add_all([ONE, replace(ONE, feature=2**31)])
    assert table.all() == ()
    database.close()
