"""Baselines of a tiny build: fitted once, published, opened by Live."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from featurestore.baselines import fitted, sample
from featurestore.build import build
from featurestore.config import DictionaryConfig
from featurestore.dictionaries.base import Dictionary
from featurestore.dictionaries.load import load_dictionary
from featurestore.errors import BuildFailed, DictionaryError, Stopped
from featurestore.live.weights import Loaded, Weights
from featurestore.plan import Order, Plan, make_plan
from featurestore.recipes import read_recipe
from featurestore.stop import Stop
from featurestore.store import Store
from tests.tiny_model import D_MODEL, save_dictionary, save_recipe

FAST = "[passes]\nmap = false\nn_ablated_top = 0\nn_ablated_bands = 0\nn_dependences = 0\n"
BASELINES = {
    "pca": 'baseline = "pca"\nlike = "sae"',
    "pca-signed": 'baseline = "pca"\nlike = "sae"\nsigns = "signed"',
    "ica": 'baseline = "ica"\nlike = "sae"\nn_features = 8',
    "random": 'baseline = "random"\nlike = "sae"',
    "few": 'baseline = "random"\nlike = "sae"\nn_features = 5\nhook_name = "hook_embed"',
    "plain": 'baseline = "random"\nhook_name = "hook_embed"\nn_features = 40',
    "neurons": 'baseline = "neurons"\nhook_name = "blocks.1.mlp.hook_post"',
    "identity": 'baseline = "identity"\nlike = "sae"\nsigns = "signed"',
}
HOOK_NAME = "blocks.0.hook_resid_post"


def save_baselines(folder: Path, **baselines: str) -> Path:
    path = save_recipe(folder)
    tables = [f'[[dictionaries]]\nid = "{name}"\n{keys}\n' for name, keys in baselines.items()]
    path.write_text(path.read_text() + FAST + "".join(tables), encoding="utf-8")
    return path


def changed(path: Path, old: str, new: str) -> Path:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All baselines, built; what was fitted and what is loaded is not made twice."""
    folder = tmp_path_factory.mktemp("baselines")
    order = Order(read_recipe(save_baselines(folder, **BASELINES)), folder / "store")
    assert len(build(order)) == len(BASELINES) + 1
    return folder


@pytest.fixture(scope="module")
def loaded(project: Path) -> dict[str, Loaded]:
    """What Live opens, by the notes of where the weights stand."""
    store = Store(project / "store")
    weights = Weights(store.folder)
    return {name: weights.load(store.dictionary(name)) for name in ("sae", *BASELINES)}


def vectors_of(loaded: dict[str, Loaded], project: Path, hook_name: str) -> torch.Tensor:
    """Of every valid token of the corpus."""
    plan = make_plan(Order(read_recipe(project / "recipe.toml"), project / "store"))
    hidden = loaded["sae"].model.language_model.hidden(plan.corpus.tokens, {hook_name})[hook_name]
    return hidden[torch.from_numpy(plan.corpus.is_valid(slice(None)))]


def decoded(dictionary: Dictionary, vectors: torch.Tensor) -> torch.Tensor:
    tokens = torch.zeros(len(vectors), dtype=torch.int64)
    return dictionary.decode(dictionary.encode(vectors), tokens, vectors)


def test_all_are_published_and_open_on_live(loaded: dict[str, Loaded]) -> None:
    found = {name: (one.info.kind, one.info.n_features) for name, one in loaded.items()}
    assert found == {
        "sae": ("sae", 24),
        "pca": ("pca", 2 * D_MODEL),
        "pca-signed": ("pca", D_MODEL),
        "ica": ("ica", 8),
        "random": ("random", 24),
        "few": ("random", 5),
        "plain": ("random", 40),
        "neurons": ("neurons", 8 * D_MODEL),
        "identity": ("identity", D_MODEL),
    }
    assert loaded["few"].info.hook_name == "hook_embed"


