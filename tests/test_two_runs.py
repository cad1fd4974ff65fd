from pathlib import Path

from featurestore.store import Store
from featurestore.two_runs import all_files, file_of, files_served, runs_of
from tests.small_store import publish


def test_a_file_is_served_with_both_its_runs(tmp_path: Path) -> None:
    for name, run_id in (("one", "run1"), ("two", "run2")):
        publish(tmp_path, name, run_id)
    served = Store(tmp_path).catalogue().dictionaries
    one, two = sorted(served, key=lambda info: info.dictionary_id)
    folder = tmp_path / "pairs"
    path = file_of(folder, one, two)
    assert path == folder / "run1--run2.duckdb"
    assert runs_of(path) == ("run1", "run2")
    assert all_files(folder) == list(files_served(folder, served)) == []
    folder.mkdir()
    older = folder / "run0--run2.duckdb"
    for each in (path, older, folder / "notes.duckdb"):
        each.touch()
    assert all_files(folder) == [older, path]
    assert list(files_served(folder, served)) == [path]
