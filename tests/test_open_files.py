from pathlib import Path

import pytest

from featurestore.dictionary_file import DictionaryFile
from featurestore.errors import DamagedStore
from featurestore.open_files import OpenFiles
from tests.small_store import publish


def test_a_file_is_opened_once_and_again_if_another_stands_there(tmp_path: Path) -> None:
    path = publish(tmp_path)
    files = OpenFiles(DictionaryFile)
    first = files.get(path)
    assert files.get(path) is first
    assert publish(tmp_path, built_at="2027-01-01") == path
    assert files.get(path).info.built_at == "2027-01-01"
    path.write_bytes(b"nothing")
    with pytest.raises(DamagedStore):
        files.get(path)
    files.close()


def test_files_that_are_gone_are_let_go(tmp_path: Path) -> None:
    path, other = publish(tmp_path, "one", "run1"), publish(tmp_path, "two", "run2")
    files = OpenFiles(DictionaryFile)
    first, second = files.get(path), files.get(other)
    files.forget_all_but({other})
    assert files.get(other) is second
    assert files.get(path) is not first
    files.close()
    assert files.get(path).info.dictionary_id == "one"
    files.close()
