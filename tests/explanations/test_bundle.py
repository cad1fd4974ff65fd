import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from featurestore.errors import BadInput, UnknownDictionary, UnknownFeature
from featurestore.explanations.bundle import (
    KINDS,
    SAMPLERS,
    Split,
    bundle_lines,
    feature_bands,
    living_features,
    split,
)
from featurestore.explanations.scoring import score_label
from featurestore.records import Band, Example, Sampler
from featurestore.store import Store
from tests.small_store import publish
from tests.synthetic_store import DEAD, DENSE, NEWLINES, NUMBERS, RIVER, write_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = Store(write_store(tmp_path_factory.mktemp("store")))
    yield opened
    opened.close()


def made_up(sampler: Sampler, band: int, *contexts: int) -> Band:
    """A band with an example in each context."""
    examples = tuple(
        Example(
            context=context,
            document="a.txt",
            start=0,
            tokens=("a", "b"),
            token_ids=(context, 1),
            peak=1,
            activation=1.0,
            activations={1: 1.0},
        )
        for context in contexts
    )
    return Band(sampler, band, None, None, len(contexts), examples)


def contexts_of(lot: tuple, sampler: Sampler | None = None) -> set[int]:
    return {d.example.context for d in lot if sampler in (None, d.band.sampler)}


def sizes(lots: Split, sampler: Sampler) -> tuple[int, int]:
    return len(contexts_of(lots.train, sampler)), len(contexts_of(lots.test, sampler))


@pytest.mark.parametrize("seed", range(30))
def test_no_context_is_on_both_sides_and_none_is_lost(store: Store, seed: int) -> None:
    for feature in (RIVER, NUMBERS, DENSE, 30, 31):
        bands = list(feature_bands(store, "planted", feature))
        lots = split(feature, bands, seed)
        assert contexts_of(lots.train) & contexts_of(lots.test) == set()
        given = Counter((b.sampler, b.band, e.context, e.peak) for b in bands for e in b.examples)
        dealt = Counter(
            (d.band.sampler, d.band.band, d.example.context, d.example.peak)
            for d in (*lots.train, *lots.test)
        )
        assert dealt == given
        for sampler in SAMPLERS:
            assert min(sizes(lots, sampler)) > 0, (feature, sampler)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("n", [1, 2, 3, 10, 11])
def test_a_band_of_its_own_is_halved(seed: int, n: int) -> None:
    train, test = sizes(split(0, [made_up("top", 0, *range(n))], seed), "top")
    assert train + test == n
    assert abs(train - test) == n % 2


def test_who_gets_the_odd_one_is_drawn() -> None:
    lots = [split(0, [made_up("top", 0, 7)], seed) for seed in range(400)]
    assert sum(len(one.test) for one in lots) == pytest.approx(200, abs=50)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.8])
def test_the_share_of_the_test_side(share: float) -> None:
    bands = [made_up("top", 0, *range(40)), made_up("zero", 0, *range(100, 120))]
    lots = split(3, bands, 1, share)
    assert sizes(lots, "top")[1] == round(40 * share)
    assert sizes(lots, "zero")[1] == round(20 * share)


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, 2.0, float("nan")])
def test_a_share_that_leaves_a_side_empty(share: float) -> None:
    with pytest.raises(BadInput, match="between 0 and 1"):
        split(0, [], 0, share)


def test_contexts_that_two_bands_share_are_placed_once_and_count() -> None:
    for seed in range(40):
        bands = [made_up("top", 0, 1, 2, 3, 4), made_up("zero", 0, 1, 2)]
        lots = split(0, bands, seed)
        assert sizes(lots, "zero") == (1, 1)  # the smaller is dealt out first
        assert sizes(lots, "top") == (2, 2)  # and the others make up for it


def test_contexts_of_the_same_tokens_count_as_one() -> None:
    band = made_up("top", 0, 1, 2, 3, 4)
    one, *others = band.examples
    same = tuple(replace(e, token_ids=one.token_ids) for e in others)
    lots = split(0, [replace(band, examples=(one, *same))])
    assert {len(lots.train), len(lots.test)} == {0, 4}


def test_too_few_are_counted_and_not_invented() -> None:
    lots = split(0, [made_up("zero", 0, 5)])
    assert len(lots.train) + len(lots.test) == 1
    assert split(0, []).held_out() == ((), ())


def test_the_split_is_the_same_everywhere() -> None:
    bands = [made_up("top", 0, *range(8)), made_up("zero", 0, *range(6, 12))]
    lots = split(5, bands, 9)
    assert split(5, reversed(bands), 9) == lots
    assert contexts_of(lots.test) == {0, 1, 6, 7, 10}
    assert contexts_of(split(6, bands, 9).test) != contexts_of(lots.test)
    assert contexts_of(split(5, bands, 10).test) != contexts_of(lots.test)


def test_contexts_go_into_the_order_of_their_hash() -> None:
    def number(*parts: object) -> int:
        text = "/".join(map(str, parts))
        return int(hashlib.sha256(text.encode()).hexdigest()[:16], 16)

    order = sorted(range(10), key=lambda context: number(4, 2, context))
    starts_with_test = number(4, 2, "top", 0) < 2**63
    expected = set(order[::2] if starts_with_test else order[1::2])
    assert contexts_of(split(2, [made_up("top", 0, *range(10))], 4).test) == expected


