import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from featurestore.built_from import built_corpus, built_dictionary, built_model
from featurestore.errors import WeightsError
from featurestore.matching.activity import Sweeps
from featurestore.places import read_place
from featurestore.store import Store


def dense(store: Store, name: str) -> np.ndarray:
    """Activations on every valid token, without anything that a sweep is made of."""
    info = store.dictionary(name)
    place = read_place(store.folder, info.run_id, name)
    model, dictionary = built_model(info, place), built_dictionary(info, place)
    corpus = built_corpus(info, place, model)
    hidden = model.hidden(corpus.tokens, {info.hook_name})[info.hook_name]
    valid = corpus.is_valid(slice(0, len(corpus.tokens)))
    return dictionary.encode(hidden[valid]).numpy().astype(np.float64)


def test_relations_are_those_of_dense_activations(matching_project: Path, tmp_path: Path) -> None:
    store = Store(matching_project / "store")
    sweeps = Sweeps(store.folder, tmp_path)
    for name, other in (("early", "late"), ("axes", "other"), ("early", "other")):
        a, b = store.dictionary(name), store.dictionary(other)
        every = np.indices((a.n_features, b.n_features)).reshape(2, -1)[:, ::-1]  # in no order
        every = np.concatenate([every, every[:, :5]], axis=1)  # some twice
        found = sweeps.relations(a, b, *every)
        x, y = (
            dense(store, each)[:, chosen] for each, chosen in zip((name, other), every, strict=True)
        )
        assert found.n_tokens == len(x) == a.n_tokens
        both, either = ((x != 0) & (y != 0)).sum(0), ((x != 0) | (y != 0)).sum(0)
        assert np.array_equal(found.n_both, both)
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(found.jaccard, both / either)
            x, y = x - x.mean(0), y - y.mean(0)
            expected = (x * y).sum(0) / np.sqrt((x**2).sum(0) * (y**2).sum(0))
        assert np.isnan(expected).any() and np.nanstd(expected) > 0.1
        np.testing.assert_allclose(found.correlation, expected, atol=1e-5)
    assert len(list(tmp_path.glob("work/*"))) == 4  # each was swept once


def test_texts_that_are_gone_or_changed_are_told(matching_project: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(matching_project, tmp_path / "project")
    store = Store(folder / "store")
    info = store.dictionary("early")
    for note in (folder / "store" / "local").iterdir():  # what holds from the root is elsewhere
        note.write_text(note.read_text().replace(str(matching_project), "/nowhere"))
    place = read_place(store.folder, info.run_id, "early")
    model = built_model(info, place)
    assert built_corpus(info, place, model).n_tokens == info.n_tokens
    (folder / "texts" / "text-0.txt").write_text("Something else.")
    with pytest.raises(WeightsError, match="The corpus of 'early' has changed since the build"):
        built_corpus(info, place, model)
    shutil.rmtree(folder / "texts")
    place = read_place(store.folder, info.run_id, "early")  # Live needs no texts
    assert place.texts == ()
    with pytest.raises(WeightsError, match="texts of 'early' .* Run the build of its recipe again"):
        built_corpus(info, place, model)
    with pytest.raises(WeightsError, match="texts of 'early' cannot be loaded any more"):
        built_corpus(info, replace(place, texts=("/nowhere/*.txt",)), model)
