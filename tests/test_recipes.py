from pathlib import Path

import pytest

from featurestore.config import CorpusConfig, PassesConfig, Recipe
from featurestore.errors import RecipeError
from featurestore.recipes import read_recipe

SMALLEST = """
[model]
name = "gpt2"
[corpus]
files = ["a.txt"]
[[dictionaries]]
id = "sae"
path = "sae"
"""
FILES = 'files = ["a.txt"]'
COMPLETE = """
seed = 3
contexts_per_block = 8
[model]
name = "owner/model"
revision = "main"
title = "a model"
step = 5
embedding = "random"
[corpus]
files = ["a.txt", "b/**/*.txt"]
column = "body"
name = "letters"
context_length = 16
prepend_bos = false
max_tokens = 1000
[[dictionaries]]
id = "sae-1"
path = "one"
hook_name = "blocks.0.hook_resid_pre"
hook_name_out = "blocks.0.hook_mlp_out"
family = "tests"
step = 7
k = 32
index = 2
centred = true
[[dictionaries]]
id = "SAE_2.x"
path = "/two"
[[dictionaries]]
id = "pca"
baseline = "pca"
like = "sae-1"
n_features = 64
signs = "signed"
[passes]
n_top = 1
n_bands = 2
n_per_band = 3
n_random = 4
n_zero = 5
n_lens_tokens = 6
n_bins = 7
n_ablated_top = 8
n_ablated_bands = 9
n_control_draws = 10
n_dependences = 11
n_deleted = 12
n_neighbours = 13
n_scored = 14
map = false
"""


def read(folder: Path, text: str) -> Recipe:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return read_recipe(path)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(RecipeError) as caught:
        read(folder, text)
    message = str(caught.value)
    assert str(folder / "recipe.toml") in message
    assert caught.value.exit_code == 2
    return message


def test_every_key_is_read(tmp_path: Path) -> None:
    recipe = read(tmp_path, COMPLETE)
    assert (recipe.seed, recipe.contexts_per_block) == (3, 8)
    assert vars(recipe.model) == {
        "name": "owner/model",
        "revision": "main",
        "title": "a model",
        "step": 5,
        "embedding": "random",
    }
    assert vars(recipe.corpus) == {
        "files": (str(tmp_path / "a.txt"), str(tmp_path / "b/**/*.txt")),
        "dataset": None,
        "vocabulary": False,
        "column": "body",
        "subset": None,
        "split": "train",
        "name": "letters",
        "context_length": 16,
        "prepend_bos": False,
        "max_tokens": 1000,
    }
    first, second, third = recipe.dictionaries
    of_a_baseline = {"baseline": None, "like": None, "n_features": None, "signs": None}
    assert vars(first) == of_a_baseline | {
        "id": "sae-1",
        "path": str(tmp_path / "one"),
        "hook_name": "blocks.0.hook_resid_pre",
        "hook_name_out": "blocks.0.hook_mlp_out",
        "family": "tests",
        "step": 7,
        "k": 32,
        "index": 2,
        "centred": True,
    }
    assert (second.id, second.path, second.hook_name) == ("SAE_2.x", "/two", None)
    assert (third.path, third.baseline, third.like) == (None, "pca", "sae-1")
    assert (third.n_features, third.signs) == (64, "signed")
    assert tuple(vars(recipe.passes).values()) == (*range(1, 15), False)


def test_what_is_absent_has_its_default(tmp_path: Path) -> None:
    recipe = read(tmp_path, SMALLEST)
    assert recipe.passes == PassesConfig()
    assert (recipe.seed, recipe.contexts_per_block, recipe.model.step) == (0, 64, None)
    assert (recipe.corpus.context_length, recipe.corpus.prepend_bos) == (128, True)


def test_paths_are_relative_to_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    (tmp_path / "models" / "mine").mkdir(parents=True)
    text = SMALLEST.replace('"gpt2"', '"models/mine"').replace('"a.txt"', '"../a.txt", "~/b.txt"')
    recipe = read(tmp_path, text)
    assert recipe.model.name == str(tmp_path / "models" / "mine")
    assert recipe.corpus.files == (str(tmp_path / "../a.txt"), "/home/me/b.txt")


