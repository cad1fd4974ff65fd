import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from featurestore.config import DictionaryConfig
from featurestore.errors import WeightsError
from featurestore.places import Place, read_place, write_place
from featurestore.store import Store


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A project: weights beside the store."""
    for name in ("model", "sae"):
        (tmp_path / "project" / name).mkdir(parents=True)
    project = tmp_path / "project"
    config = DictionaryConfig("sae", str(project / "sae"), step=3)
    written = Place(str(project / "model"), None, config)
    write_place(project / "store", "run1", written)
    return written


def test_a_place_is_read_as_it_was_written(place: Place, tmp_path: Path) -> None:
    assert read_place(tmp_path / "project" / "store", "run1", "sae") == place


def test_a_name_on_the_hub_stays_a_name(place: Place, tmp_path: Path) -> None:
    named = Place("org/model", "step100", place.dictionary)
    write_place(tmp_path / "store", "run2", named)
    assert read_place(tmp_path / "store", "run2", "sae") == named


def test_a_control_is_noted_with_its_seed(place: Place, tmp_path: Path) -> None:
    control = replace(place, embedding="shuffled", seed=3)
    write_place(tmp_path / "store", "run2", control)
    assert read_place(tmp_path / "store", "run2", "sae") == control


@pytest.mark.parametrize("change", [{"embedding": "zeros"}, {"embedding": 1}, {"seed": "3"}])
def test_a_control_that_is_none_is_a_damaged_note(
    place: Place, tmp_path: Path, change: dict[str, object]
) -> None:
    file = tmp_path / "project" / "store" / "local" / "run1.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(WeightsError, match="not known here"):
        read_place(tmp_path / "project" / "store", "run1", "sae")


def test_a_note_of_before_there_were_controls_is_read(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "project" / "store" / "local" / "run1.json"
    content = json.loads(file.read_text())
    del content["embedding"], content["seed"]
    file.write_text(json.dumps(content))
    assert read_place(tmp_path / "project" / "store", "run1", "sae") == place


def test_a_store_knows_where_weights_are_until_they_are_moved(place: Place, tmp_path: Path) -> None:
    project = tmp_path / "project"
    info = SimpleNamespace(run_id="run1", dictionary_id="sae")
    assert Store(str(project / "store")).weights_path(info) == str(project / "sae")
    (project / "sae").rmdir()
    assert Store(project / "store").weights_path(info) is None


def test_project_and_store_may_be_moved(place: Place, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "project" / "store", tmp_path / "elsewhere")
    assert read_place(tmp_path / "elsewhere", "run1", "sae") == place  # alone
    shutil.move(tmp_path / "project", tmp_path / "moved")
    found = read_place(tmp_path / "moved" / "store", "run1", "sae")
    assert found.model == str(tmp_path / "moved" / "model")
    assert found.dictionary.path == str(tmp_path / "moved" / "sae")


def test_what_is_gone_is_named_without_its_path(place: Place, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "project" / "sae")
    with pytest.raises(WeightsError, match="The dictionary 'sae' of 'mine' is not there") as caught:
        read_place(tmp_path / "project" / "store", "run1", "mine")
    assert str(tmp_path) not in str(caught.value)
    assert "Run the build of its recipe again" in str(caught.value)


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"model": 3}', '{"model": {}}', "\xff"])
def test_without_a_note_or_with_a_damaged_one(place: Place, tmp_path: Path, text: str) -> None:
    file = tmp_path / "project" / "store" / "local" / "run1.json"
    file.unlink()
    if text is not None:
        file.write_bytes(text.encode("latin-1"))
    with pytest.raises(WeightsError, match="Where the weights of 'sae' stand is not known here"):
        read_place(tmp_path / "project" / "store", "run1", "sae")


def test_a_dictionary_with_an_unknown_key_is_a_damaged_note(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "project" / "store" / "local" / "run1.json"
    content = json.loads(file.read_text())
    content["dictionary"]["code"] = "import os"
    file.write_text(json.dumps(content))
    with pytest.raises(WeightsError, match="not known here"):
        read_place(tmp_path / "project" / "store", "run1", "sae")
