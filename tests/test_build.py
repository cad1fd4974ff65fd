import logging
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from featurestore import build as build_module
from featurestore.build import build, merge, sweep_shard
from featurestore.dictionary_file import KEYS
from featurestore.documents import read_files
from featurestore.errors import BuildFailed, RecipeError
from featurestore.plan import Plan, make_plan
from featurestore.records import FeatureQuery, Flag
from featurestore.stop import Stop
from featurestore.store import Store
from featurestore.sweep import OnBlock
from featurestore.verify import verify
from tests.tiny_model import ARCHITECTURES, save_dictionary, save_recipe
from tests.tiny_plan import order, sweep_blocks, tables

pytestmark = pytest.mark.long

CONTEXT_LENGTH = 16
N_BLOCKS = 13


@pytest.fixture(scope="module", params=ARCHITECTURES)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small run and the store that was built from it."""
    folder = tmp_path_factory.mktemp(request.param)
    save_recipe(folder, request.param)
    build(order(folder))
    return folder


def plain_contexts(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Token ids of every context, and which of them count; padding is 0."""
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    rows, valid = [], []
    for document in read_files([str(folder / "texts" / "*.txt")]):
        ids = tokenizer(document.text, add_special_tokens=False)["input_ids"]
        for start in range(0, len(ids), CONTEXT_LENGTH - 1):
            row = [tokenizer.bos_token_id, *ids[start : start + CONTEXT_LENGTH - 1]]
            n_missing = CONTEXT_LENGTH - len(row)
            rows.append(row + [0] * n_missing)
            valid.append([False] + [True] * (len(row) - 1) + [False] * n_missing)
    return np.array(rows), np.array(valid)


def plain_activations(folder: Path, tokens: np.ndarray) -> np.ndarray:
    """Pre-activations at the residual stream after block 0, by transformers and a product."""
    model = AutoModelForCausalLM.from_pretrained(folder / "model")
    with torch.inference_mode():
        hidden = model(torch.from_numpy(tokens), output_hidden_states=True).hidden_states[1]
    weights = load_file(folder / "sae" / "dictionary.safetensors")
    return (hidden @ weights["W_enc"] + weights["b_enc"]).double().numpy()


def test_the_numbers_are_those_of_the_model(run: Path) -> None:
    store = Store(run / "store")
    tokens, valid = plain_contexts(run)
    pre = plain_activations(run, tokens)
    info = store.dictionary("sae")
    assert (info.n_contexts, info.n_tokens) == (len(tokens), valid.sum())
    n_alive = 0
    for i in range(24):
        feature, own = store.feature("sae", i), np.where(valid, pre[..., i], -np.inf)
        n_unsure = (np.abs(own) < 1e-4).sum()  # batches of other sizes round otherwise
        assert abs(feature.n_active - (own > 0).sum()) <= n_unsure
        assert feature.density == feature.n_active / info.n_tokens
        if feature.is_dead:
            assert own.max() < 1e-4
            continue
        n_alive += 1
        assert feature.max_activation == pytest.approx(own.max(), rel=1e-4)
        assert feature.mean_activation == pytest.approx(own[own > 0].mean(), rel=1e-3)
        (top,) = store.bands("sae", i, "top")
        best = top.examples[0]
        context, peak = np.unravel_index(own.argmax(), own.shape)
        assert best.peak == peak
        assert list(best.token_ids[: peak + 1]) == tokens[context, : peak + 1].tolist()
        for pos, value in best.activations.items():
            step = feature.max_activation / 127
            assert value == pytest.approx(pre[best.context, pos, i], abs=step)
    assert n_alive > 15
    assert store.feature("sae", 23).is_dead
    store.close()


def as_bytes(tokens: tuple[str, ...]) -> bytes:
    """What tokens stand for; one that is part of a character is shown as <0xE2>."""
    pieces = re.split("<0x([0-9A-F]{2})>", "".join(tokens))
    return b"".join(bytes.fromhex(p) if i % 2 else p.encode() for i, p in enumerate(pieces))


def test_the_texts_of_examples_stand_in_the_documents(run: Path) -> None:
    store = Store(run / "store")
    texts = read_files([str(run / "texts" / "*.txt")])
    documents = {document.name: document.text.encode() for document in texts}
    for row in store.features(FeatureQuery("sae")).rows[:5]:
        for band in store.bands("sae", row.feature, "random"):
            for example in band.examples:
                assert example.tokens[0] == "<bos>"
                assert as_bytes(example.tokens[1:]) in documents[example.document]
    store.close()