@pytest.mark.parametrize("name", ["gpt2", "EleutherAI/pythia-70m"])
def test_a_hub_name_is_left_alone(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, SMALLEST.replace("gpt2", name)).model.name == name


@pytest.mark.parametrize(
    ("revision", "step"),
    [("step3000", 3000), ("step0", 0), ("checkpoint-400", 400), ("main", None), ("step3-v0", None)],
)
def test_a_checkpoint_on_the_hub_says_its_step(
    tmp_path: Path, revision: str, step: int | None
) -> None:
    text = SMALLEST.replace('"gpt2"', f'"gpt2"\nrevision = "{revision}"')
    assert read(tmp_path, text).model.step == step
    assert read(tmp_path, text.replace("[corpus]", "step = 7\n[corpus]")).model.step == 7


def corpus_of(folder: Path, lines: str) -> CorpusConfig:
    return read(folder, SMALLEST.replace(FILES, lines)).corpus


def test_a_data_set_is_a_folder_or_a_name_on_the_hub(tmp_path: Path) -> None:
    (tmp_path / "data" / "mine").mkdir(parents=True)
    local = corpus_of(tmp_path, 'dataset = "data/mine"')
    assert (local.dataset, local.name) == (str(tmp_path / "data" / "mine"), "mine")
    hub = corpus_of(tmp_path, 'dataset = "data/yours"\nsubset = "en"\nmax_tokens = 1000')
    assert (hub.dataset, hub.name, hub.subset) == ("data/yours", "data/yours", "en")
    assert corpus_of(tmp_path, 'dataset = "data/mine"\nname = "other"').name == "other"


def test_contexts_of_the_vocabulary_hold_a_token(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, "vocabulary = true")
    assert (corpus.context_length, corpus.name, corpus.files) == (2, "vocabulary", None)
    corpus = corpus_of(tmp_path, "vocabulary = true\nprepend_bos = false\nname = 'all'")
    assert (corpus.context_length, corpus.name) == (1, "all")