def test_live_opens_them_after_what_was_left_over_is_deleted_and_the_store_moved(
    project: Path, tmp_path: Path
) -> None:
    shutil.copytree(project / "store", tmp_path / "store")
    shutil.rmtree(tmp_path / "store" / "work", ignore_errors=True)
    store = Store(tmp_path / "store")
    info = store.dictionary("pca")
    assert Weights(store.folder).load(info).dictionary.digest() == info.digests["dictionary"]


@pytest.mark.parametrize("name", ["pca", "pca-signed", "identity"])
def test_whole_bases_rebuild_every_vector(
    loaded: dict[str, Loaded], project: Path, name: str
) -> None:
    vectors = vectors_of(loaded, project, HOOK_NAME)
    found = decoded(loaded[name].dictionary, vectors)
    torch.testing.assert_close(found, vectors, rtol=0, atol=2e-5)
    residual = (vectors - found).double().square().sum()
    total = (vectors - vectors.mean(dim=0)).double().square().sum()
    assert 1 - float(residual / total) == pytest.approx(1, abs=1e-9)


def test_the_identity_is_active_everywhere(loaded: dict[str, Loaded], project: Path) -> None:
    vectors = vectors_of(loaded, project, HOOK_NAME)
    activations = loaded["identity"].dictionary.encode(vectors)
    assert torch.equal(activations, vectors)
    store = Store(project / "store")
    info = store.dictionary("identity")
    n_active = sum(store.feature("identity", i).n_active for i in range(D_MODEL))
    assert n_active / info.n_tokens == D_MODEL