@pytest.mark.parametrize("prepend_bos", [True, False])
def test_a_dictionary_of_the_embedding_is_built_on_the_vocabulary(
    tmp_path: Path, prepend_bos: bool
) -> None:
    """Contexts of one token have no next one: what needs it is null, and nothing is NaN."""
    path = save_recipe(tmp_path)
    save_dictionary(tmp_path / "sae", hook_name="hook_embed")
    corpus = f"vocabulary = true\nprepend_bos = {str(prepend_bos).lower()}\n"
    text = path.read_text().replace('files = ["texts/*.txt"]\ncontext_length = 16\n', corpus)
    path.write_text(text.replace("contexts_per_block = 4", "contexts_per_block = 50"))
    (file,) = build(order(tmp_path))
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    weights = load_file(tmp_path / "sae" / "dictionary.safetensors")
    rows = model.get_input_embeddings().weight.detach()
    plain = torch.relu(rows @ weights["W_enc"] + weights["b_enc"]).numpy()
    store = Store(tmp_path / "store")
    info = store.dictionary("sae")
    assert (info.n_tokens, info.n_contexts, info.corpus_name) == (300, 300, "vocabulary")
    assert info.context_length == 1 + prepend_bos
    for i in range(24):
        feature = store.feature("sae", i)
        assert feature.n_active == (plain[:, i] > 0).sum()
        if feature.n_active:
            (top,) = store.bands("sae", i, "top")
            assert top.examples[0].token_ids[-1] == plain[:, i].argmax()
            assert top.examples[0].start == plain[:, i].argmax()
    store.close()
    with duckdb.connect(str(file), read_only=True) as connection:
        for table in KEYS:
            frame = connection.sql(f"from {table}").arrow().read_all()
            for name, column in zip(frame.column_names, frame.columns, strict=True):
                while pa.types.is_list(column.type):
                    column = pc.list_flatten(column)
                if pa.types.is_floating(column.type):
                    assert pc.sum(pc.is_nan(column)).as_py() in (0, None), (table, name)
        effects = "select count(ablation_kl), sum(n_effects), count(*) from features"
        assert connection.sql(effects).fetchall() == [(0, 0, 24)]


def test_a_feature_that_overflows_is_flagged_and_never_ranked(tmp_path: Path) -> None:
    save_recipe(tmp_path)
    weights = load_file(tmp_path / "sae" / "dictionary.safetensors")
    weights["W_enc"][:, 3] = 3e38
    save_file(weights, tmp_path / "sae" / "dictionary.safetensors")
    build(order(tmp_path))
    store = Store(tmp_path / "store")
    assert store.feature("sae", 3).n_nonfinite > 0
    flagged = store.features(FeatureQuery("sae", flags=frozenset({Flag.NONFINITE})))
    assert {row.feature for row in flagged.rows} <= {3}
    for row in store.features(FeatureQuery("sae", include_dead=True)).rows:
        assert row.max_activation is None or np.isfinite(row.max_activation)
    store.close()


# One run, one file


def no_engine(*_: object) -> None:
    raise AssertionError("nothing was to be swept")


def test_what_is_built_is_not_built_again(run: Path) -> None:
    (path,) = (run / "store" / "dictionaries" / "sae").iterdir()
    leftover = run / "store" / "work" / path.stem
    leftover.mkdir()  # of a build that was killed just after it published
    (leftover / "block-000000.safetensors").touch()
    assert build(order(run), engine=no_engine) == []
    assert merge(order(run)) == []
    assert list((run / "store" / "work").iterdir()) == []


