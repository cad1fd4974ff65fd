import json
from pathlib import Path

import pytest

from benchmarks.made_up_store import N_LABELS, VOCAB, MadeUpRemarks, write_dictionary
from benchmarks.store import QUESTIONS, Timing, Visitor, _table_row, main
from featurestore.records import Flag
from featurestore.store import Store
from featurestore.verify import verify

N_FEATURES = 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmark")
    write_dictionary(folder, N_FEATURES, seed=0)
    return folder


def test_the_made_up_store_is_a_whole_one(folder: Path) -> None:
    (finding,) = verify(folder)
    assert finding.faults == ()
    store = Store(folder)
    (info,) = store.catalogue().dictionaries
    name = info.dictionary_id
    assert info.n_features == N_FEATURES
    features = [store.feature(name, i) for i in range(N_FEATURES)]
    assert 0 < sum(feature.is_dead for feature in features) < 50
    live = next(feature for feature in features if not feature.is_dead)
    assert len(live.promoted) == len(live.suppressed) == 12
    assert len(live.histogram.counts) == len(live.logit_histogram.counts) == 50
    assert live.peak_tokens
    samplers = ("top", "interval", "quantile", "random", "zero")
    bands = [store.bands(name, live.feature, sampler) for sampler in samplers]
    assert sum(band.n_sampled for kind in bands for band in kind) == 70
    for example in bands[0][0].examples:
        assert example.activations[example.peak] == example.activation
        assert max(example.activations) < len(example.tokens) == 128
    store.close()


def test_the_same_seed_gives_the_same_store_and_questions(folder: Path, tmp_path: Path) -> None:
    write_dictionary(tmp_path, N_FEATURES, seed=0)
    write_dictionary(tmp_path, N_FEATURES + 1, seed=0)
    again, other = Store(tmp_path).catalogue().dictionaries
    (first,) = Store(folder).catalogue().dictionaries
    assert {again.n_features, other.n_features} == {N_FEATURES, N_FEATURES + 1}
    same = again if again.n_features == N_FEATURES else other
    assert same.tables == first.tables
    asked = [
        [Visitor(Store(folder), N_FEATURES, seed).filter_and_sort().args for _ in range(2)]
        for seed in (3, 3, 4)
    ]
    assert asked[0] == asked[1] != asked[2]


def test_the_questions_find_something(folder: Path) -> None:
    store = Store(folder, MadeUpRemarks(N_FEATURES, seed=0))
    visitor = Visitor(store, N_FEATURES, seed=0)
    searches = (
        "search_promotes",
        "search_peaks",
        "text_some",
        "text_many",
        "regex_many",
        "verdict",
    )
    for kind in ("page", "deep_page", "filter_and_sort", "shuffled", *searches):
        pages = [getattr(visitor, kind)()() for _ in range(20)]
        assert sum(bool(page.rows) for page in pages) > 3, kind
    places = [visitor.filtered_place()() for _ in range(20)]
    assert sum(place.place is not None for place in places) > 10
    assert visitor.queue_place()().n_kept == 0  # all of so few have a verdict
    few, many = (getattr(visitor, kind)()().n_kept for kind in ("text_few", "text_many"))
    assert few < 30 < 250 < many
    assert Flag.DENSE in visitor.count().args[0].flags
    store.close()


def test_the_remarks_are_of_24_000_features() -> None:
    remarks = MadeUpRemarks(30_000, seed=0)
    labels = remarks.texts("", "annotations")
    assert len(labels) == len(remarks.verdicts("")) == N_LABELS
    assert {part for _, part, _ in labels} == {"label"}
    words = {word for _, _, label in labels for word in label.split()}
    assert words <= {word.strip() for word in VOCAB}


def test_a_line_of_json_for_every_question(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--features", str(N_FEATURES), "--repeats", "2", "--json", "--keep", str(folder)])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["benchmark"] for line in lines] == [f"store.{kind}" for kind in QUESTIONS]
    for line in lines:
        assert list(line) == ["benchmark", "features", "p50_ms", "p95_ms", "n"]
        assert (line["features"], line["n"]) == (N_FEATURES, 2)
        assert 0 < line["p50_ms"] <= line["p95_ms"] < 60_000


def test_the_table_marks_what_is_too_slow() -> None:
    assert _table_row(Timing("store.page", 10, 100.0, 251.0, 5)).endswith("scan  over 250 ms")
    assert _table_row(Timing("store.page", 10, 100.0, 250.0, 5)).endswith("scan")
    assert _table_row(Timing("store.bands", 10, 1.0, 51.0, 5)).endswith("point over 50 ms")
