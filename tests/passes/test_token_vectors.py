import math

import numpy as np
import pytest
import torch

from featurestore.passes.token_vectors import TokenVectors

N_TOKENS, D = 40, 5


def random(n: int, d: int = D, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def cosine(a: list[float], b: list[float]) -> float:
    product = sum(x * y for x, y in zip(a, b, strict=True))
    return product / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def centred(vectors: torch.Tensor) -> list[list[float]]:
    columns = [[row[i] for row in vectors.tolist()] for i in range(vectors.shape[1])]
    mean = [math.fsum(column) / len(column) for column in columns]
    return [[x - m for x, m in zip(row, mean, strict=True)] for row in vectors.tolist()]


@pytest.fixture(params=["whole", "tiles"])
def _tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "tiles":
        monkeypatch.setattr("featurestore.passes.token_vectors.DIRECTIONS_AT_ONCE", 3)
        monkeypatch.setattr("featurestore.passes.token_vectors.TOKENS_AT_ONCE", 7)


@pytest.mark.usefixtures("_tiles")
@pytest.mark.parametrize("n", [1, 8, 100])
@pytest.mark.parametrize("is_centred", [True, False])
def test_the_nearest_are_those_of_plain_loops(n: int, is_centred: bool) -> None:
    """Also where a mean that all share is a hundred times as long as what tells them apart."""
    vectors = random(N_TOKENS) + (100 if is_centred else 0)
    directions = random(11, seed=1)
    tokens = np.arange(N_TOKENS) * 3 + 2
    found = TokenVectors(vectors, tokens, is_centred).nearest(directions, n)
    compared = centred(vectors) if is_centred else vectors.tolist()
    assert found.tokens.shape == found.cosines.shape == (11, min(n, N_TOKENS))
    for i, direction in enumerate(directions.tolist()):
        cosines = [cosine(direction, vector) for vector in compared]
        order = sorted(range(N_TOKENS), key=lambda t, c=cosines: -c[t])[:n]
        assert found.tokens[i].tolist() == [3 * t + 2 for t in order]
        assert found.cosines[i].tolist() == pytest.approx([cosines[t] for t in order], abs=1e-12)
        assert found.raw[i] == pytest.approx(cosine(direction, vectors[order[0]].tolist()))


@pytest.mark.usefixtures("_tiles")
def test_equal_cosines_are_ordered_by_token() -> None:
    vectors = random(5).repeat(6, 1)  # tokens t, t + 5, t + 10 and so on have one vector
    found = TokenVectors(vectors, np.arange(30)).nearest(vectors[:5] - vectors[:5].mean(dim=0), 8)
    for t in range(5):
        assert found.tokens[t, :6].tolist() == list(range(t, 30, 5))
        assert found.cosines[t, :6] == pytest.approx(1, abs=1e-12)


def test_what_float32_cannot_tell_apart_is_ranked() -> None:
    """Cosines of 1 - 5e-13 t^2, the last token's the largest."""
    vectors = torch.ones(4, 2)
    vectors[:, 1] = torch.tensor([3.0, 2.0, 1.0, 0.5]) * 1e-6
    found = TokenVectors(vectors, np.arange(4), is_centred=False)
    nearest = found.nearest(torch.tensor([[1.0, 0]]), 4)
    assert nearest.tokens.tolist() == [[3, 2, 1, 0]]


def test_vectors_without_length_are_near_to_nothing() -> None:
    """A cosine of 0 would be the largest here: all others are below."""
    vectors = -random(12).abs()
    vectors[[0, 7]] = 0
    found = TokenVectors(vectors, np.arange(12), is_centred=False).nearest(random(3).abs(), 20)
    assert found.tokens.shape == (3, 10)
    assert not {0, 7} & set(found.tokens.reshape(-1).tolist())
    assert found.cosines.max() < 0


@pytest.mark.parametrize(
    ("vectors", "is_centred"),
    [
        (torch.zeros(6, D), False),
        (torch.full((6, D), 0.1), True),  # less their mean nothing but rounding is left
        (torch.zeros(0, D), True),
    ],
)
def test_where_no_vector_has_length_there_is_no_cosine(
    vectors: torch.Tensor, is_centred: bool
) -> None:
    found = TokenVectors(vectors, np.arange(len(vectors)), is_centred).nearest(random(3), 4)
    assert found.cosines.shape == (3, 1)
    assert np.isnan(found.cosines).all()
    assert np.isnan(found.raw).all()


def test_a_direction_without_length_has_no_cosine() -> None:
    directions = random(3)
    directions[1] = 0
    found = TokenVectors(random(N_TOKENS), np.arange(N_TOKENS)).nearest(directions, 2)
    assert np.isnan(found.cosines).tolist() == [[False] * 2, [True] * 2, [False] * 2]
    assert np.isnan(found.raw).tolist() == [False, True, False]


def test_a_token_may_be_nearest_whose_own_vector_is_zero() -> None:
    """Less the mean it has length; as it is it has none."""
    vectors = torch.tensor([[0.0, 0], [1, 1], [2, 2]])
    found = TokenVectors(vectors, np.arange(3)).nearest(torch.tensor([[-1.0, -1]]), 1)
    assert (found.tokens[0, 0], found.cosines[0, 0]) == (0, pytest.approx(1))
    assert np.isnan(found.raw[0])
