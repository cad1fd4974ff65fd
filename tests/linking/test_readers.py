from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from featurestore.config import DictionaryConfig
from featurestore.dictionaries import native
from featurestore.dictionaries.base import Dictionary
from featurestore.errors import LinkError
from featurestore.inference import load_model
from featurestore.linking.readers import check_order, gain, readers_of
from tests.tiny_model import ARCHITECTURES, D_MODEL, save_dictionary, save_model

NORMS = {
    "gpt2": ("h.1.ln_1", "h.1.ln_2"),
    "gpt_neox": ("layers.1.input_layernorm", "layers.1.post_attention_layernorm"),
    "llama": ("layers.1.input_layernorm", "layers.1.post_attention_layernorm"),
}


@pytest.fixture(scope="module", params=ARCHITECTURES)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple:
    folder = save_model(tmp_path_factory.mktemp(request.param) / "model", request.param)
    return request.param, folder


def dictionary(folder: Path, hook_name: str, **settings: object) -> Dictionary:
    save_dictionary(folder / "sae", hook_name, **settings)
    return native.load(DictionaryConfig("sae", str(folder / "sae")))


def test_gains_are_those_of_the_weights(saved: tuple[str, Path]) -> None:
    architecture, folder = saved
    model = load_model(str(folder))
    body = AutoModelForCausalLM.from_pretrained(folder).base_model
    for norm, hook_names in zip(
        NORMS[architecture],
        (("attn.hook_in", "ln1.hook_out"), ("mlp.hook_in", "ln2.hook_out")),
        strict=True,
    ):
        expected = body.get_submodule(norm).weight.detach().numpy()
        for hook_name in hook_names:
            found = gain(model, f"blocks.1.{hook_name}")
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert (gain(model, "blocks.1.ln2.hook_normalized") == 1).all()


def test_a_reader_sees_a_direction_through_the_norm(
    saved: tuple[str, Path], tmp_path: Path
) -> None:
    """The norm written out, but for its spread, before and after a direction is added."""
    _, folder = saved
    model = load_model(str(folder))
    sae = dictionary(tmp_path, "blocks.1.mlp.hook_in")
    found = readers_of(sae, model)
    gains = gain(model, "blocks.1.mlp.hook_in")
    x, direction = np.random.default_rng(0).standard_normal((2, D_MODEL))

    def normalised(x: np.ndarray) -> np.ndarray:
        return (x - x.mean() if model.has_layer_norm else x) * gains

    change = normalised(x + direction) - normalised(x)
    np.testing.assert_allclose(
        found.vectors @ direction, change @ sae.readers.double().numpy(), atol=1e-10
    )
    assert found.reading == ("layer norm" if model.has_layer_norm else "RMS norm")
    assert found.is_scaled


@pytest.mark.parametrize(
    ("standardisation", "is_centred", "is_scaled"),
    [
        ("none", False, False),
        ("centred", True, False),
        ("layer_norm", True, True),
        ("constant_norm", False, True),
    ],
)
def test_readers_in_the_stream_are_the_dictionary_s(
    standardisation: str, is_centred: bool, is_scaled: bool
) -> None:
    sae = make(standardisation)
    found = readers_of(sae, None)
    expected = sae.readers.double().numpy().T
    expected = expected - expected.mean(axis=1, keepdims=True) if is_centred else expected
    np.testing.assert_allclose(found.vectors, expected, atol=1e-12)
    assert (found.reading, found.is_scaled) == ("stream", is_scaled)


def make(standardisation: str) -> Dictionary:
    from featurestore.dictionaries.base import Nonlinearity, Origin

    weights = torch.randn(D_MODEL, 5, generator=torch.Generator().manual_seed(0))
    return Dictionary(
        Origin("sae", "blocks.0.hook_resid_post", "blocks.0.hook_resid_post"),
        weights,
        torch.zeros(5),
        torch.zeros(D_MODEL),
        weights.T,
        torch.zeros(D_MODEL),
        Nonlinearity("relu"),
        standardisation=standardisation,
    )


def test_side_by_side_an_mlp_does_not_read_its_own_attention(saved: tuple[str, Path]) -> None:
    architecture, folder = saved
    model = load_model(str(folder))
    check_order(model, "blocks.0.hook_attn_out", "blocks.1.mlp.hook_in")
    check_order(model, "blocks.1.hook_resid_pre", "blocks.1.mlp.hook_in")
    if architecture == "gpt_neox":
        with pytest.raises(LinkError, match="stand side by side: .* from the next block on"):
            check_order(model, "blocks.1.hook_attn_out", "blocks.1.mlp.hook_in")
    else:
        check_order(model, "blocks.1.hook_attn_out", "blocks.1.mlp.hook_in")


def test_what_is_no_norm_is_refused(saved: tuple[str, Path]) -> None:
    model = load_model(str(saved[1]))
    with pytest.raises(LinkError, match="has no normalisation blocks.9.ln2.hook_normalized"):
        gain(model, "blocks.9.mlp.hook_in")
    with pytest.raises(LinkError, match="times a gain: .* of its spread is something else"):
        gain(model, "blocks.1.ln2.hook_in")
