from pathlib import Path

import pytest
import torch

from featurestore.dictionaries.load import load_dictionary
from featurestore.errors import DictionaryError
from featurestore.hub import on_this_machine
from featurestore.plan import Order, make_plan
from featurestore.recipes import read_recipe
from tests.tiny_model import save_dictionary, save_recipe

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def fetched(cache: Path, revision: str = "main") -> Path:
    """What the hub's client leaves of `owner/name`, as if it had been fetched."""
    repository = cache / "models--owner--name"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / revision).write_text(COMMIT)
    folder = repository / "snapshots" / COMMIT
    save_dictionary(folder / "layer_0" / "sae")
    torch.save({"bias": torch.zeros(2)}, folder / "ae.pt")
    return folder


def test_what_was_fetched_before_is_found_without_a_network(tmp_path: Path) -> None:
    folder = fetched(tmp_path)
    for inside in ("layer_0/sae", "ae.pt"):
        found = on_this_machine(f"hub:owner/name/{inside}", tmp_path)
        assert Path(found) == folder / inside
    assert Path(on_this_machine("hub:owner/name", tmp_path)) == folder


def test_a_revision_is_the_one_that_was_asked_for(tmp_path: Path) -> None:
    folder = fetched(tmp_path, "step3000")
    found = on_this_machine("hub:owner/name/layer_0/sae@step3000", tmp_path)
    assert Path(found) == folder / "layer_0/sae"
    with pytest.raises(DictionaryError, match="could not be fetched, and was not before"):
        on_this_machine("hub:owner/name/layer_0/sae", tmp_path)


def test_other_paths_are_left_alone() -> None:
    assert on_this_machine("../hub/sae") == "../hub/sae"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("hub:name", "no address on the hub. Expected hub:owner/name/path"),
        ("hub:owner/name/../other", "no address on the hub"),
        ("hub:owner/other/sae", "hf download owner/other"),
        ("hub:owner/name/layer_1/sae", "'owner/name' holds no 'layer_1/sae'.*layer_0"),
    ],
)
def test_what_cannot_be_had_is_told(tmp_path: Path, address: str, message: str) -> None:
    fetched(tmp_path)
    with pytest.raises(DictionaryError, match=message):
        on_this_machine(address, tmp_path)


def test_a_recipe_names_a_dictionary_on_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fetched(tmp_path / "cache")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    path = save_recipe(tmp_path)
    text = path.read_text().replace('path = "sae"', 'path = "hub:owner/name/layer_0/sae"')
    path.write_text(text)
    (job,) = make_plan(Order(read_recipe(path), tmp_path / "store")).jobs
    assert job.config.path == str(folder / "layer_0/sae")  # so Live fetches nothing
    assert job.dictionary.digest() == load_dictionary(job.config).digest()