@pytest.mark.parametrize("name", ["./mine", "../mine", "/no/such/mine", "~/no-such-mine"])
def test_a_model_folder_must_be_there(tmp_path: Path, name: str) -> None:
    message = refusal(tmp_path, SMALLEST.replace("gpt2", name))
    assert f"'model.name' is '{name}', but there is no folder" in message


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # unknown keys
        ("[model]", "sead = 1\n[model]", "unknown key 'sead'. Did you mean 'seed'?"),
        ("[corpus]", "[corpus]\nfile = 1", "unknown key 'corpus.file'. Did you mean 'files'?"),
        ("path =", "hook = 'x'\npath =", "unknown key 'dictionaries[0].hook'. Did you mean"),
        ("[model]", "zzz = 1\n[model]", "unknown key 'zzz'. Allowed here: model, dictionaries,"),
        (
            "[model]",
            "[model]\nseed = 1",
            "'seed' stands below [model]; it goes above the first table",
        ),
        ("path =", "dtype = 'float32'\npath =", "'dtype' stands below [dictionaries]; it goes"),
        # missing keys
        ('name = "gpt2"', "", "key 'model.name' is missing; expected text."),
        ('[model]\nname = "gpt2"', "", "key 'model' is missing; expected a table."),
        ('path = "sae"', "", "'dictionaries[0]' has neither 'path' nor 'baseline'. Give one of"),
        (f"[corpus]\n{FILES}", "", "key 'corpus' is missing; expected a table."),
        # wrong types
        ("[model]", "seed = true\n[model]", "'seed' is True; expected a whole number."),
        ("[model]", "seed = '1'\n[model]", "'seed' is '1'; expected a whole number."),
        ("[model]", "seed = 1.0\n[model]", "'seed' is 1.0; expected a whole number."),
        ('"gpt2"', "7", "'model.name' is 7; expected text."),
        ('"gpt2"', "2026-01-01", "'model.name' is datetime.date(2026, 1, 1); expected text."),
        ('[model]\nname = "gpt2"', "model = []", "'model' is []; expected a table."),
        (
            '["a.txt"]',
            '"a.txt"',
            "'corpus.files' is 'a.txt'; expected a list in brackets, each element text.",
        ),
        ('["a.txt"]', '["a", 1]', "'corpus.files[1]' is 1; expected text."),
        ("[corpus]", "[corpus]\nprepend_bos = 1", "'corpus.prepend_bos' is 1; expected true or"),
        ("[[dictionaries]]", "[dictionaries]", "expected tables, each below [[dictionaries]]."),
        # values
        ('["a.txt"]', "[]", "'corpus.files' is []; expected at least one pattern."),
        ("[model]", "seed = -1\n[model]", "'seed' is -1; expected 0 to"),
        ("[model]", "contexts_per_block = 0\n[model]", "'contexts_per_block' is 0; expected 1 to"),
        ("[corpus]", "[corpus]\ncontext_length = 1", "'corpus.context_length' is 1; expected 2 to"),
        ("[corpus]", "[corpus]\nmax_tokens = 0", "'corpus.max_tokens' is 0; expected 1 to"),
        ("[corpus]", "[passes]\nn_top = 1001\n[corpus]", "'passes.n_top' is 1,001; expected 1 to"),
        ("path =", "step = -1\npath =", "'dictionaries[0].step' is -1; expected 0 to"),
        ("[corpus]", "step = 9223372036854775808\n[corpus]", "'model.step' is 9,223,372,036,854,"),
        ("[corpus]", "embedding = 'none'\n[corpus]", "'none'; expected one of shuffled, random."),
        # kinds of corpus
        (FILES, "", "[corpus] has none of 'files', 'dataset' and 'vocabulary = true'; expected"),
        (FILES, "vocabulary = false", "[corpus] has none of"),
        ("[corpus]", "[corpus]\nvocabulary = true", "has files and vocabulary of 'files'"),
        ("[corpus]", "[corpus]\ndataset = 'a/b'", "[corpus] has files and dataset of 'files'"),
        ("[corpus]", "[corpus]\nsplit = 'x'", "'corpus.split' says nothing of a corpus with"),
        (FILES, "vocabulary = true\ncontext_length = 2", "it goes with files or dataset"),
        (FILES, "vocabulary = true\nmax_tokens = 9", "'corpus.max_tokens' says nothing"),
        (FILES, "dataset = 'a/b'", "key 'corpus.max_tokens' is missing; a data set on"),
        (FILES, "dataset = 'json'", "'corpus.dataset' is 'json', but there is no folder"),
        (FILES, "dataset = './b'", "'corpus.dataset' is './b', but there is no folder"),
        (FILES, "dataset = '/a/b'", "on the hub names are like 'owner/name'."),
        # not TOML
        ("[model]", "[model", "is not valid TOML"),
        ("[corpus]", "[model]", "is not valid TOML"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in SMALLEST
    assert expected in refusal(tmp_path, SMALLEST.replace(old, new, 1))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("path = 'a'\nbaseline = 'pca'", "has both 'path' and 'baseline'. Give one of them"),
        ("path = 'a'\nlike = 'sae'", "'like' does not go with 'path'; take one of them out"),
        ("path = 'a'\nn_features = 5", "'n_features' does not go with 'path'"),
        ("path = 'a'\nsigns = 'split'", "'signs' does not go with 'path'"),
        ("baseline = 'nmf'", "'baseline' is 'nmf'; expected one of neurons, identity, random, pca"),
        ("baseline = 'pca'", "key 'hook_name' is missing. Give it, or in its place 'like'"),
        ("baseline = 'pca'\nlike = 'x'", "'like' is 'x'; expected the id of a dictionary of this"),
        ("baseline = 'pca'\nlike = 'new'", "'like' is 'new'; expected the id of a dictionary"),
        ("baseline = 'random'\nhook_name = 'x'", "key 'n_features' is missing. Give it, or 'like"),
        ("baseline = 'random'\nlike = 'sae'\nsigns = 'split'", "'signs' does not go with base"),
        ("baseline = 'identity'\nlike = 'sae'\nn_features = 8", "'n_features' does not go with"),
        ("baseline = 'neurons'\nlike = 'sae'\nn_features = 8", "beside it: id, hook_name, like,"),
        ("baseline = 'pca'\nlike = 'sae'\nstep = 8", "'step' does not go with baseline = 'pca'"),
        ("baseline = 'pca'\nlike = 'sae'\nk = 8", "'k' does not go with baseline = 'pca'"),
        ("baseline = 'pca'\nlike = 'sae'\nindex = 0", "'index' does not go with baseline"),
        ("baseline = 'pca'\nlike = 'sae'\ncentred = true", "'centred' does not go with"),
        ("baseline = 'pca'\nlike = 'sae'\nhook_name_out = 'x'", "'hook_name_out' does not go"),
        ("baseline = 'pca'\nlike = 'sae'\nsigns = 'both'", "'signs' is 'both'; expected one of"),
        ("baseline = 'ica'\nlike = 'sae'\nn_features = 5", "is 5, but each direction is two"),
        ("baseline = 'ica'\nlike = 'sae'\nn_features = 0", "n_features' is 0; expected 1 to"),
        ("baseline = 3", "'dictionaries[1].baseline' is 3; expected text."),
    ],
)
def test_a_wrong_baseline_is_told_how_to_mend_it(tmp_path: Path, keys: str, expected: str) -> None:
    message = refusal(tmp_path, f'{SMALLEST}[[dictionaries]]\nid = "new"\n{keys}\n')
    assert "dictionaries[1]" in message
    assert expected in message


