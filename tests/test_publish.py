import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import torch

from featurestore import activations as reading
from featurestore import publish as module
from featurestore.config import CorpusConfig
from featurestore.errors import BuildFailed, Stopped
from featurestore.inference import LanguageModel
from featurestore.passes import ablation
from featurestore.passes.ablation import Ablation
from featurestore.passes.base import Tables
from featurestore.passes.dependence import Dependence
from featurestore.passes.sites import Sites
from featurestore.plan import Order, Plan, make_plan
from featurestore.publish import publish
from featurestore.recipes import read_recipe
from featurestore.records import DictionaryInfo
from featurestore.stop import Stop
from featurestore.store import Store
from tests.tiny_model import LONG_PASSES_OFF, save_recipe
from tests.tiny_plan import moved, opened, plan_of, sweep_blocks


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_recipe(tmp_path_factory.mktemp("publish"), **LONG_PASSES_OFF)


@pytest.fixture(scope="module")
def template(recipe: Path) -> Plan:
    return plan_of(recipe, recipe.parent / "template")


@pytest.fixture
def plan(template: Plan, tmp_path: Path) -> Plan:
    """Swept, in a store of its own."""
    plan = moved(template, tmp_path / "store")
    sweep_blocks(plan, plan.blocks)
    return plan


def info_of(store: Path) -> DictionaryInfo:
    opened = Store(store)
    found = opened.dictionary("sae")
    opened.close()
    return found


def published(plan: Plan) -> list[Path]:
    return list(plan.order.store.glob("dictionaries/**/*.*"))


def test_the_manifest_says_what_was_built_from_what(plan: Plan) -> None:
    (job,) = plan.jobs
    path = publish(job, plan, plan.model, Stop())
    assert published(plan) == [path]
    assert path.parent.name == "sae" and path.stem == job.run_id
    assert not job.workspace.folder.exists()
    info = info_of(plan.order.store)
    assert (info.run_id, info.dictionary_id, info.model_name) == (job.run_id, "sae", "model")
    assert (info.d_in, info.d_out, info.n_features, info.context_length) == (16, 16, 24, 16)
    assert (info.n_contexts, info.n_tokens) == (len(plan.corpus.tokens), plan.corpus.n_tokens)
    assert (info.dtype, info.dtype_change) == ("float32", None)
    assert info.digests == job.digests
    assert info.versions["machine"].endswith(" cpu")
    assert {"python", "torch", "duckdb"} < info.versions.keys()


def test_a_file_tells_nothing_of_the_folders_it_came_from(plan: Plan, recipe: Path) -> None:
    publish(plan.jobs[0], plan, plan.model, Stop())
    info = info_of(plan.order.store)
    assert info.recipe["model"]["name"] == "model"
    assert info.recipe["corpus"]["files"] == ["*.txt"]
    assert info.recipe["dictionaries"][0]["path"] == "sae"
    assert info.recipe["contexts_per_block"] == 4
    assert str(recipe.parent) not in json.dumps([info.recipe, info.versions, info.digests])


@pytest.mark.parametrize(("is_there", "shown"), [(True, "mine"), (False, "data/mine")])
def test_of_a_data_set_only_a_local_folders_name_is_told(
    plan: Plan, tmp_path: Path, is_there: bool, shown: str
) -> None:
    (tmp_path / "data" / "mine").mkdir(parents=True)
    name = str(tmp_path / "data" / "mine") if is_there else "data/mine"
    recipe = plan.order.recipe
    told = module._shareable(replace(recipe, corpus=CorpusConfig(dataset=name)))
    assert (told["corpus"]["dataset"], told["corpus"]["files"]) == (shown, None)