def test_going_back_to_a_run_tells_which_one_is_shown(
    run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = shutil.copytree(run / "store", tmp_path / "store")
    caplog.set_level(logging.INFO)
    build(order(run, store), engine=no_engine)
    assert "is already in the store" in caplog.text
    assert "instead" not in caplog.text
    (path,) = (store / "dictionaries" / "sae").iterdir()
    later = shutil.copyfile(path, path.with_name("later.duckdb"))
    with duckdb.connect(later) as connection:
        connection.execute("UPDATE manifest SET run_id = 'later', built_at = '2999-01-01'")
    build(order(run, store), engine=no_engine)
    assert "sae: the app shows run later instead" in caplog.text
    assert f"To show {path.stem} again, move {later} out of the store" in caplog.text


def test_two_builds_are_alike_to_the_last_bit(run: Path) -> None:
    (path,) = build(order(run, run / "again"))
    assert path.name == next((run / "store" / "dictionaries" / "sae").iterdir()).name
    assert tables(run / "again") == tables(run / "store")
    assert not any(finding.faults for finding in verify(run / "again"))


# Several dictionaries

MORE = """
[[dictionaries]]
id = "later"
path = "later"
[[dictionaries]]
id = "transcoder"
path = "transcoder"
"""


def test_dictionaries_of_several_hook_points_in_one_sweep(tmp_path: Path) -> None:
    path = save_recipe(tmp_path)
    build(order(tmp_path, tmp_path / "alone"))
    save_dictionary(tmp_path / "later", "blocks.1.hook_resid_pre", 40, seed=1)
    ends = {"hook_name": "blocks.1.ln2.hook_normalized", "hook_name_out": "blocks.1.hook_mlp_out"}
    save_dictionary(tmp_path / "transcoder", n_features=8, kind="transcoder", seed=2, **ends)
    path.write_text(path.read_text() + MORE)
    store = tmp_path / "store"

    with pytest.raises(RecipeError, match=r"--only nothing: .* sae, later, transcoder"):
        build(order(tmp_path, store, "sae", "nothing"))
    (later,) = build(order(tmp_path, store, "later"))
    assert later.parent.name == "later"
    assert [p.parent.name for p in build(order(tmp_path))] == ["sae", "transcoder"]

    # a dictionary's numbers do not depend on what is built beside it
    assert tables(store) == tables(tmp_path / "alone")
    opened = Store(store)
    known = {info.dictionary_id: info for info in opened.catalogue().dictionaries}
    assert [info.n_features for info in known.values()] == [40, 24, 8]
    assert known["transcoder"].is_transcoder
    assert known["transcoder"].hook_name_out == "blocks.1.hook_mlp_out"
    assert known["transcoder"].kind == "transcoder"
    assert opened.features(FeatureQuery("transcoder")).rows[0].promoted
    opened.close()


# What is there is used, and nothing else


def block_path(folder: Path, store: Path, number: int) -> Path:
    (job,) = make_plan(order(folder, store)).jobs
    return job.workspace.name(number).path(job.workspace.folder)


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def other_block(path: Path) -> None:
    path.write_bytes(path.with_name("block-000001.safetensors").read_bytes())


def other_run(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(path.parent.name.encode(), b"0123456789abcdef"))


SPOILT = {torn: "it cannot be read", other_block: "its block is 1", other_run: "its run_id is 0123"}


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_block_that_cannot_be_used_is_made_anew(
    gpt2: Path, tmp_path: Path, spoil: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    store = tmp_path / "store"
    plan = sweep_shard(order(gpt2, store), (1, 1))
    path = block_path(gpt2, store, 3)
    others = {p: p.stat().st_mtime_ns for p in path.parent.glob("block-*") if p != path}
    spoil(path)
    with pytest.raises(BuildFailed, match=f"{path}' cannot be used: {SPOILT[spoil]}"):
        merge(order(gpt2, store))
    assert not (store / "dictionaries").exists()
    assert len(others) == len(plan.blocks) - 1
    assert {p: p.stat().st_mtime_ns for p in others} == others

    def engine(_plan: Plan, numbers: list[int], _stop: Stop, _on_block: OnBlock) -> None:
        assert numbers == []  # block 3 is the one that is made before

    caplog.clear()
    build(order(gpt2, store), engine=engine)
    (warning,) = [each for each in caplog.records if each.name == "featurestore.workspace"]
    assert str(path) in warning.message and "made anew" in warning.message
    assert tables(store) == tables(gpt2 / "store")


def test_blocks_that_an_engine_leaves_out_are_named(gpt2: Path, tmp_path: Path) -> None:
    def engine(plan: Plan, numbers: list[int], _stop: Stop, _on_block: OnBlock) -> None:
        assert numbers == list(range(1, N_BLOCKS))  # the first was made to see its size
        sweep_blocks(plan, [n for n in numbers if n not in (2, 3, 4, 9)])

    with pytest.raises(BuildFailed, match=r"Blocks 2-4, 9 were not written\. Run the same build"):
        build(order(gpt2, tmp_path), engine=engine)
    assert not (tmp_path / "dictionaries").exists()


def test_numbers_as_text() -> None:
    assert build_module._spans([]) == ""
    assert build_module._spans([4]) == "4"
    assert build_module._spans([0, 1, 2, 3, 7, 9, 10]) == "0-3, 7, 9-10"
    many = list(range(0, 100, 2))
    assert build_module._spans(many) == ", ".join(map(str, many[:20])) + ", …"


def test_a_disk_that_is_too_small_is_told_at_once(
    gpt2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [0]
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(build_module.shutil, "disk_usage", lambda _: usage._replace(free=free[0]))
    with pytest.raises(BuildFailed) as caught:
        build(order(gpt2, tmp_path), engine=no_engine)
    path = block_path(gpt2, tmp_path, 0)
    assert [p.name for p in path.parent.glob("block-*")] == [path.name]
    size = path.stat().st_size
    needed = (N_BLOCKS - 1) * size + 24 * 8_000
    assert f"needs about {needed:,} bytes in '{tmp_path}' (12 blocks of {size:,}" in str(
        caught.value
    )
    assert "but 0 are free" in str(caught.value)
    assert not (tmp_path / "dictionaries").exists()

    # The block that is there is not made again; the next one is measured.
    size = len(sweep_one(gpt2, tmp_path, 1))
    free[0] = (N_BLOCKS - 3) * len(sweep_one(gpt2, tmp_path, 2)) + 24 * 8_000
    build(order(gpt2, tmp_path))
    assert tables(tmp_path) == tables(gpt2 / "store")


def sweep_one(folder: Path, store: Path, number: int) -> bytes:
    """Make one block; its file's content."""
    sweep_blocks(make_plan(order(folder, store)), [number])
    return block_path(folder, store, number).read_bytes()
