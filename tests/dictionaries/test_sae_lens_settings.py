from pathlib import Path

import pytest

from featurestore.errors import DictionaryError
from tests.dictionaries.opened import opened
from tests.dictionaries.sae_lens_folder import HOOK, check, make_weights, write


@pytest.mark.parametrize("text", [None, "{}", '{"scaling_factor": null}', '{"scaling_factor": 0}'])
def test_a_scale_that_is_not_known(tmp_path: Path, text: str | None) -> None:
    folder = write(tmp_path, make_weights(), normalize_activations="expected_average_only_in")
    if text:
        (folder / "activation_scaler.json").write_text(text)
    with pytest.raises(DictionaryError, match="its factor is not known") as error:
        opened(folder, None)
    assert "Put activation_scaler.json there" in str(error.value)


@pytest.mark.parametrize(
    ("hook_name", "how"),
    [
        (HOOK, "centred"),
        ("hook_embed", "centred"),
        ("blocks.3.hook_attn_out", "centred"),
        ("blocks.3.hook_mlp_out", "centred"),
        ("blocks.3.mlp.hook_post", None),
        ("blocks.3.attn.hook_z", None),
    ],
)
def test_a_model_whose_weights_were_centred(
    tmp_path: Path, hook_name: str, how: str | None
) -> None:
    weights = make_weights()
    changes = {"center_writing_weights": True, "fold_ln": True}
    metadata = {"hook_name": hook_name, "model_from_pretrained_kwargs": changes}
    check(write(tmp_path, weights, metadata=metadata), weights, "standard", how=how)


def test_centred_vectors_are_normalised_or_scaled_too(tmp_path: Path) -> None:
    weights = make_weights()
    centred = {"model_from_pretrained_kwargs": {"center_writing_weights": True}}
    settings = {"metadata": centred, "normalize_activations": "layer_norm"}
    check(write(tmp_path / "a", weights, **settings), weights, "standard", how="layer_norm")
    settings["normalize_activations"] = "expected_average_only_in"
    folder = write(tmp_path / "b", weights, **settings)
    (folder / "activation_scaler.json").write_text('{"scaling_factor": 0.4}')
    check(folder, weights, "standard", scale=0.4, how="centred")


def test_the_recipe_says_whether_weights_were_centred(tmp_path: Path) -> None:
    folder = write(tmp_path, make_weights())
    assert opened(folder).standardisation == "none"
    assert opened(folder, centred=True).standardisation == "centred"
    metadata = {"model_from_pretrained_kwargs": {"center_writing_weights": True}}
    folder = write(tmp_path, make_weights(), metadata=metadata)
    assert opened(folder, centred=False).standardisation == "none"


@pytest.mark.parametrize(
    ("hook_name", "unfolded"),
    [
        ("blocks.3.ln2.hook_normalized", "blocks.3.mlp.hook_in"),
        ("blocks.3.ln1.hook_normalized", "blocks.3.ln1.hook_out"),
        ("ln_final.hook_normalized", "ln_final.hook_out"),
    ],
)
def test_what_comes_after_a_norm(tmp_path: Path, hook_name: str, unfolded: str) -> None:
    folder = write(tmp_path, make_weights(), metadata={"hook_name": hook_name})
    assert opened(folder).origin.hook_name == unfolded
    folded = {"hook_name": hook_name, "model_from_pretrained_kwargs": {"fold_ln": True}}
    dictionary = opened(write(tmp_path, make_weights(), metadata=folded))
    assert dictionary.origin.hook_name == hook_name and dictionary.standardisation == "none"


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        ("center_writing_weights", {"architecture": "transcoder"}, "a transcoder .* were centred"),
        (
            "center_writing_weights",
            {"normalize_activations": "constant_norm_rescale"},
            "centred, by the model's weights, and then brought to one length",
        ),
        ("fold_ln", {"hook_name": "blocks.3.attn.hook_q"}, "other weights .*fold_ln"),
        ("fold_value_biases", {"hook_name": "blocks.3.attn.hook_z"}, "biases of the values"),
    ],
)
def test_a_model_whose_vectors_cannot_be_had(
    tmp_path: Path, change: str, settings: dict[str, str], message: str
) -> None:
    metadata = {"model_from_pretrained_kwargs": {change: True}}
    metadata |= {name: settings[name] for name in settings if name == "hook_name"}
    rest = {name: value for name, value in settings.items() if name != "hook_name"}
    folder = write(tmp_path, make_weights(), metadata=metadata, **rest)
    with pytest.raises(DictionaryError, match=message) as error:
        opened(folder, None)
    assert str(folder) in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"normalize_activations": "covariance_whitening"}, "is 'covariance_whitening', which"),
        ({"normalize_activations": ["none"]}, r"'normalize_activations' is \['none'\]"),
        (
            {"normalize_activations": "layer_norm", "architecture": "transcoder"},
            r"a transcoder of vectors that were normalised \(normalize_activations = 'layer_norm'",
        ),
        ({"metadata": {"hook_head_index": 2}}, "'hook_head_index' is 2: it reads one head"),
        (
            {"metadata": {"model_from_pretrained_kwargs": "centred"}},
            "'model_from_pretrained_kwargs' is 'centred'; expected a table",
        ),
        ({"activation_fn": "tanh-relu"}, "'activation_fn' is 'tanh-relu'"),
        ({"metadata": {"hook_name": None}}, "no 'hook_name' in it. Add to the recipe"),
        ({"metadata": {"hook_name_out": 3}, "architecture": "transcoder"}, "no 'hook_name_out'"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, settings: dict[str, object], message: str) -> None:
    folder = write(tmp_path, make_weights(), **settings)
    with pytest.raises(DictionaryError, match=message) as error:
        opened(folder)
    assert str(folder) in str(error.value)
