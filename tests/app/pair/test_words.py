from dataclasses import replace

import pytest

from app.pair import words
from app.pair.selection import PairSelection
from featurestore.pair_records import Match, PairInfo, Side
from tests.app.compare.made_up import INFO

HOSTILE = "<img src=x onerror=alert(1)>"
SIDE = Side("one", "run1", "here", 8, 7, 0.5, 0.25, 0.125, (0,) * 40)
PAIR = PairInfo(
    **{"a": SIDE, "b": replace(SIDE, dictionary_id="two", n=0, mmcs=None, share_above=None)},
    **{"d_out": 4, "is_same_model": True, "is_absolute": False, "method": "mutual"},
    **{"n_matched": 3, "mean_matched": None, "n_tokens": 600, "built_at": "", "path": ""},
)
OTHER = replace(INFO, dictionary_id="two")
MATCH = Match(4, 0, 9, 0.75, True, n_both=3, jaccard=None, correlation=0.5)


def test_both_sides_stand_beside_chance() -> None:
    said = words.summary(PAIR, (INFO, OTHER))
    assert "0.5 over 7 features" in said and ">0.125<" in said and ">25.0%<" in said
    assert "7 of 8 directions have a length" in said
    assert said.index("fb-side-0") < said.index("fb-side-1")
    assert "3 matched one to one (mutual)" in said and "each is the other&#x27;s nearest" in said
    assert "mean cosine –" in said
    assert "600 tokens" in said and "600 tokens" not in words.summary(
        replace(PAIR, n_tokens=None), (INFO, OTHER)
    )


@pytest.mark.parametrize(
    ("n_a", "n_matched", "n_same", "said"),
    [
        (2048, 1024, 676, "66.0% matched with their own number, by chance 0.0488%: probably"),
        (2048, 1024, 10, "0.977% matched with their own number"),
        (2048, 1024, 9, ""),  # too few to say
        (16, 16, 15, "93.8% matched with their own number, by chance 6.25%: probably"),
        (4, 0, 0, ""),
    ],
)
def test_own_numbers_are_told_where_they_are_no_chance(
    n_a: int, n_matched: int, n_same: int, said: str
) -> None:
    pair = replace(PAIR, a=replace(SIDE, n=n_a), n_matched=n_matched)
    shown = words.summary(pair, (INFO, OTHER), n_same)
    assert said in shown
    assert ("own number" in shown) == bool(said)


@pytest.mark.parametrize(
    ("is_same_model", "facts", "said"),
    [
        (True, {}, []),
        (False, {"model_step": 2000}, ["checkpoints of the model (steps 1,000 and 2,000)"]),
        (False, {"model_name": "big"}, ["Two models, 'small' and 'big'"]),
        (True, {"hook_name_out": "there"}, ["one writes to here, two to there"]),
        (False, {"hook_name_out": "there"}, ["checkpoints of the model:", "different spaces"]),
    ],
)
def test_cautions(is_same_model: bool, facts: dict, said: list[str]) -> None:
    one = replace(INFO, model_step=1000 if "model_step" in facts else None)
    found = words.cautions(replace(PAIR, is_same_model=is_same_model), one, replace(OTHER, **facts))
    assert len(found) == len(said)
    for sentence, part in zip(found, said, strict=True):
        assert part in sentence
        assert "Correlation on the same tokens does not depend on that." in sentence


def test_the_relation_of_two_features() -> None:
    said = words.relation(MATCH, PAIR)
    assert "cosine <b>0.750</b>" in said and "correlation <b>0.500</b>" in said
    assert 'title="Neither is ever active">Jaccard <b>–</b>' in said
    assert ">matched<" in said
    plain = words.relation(replace(MATCH, is_matched=False), replace(PAIR, n_tokens=None))
    assert "matched" not in plain and "correlation" not in plain
    assert words.relation(None, PAIR) == ""


def test_texts_of_the_store_are_escaped() -> None:
    hostile = replace(SIDE, dictionary_id=HOSTILE)
    infos = (replace(INFO, dictionary_id=HOSTILE, kind=HOSTILE), OTHER)
    said = words.summary(replace(PAIR, a=hostile), infos)
    assert HOSTILE not in said and "&lt;img" in said
    names = words.names(PairSelection("a*b*_c_[x](y)", "$x$<b>"))
    assert names["only"] == r"a\*b\*\_c\_\[x\]\(y\): below 0.6"
    assert names["only_other"] == r"\$x\$\<b\>: below 0.6"


def test_what_a_file_keeps_of_each_feature() -> None:
    kin = (replace(INFO, family="f"), replace(OTHER, family="f"))
    assert "its number" in words.stored(kin)
    assert "its number" not in words.stored((INFO, OTHER))
    assert "its number" not in words.stored((kin[0], replace(kin[1], n_features=9)))