def test_held_out_examples_have_each_context_once() -> None:
    top, quantile = made_up("top", 0, *range(6)), made_up("quantile", 2, *range(6))
    moved = tuple(replace(e, peak=0) for e in quantile.examples)
    zero = made_up("zero", 0, *range(3, 9))
    drawn = set()
    for seed in range(20):
        lots = split(0, [top, replace(quantile, examples=moved), zero], seed)
        active, silent = lots.held_out()
        assert [e.context for e in active] == sorted(
            contexts_of(lots.test, "top") | contexts_of(lots.test, "quantile")
        )
        assert {e.context for e in silent} == contexts_of(lots.test, "zero")
        assert lots.held_out() == (active, silent)
        drawn |= {e.peak for e in active}
    assert drawn == {0, 1}


@pytest.mark.parametrize(
    ("feature", "right", "wrong"),
    [
        (RIVER, '" river" or " bank"', "valley, coast or harbour"),
        (NUMBERS, "one two three seven twelve forty ninety", " river, bank"),
        (NEWLINES, r'a line break: "\n"', '" captain"'),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_right_label_scores_near_1_and_a_wrong_one_near_chance(
    store: Store, feature: int, right: str, wrong: str, seed: int
) -> None:
    lots = split(feature, feature_bands(store, "planted", feature), seed)
    good, bad = (score_label(label, *lots.held_out(), seed) for label in (right, wrong))
    assert good.n_active >= 10 and good.n_inactive >= 5
    assert good.auc > 0.97
    assert abs(bad.auc - 0.5) < 3 * bad.se
    assert good.auc - good.control_auc > 0.35


def test_a_label_that_is_half_right_scores_between(store: Store) -> None:
    lots = split(RIVER, feature_bands(store, "planted", RIVER))
    half = score_label('" river"', *lots.held_out())
    assert 0.6 < half.auc < 0.95


def test_a_dead_feature_has_no_score(store: Store) -> None:
    lots = split(DEAD, feature_bands(store, "planted", DEAD))
    found = score_label('" river"', *lots.held_out())
    assert (found.auc, found.n_active) == (None, 0)
    assert found.reason == "0 active contexts are held out; 2 are needed."


def test_living_features_are_all_or_a_seeded_draw(store: Store) -> None:
    living = living_features(store, "planted")
    dead = {f for f in range(120) if store.feature("planted", f).is_dead}
    assert DEAD in dead and set(living) == set(range(120)) - dead
    assert living == sorted(living)
    some = living_features(store, "planted", 10, seed=1)
    assert some == living_features(store, "planted", 10, seed=1) == sorted(some)
    assert len(set(some)) == 10 and set(some) < set(living)
    assert some != living_features(store, "planted", 10, seed=2)
    assert living_features(store, "planted", 1000) == living
    assert living_features(store, "planted", 0) == []


def test_living_features_over_many_pages(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    living = living_features(store, "planted")
    monkeypatch.setattr("featurestore.explanations.bundle._PAGE", 7)
    assert living_features(store, "planted") == living


def test_a_record_holds_what_the_store_does(store: Store) -> None:
    (line,) = bundle_lines(store, "planted", [RIVER], seed=3, test_share=0.25)
    record = json.loads(line)
    info, feature = store.dictionary("planted"), store.feature("planted", RIVER)
    assert record["digest"] == "digest of planted"
    assert (record["model"], record["hook_point"]) == (info.model_name, info.hook_name)
    assert record["n_active"] == feature.n_active and record["density"] == feature.density
    assert record["max_activation"] == feature.max_activation
    assert record["n_tokens"] == 260 * 48
    assert record["promoted"] == [[t.token, t.logit] for t in feature.promoted]
    assert (record["seed"], record["test_share"]) == (3, 0.25)

    stored = {
        (b.sampler, b.band, e.context, e.peak): (b, e)
        for b in feature_bands(store, "planted", RIVER)
        for e in b.examples
    }
    assert len(record["train"]) + len(record["test"]) == len(stored)
    for lot in ("train", "test"):
        for one in record[lot]:
            band, example = stored[one["sampler"], one["band"], one["context"], one["peak"]]
            assert one["kind"] == KINDS[one["sampler"]]
            assert (one["low"], one["high"], one["n_band"]) == (band.low, band.high, band.n_band)
            assert tuple(one["tokens"]) == example.tokens
            assert dict(one["activations"]) == example.activations
            assert (one["document"], one["start"]) == (example.document, example.start)
            assert one["activation"] == example.activation
        kinds = Counter(one["kind"] for one in record[lot])
        counted = record[f"n_{lot}"]
        assert counted.pop("contexts") == len({one["context"] for one in record[lot]})
        assert counted == {kind: kinds[kind] for kind in ("top", "band", "random", "zero")}


def test_every_record_is_one_line_of_strict_json(store: Store) -> None:
    for line in bundle_lines(store, "hostile", range(16)):
        assert len(line.splitlines()) == 1 and line.isascii()
        json.loads(line, parse_constant=pytest.fail)


def test_a_feature_without_examples(tmp_path: Path) -> None:
    publish(tmp_path)
    (line,) = bundle_lines(Store(tmp_path), "one", [3])
    record = json.loads(line)
    assert (record["n_active"], record["train"], record["test"]) == (0, [], [])
    assert set(record["n_test"].values()) == {0}


def test_what_is_not_there(store: Store) -> None:
    with pytest.raises(UnknownDictionary):
        list(bundle_lines(store, "nothing", [0]))
    with pytest.raises(UnknownFeature):
        list(bundle_lines(store, "planted", [120]))
