"""Searches and filters by what was said, against plain Python."""

import itertools
import re
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from featurestore.annotations.records import NO_VERDICT, Verdict
from featurestore.errors import StoreError
from featurestore.listing import Remarks
from featurestore.records import FeatureQuery, Found, TextPlace
from featurestore.store import Store
from tests.said import PLAIN, Said
from tests.small_store import publish


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def store(synthetic_store: Path, said: Said) -> Iterable[Store]:
    remarks: Remarks = said
    store = Store(synthetic_store, remarks)
    yield store
    store.close()


def listed(store: Store, query: FeatureQuery) -> list[int]:
    return [row.feature for row in store.features(query, limit=1000).rows]


@pytest.fixture(scope="module")
def examples(synthetic_store: Path) -> dict[str, list[list[tuple[str, str, int, int]]]]:
    """By sampler, of each feature's examples: text, document's name, context and position."""
    with closing(Store(synthetic_store)) as store:
        bands = {
            sampler: [store.bands("planted", feature, sampler) for feature in range(120)]
            for sampler in ("top", "random", "zero")
        }
    return {
        sampler: [
            [
                ("".join(e.tokens), e.document, e.context, e.peak)
                for band in of_feature
                for e in band.examples
            ]
            for of_feature in of_sampler
        ]
        for sampler, of_sampler in bands.items()
    }


@pytest.fixture(scope="module")
def top_texts(examples: dict[str, list[list[tuple]]]) -> list[list[str]]:
    """The texts of each feature's top contexts, best first."""
    return [[text for text, *_ in of_feature] for of_feature in examples["top"]]


# Contexts


@pytest.mark.parametrize(
    ("text", "is_regex", "pattern"),
    [
        ("THE OLD", False, "(?i)the old"),
        ('"The old farmer"', False, "The old farmer"),
        (" river.", False, r"(?i) river\."),
        ("days\n", False, "(?i)days\n"),
        ("before.\nThe", False, r"(?i)before\.\nthe"),
        (r"The (old|grey) \w+ (painted|sold)", True, r"The (old|grey) \w+ (painted|sold)"),
        (r"(?i)^the quiet", True, r"(?i)\Athe quiet"),
        (r"\bold (farmer|sailor)s?\b", True, r"\bold (farmer|sailor)s?\b"),
        (r"(old )?farm(er)+.sold|sailor", True, r"(old )?farm(er)+.sold|sailor"),
        (r"\bOLD farmer\b", True, "OLD farmer"),
        (
            "crossed the river in spring, ninety days",
            False,
            "crossed the river in spring, ninety days",
        ),
        ("%", False, "%"),
        ("_", False, "_"),
        ("'; drop table contexts; --", False, "drop table"),
        ("\0", False, "\0"),
        ("x" * 1000, False, "x{1000}"),
        ("the", False, "(?i)the"),
    ],
)
def test_a_text_keeps_the_features_with_it_in_a_top_context(
    store: Store, top_texts: list[list[str]], text: str, is_regex: bool, pattern: str
) -> None:
    everything, texts = listed(store, PLAIN), top_texts
    query = replace(PLAIN, text=text, is_regex=is_regex)
    expected = [f for f in everything if any(re.search(pattern, t) for t in texts[f])]
    page = store.features(query, limit=1000)
    assert [row.feature for row in page.rows] == expected
    assert page.n_kept == len(expected)
    assert page.found.keys() == set(expected)
    contexts = {c: "".join(store.context("planted", c).tokens) for c in _contexts(page.found)}
    for feature, reasons in page.found.items():
        matching = [t for t in texts[feature] if re.search(pattern, t)]
        assert len(reasons) == min(2, len(matching))
        for reason, matched in zip(reasons, matching, strict=False):
            start, end = re.search(pattern, matched).span()
            around = matched[:start][-40:], matched[start:end], matched[end:][:40]
            assert (reason.before, reason.match, reason.after) == around
            assert (reason.place, reason.value, contexts[reason.context]) == (
                "context",
                None,
                matched,
            )


def _contexts(found: dict[int, tuple[Found, ...]]) -> set[int]:
    return {reason.context for reasons in found.values() for reason in reasons}


