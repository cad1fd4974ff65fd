from dataclasses import replace

import pytest
import torch

from featurestore.baselines.spec import Baseline
from featurestore.config import DictionaryConfig
from featurestore.dictionaries.base import Dictionary, Nonlinearity, Origin
from featurestore.errors import DictionaryError

RESID, NEURONS = "blocks.0.hook_resid_post", "blocks.1.mlp.hook_post"
SOURCE = {"model": "m", "corpus": "c", "dtype": "float32", "seed": 0}


def dictionary(hook_name: str = RESID, scale: float = 1.0) -> Dictionary:
    readers, zeros = torch.ones(4, 6) * scale, torch.zeros(4)
    return Dictionary(
        Origin("sae", hook_name, hook_name),
        readers,
        torch.zeros(6),
        zeros,
        readers.T,
        zeros,
        Nonlinearity("relu"),
    )


def baseline(kind: str, like: Dictionary | None = None, **said: object) -> Baseline:
    return Baseline.of(DictionaryConfig("mine", baseline=kind, **said), like)


def test_the_hook_point_is_what_is_said_or_that_of_the_other() -> None:
    assert baseline("pca", dictionary()).hook_name == RESID
    assert baseline("pca", dictionary(), hook_name=NEURONS).hook_name == NEURONS
    assert baseline("neurons", dictionary(NEURONS)).hook_name == NEURONS


def test_neurons_stand_in_an_mlp() -> None:
    for hook_name in (RESID, "blocks.1.hook_mlp_out", "blocks.0.attn.hook_z"):
        with pytest.raises(DictionaryError, match=f"'mine': neurons stand .* is '{hook_name}'"):
            baseline("neurons", hook_name=hook_name)


def test_what_is_read_for_each() -> None:
    assert baseline("identity", hook_name=RESID).hook_names == set()
    assert baseline("ica", hook_name=RESID).hook_names == {RESID}
    other = dictionary("hook_embed")
    assert baseline("pca", other, hook_name=RESID).hook_names == {RESID}
    assert baseline("random", other, hook_name=RESID).hook_names == {RESID, "hook_embed"}


def test_random_has_one_feature_a_direction_and_as_many_as_the_other() -> None:
    found = baseline("random", dictionary())
    assert (found.n_features, found.is_split) == (6, False)
    assert baseline("random", dictionary(), n_features=3).n_features == 3


@pytest.mark.parametrize(
    ("n_features", "signs", "n_axes"),
    [(None, None, 5), (None, "signed", 5), (4, None, 2), (4, "signed", 4), (10, "split", 5)],
)
def test_features_are_axes_or_twice_as_many(
    n_features: int | None, signs: str | None, n_axes: int
) -> None:
    found = baseline("pca", hook_name=RESID, n_features=n_features, signs=signs)
    assert found.n_axes(5, "dimensions") == n_axes


def test_more_than_there_are_is_refused() -> None:
    message = f"'mine': 'n_features' is 12, but '{RESID}' has 5 dimensions, .* at most 10 features"
    with pytest.raises(DictionaryError, match=message):
        baseline("pca", hook_name=RESID, n_features=12).n_axes(5, "dimensions")
    with pytest.raises(DictionaryError, match="'n_features' is all, but .* has 0 directions"):
        baseline("ica", hook_name=RESID).n_axes(0, "directions")


def test_a_width_is_checked_where_it_bounds_the_number() -> None:
    for kind in ("pca", "ica"):
        with pytest.raises(DictionaryError, match="at most 10 features"):
            baseline(kind, hook_name=RESID, n_features=12).check_width(5)
        baseline(kind, hook_name=RESID, n_features=10).check_width(5)
    baseline("random", hook_name=RESID, n_features=12).check_width(5)


def test_whatever_decides_the_weights_decides_the_digest() -> None:
    first = baseline("random", dictionary(), n_features=6)
    others = [
        replace(first, kind="pca"),
        replace(first, hook_name=NEURONS),
        replace(first, n_features=5),
        replace(first, is_split=True),
        replace(first, like=None),
        replace(first, like=dictionary(scale=2.0)),
    ]
    digests = [each.digest(SOURCE) for each in (first, *others)]
    digests += [first.digest(SOURCE | {key: "other"}) for key in SOURCE]
    assert len(set(digests)) == 1 + len(others) + len(SOURCE)
    assert replace(first, id="other", like=dictionary()).digest(SOURCE) == digests[0]
