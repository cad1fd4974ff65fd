import csv
import io
import math

import pytest

from app.compare.scoreboard import (
    LEAST_KL,
    Entry,
    Kin,
    contexts_scored,
    entry,
    front,
    kin,
    ordered,
    plotted,
    samples,
    scores_csv,
)
from featurestore.detail_records import Measure
from featurestore.pair_records import PairInfo, Side
from featurestore.spreadsheet import safe
from tests.app.compare.made_up import INFO, made, of, with_kl


def ids(entries: tuple[Entry, ...]) -> list[str]:
    return [one.info.dictionary_id for one in entries]


def test_missing_numbers_come_last_either_way() -> None:
    entries = [
        made("step-1000", cosine=0.2),
        made("step-250", cosine=0.2),
        made("none", cosine=None),
        made("nan", cosine=math.nan),
        made("high", cosine=0.9),
    ]
    ties, without = ["step-250", "step-1000"], ["nan", "none"]
    assert ids(ordered(entries, "cosine", True)) == ["high", *ties, *without]
    assert ids(ordered(entries, "cosine", False)) == [*ties, "high", *without]
    assert ids(ordered(entries, "dictionary", False))[-2:] == ["step-250", "step-1000"]
    assert ids(ordered(entries, "dictionary", True))[:2] == ["step-1000", "step-250"]
    wide = [of(made("a"), n_features=9), of(made("b"), n_features=10)]
    assert ids(ordered(wide, "n_features", True)) == ["b", "a"]


def test_ratio_and_gap() -> None:
    one = with_kl(0.3, 0.2)
    assert one.value("kl_ratio") == pytest.approx(1.5)
    assert one.value("kl_gap") == pytest.approx(0.1)
    assert one.value("kl_control") == 0.2
    assert one.measures["kl_control"].n == 270
    assert one.measures["kl_ratio"].n == 90


@pytest.mark.parametrize(
    ("value", "control"), [(None, 0.2), (0.3, None), (0.3, 0.0), (1e-14, LEAST_KL / 2)]
)
def test_no_ratio_to_nothing(value: float | None, control: float | None) -> None:
    assert with_kl(value, control).value("kl_ratio") is None


def test_scores_on_other_tokens_are_told_apart() -> None:
    one, same = made("one"), made("same")
    others = {
        "corpus": of(made("corpus"), digests={"corpus": "other"}),
        "seed": of(made("seed"), seed=1),
        "contexts": of(made("contexts"), recipe={"passes": {"n_scored": 2}}),
    }
    unscored = Entry(INFO, {})
    found = samples([one, same, *others.values(), unscored])
    assert sorted(map(ids, found.values())) == sorted(
        [["one", "same"], *([name] for name in others)]
    )


def test_contexts_are_those_that_there_are() -> None:
    assert contexts_scored(INFO) == 40  # 64 were asked for
    assert contexts_scored(of(made(), recipe={"passes": {"n_scored": 3}}).info) == 3
    assert contexts_scored(of(made(), recipe={}).info) is None


def test_the_front_holds_what_none_beats() -> None:
    numbers = {"a": (1, 0.2), "b": (2, 0.1), "c": (3, 0.6), "d": (3, 0.5), "e": (9, 0.6)}
    entries = [made(name, l0=x, explained_variance=y) for name, (x, y) in numbers.items()]
    assert ids(front(entries, "explained_variance")) == ["a", "c"]
    falling = [made(name, l0=x, kl_ratio=y) for name, (x, y) in numbers.items()]
    assert ids(front(falling, "kl_ratio")) == ["a", "b"]


@pytest.mark.parametrize(
    "facts",
    [
        {"hook_name": "there"},
        {"model_name": "big"},
        {"model_step": 1000},
        {"digests": {"corpus": "other"}},
    ],
)
def test_no_front_among_what_cannot_be_compared(facts: dict) -> None:
    assert front([made("a"), of(made("b"), **facts)], "explained_variance") == ()


def test_without_a_number_there_is_no_point() -> None:
    entries = [made("a"), made("silent", l0=0.0), made("null", explained_variance=None)]
    assert ids(plotted([*entries, Entry(INFO, {})], "explained_variance")) == ["a"]


def test_the_csv_holds_every_measure_once() -> None:
    named = of(with_kl(0.3, None), family="=1+1", kind="@x", step=7)
    odd = Measure(1.0, 9, 0.5, 9)
    data = scores_csv([named, made("two", cosine=None), entry(INFO, {"=x": odd})])
    first, second, third = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    assert (first["dictionary_id"], first["step"], first["n_features"]) == ("one", "7", "8")
    assert (first["family"], first["kind"]) == (safe("=1+1"), safe("@x")) == ("'=1+1", "'@x")
    assert first["corpus_digest"] == "0123456789"  # a name, to join on
    assert (first["l0"], first["l0_n"], first["kl_decoded"]) == ("4.0", "100", "0.3")
    assert (first["kl_decoded_n"], first["kl_decoded_n_control"]) == ("90", "270")
    assert first["kl_ratio"] == first["cosine_n"] == ""
    assert (second["cosine"], second["cosine_n"], second["explained_variance"]) == ("", "0", "0.5")
    assert (third["'=x"], third["'=x_control"], third["l0"]) == ("1.0", "0.5", "")
    assert {"l0_control", "kl_control", "kl_decoded_control"}.isdisjoint(first)


def pair(one: str, other: str, *mmcs: float | None) -> PairInfo:
    sides = [
        Side(name, "run", "here", 8, 8, value, None, 0.25, ())
        for name, value in zip((one, other), mmcs, strict=True)
    ]
    return PairInfo(*sides, 4, True, False, "mutual", 0, None, None, "", "")


def test_each_of_a_family_has_its_own_likeness_to_every_other() -> None:
    found = kin([pair("a", "step-20", 0.5, 0.75), pair("a", "step-3", 0.25, None)])
    assert found["a"] == (Kin("step-3", 0.25, 0.25), Kin("step-20", 0.5, 0.25))
    assert found["step-20"] == (Kin("a", 0.75, 0.25),)
    assert "step-3" not in found
    one = entry(INFO, {}, found["a"], n_pairs=3)
    assert one.measures["family_mmcs"] == Measure(0.375, 2, 0.25, 2)
    assert (one.value("family_mmcs"), one.value("pairs")) == (0.375, 3)
    assert made().value("family_mmcs") is made().value("pairs") is None
