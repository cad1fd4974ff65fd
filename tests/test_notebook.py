from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from featurestore.build import build
from featurestore.errors import StoreNotFound, TextError, UnknownDictionary, UnknownFeature
from featurestore.live.records import Edit
from featurestore.notebook import Notebook, open_store
from featurestore.plan import Order
from featurestore.recipes import read_recipe
from tests.tiny_model import CONTEXT_LIMIT, LONG_PASSES_OFF, save_recipe


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    folder = tmp_path_factory.mktemp("notebook")
    build(Order(read_recipe(save_recipe(folder, **LONG_PASSES_OFF)), folder / "store"))
    opened = open_store(str(folder / "store"))
    yield opened
    opened.close()


def test_a_row_for_each_token_and_a_column_for_each_active_feature(store: Notebook) -> None:
    frame = store.activations("The cat sat", dictionary="sae")
    tokens = store.runner.tokens("sae", "The cat sat")
    assert frame.index.names == ["pos", "token"]
    assert frame.index.get_level_values("token").tolist() == list(tokens.texts)
    assert (frame != 0).any().all()
    (found,) = store.runner.activations(["sae"], tokens)
    assert int((frame != 0).sum().sum()) == len(found.value)
    for feature, pos, value in zip(found.feature, found.pos, found.value, strict=True):
        assert frame[feature].iloc[pos] == value


def test_chosen_features_come_in_their_order_silent_ones_too(store: Notebook) -> None:
    whole = store.activations("The cat sat", dictionary="sae")
    active = int(whole.columns[0])
    frame = store.activations("The cat sat", dictionary="sae", features=[23, active])
    assert frame.columns.tolist() == [23, active]
    assert (frame[23] == 0).all()  # dead by its bias
    assert np.array_equal(frame[active], whole[active])


def test_the_rest_of_live_loads_what_it_needs(store: Notebook) -> None:
    opened = open_store(store.folder)
    tokens = opened.runner.tokens("sae", "The cat sat")
    feature = int(opened.activations("The cat sat", "sae").columns[0])
    found = opened.runner.intervene((Edit("sae", feature, "ablate"),), tokens, pos=2, n_new=1)
    assert found.kl.shape == (len(tokens.texts),)
    opened.close()


def test_other_questions_are_the_stores(store: Notebook) -> None:
    assert store.feature("sae", 0).feature == 0


def test_special_tokens(store: Notebook) -> None:
    assert len(store.activations("<bos>", dictionary="sae", special=True)) == 1
    assert len(store.activations("<bos>", dictionary="sae")) > 1


def test_bad_input_is_told(store: Notebook, tmp_path: Path) -> None:
    with pytest.raises(StoreNotFound, match="No store in"):
        open_store(tmp_path)
    with pytest.raises(UnknownDictionary, match="It has: sae"):
        store.activations("The cat", dictionary="other")
    with pytest.raises(UnknownFeature, match="its features are 0 to 23"):
        store.activations("The cat", dictionary="sae", features=[24])
    with pytest.raises(TextError, match=f"reads {CONTEXT_LIMIT - 1} after its BOS"):
        store.activations("\x01" * CONTEXT_LIMIT, dictionary="sae")
    with pytest.raises(TextError, match="holds no token"):
        store.activations("", dictionary="sae")


def test_a_notebook_may_go_to_another_folder(
    store: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(store.folder.parent)
    opened = open_store("store")
    monkeypatch.chdir(tmp_path)
    assert opened.folder == store.folder
    assert len(opened.activations("The cat", dictionary="sae")) > 0
    opened.close()
