import pytest

from featurestore.hook_points import is_residual


@pytest.mark.parametrize(
    ("hook_name", "expected"),
    [
        ("hook_embed", True),
        ("blocks.11.hook_resid_mid", True),
        ("blocks.0.hook_mlp_out", True),
        ("blocks.0.attn.hook_out", True),
        ("blocks.0.mlp.hook_post", False),
        ("blocks.0.attn.hook_z", False),
        ("blocks.0.ln2.hook_normalized", False),
        ("blocks.x.hook_out", False),
    ],
)
def test_what_carries_residual_vectors(hook_name: str, expected: bool) -> None:
    assert is_residual(hook_name) == expected
