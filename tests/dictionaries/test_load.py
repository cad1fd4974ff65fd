from pathlib import Path

import pytest
import torch

from featurestore.config import DictionaryConfig
from featurestore.dictionaries import dictionary_learning, neel_nanda, openai, tokenized
from featurestore.dictionaries.load import FORMATS, load_dictionary
from featurestore.errors import DictionaryError
from tests.tiny_model import save_dictionary


def test_each_format_is_recognised(tmp_path: Path) -> None:
    save_dictionary(tmp_path / "ours", n_features=5)
    weights = {
        "encoder.weight": torch.zeros(6, 4),
        "encoder.bias": torch.zeros(6),
        "decoder.weight": torch.zeros(4, 6),
        "bias": torch.zeros(4),
    }
    torch.save(weights, tmp_path / "theirs.pt")
    hook = "blocks.0.hook_resid_pre"
    found = [
        load_dictionary(DictionaryConfig("a", str(tmp_path / name), hook_name=hook))
        for name in ("ours", "theirs.pt")
    ]
    assert [dictionary.n_features for dictionary in found] == [5, 6]


def test_the_names_in_a_file_tell_its_format(tmp_path: Path) -> None:
    names = {
        openai: ["pre_bias", "latent_bias", "encoder.weight", "decoder.weight"],
        tokenized: ["W_enc", "W_dec", "b_enc", "b_dec", "lookup.W_lookup.weight"],
        neel_nanda: ["W_enc", "W_dec", "b_enc", "b_dec"],
        dictionary_learning: ["W_enc", "W_dec", "b_enc", "b_dec", "threshold"],
    }
    for expected, tensors in names.items():
        torch.save({name: torch.zeros(1) for name in tensors}, tmp_path / "a.pt")
        assert next(f for f in FORMATS if f.recognises(tmp_path / "a.pt")) is expected


def test_the_recipe_goes_before_the_file(tmp_path: Path) -> None:
    path = str(save_dictionary(tmp_path, family="file", step=1, hook_name_out="hook_embed"))
    said = {"hook_name": "a", "hook_name_out": "b", "family": "c", "step": 0}
    origin = load_dictionary(DictionaryConfig("x", path, **said)).origin
    assert {name: getattr(origin, name) for name in said} == said
    origin = load_dictionary(DictionaryConfig("x", path)).origin
    assert (origin.hook_name_out, origin.family, origin.step) == ("hook_embed", "file", 1)


def test_a_recipe_that_says_other_than_the_file_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = str(save_dictionary(tmp_path, hook_name="hook_embed", family="file", step=1))
    load_dictionary(DictionaryConfig("x", path, hook_name="hook_embed", family="file", step=1))
    load_dictionary(DictionaryConfig("x", path))
    assert caplog.messages == []
    load_dictionary(DictionaryConfig("x", path, hook_name="a", family="file", step=2))
    assert caplog.messages == [
        "x: its file says hook_name hook_embed, the recipe says a: using a",
        "x: its file says step 1, the recipe says 2: using 2",
    ]


def test_a_name_that_is_nearly_right(tmp_path: Path) -> None:
    save_dictionary(tmp_path / "my-sae")
    with pytest.raises(DictionaryError, match=r"my-sea' does not exist\. Nearest there: my-sae\."):
        load_dictionary(DictionaryConfig("x", str(tmp_path / "my-sea")))


@pytest.mark.parametrize("key", ["k", "index"])
def test_a_key_that_would_change_nothing_is_refused(tmp_path: Path, key: str) -> None:
    path = str(save_dictionary(tmp_path))
    with pytest.raises(DictionaryError, match=f"'{key}' says nothing of .* Take it out"):
        load_dictionary(DictionaryConfig("x", path, **{key: 0}))


def test_a_folder_that_holds_a_dictionarys_file(tmp_path: Path) -> None:
    torch.save({"pre_bias": torch.zeros(1), "latent_bias": torch.zeros(1)}, tmp_path / "8.pt")
    (tmp_path / "7.txt").write_text("")
    with pytest.raises(DictionaryError) as error:
        load_dictionary(DictionaryConfig("x", str(tmp_path)))
    assert "(found: 7.txt, 8.pt)" in str(error.value)
    assert f"Give the one that you mean as 'path': {tmp_path / '8.pt'}" in str(error.value)


def test_every_format_says_what_a_recipe_needs() -> None:
    for format_ in FORMATS:
        needed = (format_.__doc__ or "").rpartition("\n\n")[2]
        assert needed.startswith("The recipe needs `path`"), format_.__name__
        assert "`hook_name`" in needed


def test_nothing_there(tmp_path: Path) -> None:
    path = tmp_path / "nowhere"
    with pytest.raises(DictionaryError, match=r"'x'.*nowhere' does not exist"):
        load_dictionary(DictionaryConfig("x", str(path)))


def test_what_else_a_path_may_be(tmp_path: Path) -> None:
    checkpoints = tmp_path / "runs" / "trainer_0" / "checkpoints"
    checkpoints.mkdir(parents=True)
    for step in range(6):
        (checkpoints / f"ae_{step}.pt").touch()
    model, recipe = tmp_path / "model", tmp_path / "recipe.toml"
    model.mkdir()
    (model / "config.json").touch()
    recipe.touch()
    inside = tmp_path / "sae-topk" / "cfg.json"
    inside.parent.mkdir()
    inside.touch()
    (inside.parent / "sae.safetensors").touch()
    store = tmp_path / "store"
    (store / "dictionaries" / "a").mkdir(parents=True)
    (store / "dictionaries" / "a" / "run1.duckdb").touch()
    expected = {
        store: f"It is a store, no dictionary: python -m featurestore info --store {store}. See",
        inside: f"Give the folder: {inside.parent}. See",
        tmp_path / "runs": "Give the one that you mean as 'path': "
        + ", ".join(str(checkpoints / f"ae_{step}.pt") for step in range(4))
        + " and 2 more. See",
        model: "It looks like a model's: that is named under [model]. See",
        recipe: f"It looks like a recipe: python -m featurestore build {recipe}. See",
    }
    for path, said in expected.items():
        with pytest.raises(DictionaryError, match="no known format") as error:
            load_dictionary(DictionaryConfig("x", str(path)))
        assert said in str(error.value)


@pytest.mark.parametrize("name", [None, "weights.bin"])
def test_no_known_format(tmp_path: Path, name: str | None) -> None:
    if name:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DictionaryError, match="no known format") as error:
        load_dictionary(DictionaryConfig("x", str(tmp_path)))
    assert f"found: {name or 'an empty folder'}" in str(error.value)