@pytest.mark.parametrize(
    ("within", "sampler", "column", "text", "is_regex", "pattern"),
    [
        ("contexts", "top", 0, "the old", False, "(?i)the old"),
        ("sampled", "random", 0, "the old", False, "(?i)the old"),
        ("sampled", "random", 0, r"\b(old|grey) \w+", True, r"\b(old|grey) \w+"),
        ("documents", "random", 1, "1", False, "1"),
        ("documents", "random", 1, r"[02468]\.\w+$", True, r"[02468]\.\w+\Z"),
        ("documents", "random", 1, "no document", False, "no document"),
    ],
)
def test_a_match_is_so_many_of_so_many_contexts_and_chance_says_how_many_else(
    store: Store,
    examples: dict[str, list[list[tuple]]],
    within: str,
    sampler: str,
    column: int,
    text: str,
    is_regex: bool,
    pattern: str,
) -> None:
    query = replace(PLAIN, text=text, within=within, is_regex=is_regex, sort="match")
    page = store.features(query, limit=1000)
    expected, silent = {}, {}
    for feature in listed(store, PLAIN):
        searched = [each[column] for each in examples[sampler][feature]]
        n = sum(bool(re.search(pattern, each)) for each in searched)
        if n:
            expected[feature] = (n, len(searched))
        for each in examples["zero"][feature]:  # a token that several features drew counts once
            silent[each[2], each[3]] = bool(re.search(pattern, each[column]))
    found = [(row.feature, row.n_matching, row.n_searched) for row in page.rows]
    assert {feature: counts for feature, *counts in found} == {
        feature: list(counts) for feature, counts in expected.items()
    }
    assert found == sorted(found, key=lambda row: (-row[1], row[0]))
    assert page.silent == ((sum(silent.values()), len(silent)) if expected else None)
    few = store.features(replace(query, at_least=3), limit=1000)
    assert [row.feature for row in few.rows] == [f for f, n, _ in found if n >= 3]
    place = "document" if within == "documents" else "context"
    assert {one.place for reasons in page.found.values() for one in reasons} <= {place}


def test_without_a_text_in_contexts_nothing_is_counted(store: Store) -> None:
    for query in (PLAIN, replace(PLAIN, text="river", within="annotations")):
        page = store.features(query)
        assert {(row.n_matching, row.n_searched) for row in page.rows} == {(None, None)}
        assert page.silent is None


def test_only_top_contexts_are_searched(tmp_path: Path) -> None:
    """Context 5 of the small store is a top one of feature 0, and context 3 too; 9 is not."""
    examples = [
        {"feature": 0, "sampler": sampler, "band": 0, "rank": 0, "context": context, "peak": 0}
        | {"activation": 1.0, "scale": 1.0, "pos": [0], "q": [127]}
        for sampler, context in (("top", 3), ("random", 5))
    ]
    publish(tmp_path, examples=examples)
    store = Store(tmp_path)
    assert listed(store, FeatureQuery("one", text="CATDOG")) == [0]
    assert listed(store, FeatureQuery("one", text="\n\n")) == []
    store.close()


def test_half_a_surrogate_pair_is_found_nowhere(store: Store) -> None:
    for within in get_args(TextPlace):
        page = store.features(replace(PLAIN, text="a\ud800", within=within))
        assert (page.rows, page.n_kept) == ((), 0)
    with pytest.raises(StoreError, match="half of a character is no text"):
        store.features(replace(PLAIN, text="a\ud800", is_regex=True))


# Annotations and explanations


@pytest.mark.parametrize(
    ("within", "text", "is_regex", "pattern"),
    [
        ("annotations", "river", False, "(?i)river"),
        ("annotations", '"river"', False, "river"),
        ("annotations", r"^river\b|\n", True, r"\Ariver\b|\n"),
        ("annotations", "%", False, "%"),
        ("annotations", "'%'", False, "'%'"),
        ("annotations", "\0", False, "\0"),
        ("explanations", "KIND 1", False, "kind 1"),
        ("explanations", r"\b3\d?$", True, r"\b3\d?\Z"),
    ],
)
def test_a_text_keeps_the_features_of_which_it_was_said(
    store: Store, said: Said, within: str, text: str, is_regex: bool, pattern: str
) -> None:
    source = said.said if within == "annotations" else said.explained
    matching = [(f, part, t) for f, part, t in source if re.search(pattern, t)]
    expected = {feature for feature, *_ in matching}
    page = store.features(replace(PLAIN, text=text, within=within, is_regex=is_regex), limit=1000)
    assert [row.feature for row in page.rows] == [f for f in listed(store, PLAIN) if f in expected]
    assert page.n_kept == len(expected)
    for feature, reasons in page.found.items():
        wanted = []
        for _, part, t in [m for m in matching if m[0] == feature][:2]:
            start, end = re.search(pattern, t).span()
            wanted.append(Found(part, t[:start][-40:], t[start:end], t[end:][:40]))
        assert list(reasons) == wanted
    assert set(said.asked) == {("digest of planted", within)}


