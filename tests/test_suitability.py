import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from featurestore.corpus import make_corpus
from featurestore.dictionaries import native
from featurestore.documents import read_files
from featurestore.errors import DictionaryError, ModelError
from featurestore.inference import LanguageModel, load_model
from featurestore.plan import Order, Plan, make_plan
from featurestore.recipes import read_recipe
from featurestore.suitability import explained_variance
from tests.tiny_model import D_MODEL, make_model, save_dictionary, save_recipe

HOOK = "blocks.0.hook_resid_post"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe whose model moves every residual vector far along the direction of all ones."""
    folder = tmp_path_factory.mktemp("suitability")
    save_recipe(folder)
    model = AutoModelForCausalLM.from_pretrained(folder / "model")
    with torch.no_grad():
        tokens = model.transformer.wte.weight
        tokens += 8 * torch.randn(len(tokens), 1, generator=torch.Generator().manual_seed(5))
    model.save_pretrained(folder / "model")
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> LanguageModel:
    return load_model(str(folder / "model"))


def principal(model: LanguageModel, folder: Path, path: Path, centred: bool) -> None:
    """A dictionary of all principal components but one of a kind of vectors, at HOOK."""
    documents = read_files([str(folder / "texts" / "*.txt")])
    tokens = make_corpus(documents, model.tokenizer, 16, prepend_bos=True).tokens
    vectors = model.hidden(tokens, {HOOK})[HOOK].flatten(0, 1).double().numpy()
    if centred:
        vectors = vectors - vectors.mean(axis=1, keepdims=True)
    mean = vectors.mean(axis=0)
    _, axes = np.linalg.eigh(np.cov((vectors - mean).T))
    chosen = torch.from_numpy(axes[:, D_MODEL // 2 :]).float()
    if not centred:  # all of it, so that it explains raw vectors
        chosen = torch.from_numpy(axes).float()
    mean = torch.from_numpy(mean).float()
    native.save(
        path,
        {"kind": "pca", "nonlinearity": "identity", "hook_name": HOOK},
        {
            "W_enc": chosen,
            "b_enc": torch.zeros(chosen.shape[1]),
            "W_dec": chosen.T,
            "b_dec": mean,
            "b_pre": mean,
        },
    )


def plan(folder: Path, tmp_path: Path, more: str = "", **said: object) -> Plan:
    text = (folder / "recipe.toml").read_text()
    lines = [f"{key} = {str(value).lower()}" for key, value in said.items()]
    path = folder / f"{tmp_path.name}.toml"
    path.write_text("\n".join([text, *lines, more]))
    return make_plan(Order(read_recipe(path), tmp_path / "store"))


def test_what_was_trained_on_centred_vectors_is_not_fed_raw_ones(
    folder: Path, model: LanguageModel, tmp_path: Path
) -> None:
    principal(model, folder, folder / "sae", centred=True)
    with pytest.raises(DictionaryError) as caught:
        plan(folder, tmp_path)
    assert "of the variance of centred vectors at 'blocks.0.hook_resid_post'" in str(caught.value)
    assert "centred = true (or centred = false, to go on as it is)" in str(caught.value)
    assert not (tmp_path / "store").exists()
    (job,) = plan(folder, tmp_path, centred=True).jobs
    assert job.dictionary.standardisation == "centred"
    (raw,) = plan(folder, tmp_path, centred=False).jobs
    assert raw.dictionary.standardisation == "none"
    assert raw.digests["dictionary"] != job.digests["dictionary"]


def test_explained_variance_is_that_of_its_formula(
    folder: Path, model: LanguageModel, tmp_path: Path
) -> None:
    principal(model, folder, folder / "sae", centred=True)
    found = plan(folder, tmp_path, centred=True)
    dictionary = found.jobs[0].dictionary
    rows = slice(0, 32)  # 512 tokens of contexts of 16
    hidden = model.hidden(found.corpus.tokens[rows], {HOOK})[HOOK].double().numpy()
    x = hidden[found.corpus.is_valid(rows)]
    x = x - x.mean(axis=1, keepdims=True)
    axes, mean = dictionary.directions.double().numpy(), dictionary.pre_bias.double().numpy()
    decoded = (x - mean) @ axes.T @ axes + mean
    wanted = 1 - ((x - decoded) ** 2).sum() / ((x - x.mean(axis=0)) ** 2).sum()
    share = explained_variance(dictionary, model, found.corpus)
    assert share == pytest.approx(wanted, abs=1e-4)
    assert 0.5 < share < 0.999


def test_what_was_trained_on_raw_vectors_is_read_as_it_is(
    folder: Path, model: LanguageModel, tmp_path: Path
) -> None:
    principal(model, folder, folder / "sae", centred=False)
    (job,) = plan(folder, tmp_path).jobs
    assert job.dictionary.standardisation == "none"


def test_a_dictionary_of_something_else_is_told(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_dictionary(folder / "sae")
    with caplog.at_level(logging.WARNING):
        plan(folder, tmp_path)
    assert "sae: what it decodes is farther from the vectors at" in caplog.text
    assert "Is it the right hook point and model?" in caplog.text


@pytest.mark.parametrize(
    "settings",
    [{"hook_name": "blocks.0.mlp.hook_post", "d_in": 4 * D_MODEL}, {"hook_name_out": HOOK}],
)
def test_centring_is_refused_where_it_means_nothing(
    folder: Path, tmp_path: Path, settings: dict[str, object]
) -> None:
    save_dictionary(folder / "sae", **({"hook_name": "blocks.0.hook_resid_pre"} | settings))
    with pytest.raises(DictionaryError, match=r"'centred' is for .*say centred = false"):
        plan(folder, tmp_path, centred=True)


def test_centring_is_refused_of_a_model_without_layer_norms(tmp_path: Path) -> None:
    save_recipe(tmp_path)
    n_tokens = len(AutoTokenizer.from_pretrained(tmp_path / "model"))
    make_model("llama", n_tokens).save_pretrained(tmp_path / "model")
    with pytest.raises(DictionaryError, match="of a model with layer norms"):
        plan(tmp_path, tmp_path, centred=True)


def test_vectors_of_another_length_are_refused(folder: Path, tmp_path: Path) -> None:
    save_dictionary(folder / "sae", d_in=D_MODEL + 1)
    with pytest.raises(DictionaryError, match=f"vectors of {D_MODEL + 1} dimensions"):
        plan(folder, tmp_path)
    save_dictionary(folder / "sae", hook_name="blocks.7.hook_resid_post")
    with pytest.raises(ModelError, match="no hook point 'blocks.7.hook_resid_post'"):
        plan(folder, tmp_path)


def test_centred_and_constant_length_together_are_refused(folder: Path, tmp_path: Path) -> None:
    save_dictionary(folder / "sae", standardisation="constant_norm")
    with pytest.raises(DictionaryError, match="'centred' is said of one that brings vectors"):
        plan(folder, tmp_path, centred=True)
    save_dictionary(folder / "sae", standardisation="layer_norm")
    (job,) = plan(folder, tmp_path, centred=True).jobs
    assert job.dictionary.standardisation == "layer_norm"