@pytest.mark.parametrize(
    "keys",
    [
        "baseline = 'neurons'\nhook_name = 'blocks.0.mlp.hook_post'\nsigns = 'split'",
        "baseline = 'identity'\nlike = 'sae'\nfamily = 'mine'",
        "baseline = 'random'\nlike = 'sae'",
        "baseline = 'random'\nhook_name = 'hook_embed'\nn_features = 5",
        "baseline = 'ica'\nlike = 'sae'\nsigns = 'signed'\nn_features = 5",
    ],
)
def test_a_baseline_has_no_path(tmp_path: Path, keys: str) -> None:
    _, found = read(tmp_path, f'{SMALLEST}[[dictionaries]]\nid = "new"\n{keys}\n').dictionaries
    assert found.path is None


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/b", "a/../b", "/etc", "a\\\\b", "C:x", "-a", ".a", "a..b", "a b"]
    + ["a%2f", "é", "a\\u0000", "a\\n", "a\\u2024b", "x" * 81, "<b>", "a'b", "~"],
)
def test_an_id_cannot_leave_its_folder(tmp_path: Path, name: str) -> None:
    message = refusal(tmp_path, SMALLEST.replace('id = "sae"', f'id = "{name}"'))
    assert "'dictionaries.id' is " in message
    assert "allowed are letters, digits" in message


def test_an_id_stands_there_once(tmp_path: Path) -> None:
    twice = SMALLEST + '[[dictionaries]]\nid = "sae"\npath = "other"\n'
    assert "'dictionaries.id' 'sae' stands there twice" in refusal(tmp_path, twice)


def test_a_recipe_needs_a_dictionary(tmp_path: Path) -> None:
    none = "dictionaries = []\n" + SMALLEST[: SMALLEST.index("[[")]
    assert "no [[dictionaries]]" in refusal(tmp_path, none)


def test_a_mistyped_recipe_has_a_nearest_one(tmp_path: Path) -> None:
    for name in ("recipe.toml", "other.toml"):
        (tmp_path / name).write_text("")
    with pytest.raises(RecipeError) as caught:
        read_recipe(tmp_path / "recipee.toml")
    assert str(caught.value).endswith(f"directory. Nearest: '{tmp_path / 'recipe.toml'}'.")
    with pytest.raises(RecipeError, match=r"directory\.$"):
        read_recipe(tmp_path / "no folder" / "recipe.toml")


def test_a_recipe_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"seed = \xff")
    for name, expected in {
        "bytes.toml": "is not valid TOML",
        "absent.toml": "cannot be read: No such file",
        ".": "cannot be read: Is a directory",
    }.items():
        with pytest.raises(RecipeError, match=expected) as caught:
            read_recipe(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
