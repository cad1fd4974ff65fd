import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from featurestore.activations import ActivationFiles
from featurestore.dictionaries.base import Dictionary, Nonlinearity, Origin
from featurestore.inference import LanguageModel
from featurestore.passes.decoder import N_DIMS, Decoder
from tests.small_run import make_corpus
from tests.tiny_run import N_FEATURES, tiny_dictionary, tiny_run

pytestmark = pytest.mark.parametrize("architecture", ["gpt2"], indirect=True)

RESIDUAL, MLP = "blocks.0.hook_resid_post", "blocks.0.hook_mlp_out"


def rows_of(
    model: LanguageModel, dictionary: Dictionary, first: int = 0, last: int | None = None
) -> list[dict[str, Any]]:
    silence = ActivationFiles([], dictionary.n_features)
    activations = silence.read(first, dictionary.n_features if last is None else last)
    made = Decoder(tiny_run(model, dictionary, make_corpus()))
    return made.rows(activations)["features"].to_pylist()


def made_of(directions: torch.Tensor, readers: torch.Tensor | None = None) -> Dictionary:
    """A dictionary with these directions; their readers are the same if not given."""
    n_features, d = directions.shape
    readers = directions.T if readers is None else readers
    nothing = torch.zeros(n_features), torch.zeros(len(readers)), torch.zeros(d)
    origin = Origin("sae", RESIDUAL, RESIDUAL)
    return Dictionary(
        origin, readers, nothing[0], nothing[1], directions, nothing[2], Nonlinearity("relu")
    )


def cosine(a: list[float], b: list[float]) -> float:
    product = sum(x * y for x, y in zip(a, b, strict=True))
    return product / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


@pytest.mark.parametrize("nonlinearity", [Nonlinearity("relu"), Nonlinearity("signed_topk", k=3)])
def test_columns_are_those_of_plain_loops(model: LanguageModel, nonlinearity: Nonlinearity) -> None:
    dictionary = tiny_dictionary(model, RESIDUAL, nonlinearity=nonlinearity)
    rows = rows_of(model, dictionary)
    assert len(rows) == N_FEATURES
    for feature, row in enumerate(rows):
        direction = dictionary.directions[feature].tolist()
        order = sorted(range(len(direction)), key=lambda d: (-abs(direction[d]), d))[:N_DIMS]
        squares = [x * x for x in direction]
        assert row == {
            "top_dims": order,
            "top_dim_weights": [direction[d] for d in order],
            "dim_share": pytest.approx(max(squares) / sum(squares), rel=1e-12),
            "reader_bias": dictionary.reader_bias[feature].item(),
            "reader_cos": pytest.approx(
                cosine(dictionary.readers[:, feature].tolist(), direction), rel=1e-12
            ),
        }
    parts = [rows_of(model, dictionary, i, i + 1)[0] for i in range(N_FEATURES)]
    assert parts == rows


def test_equal_components_are_ordered_by_dimension(model: LanguageModel) -> None:
    row = rows_of(model, made_of(torch.tensor([[1.0, -2, 2, 0, -1, 1, 0.5, 0, 2, 0]])))[0]
    assert row["top_dims"] == [1, 2, 8, 0, 4, 5, 6, 3]
    assert row["top_dim_weights"] == [-2, 2, 2, 1, -1, 1, 0.5, 0]
    assert row["dim_share"] == pytest.approx(4 / 15.25, rel=1e-12)


def test_one_dimension_and_fewer_than_are_kept(model: LanguageModel) -> None:
    row = rows_of(model, made_of(torch.tensor([[0.0, -1e-30, 0]])))[0]
    assert (row["dim_share"], row["reader_cos"]) == (1, pytest.approx(1))
    assert row["top_dims"] == [1, 0, 2]


def test_what_has_no_length_has_no_value(model: LanguageModel) -> None:
    directions = torch.tensor([[0.0, 0], [3, 4], [3, 4]])
    readers = torch.tensor([[1.0, 0, -3], [1, 0, -4]])
    nothing, no_reader, opposite = rows_of(model, made_of(directions, readers))
    assert nothing.pop("reader_bias") == 0
    assert set(nothing.values()) == {None}
    assert (no_reader["reader_cos"], no_reader["dim_share"]) == (None, 16 / 25)
    assert opposite["reader_cos"] == pytest.approx(-1, rel=1e-15)


@pytest.mark.parametrize("hook_name_out", [MLP, "blocks.0.mlp.hook_post"])
def test_a_transcoder_has_two_spaces(model: LanguageModel, hook_name_out: str) -> None:
    """Even where vectors are as long in both."""
    dictionary = tiny_dictionary(model, RESIDUAL, hook_name_out)
    assert (dictionary.d_in == dictionary.d_out) == (hook_name_out == MLP)
    rows = rows_of(model, dictionary)
    assert {row["reader_cos"] for row in rows} == {None}
    assert None not in {row["dim_share"] for row in rows}
    same = replace(dictionary, origin=replace(dictionary.origin, hook_name=hook_name_out))
    if hook_name_out == MLP:
        assert None not in {row["reader_cos"] for row in rows_of(model, same)}
