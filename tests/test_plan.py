import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from featurestore import plan as module
from featurestore.config import PassesConfig, Recipe
from featurestore.errors import CorpusError, DictionaryError, RecipeError
from featurestore.inference import load_model
from featurestore.places import read_place
from featurestore.plan import Order, make_plan, title
from featurestore.recipes import read_recipe
from tests.tiny_model import make_model, save_dictionary, save_recipe
from tests.tiny_plan import block_files, moved, plan_of, sweep_blocks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    save_recipe(folder)
    return folder


def other_text(folder: Path) -> None:
    (folder / "texts" / "text-0.txt").write_text("Something else.", encoding="utf-8")


def other_weights(folder: Path) -> None:
    save_dictionary(folder / "sae", seed=1)


def other_model(folder: Path) -> None:
    n_tokens = len(AutoTokenizer.from_pretrained(folder / "model"))
    make_model("gpt2", n_tokens, seed=1).save_pretrained(folder / "model")


def other_tokenizer(folder: Path) -> None:
    path = folder / "model" / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["model"]["merges"][-1:] = []
    path.write_text(json.dumps(content), encoding="utf-8")


CHANGES: dict[str, Callable[[Recipe], Recipe]] = {
    "nothing": lambda r: r,
    "seed": lambda r: replace(r, seed=1),
    "dtype": lambda r: replace(r, dtype="bfloat16"),
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
    def run_id(change: Callable[[Recipe], Recipe] = CHANGES["nothing"]) -> str:
        (job,) = make_plan(Order(change(read_recipe(path)), tmp_path / "store")).jobs
        return job.run_id

    path = save_recipe(tmp_path)
    model = load_model(str(tmp_path / "model"))
    with monkeypatch.context() as patched:
        patched.setattr(module, "load_model", lambda *_: model)
        run_ids = {name: run_id(change) for name, change in CHANGES.items()}
        assert run_id() == run_ids["nothing"]
        patched.setattr(module, "SCHEMA_VERSION", 0)
        run_ids["schema"] = run_id()
        patched.undo()
        patched.setattr(module, "load_model", lambda *_: model)
        patched.setattr(module, "_code_digest", lambda: "other code")
        run_ids["code"] = run_id()
    for change in (other_weights, other_text, other_model, other_tokenizer):
        change(tmp_path)
        run_ids[change.__name__] = run_id()
    assert len(run_ids) == len(CHANGES) + 6
    assert len(set(run_ids.values())) == len(run_ids), run_ids


def test_the_device_and_the_places_of_files_do_not_name_the_run(
    folder: Path, tmp_path: Path
) -> None:
    (job,) = make_plan(Order(read_recipe(folder / "recipe.toml"), tmp_path)).jobs
    elsewhere = read_recipe(save_recipe(tmp_path / "else" / "where"))
    (other,) = make_plan(Order(elsewhere, tmp_path / "store")).jobs
    assert other.run_id == job.run_id
    assert other.digests == job.digests
    assert job.digests.keys() == {"model", "tokenizer", "corpus", "code", "dictionary"}


def test_one_thread_computes_whatever_the_machine_has(folder: Path, tmp_path: Path) -> None:
    """The last bits of a small product depend on how many threads share it."""
    files, before = [], torch.get_num_threads()
    for n_threads in (1, 2, 3):
        torch.set_num_threads(n_threads)
        plan = plan_of(folder / "recipe.toml", tmp_path / f"{n_threads}")
        recipe = replace(plan.order.recipe, contexts_per_block=1)
        plan = replace(plan, order=replace(plan.order, recipe=recipe))
        sweep_blocks(plan, plan.blocks)
        files.append(block_files(plan.order.store))
        assert torch.get_num_threads() == n_threads
    torch.set_num_threads(before)
    assert len(files[0]) == len(plan.corpus.tokens)
    assert files[0] == files[1] == files[2]


def test_the_code_that_decides_numbers_is_all_there() -> None:
    """What a block or a table is made by; a new module is to be put on one side or the other."""
    package = Path(module.__file__).parent
    harmless = set(
        "__init__ __main__ build built_from byte_names chance checkpoints config "
        "detail_records "
        "details dictionary_file digests documents errors feature_list hub kept_rows "
        "link_records links listing literals notebook open_files pair_columns pair_file "
        "pair_records pairs places plan precision ray_engine recipes records rows served_files "
        "small_file spreadsheet stamped_file stop store store_file suitability text_search "
        "toml_tables track_records tracks two_runs verify workers workspace writer".split()
    )
    deciding = set(
        "activations blocks corpus decoding embedding_control encoder hook_points inference "
        "perturbation publish remainder sweep threads vocabulary".split()
    )
    assert {path.stem for path in package.glob("*.py")} == harmless | deciding


def test_blocks_are_ranges_of_contexts(folder: Path, tmp_path: Path) -> None:
    plan = moved(make_plan(Order(read_recipe(folder / "recipe.toml"), tmp_path)), tmp_path)
    n_contexts = len(plan.corpus.tokens)
    for per_block in (1, 5, 7, n_contexts - 1, n_contexts, 1000):
        recipe = replace(plan.order.recipe, contexts_per_block=per_block)
        other = replace(plan, order=replace(plan.order, recipe=recipe))
        contexts = [list(other.contexts(number)) for number in other.blocks]
        assert [c for block in contexts for c in block] == list(range(n_contexts))
        assert {len(block) for block in contexts[:-1]} <= {per_block}
        assert 0 < len(contexts[-1]) <= per_block
    assert plan.missing() == list(plan.blocks)
    sweep_blocks(plan, [5, 2])
    assert plan.missing() == [n for n in plan.blocks if n not in (2, 5)]


def test_what_is_published_is_no_job_and_its_leftovers_go(folder: Path, tmp_path: Path) -> None:
    order = Order(read_recipe(folder / "recipe.toml"), tmp_path)
    (job,) = make_plan(order).jobs
    job.workspace.open()  # of a build that was killed just after it published
    (job.workspace.folder / "block-000000.safetensors").touch()
    published = tmp_path / "dictionaries" / "sae" / f"{job.run_id}.duckdb"
    published.parent.mkdir(parents=True)
    published.touch()
    assert make_plan(order).jobs == ()
    assert list((tmp_path / "work").iterdir()) == []


def test_only_those_that_are_named(folder: Path, tmp_path: Path) -> None:
    recipe = read_recipe(folder / "recipe.toml")
    more = replace(recipe.dictionaries[0], id="more")
    recipe = replace(recipe, dictionaries=(*recipe.dictionaries, more))
    assert [job.config.id for job in make_plan(Order(recipe, tmp_path)).jobs] == ["sae", "more"]
    (job,) = make_plan(Order(recipe, tmp_path, ("more",))).jobs
    assert job.config.id == "more"
    with pytest.raises(RecipeError, match=r"--only nothing: .* It has: sae, more\."):
        make_plan(Order(recipe, tmp_path, ("sae", "nothing")))


def test_a_transcoder_must_fit_at_both_ends(folder: Path, tmp_path: Path) -> None:
    recipe = read_recipe(folder / "recipe.toml")
    wide = replace(recipe.dictionaries[0], hook_name_out="blocks.0.mlp.hook_post")
    with pytest.raises(DictionaryError, match="16 dimensions, but 'blocks.0.mlp.hook_post'.* 64"):
        make_plan(Order(replace(recipe, dictionaries=(wide,)), tmp_path))


def test_the_precision_is_the_recipes(folder: Path, tmp_path: Path) -> None:
    recipe = replace(read_recipe(folder / "recipe.toml"), dtype="bfloat16")
    plan = make_plan(Order(recipe, tmp_path))
    assert plan.order.dtype == torch.bfloat16
    hook_name = "blocks.0.hook_resid_post"
    assert plan.model.hidden(plan.corpus.tokens[:1], {hook_name})[hook_name].dtype == torch.bfloat16


def test_a_model_is_called_by_its_title_its_folder_or_its_name(folder: Path) -> None:
    recipe = read_recipe(folder / "recipe.toml")
    assert title(recipe) == "model"
    assert title(replace(recipe, model=replace(recipe.model, title="Mine"))) == "Mine"
    assert title(replace(recipe, model=replace(recipe.model, name="org/name"))) == "org/name"
    control = replace(recipe.model, embedding="shuffled")
    assert title(replace(recipe, model=control)) == "model, embedding shuffled"
    assert title(replace(recipe, model=replace(control, title="Mine"))) == "Mine"


def test_a_control_is_another_model_and_its_place_says_so(folder: Path, tmp_path: Path) -> None:
    recipe = read_recipe(folder / "recipe.toml")
    control = replace(recipe, model=replace(recipe.model, embedding="random", title="model"))
    digests = []
    for each in (recipe, control, replace(control, seed=7)):
        (job,) = make_plan(Order(each, tmp_path)).jobs
        place = read_place(tmp_path, job.run_id, "sae")
        assert (place.embedding, place.seed) == (each.model.embedding, each.seed)
        digests.append(job.digests["model"])
    assert len(set(digests)) == 3


def test_token_ids_are_checked_against_the_models_vocabulary(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "ids.jsonl").write_text('{"text": [5, 299]}\n{"text": [5, 300]}\n')
    recipe = read_recipe(folder / "recipe.toml")
    recipe = replace(recipe, corpus=replace(recipe.corpus, files=(str(tmp_path / "ids.jsonl"),)))
    with pytest.raises(CorpusError, match="'ids.jsonl#1' holds the token id 300; .* 0 to 299"):
        make_plan(Order(recipe, tmp_path / "store"))