@pytest.mark.parametrize(("name", "hook_name"), [("random", HOOK_NAME), ("few", "hook_embed")])
def test_random_features_are_as_dense_as_those_of_their_rank(
    loaded: dict[str, Loaded], project: Path, name: str, hook_name: str
) -> None:
    def densities(name: str, hook_name: str) -> np.ndarray:
        encoded = loaded[name].dictionary.encode(vectors_of(loaded, project, hook_name))
        return (encoded > 0).double().mean(dim=0).numpy()

    found = densities(name, hook_name)
    wanted = np.sort(densities("sae", HOOK_NAME))[::-1]
    assert wanted[-1] == 0  # a feature that is never active
    wanted = wanted[[i * len(wanted) // len(found) for i in range(len(found))]]
    # The texts repeat themselves, and at the embedding equal tokens have equal vectors: not every
    # density can be had.
    assert (found <= wanted + 2e-3).all()
    np.testing.assert_allclose(found, wanted, atol=0.01 if hook_name == HOOK_NAME else 0.2)
    assert found[wanted == 0].max(initial=0) == 0


def test_without_another_half_of_the_vectors_are_above(
    loaded: dict[str, Loaded], project: Path
) -> None:
    dictionary = loaded["plain"].dictionary
    assert not dictionary.reader_bias.any()
    vectors = vectors_of(loaded, project, "hook_embed")
    torch.testing.assert_close(dictionary.pre_bias, vectors.mean(dim=0), rtol=0, atol=1e-5)
    assert torch.equal(dictionary.pre_bias, dictionary.direction_bias)
    torch.testing.assert_close(dictionary.directions.norm(dim=1), torch.ones(40))


def test_what_was_fitted_says_on_what(project: Path) -> None:
    store = Store(project / "store")
    notes = {}
    for path in (project / "store" / "fitted").glob("*/dictionary.json"):
        content = json.loads(path.read_text())
        notes[content["kind"], content["hook_name"], content["nonlinearity"]] = content["fitted_on"]
    info = store.dictionary("pca")
    common = {"model": info.digests["model"], "corpus": info.digests["corpus"]}
    common |= {"dtype": "float32", "seed": 0, "n_tokens": info.n_tokens, "n_kept": info.n_tokens}
    assert notes["pca", HOOK_NAME, "identity"] == common | {"like": None}
    sae = store.dictionary("sae").digests["dictionary"]
    assert notes["random", HOOK_NAME, "relu"] == common | {"like": sae}
    assert notes["neurons", "blocks.1.mlp.hook_post", "relu"]["n_tokens"] == 0
    assert not list((project / "store" / "fitted").glob("*.tmp"))


def plan_of(path: Path, store: Path, stop: Stop | None = None, *only: str) -> Plan:
    return make_plan(Order(read_recipe(path), store, only), stop)


def digests(plan: Plan) -> dict[str, str]:
    return {job.config.id: job.digests["dictionary"] for job in plan.jobs}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    names = ("pca", "ica", "random")
    return save_baselines(tmp_path, **{name: BASELINES[name] for name in names})


def test_they_are_fitted_once_and_the_same_everywhere(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = digests(plan_of(recipe, tmp_path / "store"))
    assert digests(plan_of(recipe, tmp_path / "elsewhere")) == first
    with monkeypatch.context() as patched:
        patched.setattr(fitted, "read_samples", None)  # a second fit would fail
        assert digests(plan_of(recipe, tmp_path / "store")) == first
    changed(recipe, "contexts_per_block = 4", "contexts_per_block = 1")
    assert digests(plan_of(recipe, tmp_path / "blocks")) == first
    changed(recipe, "contexts_per_block", "seed = 1\ncontexts_per_block")
    other = digests(plan_of(recipe, tmp_path / "store"))
    assert {name for name in first if first[name] != other[name]} == {"ica", "random"}


def test_more_tokens_or_another_dictionary_to_be_like_make_another(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = digests(plan_of(recipe, tmp_path / "store"))
    save_dictionary(tmp_path / "sae", seed=1)
    other = digests(plan_of(recipe, tmp_path / "store"))
    assert {name for name in first if first[name] != other[name]} == {"sae", "random"}
    monkeypatch.setattr(sample, "FIT_TOKENS", 100)
    fewer = digests(plan_of(recipe, tmp_path / "fewer"))
    assert fewer["pca"] != first["pca"]


def test_only_one_of_them_still_knows_the_other_that_it_is_like(
    recipe: Path, tmp_path: Path
) -> None:
    whole = digests(plan_of(recipe, tmp_path / "store"))
    alone = digests(plan_of(recipe, tmp_path / "alone", None, "random"))
    assert alone == {"random": whole["random"]}


def test_what_failed_half_way_leaves_nothing_and_is_made_again(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rename(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", rename)
        with pytest.raises(BuildFailed, match="fitted' cannot be written to: No space left"):
            plan_of(recipe, tmp_path / "store")
    assert [path.name for path in (tmp_path / "store" / "fitted").iterdir()] == ["fit.lock"]
    assert len(plan_of(recipe, tmp_path / "store").jobs) == 4


def test_a_signal_ends_a_fit(recipe: Path, tmp_path: Path) -> None:
    stop = Stop()
    stop.ask(15)
    with pytest.raises(Stopped):
        plan_of(recipe, tmp_path / "store", stop)


def test_more_components_than_there_are_dimensions_are_refused(
    recipe: Path, tmp_path: Path
) -> None:
    changed(recipe, "n_features = 8", "n_features = 34")
    message = "'ica': 'n_features' is 34, but 'blocks.0.hook_resid_post' has 16 dimensions"
    with pytest.raises(DictionaryError, match=message):
        plan_of(recipe, tmp_path / "store")


def test_a_family_is_kept(recipe: Path, tmp_path: Path) -> None:
    changed(recipe, "n_features = 8", 'n_features = 8\nfamily = "mine"')
    (job,) = plan_of(recipe, tmp_path / "store", None, "ica").jobs
    assert job.dictionary.origin.family == "mine"
    assert load_dictionary(DictionaryConfig("x", job.config.path)).origin.family is None