def test_the_contexts_are_those_of_the_examples(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CONTEXTS_AT_ONCE", 7)
    corpus = plan.corpus
    path = publish(plan.jobs[0], plan, plan.model, Stop())
    with duckdb.connect(str(path), read_only=True) as connection:
        shown = connection.sql("select distinct context from examples order by 1").fetchall()
        rows = connection.sql("from contexts order by context").fetchall()
        vocab = connection.sql("select token_id from vocab order by 1").fetchall()
    assert [row[0] for row in rows] == [row[0] for row in shown]
    assert 14 < len(rows) <= len(corpus.tokens)
    decode = plan.model.tokenizer.decode
    for context, document, start, tokens, text in rows:
        assert text == decode(tokens)
        assert document == corpus.documents[corpus.document[context]]
        assert start == corpus.start[context]
        assert tokens == corpus.tokens[context, : corpus.n_valid[context]].tolist()
    assert [row[0] for row in vocab] == list(range(plan.model.d_vocab))


def test_ranges_change_nothing(
    plan: Plan, template: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few features fit in memory. But products of other sizes round logits otherwise."""
    first = publish(plan.jobs[0], plan, plan.model, Stop())
    other = moved(template, tmp_path / "other")
    sweep_blocks(other, other.blocks)
    ranges: list[int] = []
    original = reading.ActivationFiles.ranges

    def in_fives(files: reading.ActivationFiles, *limits: int) -> list[tuple[int, int]]:
        if limits:  # a pass that compares features reads them as it likes
            return original(files, *limits)
        found = original(files, features_at_once=5)
        ranges.append(len(found))
        return found

    monkeypatch.setattr(reading.ActivationFiles, "ranges", in_fives)
    second = publish(other.jobs[0], other, other.model, Stop())
    assert ranges == [5]
    run_together = "logit|ablat|kl|loss|fall|rise"  # their last bits depend on what runs with them
    exact = f"""select columns(lambda c: not regexp_matches(c, '{run_together}'))
        from features order by feature"""
    close = """select feature, logit_std, logit_kurtosis, coalesce(ablation_kl, 0),
        coalesce(control_kl, 0), coalesce(loss_effect, 0) from features order by feature"""
    (these, logits), (those, other_logits) = [
        [connection.sql(query).fetchall() for query in (exact, close)]
        for connection in (duckdb.connect(str(path), read_only=True) for path in (first, second))
    ]
    assert these == those
    assert np.allclose(logits, other_logits, rtol=1e-3, atol=1e-6)
    tables = [info_of(store).tables for store in (plan.order.store, other.order.store)]
    for name in ("bands", "examples", "top_contexts", "contexts", "vocab"):
        assert tables[0][name] == tables[1][name], name


def missing(path: Path) -> None:
    path.unlink()


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def other_block(path: Path) -> None:
    path.write_bytes(path.with_name("block-000003.safetensors").read_bytes())


@pytest.mark.parametrize("spoil", [missing, torn, other_block])
def test_no_file_without_every_block(plan: Plan, spoil: Callable[[Path], None]) -> None:
    (job,) = plan.jobs
    spoil(job.workspace.name(4).path(job.workspace.folder))
    with pytest.raises(BuildFailed, match="block-000004.* cannot be used"):
        publish(job, plan, plan.model, Stop())
    assert published(plan) == []
    assert len(list(job.workspace.folder.glob("block-*"))) >= len(plan.blocks) - 1


def test_a_signal_while_it_is_published_leaves_the_blocks(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job,), stop = plan.jobs, Stop()
    writer, appended = module.StoreWriter, []

    class Writer(writer):
        def append(self, table: str, rows: pa.Table) -> None:
            super().append(table, rows)
            appended.append(table)
            if len(appended) == 2:
                stop.ask(15)

    monkeypatch.setattr(module, "StoreWriter", Writer)
    with pytest.raises(Stopped):
        publish(job, plan, plan.model, stop)
    assert len(appended) == 2
    assert published(plan) == []
    names = {path.name for path in job.workspace.folder.iterdir()}
    kept = {f"{name}-00000000-00000023.safetensors" for name in ("ablation", "dependence")}
    blocks = {f"block-{n:06d}.safetensors" for n in plan.blocks}
    assert names == {"settings.json"} | kept | blocks
    publish(job, plan, plan.model, Stop())
    assert len(published(plan)) == 1


def test_what_long_passes_made_before_a_stop_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = LONG_PASSES_OFF | {"n_ablated_top": 2, "n_dependences": 2}
    template = plan_of(save_recipe(tmp_path, **settings), tmp_path / "store")
    plans = [moved(template, tmp_path / name) for name in ("undisturbed", "stopped")]
    at_once = 3 * template.model.d_vocab * 4  # six groups of four features
    monkeypatch.setattr(ablation, "NUMBERS_SUMMED", at_once)
    made: list[object] = []
    of, measured = Ablation._of, Dependence._measured
    stop = Stop()
    stops = [stop]

    def noted_of(self: Ablation, sites: Sites, features: range, *rest: object) -> Tables:
        made.append(features.start)
        if made == [0, 4, 8, 12] and stops:
            stops.pop().ask(15)
        return of(self, sites, features, *rest)

    def noted_measured(self: Dependence, examples: pa.Table) -> Tables:
        made.append("dependence")
        return measured(self, examples)

    monkeypatch.setattr(Ablation, "_of", noted_of)
    monkeypatch.setattr(Dependence, "_measured", noted_measured)
    for plan in plans:
        sweep_blocks(plan, plan.blocks)
    undisturbed, plan = plans
    (job,) = plan.jobs
    with pytest.raises(Stopped):
        publish(job, plan, plan.model, stop)
    assert made == [0, 4, 8, 12]
    folder = job.workspace.folder
    names = [f"ablation-{n:08d}-{n + 3:08d}.safetensors" for n in (0, 4, 8)]
    assert sorted(path.name for path in folder.glob("ablation-*")) == names

    torn(folder / names[1])
    made.clear()
    publish(job, plan, plan.model, Stop())
    assert made == [4, 12, 16, 20, "dependence"]
    assert "ablation-00000004-00000007 is made anew: " in caplog.text
    assert not folder.exists()

    made.clear()
    publish(undisturbed.jobs[0], undisturbed, undisturbed.model, Stop())
    assert made == [0, 4, 8, 12, 16, 20, "dependence"]
    found, expected = [info_of(each.order.store).tables for each in (plan, undisturbed)]
    assert found == expected
    assert min(found[name]["rows"] for name in ("ablated_contexts", "dependences")) > 20


def test_the_unembedding_is_float32_whatever_the_sweep_was(recipe: Path, tmp_path: Path) -> None:
    order = Order(replace(read_recipe(recipe), dtype="bfloat16"), tmp_path)
    plan = opened(make_plan(order))
    sweep_blocks(plan, plan.blocks)
    exact: LanguageModel = order.load_model(torch.float32)
    publish(plan.jobs[0], plan, exact, Stop())
    info = info_of(tmp_path)
    assert info.dtype == "bfloat16"
    assert info.dtype_change.keys() >= {"n", "n_lost", "n_gained", "max_change"}
    assert info.dtype_change["n_contexts"] == 4
    assert info.recipe["dtype"] == "bfloat16"


def test_columns_of_several_passes_stand_side_by_side() -> None:
    merged = module._merged(
        [
            {"features": pa.table({"feature": [1, 2], "a": [3, 4]})},
            {"bands": pa.table({"band": [7]})},
            {"features": pa.table({"b": [5, 6]})},
        ]
    )
    assert merged["features"].to_pylist() == [
        {"feature": 1, "a": 3, "b": 5},
        {"feature": 2, "a": 4, "b": 6},
    ]
    assert merged["bands"].to_pylist() == [{"band": 7}]
