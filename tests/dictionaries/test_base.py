import numpy as np
import pytest
import torch

from featurestore.dictionaries.base import Dictionary, Nonlinearity, Origin
from featurestore.dictionaries.standardisation import Standardisation

NAN, INF = float("nan"), float("inf")


def apply(nonlinearity: Nonlinearity, *rows: list[float]) -> list[list[float]]:
    return nonlinearity(torch.tensor(rows, dtype=torch.float32)).tolist()


def test_relu() -> None:
    assert apply(Nonlinearity("relu"), [-1, 0, 2]) == [[0, 0, 2]]


def test_jumprelu_keeps_what_is_strictly_above_its_threshold() -> None:
    jumprelu = Nonlinearity("jumprelu", threshold=torch.tensor([1.0, 1.0, 1.0, -2.0, 0.0]))
    above = float(np.nextafter(np.float32(1), np.float32(2)))
    assert apply(jumprelu, [0.5, 1.0, above, -1.0, 0.25]) == [[0, 0, above, 0, 0.25]]


def test_topk_takes_each_tokens_largest_if_positive() -> None:
    rows = [3, -1, 2, 1], [-4, -3, -2, 0.5], [-1, -2, -3, -4]
    assert apply(Nonlinearity("topk", k=2), *rows) == [[3, 0, 2, 0], [0, 0, 0, 0.5], [0] * 4]


def test_signed_topk_takes_them_whatever_their_sign() -> None:
    rows = [3, -1, 2, 1], [-4, -3, -2, 0.5]
    assert apply(Nonlinearity("signed_topk", k=2), *rows) == [[3, 0, 2, 0], [0, 0, -2, 0.5]]
    assert apply(Nonlinearity("signed_topk", k=4), *rows) == [list(row) for row in rows]


@pytest.mark.parametrize(
    "nonlinearity",
    [
        Nonlinearity("relu"),
        Nonlinearity("jumprelu", threshold=torch.full((3,), 0.5)),
        Nonlinearity("topk", k=2),
        Nonlinearity("signed_topk", k=2),
        Nonlinearity("abs_topk", k=2),
    ],
    ids=lambda nonlinearity: nonlinearity.name,
)
def test_nan_and_infinity_do_not_pass_for_silence(nonlinearity: Nonlinearity) -> None:
    found = apply(nonlinearity, [NAN, 0.0, -1.0], [0.0, INF, 1.0])
    assert np.isnan(found[0][0])
    assert found[1] == [0, INF, 1]


def make_dictionary(**changes: object) -> Dictionary:
    generator = torch.Generator().manual_seed(0)
    shapes = {
        "readers": (3, 5),
        "reader_bias": (5,),
        "pre_bias": (3,),
        "directions": (5, 2),
        "direction_bias": (2,),
        "lookup": (7, 2),
    }
    weights = {name: torch.randn(s, generator=generator) for name, s in shapes.items()}
    origin = Origin("sae", "blocks.0.hook_resid_post", "blocks.0.hook_resid_post")
    settings = {"origin": origin, "nonlinearity": Nonlinearity("relu")} | weights
    return Dictionary(**settings | changes)


def test_encode_and_decode_follow_their_formulas() -> None:
    dictionary = make_dictionary()
    hidden = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    tokens = torch.tensor([6, 0, 3, 3])
    activations = dictionary.encode(hidden)
    decoded = dictionary.decode(activations, tokens, hidden)
    w = {name: weight.numpy().astype(np.float64) for name, weight in dictionary._weights()}
    for row in range(4):
        pre = (hidden[row].numpy() - w["pre_bias"]) @ w["readers"] + w["reader_bias"]
        wanted = np.where(pre > 0, pre, 0)
        assert np.allclose(activations[row], wanted, atol=1e-5)
        wanted = wanted @ w["directions"] + w["direction_bias"] + w["lookup"][tokens[row]]
        assert np.allclose(decoded[row], wanted, atol=1e-5)


@pytest.mark.parametrize("how", ["layer_norm", "constant_norm", "centred"])
def test_vectors_are_standardised_and_put_back(how: Standardisation) -> None:
    skip = torch.tensor([[1.0, -2.0], [0.5, 1.0], [3.0, 0.0]])
    dictionary = make_dictionary(standardisation=how, skip=skip)
    hidden = 4 * torch.randn(4, 3, generator=torch.Generator().manual_seed(1)) + 2
    tokens = torch.tensor([6, 0, 3, 3])
    activations = dictionary.encode(hidden)
    decoded = dictionary.decode(activations, tokens, hidden)
    w = {name: weight.numpy().astype(np.float64) for name, weight in dictionary._weights()}
    for row in range(4):
        x = hidden[row].double().numpy()
        shift = 0 if how == "constant_norm" else x.sum() / 3
        scale = {
            "layer_norm": (((x - shift) ** 2).sum() / 2) ** 0.5,
            "constant_norm": (x**2).sum() ** 0.5 / 3**0.5,
            "centred": 1.0,
        }[how]
        assert np.allclose(dictionary.scale(hidden[row : row + 1]), scale)
        read = (x - shift) / (scale + (1e-5 if how == "layer_norm" else 0))
        pre = (read - w["pre_bias"]) @ w["readers"] + w["reader_bias"]
        assert np.allclose(activations[row], np.where(pre > 0, pre, 0), atol=1e-5)
        written = np.where(pre > 0, pre, 0) @ w["directions"] + w["direction_bias"]
        written = written + w["lookup"][tokens[row]] + x @ w["skip"]
        assert np.allclose(decoded[row], written * scale + shift, atol=1e-4)


def test_layer_norm_sees_neither_a_vectors_mean_nor_its_length() -> None:
    dictionary = make_dictionary(standardisation="layer_norm")
    hidden = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(dictionary.encode(hidden), dictionary.encode(3 * hidden + 5), atol=1e-3)


def test_abs_topk_takes_those_farthest_from_zero() -> None:
    rows = [3, -4, 2, 1], [-4, -3, -2, 0.5], [1, -1, 1, 1]
    wanted = [[3, -4, 0, 0], [-4, -3, 0, 0], [1, -1, 0, 0]]
    assert apply(Nonlinearity("abs_topk", k=2), *rows) == wanted


def test_identity_keeps_everything() -> None:
    assert apply(Nonlinearity("identity"), [3, -4, 0]) == [[3, -4, 0]]


def test_a_hidden_vector_at_the_pre_bias_gives_the_reader_bias() -> None:
    dictionary = make_dictionary(nonlinearity=Nonlinearity("signed_topk", k=5))
    found = dictionary.encode(dictionary.pre_bias[None])
    assert torch.allclose(found[0], dictionary.reader_bias, atol=1e-5)


def test_the_digest_changes_with_whatever_is_computed() -> None:
    dictionary = make_dictionary()
    directions = dictionary.directions.clone()
    directions[4, 1] += 1e-6
    others = [
        make_dictionary(directions=directions),
        make_dictionary(nonlinearity=Nonlinearity("topk", k=3)),
        make_dictionary(nonlinearity=Nonlinearity("topk", k=2)),
        make_dictionary(nonlinearity=Nonlinearity("jumprelu", threshold=torch.zeros(5))),
        make_dictionary(lookup=None),
        make_dictionary(skip=torch.ones(3, 2)),
        make_dictionary(standardisation="centred"),
        make_dictionary(standardisation="layer_norm"),
        make_dictionary(origin=Origin("sae", "hook_embed", "hook_embed")),
    ]
    digests = {other.digest() for other in (dictionary, *others)}
    assert len(digests) == 1 + len(others)
    assert dictionary.digest() == make_dictionary().digest()
