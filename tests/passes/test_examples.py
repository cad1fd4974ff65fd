from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from featurestore.activations import ActivationFiles
from featurestore.dictionary_file import KEYS
from featurestore.passes.base import Pass
from featurestore.passes.examples import Examples
from featurestore.passes.statistics import Statistics
from tests.small_run import N_FEATURES, active, make_corpus, make_dense, make_run, read_dense

CORPUS = make_corpus()
DENSE = make_dense(CORPUS)
LENGTH = CORPUS.tokens.shape[1]
SETTINGS = {"n_top": 6, "n_bands": 4, "n_per_band": 3, "n_random": 5, "n_zero": 4}
SAMPLERS = ("top", "interval", "quantile", "random", "zero")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ActivationFiles:
    return read_dense(tmp_path_factory.mktemp("blocks"), DENSE, CORPUS)


@pytest.fixture(scope="module")
def tables(files: ActivationFiles) -> dict[str, pa.Table]:
    return Examples(make_run(CORPUS, **SETTINGS)).rows(files.read(0, N_FEATURES))


@pytest.fixture(scope="module")
def examples(tables: dict[str, pa.Table]) -> list[dict[str, Any]]:
    return tables["examples"].to_pylist()


def test_activations_are_right_to_half_a_level(examples: list[dict[str, Any]]) -> None:
    assert {row["sampler"] for row in examples} == set(SAMPLERS)
    for row in examples:
        found = active(DENSE, CORPUS, row["feature"])
        start = row["context"] * LENGTH
        wanted = {place - start: v for place, v in found.items() if 0 <= place - start < LENGTH}
        assert row["pos"] == sorted(wanted)
        assert row["scale"] == max(map(abs, wanted.values()), default=0)
        for pos, q in zip(row["pos"], row["q"], strict=True):
            assert abs(q / 127 * row["scale"] - wanted[pos]) <= row["scale"] / 254 * (1 + 1e-6)
        if row["sampler"] == "zero":
            assert (row["activation"], row["peak"] in wanted) == (0, False)
        else:
            assert row["activation"] == wanted[row["peak"]]
        if row["sampler"] == "top":
            assert row["activation"] == max(wanted.values())


def test_ranks_count_from_zero_in_each_band(
    examples: list[dict[str, Any]], tables: dict[str, pa.Table]
) -> None:
    ranks: dict[tuple[str, int, int], list[int]] = {}
    for row in examples:
        key = (row["sampler"], row["feature"], row["band"])
        ranks.setdefault(key, []).append(row["rank"])
    bands = tables["bands"].to_pylist()
    assert len({(b["sampler"], b["feature"], b["band"]) for b in bands}) == len(bands)
    for band in bands:
        found = ranks.pop((band["sampler"], band["feature"], band["band"]), [])
        assert found == list(range(band["n_sampled"]))
        wanted = SETTINGS.get(f"n_{band['sampler']}", SETTINGS["n_per_band"])
        if band["sampler"] != "top":  # where duplicates and other tokens of a context drop out
            assert band["n_sampled"] == min(band["n_band"], wanted)
    assert ranks == {}


def test_top_falls(examples: list[dict[str, Any]]) -> None:
    for feature in range(N_FEATURES):
        top = [r for r in examples if r["feature"] == feature and r["sampler"] == "top"]
        order = [(-row["activation"], row["context"], row["peak"]) for row in top]
        assert order == sorted(order)
        assert len({row["context"] for row in top}) == len(top)


def test_peak_tokens_count_what_top_contexts_peak_on(
    examples: list[dict[str, Any]], tables: dict[str, pa.Table]
) -> None:
    for feature, row in enumerate(tables["features"].to_pylist()):
        peaks = Counter(
            int(CORPUS.tokens[example["context"], example["peak"]])
            for example in examples
            if example["feature"] == feature and example["sampler"] == "top"
        )
        wanted = sorted(peaks.items(), key=lambda item: (-item[1], item[0]))[:5]
        assert list(zip(row["peak_tokens"], row["peak_counts"], strict=True)) == wanted


@pytest.mark.parametrize("make_pass", [Statistics, Examples])
def test_no_row_depends_on_how_the_work_was_split(
    make_pass: type[Pass], files: ActivationFiles, tmp_path: Path
) -> None:
    whole = make_pass(make_run(CORPUS, **SETTINGS)).rows(files.read(0, N_FEATURES))
    reordered = read_dense(tmp_path, DENSE, CORPUS, block_order=[3, 0, 4, 1, 2])
    one = make_pass(make_run(CORPUS, **SETTINGS))
    for entries_at_once in (1, 300):
        ranges = reordered.ranges(entries_at_once)
        assert len(ranges) > 2
        parts = [one.rows(reordered.read(*each)) for each in ranges]
        for table, rows in whole.items():
            joined = pa.concat_tables([part[table] for part in parts])
            assert by_feature(joined) == by_feature(rows)


@pytest.mark.parametrize("entries_in_cache", [1, 300])
@pytest.mark.parametrize("make_pass", [Statistics, Examples])
def test_no_row_depends_on_tiles(
    make_pass: type[Pass],
    files: ActivationFiles,
    monkeypatch: pytest.MonkeyPatch,
    entries_in_cache: int,
) -> None:
    one, found = make_pass(make_run(CORPUS, **SETTINGS)), files.read(0, N_FEATURES)
    whole = one.rows(found)
    monkeypatch.setattr("featurestore.activations.ENTRIES_IN_CACHE", entries_in_cache)
    assert len(list(found.tiles())) > 2
    tiled = one.rows(found)
    assert {table: rows.to_pylist() for table, rows in tiled.items()} == {
        table: rows.to_pylist() for table, rows in whole.items()
    }


def test_rows_stand_in_the_order_of_their_keys(
    files: ActivationFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the writer need not sort them."""
    monkeypatch.setattr("featurestore.activations.FEATURES_IN_CACHE", 3)
    run, found = make_run(CORPUS, **SETTINGS), files.read(2, N_FEATURES)
    tables = Examples(run).rows(found)
    features = Statistics(run).rows(found)["features"]
    for table, rows in {**tables, "features": features}.items():
        columns = KEYS[table].split(", ")
        keys = [tuple(row[name] for name in columns) for row in rows.to_pylist()]
        assert keys == sorted(set(keys)), table


def by_feature(table: pa.Table) -> list[dict[str, Any]]:
    """Rows in an order that tells nothing of ranges; those of a feature stay in theirs."""
    rows = table.to_pylist()
    if "sampler" not in table.column_names:
        return rows
    return sorted(rows, key=lambda row: (row["feature"], SAMPLERS.index(row["sampler"])))


def test_another_seed_shows_other_examples_and_the_same_top(files: ActivationFiles) -> None:
    first, other = (
        Examples(make_run(CORPUS, seed, **SETTINGS)).rows(files.read(0, N_FEATURES))
        for seed in (0, 1)
    )
    assert first["bands"].equals(other["bands"])
    for sampler in SAMPLERS:
        places = [
            [
                (row["feature"], row["context"], row["peak"])
                for row in tables["examples"].to_pylist()
                if row["sampler"] == sampler
            ]
            for tables in (first, other)
        ]
        assert (places[0] == places[1]) == (sampler == "top")
