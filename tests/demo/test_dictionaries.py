from pathlib import Path

import pytest
import torch

from featurestore.demo.dictionaries import SPECS, Samples, Spec, train
from tests.dictionaries.opened import opened

D, N_PLANTED = 16, 20
HOOK = "blocks.0.hook_resid_post"


def planted(n: int = 6000) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors that are sums of few of some directions, on a mean; and the directions."""
    generator = torch.Generator().manual_seed(1)
    directions = torch.randn(N_PLANTED, D, generator=generator)
    directions /= directions.norm(dim=1, keepdim=True)
    is_on = torch.rand(n, N_PLANTED, generator=generator) < 0.08
    strength = is_on * (1 + torch.rand(n, N_PLANTED, generator=generator))
    return strength @ directions * 3 + 5, directions


@pytest.mark.parametrize(
    ("nonlinearity", "least"), [("topk", 0.95), ("jumprelu", 0.95), ("relu", 0.8)]
)
def test_training_finds_planted_directions(nonlinearity: str, least: float, tmp_path: Path) -> None:
    """The best of 32 random directions has a cosine of about 0.55 in 16 dimensions."""
    vectors, directions = planted()
    spec = Spec("x", "sae", HOOK, HOOK, nonlinearity, n_features=32, k=2, l1=2.0, n_steps=1000)
    samples = Samples(vectors, vectors, torch.zeros(len(vectors), dtype=torch.int64))
    train(spec, samples, d_vocab=4, folder=tmp_path)
    found = opened(tmp_path / "x")
    assert torch.allclose(found.directions.norm(dim=1), torch.ones(32), atol=2e-3)
    best = (found.directions @ directions.T).amax(dim=0)
    assert best.median() > least
    decoded = found.decode(found.encode(vectors), samples.tokens, vectors)
    unexplained = (vectors - decoded).square().sum() / (vectors - vectors.mean(0)).square().sum()
    assert unexplained < 0.5


def test_checkpoints_of_one_run_are_saved_and_say_their_step(tmp_path: Path) -> None:
    vectors, _ = planted(500)
    spec = Spec("x", "topk", HOOK, HOOK, "topk", n_features=8, k=2, n_steps=4, saved_steps=(2, 4))
    samples = Samples(vectors, vectors, torch.zeros(len(vectors), dtype=torch.int64))
    train(spec, samples, d_vocab=4, folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"x-step-2", "x-step-4"}
    assert opened(tmp_path / "x-step-2").origin.step == 2


def test_a_tokenized_one_learns_a_vector_for_each_token(tmp_path: Path) -> None:
    tokens = torch.arange(600) % 3
    vectors = torch.randn(3, D, generator=torch.Generator().manual_seed(2))[tokens] * 4
    spec = Spec("x", "tokenized", HOOK, HOOK, "topk", n_features=4, k=1, n_steps=300)
    train(spec, Samples(vectors, vectors, tokens), d_vocab=3, folder=tmp_path)
    lookup = opened(tmp_path / "x").lookup
    assert lookup is not None
    assert lookup.shape == (3, D)
    assert lookup.norm(dim=1).min() > 0.5


def test_the_demo_has_what_it_promises() -> None:
    kinds = {spec.kind for spec in SPECS}
    assert kinds >= {"sae", "topk", "jumprelu", "tokenized", "transcoder"}
    assert max(len(spec.saved_steps) for spec in SPECS) >= 5
    assert len({spec.model_step for spec in SPECS}) >= 3
    assert {"hook_embed", "blocks.2.hook_attn_out", "blocks.2.hook_mlp_out"} <= {
        spec.hook_name for spec in SPECS
    }
