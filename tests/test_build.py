import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from featurestore import build as build_module
from featurestore.build import build
from featurestore.config import PassesConfig, Recipe, read_recipe
from featurestore.corpus import read_documents
from featurestore.errors import BuildFailed, RecipeError
from featurestore.inference import load_model
from featurestore.records import FeatureQuery, Flag
from featurestore.store import Store
from featurestore.verify import verify
from tests.tiny_model import ARCHITECTURES, make_model, save_dictionary, save_recipe

ROOT = Path(__file__).parent.parent
CONTEXT_LENGTH = 16


def tables(store: Path, dictionary_id: str = "sae") -> dict[str, dict]:
    """Rows and digest of every table of a dictionary."""
    opened = Store(store)
    found = opened.dictionary(dictionary_id).tables
    opened.close()
    return found


@pytest.fixture(scope="module", params=ARCHITECTURES)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small run and the store that was built from it."""
    folder = tmp_path_factory.mktemp(request.param)
    build(read_recipe(save_recipe(folder, request.param)), folder / "store")
    return folder


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for GPT-2 alone."""
    folder = tmp_path_factory.mktemp("gpt2-alone")
    build(read_recipe(save_recipe(folder)), folder / "store")
    return folder


# The numbers


def plain_contexts(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Token ids of every context, and which of them count; padding is 0."""
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    rows, valid = [], []
    for document in read_documents([str(folder / "texts" / "*.txt")]):
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
    texts = read_documents([str(run / "texts" / "*.txt")])
    documents = {document.name: document.text.encode() for document in texts}
    for row in store.features(FeatureQuery("sae")).rows[:5]:
        for band in store.bands("sae", row.feature, "random"):
            for example in band.examples:
                assert example.tokens[0] == "<bos>"
                assert as_bytes(example.tokens[1:]) in documents[example.document]
    store.close()


def test_a_feature_that_overflows_is_flagged_and_never_ranked(tmp_path: Path) -> None:
    path = save_recipe(tmp_path)
    weights = load_file(tmp_path / "sae" / "dictionary.safetensors")
    weights["W_enc"][:, 3] = 3e38
    save_file(weights, tmp_path / "sae" / "dictionary.safetensors")
    build(read_recipe(path), tmp_path / "store")
    store = Store(tmp_path / "store")
    assert store.feature("sae", 3).n_nonfinite > 0
    flagged = store.features(FeatureQuery("sae", flags=frozenset({Flag.NONFINITE})))
    assert {row.feature for row in flagged.rows} <= {3}
    for row in store.features(FeatureQuery("sae", include_dead=True)).rows:
        assert row.max_activation is None or np.isfinite(row.max_activation)
    store.close()


# One run, one file


def test_what_is_built_is_not_built_again(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_module, "sweep", None)  # calling it would raise
    (path,) = (run / "store" / "dictionaries" / "sae").iterdir()
    leftover = run / "store" / "work" / path.stem
    leftover.mkdir()  # of a build that was killed just after it published
    (leftover / "block-000000.safetensors").touch()
    assert build(read_recipe(run / "recipe.toml"), run / "store") == []
    assert list((run / "store" / "work").iterdir()) == []


def test_two_builds_are_alike_to_the_last_bit(run: Path) -> None:
    (path,) = build(read_recipe(run / "recipe.toml"), run / "again")
    assert path.name == next((run / "store" / "dictionaries" / "sae").iterdir()).name
    assert tables(run / "again") == tables(run / "store")
    assert not any(finding.faults for finding in verify(run / "again"))


def other_text(folder: Path) -> None:
    (folder / "texts" / "text-0.txt").write_text("Something else.", encoding="utf-8")


def other_weights(folder: Path) -> None:
    save_dictionary(folder / "sae", seed=1)


def other_model(folder: Path) -> None:
    n_tokens = len(AutoTokenizer.from_pretrained(folder / "model"))
    make_model("gpt2", n_tokens, seed=1).save_pretrained(folder / "model")


CHANGES: dict[str, Callable[[Recipe], Recipe]] = {
    "nothing": lambda r: r,
    "seed": lambda r: replace(r, seed=1),
    "contexts_per_block": lambda r: replace(r, contexts_per_block=8),
    "passes": lambda r: replace(r, passes=PassesConfig(n_top=5)),
    "context_length": lambda r: replace(r, corpus=replace(r.corpus, context_length=12)),
    "max_tokens": lambda r: replace(r, corpus=replace(r.corpus, max_tokens=100)),
    "prepend_bos": lambda r: replace(r, corpus=replace(r.corpus, prepend_bos=False)),
    "corpus name": lambda r: replace(r, corpus=replace(r.corpus, name="mine")),
    "model title": lambda r: replace(r, model=replace(r.model, title="mine")),
    "model step": lambda r: replace(r, model=replace(r.model, step=3)),
    "dictionary step": lambda r: replace(r, dictionaries=(replace(r.dictionaries[0], step=3),)),
    "id": lambda r: replace(r, dictionaries=(replace(r.dictionaries[0], id="b"),)),
    "hook": lambda r: replace(
        r, dictionaries=(replace(r.dictionaries[0], hook_name="blocks.1.hook_resid_post"),)
    ),
}


def test_whatever_decides_the_numbers_names_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stop(Exception):
        pass

    run_ids: dict[str, str] = {}

    def name_of(change: str) -> None:
        def stop(model: object, corpus: object, targets: list, contexts_per_block: int) -> None:
            run_ids[change] = targets[0].folder.name
            raise Stop

        monkeypatch.setattr(build_module, "sweep", stop)
        recipe = CHANGES.get(change, lambda r: r)(read_recipe(path))
        with pytest.raises(Stop):
            build(recipe, tmp_path / "store")

    path = save_recipe(tmp_path)
    model = load_model(str(tmp_path / "model"))
    with monkeypatch.context() as patched:
        patched.setattr(build_module, "load_model", lambda *_: model)
        for change in CHANGES:
            name_of(change)
        patched.setattr(build_module, "SCHEMA_VERSION", 0)
        name_of("schema")
        patched.undo()
    for change in (other_weights, other_text, other_model):
        change(tmp_path)
        name_of(change.__name__)
    assert len(run_ids) == len(CHANGES) + 4
    assert len(set(run_ids.values())) == len(run_ids), run_ids


def test_a_run_does_not_depend_on_where_its_files_are(gpt2: Path, tmp_path: Path) -> None:
    (path,) = (gpt2 / "store" / "dictionaries" / "sae").iterdir()
    recipe = read_recipe(save_recipe(tmp_path / "else" / "where"))
    store = tmp_path / "store"
    (store / "dictionaries" / "sae").mkdir(parents=True)
    (store / "dictionaries" / "sae" / path.name).touch()
    assert build(recipe, store) == []


# Several dictionaries

MORE = """
[[dictionaries]]
id = "later"
path = "later"
[[dictionaries]]
id = "transcoder"
path = "transcoder"
"""


def test_dictionaries_of_several_hook_points_in_one_sweep(gpt2: Path, tmp_path: Path) -> None:
    path = save_recipe(tmp_path)
    save_dictionary(tmp_path / "later", "blocks.1.hook_resid_pre", 40, seed=1)
    ends = {"hook_name": "blocks.1.ln2.hook_normalized", "hook_name_out": "blocks.1.hook_mlp_out"}
    save_dictionary(tmp_path / "transcoder", n_features=8, kind="transcoder", seed=2, **ends)
    path.write_text(path.read_text() + MORE)
    recipe, store = read_recipe(path), tmp_path / "store"

    with pytest.raises(RecipeError, match=r"--only nothing: .* \['sae', 'later', 'transcoder'\]"):
        build(recipe, store, ("sae", "nothing"))
    (later,) = build(recipe, store, ("later",))
    assert later.parent.name == "later"
    assert [p.parent.name for p in build(recipe, store)] == ["sae", "transcoder"]

    # a dictionary's numbers do not depend on what is built beside it
    assert tables(store) == tables(gpt2 / "store")
    opened = Store(store)
    known = {info.dictionary_id: info for info in opened.catalogue().dictionaries}
    assert [info.n_features for info in known.values()] == [40, 24, 8]
    assert known["transcoder"].is_transcoder
    assert known["transcoder"].hook_name_out == "blocks.1.hook_mlp_out"
    assert known["transcoder"].kind == "transcoder"
    assert opened.features(FeatureQuery("transcoder")).rows[0].promoted
    opened.close()


# Stopped on the way

BUILDER = """
import os, signal, sys, time
from pathlib import Path
from featurestore.__main__ import main
import featurestore.build
store, command = Path(sys.argv[1]), sys.argv[2:]
for line in sys.stdin:  # files to wait for, and how many of them
    pattern, n = line.split()
    child = os.fork()
    if child == 0:
        os._exit(main(command))
    while len(list(store.glob(pattern))) < int(n) and os.waitpid(child, os.WNOHANG)[0] == 0:
        time.sleep(0.001)
    try:
        os.kill(child, signal.SIGKILL)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    except (ProcessLookupError, ChildProcessError):
        print("ended", flush=True)
"""
"""Builds in children that are forked, so that torch is imported once, and kills them on the way."""


def test_a_build_that_is_killed_goes_on_where_it_stopped(gpt2: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    command = [str(store), "build", str(gpt2 / "recipe.toml"), "--store", str(store)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(
        [sys.executable, "-c", BUILDER, *command], cwd=ROOT, stderr=subprocess.DEVNULL, **pipes
    ) as process:

        def build_until(pattern: str, n: int) -> str:
            process.stdin.write(f"{pattern} {n}\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        def blocks() -> dict[str, int]:
            return {p.name: p.stat().st_mtime_ns for p in store.glob("work/*/block-*.safetensors")}

        for n in (1, 4, 9):
            assert build_until("work/*/block-*.safetensors", n) == "-9"
            before = blocks()
            assert n <= len(before) < 13
            assert not (store / "dictionaries").exists()
            # half of a block that was being written
            (next(store.glob("work/*")) / "block-000012.1.tmp").write_bytes(b"half")
        assert build_until("work/*/sae.gathered.duckdb", 1) == "-9"
        assert {name: blocks()[name] for name in before} == before  # none was computed twice
        assert build_until("work/*/sae.complete.duckdb", 1) == "-9"
        assert list(store.glob("dictionaries/*/*.duckdb")) == []
        process.stdin.close()
    (path,) = build(read_recipe(gpt2 / "recipe.toml"), store)
    assert tables(store) == tables(gpt2 / "store")
    assert list((store / "work").iterdir()) == []
    assert path.exists()


def test_a_damaged_block_is_named(gpt2: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    (served,) = (gpt2 / "store" / "dictionaries" / "sae").iterdir()
    block = store / "work" / served.stem / "block-000003.safetensors"
    block.parent.mkdir(parents=True)
    block.write_bytes(b"")
    with pytest.raises(BuildFailed, match=f"{block}' is damaged.* Delete it and run the same"):
        build(read_recipe(gpt2 / "recipe.toml"), store)
    block.unlink()
    build(read_recipe(gpt2 / "recipe.toml"), store)
    assert tables(store) == tables(gpt2 / "store")