@pytest.mark.parametrize("n", range(6))
def test_any_of_the_chosen_verdicts(store: Store, said: Said, n: int) -> None:
    everything = listed(store, PLAIN)
    for chosen in itertools.combinations((*Verdict, NO_VERDICT), n):
        query = replace(PLAIN, verdicts=frozenset(chosen))
        expected = [f for f in everything if not chosen or said.judged.get(f, NO_VERDICT) in chosen]
        assert listed(store, query) == expected
        assert store.features(query, limit=0).n_kept == len(expected)
        assert [mark.feature for mark in store.marks(query, range(30))] == sorted(
            f for f in expected if f < 30
        )
        drawn = [store.feature_at(query, number) for number in range(3)]
        assert drawn == (sorted(expected) * 3)[:3] if expected else [None] * 3


def test_features_that_the_dictionary_has_not_are_passed_over(store: Store, said: Said) -> None:
    said.judged = {1: Verdict.JUNK, 120: Verdict.JUNK, 10**12: Verdict.JUNK}
    said.said = [(1, "label", "x"), (120, "label", "x"), (10**12, "label", "x")]
    assert listed(store, replace(PLAIN, verdicts=frozenset({"junk"}))) == [1]
    assert len(listed(store, replace(PLAIN, verdicts=frozenset({NO_VERDICT})))) == 119
    assert listed(store, replace(PLAIN, text="x", within="annotations")) == [1]
    said.said = said.judged = {}
    assert listed(store, replace(PLAIN, text="x", within="annotations")) == []
    assert listed(store, replace(PLAIN, verdicts=frozenset({"junk"}))) == []


def test_all_filters_together(store: Store, said: Said, top_texts: list[list[str]]) -> None:
    query = replace(
        PLAIN,
        ranges=(("n_active", 100, None),),
        token="river",
        role="peaks on",
        text="the",
        verdicts=frozenset({"monosemantic", NO_VERDICT}),
        sort="random",
        seed=5,
    )
    expected = {
        f
        for f in range(120)
        if store.feature("planted", f).n_active >= 100
        and " river" in dict(store.feature("planted", f).peak_tokens)
        and any("the" in t.lower() for t in top_texts[f])
        and said.judged.get(f, NO_VERDICT) in query.verdicts
    }
    page = store.features(query, limit=1000)
    assert {row.feature for row in page.rows} == expected
    assert len(expected) > 1
    for reasons in page.found.values():
        assert [reason.place for reason in reasons] == ["peaks on", "context", "context"]


def test_tokens_are_reasons_with_their_numbers(store: Store) -> None:
    for role in ("promotes", "suppresses", "peaks on"):
        page = store.features(replace(PLAIN, token="river", role=role), limit=50)
        assert page.rows
        for row in page.rows:
            feature = store.feature("planted", row.feature)
            values = {
                "promotes": {lens.token: lens.logit for lens in feature.promoted},
                "suppresses": {lens.token: lens.logit for lens in feature.suppressed},
                "peaks on": dict(feature.peak_tokens),
            }[role]
            (reason,) = page.found[row.feature]
            assert reason == Found(role, "", " river", "", values[" river"])
    assert store.features(PLAIN).found == {}


def test_reasons_are_of_the_page_alone(store: Store) -> None:
    query = replace(PLAIN, text="the", token="river", role="promotes")
    first, second = (store.features(query, limit=5, offset=offset) for offset in (0, 5))
    for page in (first, second):
        assert page.found.keys() == {row.feature for row in page.rows}
    assert first.n_kept == second.n_kept > 10
    assert store.features(query, limit=0).found == {}


# Questions that have no answer


def test_without_remarks_only_the_file_can_be_searched(synthetic_store: Path) -> None:
    store = Store(synthetic_store)
    for changes, how in (
        ({"verdicts": frozenset({"junk"})}, "by verdict"),
        ({"text": "a", "within": "annotations"}, "by annotations"),
        ({"text": "a", "within": "explanations"}, "by explanations"),
    ):
        with pytest.raises(StoreError, match=f"cannot be filtered {how}: .* without annotations"):
            store.features(replace(PLAIN, **changes))
    assert store.features(replace(PLAIN, text="the")).rows
    store.close()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"verdicts": frozenset({"junk", "' or 1=1"})},
            "No verdict '' or 1=1'. Known: monosemantic",
        ),
        (
            {"within": "features; drop table", "text": "a"},
            "Known: contexts, sampled, documents",
        ),
        ({"text": "[a", "is_regex": True}, r"missing \]: \[a"),
        ({"sort": "seed"}, "Columns: .*, random"),
    ],
)
def test_what_there_is_not(store: Store, changes: dict, message: str) -> None:
    for ask in (
        store.features,
        lambda query: store.place(query, 0),
        lambda query: store.feature_at(query, 0),
        lambda query: store.marks(query, [0]),
    ):
        with pytest.raises(StoreError, match=message):
            ask(replace(PLAIN, **changes))
